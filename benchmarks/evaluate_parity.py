"""The same figures by shisen and by the libraries that define them too, on the same maps.

    python -m benchmarks.evaluate_parity PHOTOS --images 3

Needs grad-cam, torchcam and quantus; one that is not installed is left out. Grad-CAM at the last feature map of
EfficientNet-Lite0; what is asked of each library is said in the table.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import shisen
from shisen.adapters.wrappers import network_zero
from shisen.evaluation.metrics import METRICS
from shisen.evaluation.requests import run_metric
from shisen.evaluation.sample import Sample
from shisen.targets import to_numpy

from .evaluate_plain import Plain, scaled
from .methods_speed import pytorch_grad_cam

STEPS = 16


class Bench:
    """An image, its Grad-CAM, and the network as the libraries want it."""

    def __init__(self, model: Any, plain: Plain, photo: str) -> None:
        self.model, self.plain = model, plain
        self.image = model.prepare(model.read(photo))[0]
        found = shisen.explain(model, photo, "grad_cam")
        logits = to_numpy(model.activations(self.image[None]))[0]
        self.case = Sample(self.image, found.values, int(logits.argmax()), logits, zero=network_zero(model, 3))
        self.x = plain.tensor(self.image)

    def ours(self, metric: str, **options: Any) -> Any:
        """Return our outcome."""
        asked = METRICS[metric].function(self.case, **options)
        return run_metric(asked, lambda images: to_numpy(self.model.activations(images)))


def with_grad_cam(bench: Bench) -> dict[str, tuple[float, float]]:
    """pytorch-grad-cam: ROAD without noise at 20, 50 and 80 per cent, and what lies behind it."""
    if pytorch_grad_cam() is None:
        raise ImportError("pytorch-grad-cam")
    from pytorch_grad_cam.metrics import road
    from pytorch_grad_cam.metrics.cam_mult_image import DropInConfidence
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget

    percentiles = [20, 50, 80]
    targets = [ClassifierOutputSoftmaxTarget(bench.case.index)]
    imputer: Any = road.NoisyLinearImputer.__init__
    before, imputer.__defaults__ = imputer.__defaults__, (0.0, *imputer.__defaults__[1:])  # noise cannot be passed
    try:
        combined = road.ROADCombined(percentiles=percentiles)(bench.x, bench.case.heat[None], targets, bench.plain.net)
    finally:
        imputer.__defaults__ = before
    drop = DropInConfidence()(bench.x, scaled(bench.case.heat)[None], targets, bench.plain.net)
    ours = bench.ours("road", percentiles=percentiles, noise=0.0)
    return {
        "pytorch-grad-cam ROADCombined, noise 0": (ours.value, float(combined[0])),
        "pytorch-grad-cam DropInConfidence, as a fraction of p": (
            bench.ours("average_drop").value / 100,
            max(0.0, float(drop[0])) / bench.case.chance,
        ),
    }


def with_torchcam(bench: Bench) -> dict[str, tuple[float, float]]:
    """torch-cam: average drop, increase, deletion and insertion."""
    from torchcam.methods import GradCAM
    from torchcam.metrics import ClassificationMetric, DeletionInsertionMetric

    softmax = partial(torch.softmax, dim=-1)
    blurred = bench.plain.tensor(bench.case.pixels("blur"))
    with GradCAM(bench.plain.net, target_layer="head") as extractor:
        drops = ClassificationMetric(extractor, softmax)
        drops.update(bench.x)
        areas = {}
        for name, start in (("deletion", None), ("insertion", blurred)):
            curves = DeletionInsertionMetric(extractor, softmax, steps=STEPS, baseline=start, batch_size=8)
            curves.update(bench.x)
            areas[name] = float(curves.summary()[f"{name}_auc"])
    found = drops.summary()
    return {
        "torch-cam average drop": (bench.ours("average_drop").value / 100, found["avg_drop"]),
        "torch-cam increase": (bench.ours("increase").value / 100, found["conf_increase"]),
        "torch-cam deletion": (bench.ours("deletion").value, areas["deletion"]),
        "torch-cam insertion, its baseline our blurred image": (bench.ours("insertion").value, areas["insertion"]),
    }


def with_quantus(bench: Bench) -> dict[str, tuple[float, float]]:
    """Quantus: the curve of pixel flipping, three of whose steps are one of ours; its first point is put before it."""
    import quantus

    flipping = quantus.PixelFlipping(
        features_in_step=bench.case.heat.size // STEPS,  # must divide the pixels; counts values of pixels
        perturb_baseline=0.0,
        normalize=False,
        disable_warnings=True,
    )
    curve = flipping(
        model=bench.plain.net,
        x_batch=bench.x.numpy(),
        y_batch=np.asarray([bench.case.index]),
        a_batch=bench.case.heat[None, None],
        softmax=True,
        device="cpu",
    )[0]
    ours = bench.ours("deletion")
    whole = np.asarray([bench.case.chance, *curve[2::3]])
    apart = float(np.abs(np.asarray(ours.curve) - whole).max())
    return {
        "Quantus PixelFlipping, area of every third point and the first": (
            ours.value,
            float((whole[1:] + whole[:-1]).mean() / 2),
        ),
        "Quantus PixelFlipping, largest difference along the curve": (0.0, apart),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--images", type=int, default=3)
    given = parser.parse_args(arguments)
    photos = sorted(str(p) for p in given.photos.glob("*.jpg"))[: given.images]
    model = shisen.load("efficientnet_lite0").batched(8)
    plain = Plain(shisen.load("efficientnet_lite0").network.net)
    parties: dict[str, Callable[[Bench], dict[str, tuple[float, float]]]] = {
        "grad-cam": with_grad_cam,
        "torchcam": with_torchcam,
        "quantus": with_quantus,
    }
    pairs: dict[str, list[tuple[float, float]]] = {}
    for photo in photos:
        bench = Bench(model, plain, photo)
        for party, compare in list(parties.items()):
            try:
                found = compare(bench)
            except ImportError as problem:
                print(f"{party} is left out: {problem}", file=sys.stderr)
                del parties[party]
                continue
            for name, pair in found.items():
                pairs.setdefault(name, []).append(pair)
    print(f"{len(photos)} photos\n| | shisen (mean) | theirs (mean) | largest difference |\n|---|---|---|---|")
    for name, values in pairs.items():
        own, other = np.asarray(values).T
        print(f"| {name} | {own.mean():.4f} | {other.mean():.4f} | {np.abs(own - other).max():.1e} |")


if __name__ == "__main__":
    main()
