"""Time of images × 8 gradient methods × deletion + insertion + ADCC, beside plain code and beside Quantus.

    python -m benchmarks.evaluate_speed PHOTOS --images 5 --plain 2 --quantus 8 [--rounds 3]

Every party works in a process of its own on the same images, one after the other, round by round; its figures are
compared with ours. "plain" is what a script does: the network as it is, one image and one step a forward, each
map made once (benchmarks/evaluate_plain.py). Quantus gets our maps; it knows deletion only (as pixel flipping), so a
second flipping of the same cost stands for insertion, and nothing for ADCC. Its steps count values of pixels, three a
pixel, in portions that must divide the number of pixels: 12 steps are the nearest to our 16, and its time is taken
times 16/12. It works on batches of images, 64 unless told otherwise, so it is given that many, with one method, and
its time is multiplied by the number of methods. Everything is scaled to 100 images, by the clock and by the time of
the processor, the compiler's included, so that a busy machine can be told from a slow program. "--fast" is half
precision.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

import shisen
from shisen._core.baselines import baseline_pixels
from shisen._core.malloc import keep_freed_memory
from shisen.adapters.wrappers import Passes, Watched
from shisen.evaluation.runner import evaluate
from shisen.evaluation.sample import heat
from shisen.registry import METHODS
from shisen.targets import to_numpy

from .evaluate_plain import Plain, figures

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
QUANTUS_STEPS = 12
CHUNK = 8

Found = dict[str, Any]
"""Seconds by the clock and of the processor, images, passes, and figures by "image method metric"."""


def now() -> Any:
    """Return the seconds by the clock and of the processor, those of ended children included."""
    return np.asarray([perf_counter(), sum(os.times()[:4])])


def with_shisen(photos: Sequence[str], fast: bool = False) -> Found:
    """Time the harness."""
    model = shisen.load("efficientnet_lite0", fast=fast).batched(CHUNK)
    evaluate(model, photos[:1], METHODS_TIMED, METRICS_TIMED, control_maps=())  # the first pass traces the network
    passes = Passes()
    start = now()
    scores = evaluate(model.around(Watched(model.model, passes)), photos, METHODS_TIMED, METRICS_TIMED, control_maps=())
    seconds = now() - start
    values = {f"{Path(r.source).name} {r.method} {r.metric}": r.value for r in scores.rows}
    return {"seconds": list(seconds), "images": len(photos), "passes": passes.total, "values": values}


def in_half(photos: Sequence[str]) -> Found:
    """Time the harness in half precision."""
    return with_shisen(photos, fast=True)


def with_plain(photos: Sequence[str]) -> Found:
    """Time plain code."""
    model = shisen.load("efficientnet_lite0")
    plain = Plain(model.network.net)
    values = {}
    seconds = np.zeros(2)
    for place, photo in enumerate([photos[0], *photos]):  # the first one twice, to warm up
        start = now()
        image = model.prepare(model.read(photo))[0]
        index = int(plain.chances(image).argmax())
        found = figures(plain, image, baseline_pixels(image[None], "blur")[0], index, METHODS_TIMED, STEPS)
        seconds += (now() - start) * bool(place)
        values.update({f"{Path(photo).name} {m} {k}": v for (m, k), v in found.items()})
    return {"seconds": list(seconds), "images": len(photos), "passes": None, "values": values}


def with_quantus(photos: Sequence[str]) -> Found:
    """Time Quantus' pixel flipping to zero, twice, for one method's maps, which it is given."""
    import quantus
    import torch

    model = shisen.load("efficientnet_lite0")
    net = Plain(model.network.net).net
    images = np.stack([model.prepare(model.read(p))[0] for p in photos])
    scaled = np.ascontiguousarray(((images * 255 - 127) / 128).transpose(0, 3, 1, 2).astype(np.float32))
    labels = to_numpy(model.activations(images)).argmax(axis=1)
    maps = [heat(e.values, METHODS["grad_cam"].shows, images.shape[1:3]) for e in shisen.explain(model, list(photos))]
    flipping = quantus.PixelFlipping(
        features_in_step=scaled[0].size // QUANTUS_STEPS,
        perturb_baseline=0.0,
        normalize=False,
        abs=False,
        disable_warnings=True,
        display_progressbar=False,
    )
    start = now()
    with torch.no_grad():
        for _ in range(2):
            flipping(
                model=net, x_batch=scaled, y_batch=labels, a_batch=np.stack(maps)[:, None], softmax=True, device="cpu"
            )
    seconds = (now() - start) * len(METHODS_TIMED) * STEPS / QUANTUS_STEPS
    return {"seconds": list(seconds), "images": len(photos), "passes": None, "values": {}}


PARTIES = {"shisen": with_shisen, "fast": in_half, "plain": with_plain, "Quantus": with_quantus}


def run(party: str, folder: Path, images: int, kept: bool) -> Found:
    """Let a party work in its own process."""
    words = [sys.executable, "-m", "benchmarks.evaluate_speed", str(folder), "--party", party]
    words += ["--images", str(images), *(["--kept"] if kept else [])]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    found: Found = json.loads(done.stdout.splitlines()[-1])
    return found


def compared(ours: Found, theirs: Found) -> str:
    """Say how far the figures of two parties lie apart, metric by metric, ADCC in per cent."""
    own, other = ours["values"], theirs["values"]
    words = []
    for metric in METRICS_TIMED:
        apart = [abs(own[k] - other[k]) for k in own if k in other and k.endswith(f" {metric}")]
        if apart:
            words.append(f"{metric}: mean {np.mean(apart):.2g}, largest {max(apart):.2g}")
    return "; ".join(words) or "see evaluate_parity"


def ranked(found: Found, metric: str) -> list[str]:
    """Return the methods in the order of their mean figures, the best first."""
    means = {m: np.mean([v for k, v in found["values"].items() if k.endswith(f" {m} {metric}")]) for m in METHODS_TIMED}
    return sorted(means, key=lambda m: float(means[m]) * (1 if metric == "deletion" else -1))


def main(arguments: Sequence[str] | None = None) -> None:
    """Time all parties and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--images", type=int, default=5)
    parser.add_argument("--plain", type=int, default=2, help="images for plain code; 0 leaves it out")
    parser.add_argument("--quantus", type=int, default=0, help="images for Quantus; it must be installed")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--kept", action="store_true", help="let the parties keep freed memory, as our commands do")
    parser.add_argument("--party", default="", choices=("", *PARTIES))
    given = parser.parse_args(arguments)
    photos = sorted(str(p) for p in given.photos.glob("*.jpg"))[: given.images]
    if given.party:
        if given.kept:
            keep_freed_memory()
        print(json.dumps(PARTIES[given.party](photos)))
        return
    jobs = [
        ("plain", "plain", given.plain, False),
        ("Quantus, deletion and insertion only", "Quantus", given.quantus, False),
        ("shisen evaluate", "shisen", given.images, True),
        ("shisen evaluate --fast", "fast", given.images, True),
    ]
    times: dict[str, list[Any]] = {}
    found: dict[str, Found] = {}
    for _ in range(given.rounds):
        for title, party, images, kept in jobs:
            if not images:
                continue
            found[title] = run(party, given.photos, images, kept or given.kept)
            minutes = np.asarray(found[title]["seconds"]) / found[title]["images"] * 100 / 60
            times.setdefault(title, []).append(minutes)
            print(f"{title}: {minutes[0]:.2f} minutes by the clock, {minutes[1]:.2f} of the processor", flush=True)
    ours = np.asarray(times["shisen evaluate"])
    print(f"\nScaled to 100 images; {len(METHODS_TIMED)} methods; {', '.join(METRICS_TIMED)}")
    print("| | asked | passes | minutes by the clock | of the processor | times ours | figures beside ours |")
    print("|---|---|---|---|---|---|---|")
    for title, own in times.items():
        ratio = float(np.median(np.asarray(own)[:, 1] / ours[:, 1]))
        one = found[title]
        count = "" if one["passes"] is None else f"{one['passes'] * 100 / one['images']:.0f}"
        clock, processor = np.median(own, axis=0)
        print(
            f"| {title} | {one['images']} images | {count} | {clock:.1f} | {processor:.1f} | {ratio:.2f} | "
            f"{compared(found['shisen evaluate'], one)} |"
        )
    for metric in METRICS_TIMED:
        orders = {title: ranked(one, metric) for title, one in found.items() if one["images"] == given.images}
        print(f"{metric}: " + "; ".join(f"{title}: {' > '.join(order)}" for title, order in orders.items()))


if __name__ == "__main__":
    main()
