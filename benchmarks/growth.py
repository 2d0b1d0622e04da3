"""How the cost grows: with the batch, the image's side, the channels of the layer and the number of classes.

    python -m benchmarks.growth [--quick] [--plot docs/images/growth.png] [--out growth.json]

Batch and side: EfficientNet-Lite0. Channels and classes: a small network whose last feature map, 7 × 7, has that many
channels and whose answer that many classes. Milliseconds of the processor, one thread, medians of rounds in turns.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

import shisen
from benchmarks.timing import in_turns
from shisen.registry import METHODS
from shisen.targets import ClassObjective

SEED = ClassObjective("class 1", ((1.0, (1,)),))
NAMES = {"grad_cam": "Grad-CAM", "layer_cam": "LayerCAM", "eigen_cam": "Eigen-CAM", "gradient": "gradient"}
AXES = {
    "batch": ("images in a batch", [1, 2, 4, 8, 16, 32], [1, 4, 16]),
    "side": ("side of the image, pixels", [112, 160, 224, 320, 448], [112, 224, 448]),
    "channels": ("channels of the layer", [64, 256, 512, 1024, 2048], [64, 512, 2048]),
    "classes": ("classes", [10, 100, 1000, 10000], [10, 1000, 10000]),
}


def small(channels: int, classes: int) -> Any:
    """Return a network with so many channels and classes."""
    torch.manual_seed(0)
    body = [torch.nn.Conv2d(3, 64, 16, 16), torch.nn.ReLU(), torch.nn.Conv2d(64, channels, 3, 2, 1), torch.nn.ReLU()]
    pool = [torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()]
    return shisen.wrap(torch.nn.Sequential(*body, *pool, torch.nn.Linear(channels, classes)).eval())


def setting(axis: str, value: int) -> tuple[Any, Any]:
    """Return a model and images."""
    side = value if axis == "side" else 224
    images = np.random.default_rng(0).random((value if axis == "batch" else 1, side, side, 3), dtype=np.float32)
    if axis in ("batch", "side"):
        return shisen.load("efficientnet_lite0", device="cpu"), images
    return (small(value, 1000) if axis == "channels" else small(512, value)), images


def times(axis: str, value: int, rounds: int) -> dict[str, float]:
    """Return processor milliseconds of a forward and of the methods."""
    model, images = setting(axis, value)
    layer = model.default_layer
    things: dict[str, Callable[[], Any]] = {"forward": partial(model.activations, images)}
    for name in NAMES:
        things[name] = partial(METHODS[name], model, images, SEED, layer=layer if METHODS[name].layered else None)
    if axis == "channels":
        things["score_cam"] = partial(METHODS["score_cam"], model, images, SEED, layer=layer)
    found = in_turns(things, rounds)
    return {name: median(t[1] for t in found[name]) * 1e3 for name in things}


def plot(found: dict[str, dict[str, dict[str, float]]], file: Path) -> None:
    """Draw one panel an axis."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot, ticker

    figure, panels = pyplot.subplots(2, 2, figsize=(8.5, 6), layout="constrained")
    words = {"forward": "forward", **NAMES, "score_cam": "Score-CAM, exact"}
    for panel, (axis, points) in zip(panels.flat, found.items(), strict=False):
        at = [int(v) for v in points]
        for i, (name, label) in enumerate(words.items()):
            if name in next(iter(points.values())):
                heights = [row[name] for row in points.values()]
                style = {"color": "black", "linestyle": ":"} if name == "forward" else {"color": f"C{i}"}
                panel.plot(at, heights, marker="o", markersize=3, linewidth=1.2, label=label, **style)
        panel.set_xscale("log", base=2)
        panel.set_yscale("log")
        panel.set_xticks(at, [f"{v:,}" for v in at])
        panel.yaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
        panel.yaxis.set_major_formatter(ticker.FuncFormatter(lambda v, _: f"{v:,.0f}"))
        panel.minorticks_off()
        panel.set_xlabel(AXES[axis][0])
        panel.set_ylabel("ms of the processor")
        panel.spines[["top", "right"]].set_visible(False)
        if axis in ("batch", "channels"):
            panel.legend(frameon=False, fontsize=7)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=100)
    pyplot.close(figure)


def show(axis: str, points: dict[str, dict[str, float]]) -> None:
    """Print one axis: a line a value."""
    names: Sequence[str] = list(next(iter(points.values())))
    print(f"\n{AXES[axis][0]:28s}" + "".join(f"{n:>12s}" for n in names))
    for value, row in points.items():
        print(f"{value:28s}" + "".join(f"{row[n]:12.1f}" for n in names), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="three values an axis, two rounds")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--plot", type=Path, default=None, help="a PNG file")
    parser.add_argument("--out", type=Path, default=None, help="a JSON file; what it holds already is not done again")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    warnings.simplefilter("ignore")
    kept: dict[str, dict[str, dict[str, float]]] = {}
    if given.out and given.out.is_file():
        kept = json.loads(given.out.read_text(encoding="utf-8"))
    for axis, (_, every, few) in AXES.items():
        points = kept.setdefault(axis, {})
        for value in few if given.quick else every:
            if str(value) not in points:
                points[str(value)] = times(axis, value, 2 if given.quick else given.rounds)
                if given.out:
                    given.out.write_text(json.dumps(kept, indent=1), encoding="utf-8")
        kept[axis] = dict(sorted(points.items(), key=lambda item: int(item[0])))
        show(axis, kept[axis])
    if given.plot:
        plot(kept, given.plot)


if __name__ == "__main__":
    main()
