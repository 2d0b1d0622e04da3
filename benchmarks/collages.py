"""The grid game: four photos in one image, and how much of a map lies in the photo that was asked for.

    python -m benchmarks.collages PHOTOS [--collages 20] [--out collages.json] [--page docs/collages.md]
    python -m benchmarks.collages PHOTOS --methods rise,lime --collages 2 --add collages.json …   # some at a time

PHOTOS holds labels.csv (file, class_index) and the photos. Only photos that EfficientNet-Lite0 recognizes with p > 0.9
are used, four of different classes in a 2 × 2 grid of 448 pixels; each class is asked for once. The figure is the
fraction of the map's positive evidence (for sensitivities: of its magnitude) in the right cell. Chance is 0.25.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from PIL import Image, ImageOps

import shisen
from shisen._core.image_ops import distribute
from shisen.adapters.wrappers import Shared
from shisen.registry import METHODS
from shisen.targets import ClassObjective, to_numpy

LAYERS = ("head.norm", "head", "blocks.6", "blocks.5", "blocks.4", "blocks.3")
LIGHT: dict[str, dict[str, Any]] = {
    "smooth_grad": {"n_samples": 16},
    "smooth_grad_cam_pp": {"n_samples": 8},
    "integrated_gradients": {"n_steps": 16},
    "score_cam": {"max_channels": 64},
    "rise": {"n_samples": 300},
    "lime": {"n_samples": 200},
    "kernel_shap": {"n_samples": 200},
    "occlusion": {"window": 64, "stride": 64},
}
"""Fewer passes than the defaults, so that the table is made in minutes; said beside the figures."""
ONCE = ("guided_grad_cam", "ablation_cam", "recipro_cam")
"""Asked at `head` only: elsewhere they take a pass for each class, channel or place."""


def recognized(folder: Path, model: Any, least: float) -> list[tuple[Any, int]]:
    """Return (224 × 224 pixels, class) of the photos recognized with at least this probability."""
    asked = []
    with (folder / "labels.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            image = ImageOps.exif_transpose(Image.open(folder / row["file"])).convert("RGB")
            pixels = np.asarray(ImageOps.fit(image, (224, 224), Image.Resampling.BICUBIC), np.float32) / 255
            asked.append((pixels, int(row["class_index"])))
    tops = model.predictions(model.activations(np.stack([pixels for pixels, _ in asked])), 1)
    pairs = zip(asked, tops, strict=True)
    return [one for one, top in pairs if top[0].index == one[1] and top[0].probability > least]


def collages(photos: list[tuple[Any, int]], count: int) -> Iterator[tuple[Any, list[int]]]:
    """Yield (448 × 448 pixels, four classes row by row); photos are drawn without repeats within a collage."""
    rng = np.random.default_rng(0)
    for _ in range(count):
        chosen: list[int] = []
        while len(chosen) < 4:
            one = int(rng.integers(len(photos)))
            if photos[one][1] not in [photos[c][1] for c in chosen]:
                chosen.append(one)
        cells = [photos[c][0] for c in chosen]
        image = np.concatenate([np.concatenate(cells[:2], axis=1), np.concatenate(cells[2:], axis=1)], axis=0)
        yield image, [photos[c][1] for c in chosen]


def fraction(values: Any, cell: int, shows: str) -> float:
    """Return the fraction of a map `(h, w)` or `(h, w, c)` that lies in a cell; 0.25 for a map that is empty."""
    values = values.sum(axis=-1) if values.ndim == 3 and shows == "evidence" else values
    values = np.abs(values) if shows == "sensitivity" else np.maximum(values, 0)
    values = values.sum(axis=-1) if values.ndim == 3 else values
    if values.shape[0] % 2 or values.shape[1] % 2:  # no line between the photos: enlarge, keeping the sum
        values = distribute(values[None].astype(np.float32), (448, 448))[0]
    row, column = divmod(cell, 2)
    total = float(values.sum())
    h, w = values.shape[0] // 2, values.shape[1] // 2
    inside = values[row * h : row * h + h, column * w : column * w + w]
    return float(inside.sum()) / total if total > 0 else 0.25


def play(model: Any, games: list[tuple[Any, list[int]]], few: int, names: list[str]) -> dict[str, dict[str, float]]:
    """Return method → layer → mean share."""
    fractions: dict[tuple[str, str], list[float]] = {}
    for number, (image, classes) in enumerate(games):
        batch = image[None]
        objectives = [ClassObjective("cell", ((1.0, (k,)),)) for k in classes]
        shared = model.around(Shared(model.model, batch, objectives))
        for name in names:
            method = METHODS[name]
            if name in LIGHT and number >= few:
                continue
            for layer in LAYERS if method.layered else (None,):
                if layer not in (None, "head") and (name in LIGHT or name in ONCE):
                    continue
                if name == "cam" and layer != "head":  # needs the map right in front of the pool
                    continue
                for cell, objective in enumerate(objectives):
                    maps = method(shared, batch, objective, layer=layer, **LIGHT.get(name, {}))
                    found = fraction(to_numpy(maps.values)[0], cell, method.shows)
                    fractions.setdefault((name, layer or ""), []).append(found)
        print(f"collage {number + 1} of {len(games)}", flush=True)
    table: dict[str, dict[str, float]] = {}
    for (name, layer), found in fractions.items():
        table.setdefault(name, {})[layer] = round(mean(found), 3)
        table[name]["questions"] = len(found)
        print(f"{name:24s} {layer:10s} {mean(found):.3f}  ({len(found)} questions)")
    return table


def page(record: dict[str, Any]) -> str:
    """Return the figures as a page of Markdown."""
    rows = [
        "# Collages of four photos",
        "",
        f"Generated by `python -m benchmarks.collages`. Four photos that EfficientNet-Lite0 classifies correctly with "
        f"p > 0.9 ({record['photos']} photos) are combined in one image of 448 × 448, and the class of each photo is "
        f"explained in turn. The score is the fraction of the map's positive evidence (for sensitivities: of its "
        f"magnitude) in the right photo, averaged over the number of explanations in the last column; chance is 0.25. "
        f"`head.norm` is `head` before its ReLU6. Methods with many passes use fewer passes than by default: "
        f"{record['options']}.",
        "",
        "| method | " + " | ".join(f"`{layer}`" for layer in LAYERS) + " | no layer | explanations |",
        "|---|" + "---|" * (len(LAYERS) + 2),
    ]
    for name, fractions in record["shares"].items():
        cells = [f"{fractions[layer]:.3f}" if layer in fractions else "" for layer in (*LAYERS, "")]
        rows.append(f"| `{name}` | " + " | ".join(cells) + f" | {fractions['questions']:.0f} |")
    return "\n".join(rows) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--collages", type=int, default=20)
    parser.add_argument("--few", type=int, default=4, help="collages for methods of many passes")
    parser.add_argument("--methods", default="", help="divided by commas; all by default")
    parser.add_argument("--add", type=Path, default=None, help="a JSON file of an earlier run, to be continued")
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--page", type=Path, default=None, help="a Markdown file")
    given = parser.parse_args()
    model = shisen.load("efficientnet_lite0")
    photos = recognized(given.photos, model, 0.9)
    print(f"{len(photos)} photos recognized with p > 0.9")
    names = given.methods.split(",") if given.methods else [n for n, m in METHODS.items() if m.needs != "attention"]
    table = play(model, list(collages(photos, given.collages)), given.few, names)
    if given.add:
        table = json.loads(given.add.read_text(encoding="utf-8"))["shares"] | table
    record = {"photos": len(photos), "options": LIGHT, "shares": table}
    if given.page:
        given.page.write_text(page(record), encoding="utf-8")
    if given.out:
        given.out.write_text(json.dumps(record, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
