"""SmoothGrad that stops by itself: how many passes `stop` takes, and how like the map of many passes it then is.

    python -m benchmarks.stop FOLDER [--n 6] [--most 200] [--out stop.json]

EfficientNet-Lite0 on photos of the folder drawn with a fixed seed, top class. The reference is the mean of 400 other
draws of noise; r is Pearson's over all signed values, which is what `stop` looks at. Fixed numbers of draws stand by.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

import shisen
from shisen.models.sources import find_images
from shisen.registry import METHODS
from shisen.targets import ClassObjective, to_numpy

WAYS: dict[str, dict[str, Any]] = {
    "25 draws": {"n_samples": 25},
    "50 draws": {"n_samples": 50},
    "50 draws, antithetic": {"n_samples": 50, "antithetic": True},
    "stop=0.8": {"stop": 0.8},
    "stop=0.9": {"stop": 0.9},
    "stop=0.95": {"stop": 0.95},
}


def flat(values: Any) -> Any:
    """Return all values of a map in one row."""
    return to_numpy(values)[0].astype(np.float64).ravel()


def one(model: Any, image: Any, most: int, many: int) -> dict[str, list[float]]:
    """Return (r with the reference, passes) of every way."""
    objective = ClassObjective("top", ((1.0, (int(to_numpy(model.activations(image))[0].argmax()),)),))

    def maps(**options: Any) -> Any:
        return METHODS["smooth_grad"](model, image, objective, **options)

    reference = flat(maps(n_samples=many, seed=7).values)
    found = {}
    for way, options in WAYS.items():
        made = maps(**{"n_samples": most, **options})
        passes = made.notes["n_samples"][0] if "n_samples" in made.notes else options["n_samples"]
        found[way] = [float(np.corrcoef(flat(made.values), reference)[0, 1]), float(passes)]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--n", type=int, default=6)
    parser.add_argument("--most", type=int, default=200, help="passes after which `stop` ends in any case")
    parser.add_argument("--many", type=int, default=400, help="passes of the reference")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=None, help="a JSON file; what it holds already is not done again")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    warnings.simplefilter("ignore")
    model = shisen.load("efficientnet_lite0", device="cpu")
    photos = find_images([given.folder])
    photos = [photos[i] for i in np.random.default_rng(0).permutation(len(photos))[: given.n]]
    rows: dict[str, dict[str, list[float]]] = {}
    if given.out and given.out.is_file():
        rows = json.loads(given.out.read_text(encoding="utf-8"))
    for photo in photos:
        name = Path(photo).name
        if name in rows:
            continue
        rows[name] = one(model, model.prepare(model.read(photo))[0][None], given.most, given.many)
        print(name, {way: (round(r, 3), int(p)) for way, (r, p) in rows[name].items()}, flush=True)
        if given.out:
            given.out.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    print(f"\n{len(rows)} photos\n{'':22s} median r  least r  passes (median, most)")
    for way in WAYS:
        r, passes = np.asarray([row[way] for row in rows.values()]).T
        print(f"{way:22s} {np.median(r):8.3f} {r.min():8.3f} {np.median(passes):7.0f} {passes.max():7.0f}")


if __name__ == "__main__":
    main()
