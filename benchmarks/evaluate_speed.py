"""Time of 100 pictures × 8 gradient methods × deletion + insertion + ADCC, beside one-at-a-time code and Quantus.

    python -m benchmarks.evaluate_speed PHOTOS --pictures 4 [--quantus PYTHON]

Each party does the same figures on the same pictures in the same run; times are scaled to 100 pictures. PYTHON is an
interpreter that has Quantus, torch and shisen's requirements; the Quantus part runs there.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np

import shisen
from shisen.backends.wrappers import Passes, Watched
from shisen.evaluate.adcc import correlation, harmonic
from shisen.evaluate.case import heat, normalised
from shisen.evaluate.fills import blurred
from shisen.evaluate.harness import evaluate
from shisen.registry import METHODS
from shisen.targets import to_numpy

METHODS_TIMED = (
    "grad_cam",
    "grad_cam_pp",
    "xgrad_cam",
    "hires_cam",
    "layer_cam",
    "gradient",
    "input_x_gradient",
    "guided_backprop",
)
METRICS_TIMED = ("deletion", "insertion", "adcc")
STEPS = 16


class Clock:
    """Wall-clock and processor seconds since it was made."""

    def __init__(self) -> None:
        self._wall, self._processor = perf_counter(), process_time()

    def read(self) -> tuple[float, float]:
        """Return (wall, processor) seconds."""
        return perf_counter() - self._wall, process_time() - self._processor


def together(model: Any, photos: Sequence[str]) -> dict[str, float]:
    """Time the harness."""
    passes = Passes()
    clock = Clock()
    evaluate(model.around(Watched(model.model, passes)), photos, METHODS_TIMED, METRICS_TIMED, floors=())
    wall, processor = clock.read()
    return {"wall": wall, "processor": processor, "passes": passes.total}


def one_at_a_time(model: Any, photos: Sequence[str]) -> dict[str, float]:
    """Time plain code: for each metric, picture and method a map, and forwards of one picture."""
    passes = Passes()
    watched = model.around(Watched(model.model, passes))
    clock = Clock()
    for metric in METRICS_TIMED:
        for photo in photos:
            for method in METHODS_TIMED:
                picture = watched.read(photo)
                image = watched.prepare(picture)[0]
                _plain(watched, picture, image, metric, method)
    wall, processor = clock.read()
    return {"wall": wall, "processor": processor, "passes": passes.total}


def _plain(model: Any, picture: Any, image: Any, metric: str, method: str) -> float:
    e = shisen.explain(model, picture, method)
    index = e.target.indices[0]

    def chance(x: Any) -> float:
        logits = to_numpy(model.activations(x[None]))[0]
        odds = np.exp(logits - logits.max())
        return float(odds[index] / odds.sum())

    shows = METHODS[method].shows
    own = heat(e.values, shows, image.shape[:2])
    zero = np.full_like(image, 127 / 255)
    if metric == "adcc":
        mask = normalised(own)
        through = zero + mask[:, :, None] * (image - zero)
        drop = max(0.0, 1.0 - chance(through) / chance(image))
        again = shisen.explain(model, np.rint(through * 255).astype(np.uint8), method, target=index)
        other = normalised(heat(again.values, shows, image.shape[:2]))
        return harmonic((1 + correlation(mask, other)) / 2, 1.0 - float(mask.mean()), 1.0 - drop)
    order = np.argsort(-own.ravel(), kind="stable")
    fill = zero if metric == "deletion" else blurred(image, 5.0, 5)
    shown = (image if metric == "deletion" else fill).reshape(-1, 3).copy()
    put = (fill if metric == "deletion" else image).reshape(-1, 3)
    values = [chance(shown.reshape(image.shape))]
    bounds = np.rint(np.linspace(0, len(order), STEPS + 1)).astype(int)
    for a, b in pairwise(bounds):
        shown[order[a:b]] = put[order[a:b]]
        values.append(chance(shown.reshape(image.shape)))
    return float(np.mean(values))


def with_quantus(photos: Sequence[str]) -> dict[str, float]:
    """Time Quantus' pixel flipping to zero and to the blurred picture with our own maps, which it is given."""
    import quantus
    import torch

    model = shisen.load("efficientnet_lite0")
    net = model.network.net
    images = np.stack([model.prepare(model.read(p))[0] for p in photos])
    scaled = ((images * 255 - 127) / 128).transpose(0, 3, 1, 2).astype(np.float32)
    labels = to_numpy(model.activations(images)).argmax(axis=1)
    clock = Clock()
    for method in METHODS_TIMED:
        shows = METHODS[method].shows
        maps = [heat(shisen.explain(model, p, method).values, shows, images.shape[1:3]) for p in photos]
        for baseline in ("black", "blur"):
            metric = quantus.PixelFlipping(
                features_in_step=scaled[0].size // STEPS,
                perturb_baseline=0.0 if baseline == "black" else "mean",
                normalise=False,
                abs=False,
                disable_warnings=True,
                display_progressbar=False,
            )
            with torch.no_grad():
                metric(
                    model=net,
                    x_batch=scaled,
                    y_batch=labels,
                    a_batch=np.stack(maps)[:, None],
                    softmax=True,
                    device="cpu",
                    batch_size=32,
                )
    wall, processor = clock.read()
    return {"wall": wall, "processor": processor, "passes": float("nan")}


def main(arguments: Sequence[str] | None = None) -> None:
    """Time all parties and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--pictures", type=int, default=4)
    parser.add_argument("--chunk", type=int, default=8)
    parser.add_argument("--quantus", default="")
    parser.add_argument("--inside-quantus", action="store_true")
    given = parser.parse_args(arguments)
    photos = sorted(str(p) for p in given.photos.glob("*.jpg"))[: given.pictures]
    if given.inside_quantus:
        print(json.dumps(with_quantus(photos)))
        return
    model = shisen.load("efficientnet_lite0").chunked(given.chunk)
    evaluate(model, photos[:1], METHODS_TIMED[:1], ("deletion",), floors=())  # the first pass traces the network
    found = {"shisen": together(model, photos), "one at a time": one_at_a_time(model, photos)}
    if given.quantus:
        words = [given.quantus, "-m", "benchmarks.evaluate_speed", str(given.photos), "--inside-quantus"]
        words += ["--pictures", str(given.pictures)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            found["Quantus (deletion and insertion only)"] = json.loads(done.stdout.splitlines()[-1])
        else:
            print(done.stderr[-2000:], file=sys.stderr)
    print(f"{given.pictures} pictures, scaled to 100; {len(METHODS_TIMED)} methods; {', '.join(METRICS_TIMED)}")
    print("| | passes | minutes | processor minutes | times shisen (wall, processor) |\n|---|---|---|---|---|")
    ours = found["shisen"]
    for name, f in found.items():
        scale = 100 / given.pictures
        wall, processor = (f[k] * scale / 60 for k in ("wall", "processor"))
        ratios = f"{f['wall'] / ours['wall']:.1f}, {f['processor'] / ours['processor']:.1f}"
        print(f"| {name} | {f['passes'] * scale:.0f} | {wall:.1f} | {processor:.1f} | {ratios} |")


if __name__ == "__main__":
    main()
