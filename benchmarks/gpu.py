"""Gradient maps on a GPU: Grad-CAM of a ResNet-50-shaped network, batch 64, enlarged on the device, beside its forward.

    python -m benchmarks.gpu [--batch 64] [--rounds 15]

Everything stays on the device; times are taken with events of the device. Where torch finds no GPU it says so and
measures nothing.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch

from benchmarks.shapes import resnet50
from shisen._core.image_ops import resize
from shisen.adapters.torch.adapter import TorchClassifier
from shisen.attribution.cam import grad_cam
from shisen.targets import ClassObjective


def timed(thing: Callable[[], object]) -> float:
    """Return the milliseconds that the device took."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    thing()
    end.record()
    torch.cuda.synchronize()
    return float(start.elapsed_time(end))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path, default=None, help="a JSON file")
    given = parser.parse_args()
    if not torch.cuda.is_available():
        print("Skipped: torch finds no GPU on this machine, so nothing was measured.")
        return
    net = resnet50().eval().to("cuda", memory_format=torch.channels_last)
    model = TorchClassifier(net, size=(224, 224, 3))
    images = torch.rand(given.batch, 224, 224, 3, device="cuda")
    x = images.permute(0, 3, 1, 2)  # channels last in memory, as the adapter hands it on
    objective = ClassObjective("class 281", ((1.0, (281,)),))

    def forward() -> None:
        with torch.inference_mode():
            net(x)

    def ours() -> None:
        resize(grad_cam(model, images, objective, layer="layer4").values, (224, 224))

    times: dict[str, list[float]] = {"forward": [], "grad_cam": []}
    for turn in range(given.rounds + 3):
        for name, thing in (("forward", forward), ("grad_cam", ours)):
            took = timed(thing)
            if turn >= 3:
                times[name].append(took)
    found = {
        "card": torch.cuda.get_device_name(),
        "batch": given.batch,
        "forward, ms": median(times["forward"]),
        "grad_cam with enlarging, ms": median(times["grad_cam"]),
        "fraction of the forward's throughput": median(
            f / g for f, g in zip(times["forward"], times["grad_cam"], strict=True)
        ),
        "peak memory, MiB": torch.cuda.max_memory_allocated() / 2**20,
    }
    for name, value in found.items():
        print(f"{name}: {value:.3g}" if isinstance(value, float) else f"{name}: {value}")
    if given.out:
        given.out.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
