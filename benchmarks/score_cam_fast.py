"""Score-CAM with `passes` and `tolerance` beside the exact map: how alike, how much less insertion, how many passes.

    python -m benchmarks.score_cam_fast FOLDER --n 24                  # EfficientNet-Lite0, photos of the folder
    python -m benchmarks.score_cam_fast FOLDER --n 6 --layer blocks.3  # another layer: other masks

Correlations are Pearson's between maps at the layer's resolution. Insertion is the area under the probability while
the most important pixels are brought back to the blurred image, in 16 steps. The time beside pytorch-grad-cam is
that of `python -m benchmarks.methods_speed --only score_cam`.
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
from shisen.evaluation.curves import insertion
from shisen.evaluation.requests import run_metric
from shisen.evaluation.sample import Sample
from shisen.models.sources import find_images
from shisen.registry import METHODS
from shisen.targets import ClassObjective, to_numpy

WAYS: dict[str, dict[str, Any]] = {
    "exact": {},
    "max_evals=32": {"max_evals": 32},
    "max_evals=64": {"max_evals": 64},
    "max_evals=128": {"max_evals": 128},
    "max_channels=64": {"max_channels": 64},
    "tolerance=0.05": {"tolerance": 0.05},
    "tolerance=0.2": {"tolerance": 0.2},
}


def area(model: Any, image: Any, values: Any, logits: Any, k: int) -> float:
    """Return the insertion figure of a map."""
    zero = tuple(-b / a for a, b in zip(model.network.scaling.scale, model.network.scaling.shift, strict=True))
    case = Sample(image, values, k, logits, head=model.head, zero=zero)
    return run_metric(insertion(case), lambda images: to_numpy(model.activations(images))).value


def one(model: Any, photo: str, layer: str, ways: list[str]) -> dict[str, Any]:
    """Return correlation with the exact map, largest difference, insertion and passes of every way, for one photo."""
    image, _ = model.prepare(model.read(photo))
    logits = to_numpy(model.activations(image[None]))[0]
    k = int(logits.argmax())
    objective = ClassObjective("top", ((1.0, (k,)),))
    found: dict[str, Any] = {}
    exact: Any = None
    for way in ways:
        maps = METHODS["score_cam"](model, image[None], objective, layer=layer, **WAYS[way])
        values = to_numpy(maps.values)[0].astype(np.float64)
        exact = values if exact is None else exact
        flat = values.std() == 0 or exact.std() == 0
        found[way] = {
            "r": float(np.all(values == exact)) if flat else float(np.corrcoef(values.ravel(), exact.ravel())[0, 1]),
            "off": float(np.abs(values - exact).max() / max(exact.max(), 1e-30)),
            "insertion": area(model, image, values.astype(np.float32), logits, k),
            **{name: value[0] for name, value in maps.notes.items()},
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--n", type=int, default=24)
    parser.add_argument("--model", default="efficientnet_lite0")
    parser.add_argument("--layer", default=None)
    parser.add_argument("--ways", nargs="*", choices=[w for w in WAYS if w != "exact"], default=list(WAYS)[1:])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=None, help="a JSON file; what it holds already is not done again")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    warnings.simplefilter("ignore")
    model = shisen.load(given.model, device="cpu")
    photos = find_images([given.folder])
    photos = [photos[i] for i in np.random.default_rng(0).permutation(len(photos))[: given.n]]
    rows: list[dict[str, Any]] = []
    if given.out and given.out.is_file():
        rows = json.loads(given.out.read_text(encoding="utf-8"))
    for photo in photos[len(rows) :]:
        rows.append(one(model, photo, given.layer or model.default_layer, ["exact", *given.ways]))
        print(Path(photo).name, {way: (round(v["r"], 4), v["masks"]) for way, v in rows[-1].items()}, flush=True)
        if given.out:
            given.out.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    print(
        f"\n{len(rows)} photos\n{'':16s} median r  tenth r  least r  largest error  insertion lost  masks  "
        "leave-one-out correlation/bound"
    )
    for way in ["exact", *given.ways]:
        r = np.asarray([row[way]["r"] for row in rows])
        lost = np.mean([row["exact"]["insertion"] - row[way]["insertion"] for row in rows])
        off = np.median([row[way]["off"] for row in rows])
        masks = np.median([row[way]["masks"] for row in rows])
        told = np.median([row[way].get("leave_one_out_correlation", row[way].get("bound", np.nan)) for row in rows])
        print(
            f"{way:16s} {np.median(r):8.4f} {np.quantile(r, 0.1):8.4f} {r.min():8.4f} {off:14.4f} {lost:15.4f} "
            f"{masks:6.0f} {told:8.3f}"
        )


if __name__ == "__main__":
    main()
