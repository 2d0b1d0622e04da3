"""RISE from few masks beside a map of 4,000 of the paper's masks: how alike, for each kind of masks and estimate.

    python -m benchmarks.rise FOLDER --n 4 --reference maps.npz --out rows.json    # goes on from what the files hold

EfficientNet-Lite0, photos of the folder drawn with a fixed seed, the top class of each. Correlations are Pearson's over
the places of the map, with a reference of other random masks. The reference has errors of its own, so even an exact
map does not reach 1: `ceiling` is the root of the correlation to be expected between two such references, from the
halves of one.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from array_api_compat import array_namespace

import shisen
from shisen.adapters.wrappers import Wrapper
from shisen.models.sources import find_images
from shisen.registry import METHODS
from shisen.targets import ClassObjective, to_numpy

MANY = 4000
COUNTS = (250, 500, 1000)
KINDS: dict[str, dict[str, Any]] = {
    "paper, mean": {},
    "paper, regression": {"estimate": "regression"},
    "balanced, mean": {"masks": "balanced"},
    "balanced, regression": {"masks": "balanced", "estimate": "regression"},
}
SCORES = ("logit", "probability")
STOPS = (0.9, 0.95)


class Remembered(Wrapper):
    """Answers the same images from memory, since kinds share masks and scores share logits."""

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self.known: dict[bytes, Any] = {}

    def activations(self, images: Any, at: Any = "logits") -> Any:
        if at != "logits":
            return self.model.activations(images, at)
        keys = [hashlib.sha1(one.tobytes()).digest() for one in to_numpy(images)]
        new = [i for i, key in enumerate(keys) if key not in self.known]
        if new:
            rows = self.model.activations(images[new[0] : new[-1] + 1])
            self.known.update((keys[new[0] + i], row) for i, row in enumerate(rows))
        return array_namespace(images).stack([self.known[key] for key in keys])


def objective_of(k: int, score: str) -> ClassObjective:
    return ClassObjective("top", ((1.0, (k,)),), score)


def like_many(a: Any, b: Any) -> float:
    return float(np.corrcoef(np.asarray(a, np.float64).ravel(), np.asarray(b, np.float64).ravel())[0, 1])


def references(model: Any, image: Any, k: int) -> dict[str, Any]:
    """Return the map of many masks for each score, and the map's ceiling."""
    found: dict[str, Any] = {}
    for score in SCORES:
        maps = METHODS["rise"](model, image[None], objective_of(k, score), n=MANY, seed=7, stop=1 - 1e-9)
        found[score] = to_numpy(maps.values)[0]
        found[f"{score} ceiling"] = np.asarray(np.sqrt(maps.notes["agreement"][0]))
    return found


def one(model: Any, image: Any, k: int, many: dict[str, Any]) -> dict[str, Any]:
    """Return the correlations of one photo for each score, kind and number of masks, and where `stop` stops."""
    row: dict[str, Any] = {}
    for score in SCORES:
        objective = objective_of(k, score)
        for kind, options in KINDS.items():
            for n in COUNTS:
                maps = METHODS["rise"](model, image[None], objective, n_samples=n, **options)
                row[f"{score}, {kind}, {n}"] = like_many(to_numpy(maps.values), many[score])
        for stop in STOPS:
            maps = METHODS["rise"](
                model, image[None], objective, n_samples=1000, stop=stop, **KINDS["balanced, regression"]
            )
            row[f"{score}, stop {stop}"] = [
                like_many(to_numpy(maps.values), many[score]),
                maps.notes["n_samples"][0],
                maps.notes["agreement"][0],
            ]
        row[f"{score}, ceiling"] = float(many[f"{score} ceiling"])
    return row


def report(rows: dict[str, Any]) -> None:
    """Print medians over the photos, and the least."""
    for score in SCORES:
        ceiling = np.median([row[f"{score}, ceiling"] for row in rows.values()])
        print(f"\n{len(rows)} photos, {score}: median r (least) with {MANY:,} masks, ceiling {ceiling:.3f}")
        for kind in KINDS:
            cells = []
            for n in COUNTS:
                r = [row[f"{score}, {kind}, {n}"] for row in rows.values()]
                cells.append(f"{n}: {np.median(r):.3f} ({min(r):.3f})")
            print(f"{kind:22s}", "   ".join(cells))
        for stop in STOPS:
            r, passes, reached = np.median([row[f"{score}, stop {stop}"] for row in rows.values()], axis=0)
            print(f"balanced, regression, stop={stop}: {passes:.0f} masks, r {r:.3f}, agreement {reached:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--n", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--reference", type=Path, default=None, help="an NPZ file for the maps of many masks")
    parser.add_argument("--out", type=Path, default=None, help="a JSON file for the rows")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    warnings.simplefilter("ignore")
    photos = find_images([given.folder])
    photos = [photos[i] for i in np.random.default_rng(0).permutation(len(photos))[: given.n]]
    plain = shisen.load("efficientnet_lite0", device="cpu")
    kept: dict[str, Any] = {}
    if given.reference and given.reference.is_file():
        kept = dict(np.load(given.reference))
    rows: dict[str, Any] = {}
    if given.out and given.out.is_file():
        rows = json.loads(given.out.read_text(encoding="utf-8"))
    for photo in photos:
        name = Path(photo).name
        if name in rows:
            continue
        model = Remembered(plain)
        image = to_numpy(plain.prepare(plain.read(photo))[0])
        k = int(to_numpy(plain.activations(image[None]))[0].argmax())
        many = {key.split("|")[1]: value for key, value in kept.items() if key.startswith(f"{name}|")}
        if not many:
            many = references(model, image, k)
            kept.update({f"{name}|{key}": value for key, value in many.items()})
            if given.reference:
                np.savez_compressed(given.reference, **kept)
        rows[name] = one(model, image, k, many)
        print(name, {key: round(r, 3) for key, r in rows[name].items() if key.endswith("500")}, flush=True)
        if given.out:
            given.out.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    report(rows)


if __name__ == "__main__":
    main()
