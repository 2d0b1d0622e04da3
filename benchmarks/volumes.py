"""Grad-CAM of volumes beside MONAI and pytorch-grad-cam: equal maps, and how long each takes, in one process.

    python -m benchmarks.volumes [--size 64] [--rounds 5] [--out FILE]

Compares with what is installed of both (`pip install monai grad-cam`). The networks are a plain one of four
convolutions and MONAI's DenseNet-121 in three dimensions, with random weights. Times are medians of runs in turn; each
library gets the same tensor and layer. r is the Pearson correlation with Grad-CAM in plain torch, over all voxels of
the map at the size of the input. MONAI and pytorch-grad-cam return the map enlarged and scaled between its least and
largest value; ours is enlarged by `heatmap`, within the time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import warnings
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import nn

import shisen
from shisen.targets import to_numpy


def plain() -> tuple[nn.Module, str]:
    """Return a network of four convolutions and its last layer with positions."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for c, d in ((1, 16), (16, 32), (32, 32), (32, 64)):
        layers += [nn.Conv3d(c, d, 3, padding=1, stride=1 if c == 1 else 2), nn.BatchNorm3d(d), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(64, 4)).eval(), "11"


def densenet() -> tuple[nn.Module, str]:
    """Return MONAI's DenseNet-121 in three dimensions, and its last layer with positions."""
    from monai.networks.nets import DenseNet121

    torch.manual_seed(0)
    return DenseNet121(spatial_dims=3, in_channels=1, out_channels=4).eval(), "class_layers.relu"


def ours(net: nn.Module, layer: str, x: Any) -> Callable[[], Any]:
    """Return a call that gives our map at the input's size."""
    model = shisen.wrap(net)
    volume = x[0].movedim(0, -1).numpy()
    return lambda: shisen.explain(model, volume, target=1, layer=layer).heatmap


def of_monai(net: nn.Module, layer: str, x: Any) -> Callable[[], Any]:
    """Return a call that gives MONAI's map."""
    from monai.visualize import GradCAM

    cam = GradCAM(nn_module=net, target_layers=layer)
    return lambda: 1 - to_numpy(cam(x=x, class_idx=1))[0, 0]  # it turns its map around when it scales it


def of_pytorch_grad_cam(net: nn.Module, layer: str, x: Any) -> Callable[[], Any]:
    """Return a call that gives pytorch-grad-cam's map."""
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    cam = GradCAM(model=net, target_layers=[net.get_submodule(layer)])
    return lambda: np.asarray(cam(input_tensor=x, targets=[ClassifierOutputTarget(1)]))[0]


def reference(net: nn.Module, layer: str, x: Any) -> Any:
    """Return Grad-CAM in plain torch, enlarged trilinearly."""
    kept: dict[str, Any] = {}
    handle = net.get_submodule(layer).register_forward_hook(lambda _, __, out: kept.update(a=out))
    score = net(x)[0, 1]
    handle.remove()
    (gradient,) = torch.autograd.grad(score, kept["a"])
    values = (gradient.mean((2, 3, 4), keepdim=True) * kept["a"]).sum(1, keepdim=True).relu()
    return nn.functional.interpolate(values.detach(), x.shape[2:], mode="trilinear", align_corners=False)[0, 0].numpy()


def correlation(a: Any, b: Any) -> float:
    """Return Pearson's r over all voxels."""
    return float(np.corrcoef(np.ravel(a), np.ravel(b))[0, 1])


def measured(calls: dict[str, Callable[[], Any]], rounds: int) -> tuple[dict[str, Any], dict[str, float]]:
    """Return the result of every call and its median time in seconds; the calls take turns."""
    found = {name: call() for name, call in calls.items()}
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            start = perf_counter()
            call()
            times[name].append(perf_counter() - start)
    return found, {name: statistics.median(taken) for name, taken in times.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=64, help="Side of the volume in voxels.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    x = torch.rand(1, 1, *(given.size,) * 3, generator=torch.Generator().manual_seed(0))
    rows = []
    for build in (plain, densenet):
        net, layer = build()
        with torch.no_grad():
            net(x)
        calls = {"shisen": ours(net, layer, x)}
        for name, make in (("MONAI", of_monai), ("pytorch-grad-cam", of_pytorch_grad_cam)):
            try:
                calls[name] = make(net, layer, x)
            except ImportError as problem:
                print(f"{name} is left out: {problem}", flush=True)
        want = reference(net, layer, x)
        with torch.no_grad():
            forward = measured({"forward": lambda net=net: net(x)}, given.rounds)[1]["forward"]
        found, seconds = measured(calls, given.rounds)
        for name, taken in seconds.items():
            r = correlation(found[name], want)
            row = {"network": build.__name__, "library": name, "r": r, "seconds": taken, "forwards": taken / forward}
            rows.append(row | {"size": given.size})
            print(f"{build.__name__:10}{name:18} r {r:.6f}  {taken:7.3f} s {taken / forward:5.2f} forwards", flush=True)
    if given.out:
        given.out.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return 0 if all(row["r"] >= 0.9999 for row in rows if row["library"] == "shisen") else 1


if __name__ == "__main__":
    raise SystemExit(main())
