"""Time of pictures × 8 gradient methods × deletion + insertion + ADCC, beside plain code and beside Quantus.

    python -m benchmarks.evaluate_speed PHOTOS --pictures 8 [--quantus 64] [--whole]

Every party works in a process of its own on the same pictures, one after the other, round by round; its figures are
compared with ours. "plain" is what a script does: the network as it is, one picture and one step a forward, each
map made once (benchmarks/evaluate_plain.py). Quantus gets our maps; it knows deletion only (as pixel flipping), so a
second flipping of the same cost stands for insertion, and nothing for ADCC. Its steps count values of pixels, three a
pixel, in portions that must divide the number of pixels: 12 steps are the nearest to our 16, and its time is taken
times 16/12. It works on batches of pictures, 64 unless told otherwise, so it is given that many, with one method, and
its time is multiplied by the number of methods.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

import shisen
from shisen.backends.wrappers import Passes, Watched
from shisen.evaluate.case import heat
from shisen.evaluate.fills import blurred
from shisen.evaluate.harness import evaluate
from shisen.registry import METHODS
from shisen.run.memory import keep_freed_memory
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
"""Seconds, pictures, passes of the network, and figures by "picture method metric"."""


def with_shisen(photos: Sequence[str]) -> Found:
    """Time the harness."""
    model = shisen.load("efficientnet_lite0").chunked(CHUNK)
    evaluate(model, photos[:1], METHODS_TIMED, METRICS_TIMED, floors=())  # the first pass traces the network
    passes = Passes()
    start = perf_counter()
    scores = evaluate(model.around(Watched(model.model, passes)), photos, METHODS_TIMED, METRICS_TIMED, floors=())
    seconds = perf_counter() - start
    values = {f"{Path(r.source).name} {r.method} {r.metric}": r.value for r in scores.rows}
    return {"seconds": seconds, "pictures": len(photos), "passes": passes.total, "values": values}


def with_plain(photos: Sequence[str]) -> Found:
    """Time plain code."""
    model = shisen.load("efficientnet_lite0")
    plain = Plain(model.network.net)
    values = {}
    seconds = 0.0
    for place, photo in enumerate([photos[0], *photos]):  # the first one twice, to warm up
        start = perf_counter()
        image = model.prepare(model.read(photo))[0]
        index = int(plain.chances(image).argmax())
        found = figures(plain, image, blurred(image, 5.0, 5), index, METHODS_TIMED, STEPS)
        seconds += perf_counter() - start if place else 0.0
        values.update({f"{Path(photo).name} {m} {k}": v for (m, k), v in found.items()})
    return {"seconds": seconds, "pictures": len(photos), "passes": None, "values": values}


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
        normalise=False,
        abs=False,
        disable_warnings=True,
        display_progressbar=False,
    )
    start = perf_counter()
    with torch.no_grad():
        for _ in range(2):
            flipping(
                model=net, x_batch=scaled, y_batch=labels, a_batch=np.stack(maps)[:, None], softmax=True, device="cpu"
            )
    seconds = (perf_counter() - start) * len(METHODS_TIMED) * STEPS / QUANTUS_STEPS
    return {"seconds": seconds, "pictures": len(photos), "passes": None, "values": {}}


PARTIES = {"shisen": with_shisen, "plain": with_plain, "Quantus": with_quantus}


def run(party: str, folder: Path, pictures: int, kept: bool) -> Found:
    """Let a party work in its own process."""
    words = [sys.executable, "-m", "benchmarks.evaluate_speed", str(folder), "--party", party]
    words += ["--pictures", str(pictures), *(["--kept"] if kept else [])]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    found: Found = json.loads(done.stdout.splitlines()[-1])
    return found


def compared(ours: Found, theirs: Found) -> str:
    """Say how far the figures of two parties lie apart."""
    own, other = ours["values"], theirs["values"]
    apart = {k: abs(own[k] - other[k]) / (100 if k.endswith("adcc") else 1) for k in own if k in other}
    if not apart:
        return "see evaluate_parity"
    worst = max(apart, key=lambda k: apart[k])
    return f"{len(apart)} figures, median difference {np.median(list(apart.values())):.1e}, largest {apart[worst]:.1e}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Time all parties and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--pictures", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--quantus", type=int, default=0, help="pictures for Quantus; it must be installed")
    parser.add_argument("--kept", action="store_true", help="let the parties keep freed memory, as our commands do")
    parser.add_argument("--whole", action="store_true", help="only time shisen")
    parser.add_argument("--party", default="", choices=("", *PARTIES))
    given = parser.parse_args(arguments)
    photos = sorted(str(p) for p in given.photos.glob("*.jpg"))[: given.pictures]
    if given.party:
        if given.kept:
            keep_freed_memory()
        print(json.dumps(PARTIES[given.party](photos)))
        return
    jobs: list[tuple[str, str, int, bool]] = [("shisen, as the command runs", "shisen", given.pictures, True)]
    if not given.whole:
        jobs += [("shisen, as a library", "shisen", given.pictures, False)]
        jobs += [("plain", "plain", given.pictures, given.kept)]
        if given.quantus:
            jobs += [("Quantus, deletion and insertion only", "Quantus", given.quantus, given.kept)]
    minutes: dict[str, list[float]] = {}
    found: dict[str, Found] = {}
    for _ in range(given.rounds):
        for title, party, pictures, kept in jobs:
            found[title] = run(party, given.photos, pictures, kept)
            minutes.setdefault(title, []).append(found[title]["seconds"] / found[title]["pictures"] * 100 / 60)
            print(f"{title}: {minutes[title][-1]:.2f} minutes per 100 pictures", flush=True)
    ours = jobs[0][0]
    print(f"\n{given.pictures} pictures, scaled to 100; {len(METHODS_TIMED)} methods; {', '.join(METRICS_TIMED)}")
    print("| | passes | minutes | times ours | figures beside ours |\n|---|---|---|---|---|")
    for title, own in minutes.items():
        ratio = float(np.median(np.asarray(own) / np.asarray(minutes[ours])))
        passes = found[title]["passes"]
        count = "" if passes is None else f"{passes * 100 / found[title]['pictures']:.0f}"
        print(f"| {title} | {count} | {np.median(own):.1f} | {ratio:.1f} | {compared(found[ours], found[title])} |")


if __name__ == "__main__":
    main()
