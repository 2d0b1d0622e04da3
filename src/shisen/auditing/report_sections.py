"""The report's pages on mistakes, on every class and on a second model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .clusters import clusters, mean_map
from .evidence import grid_of, reliance
from .scanned import CANVAS, Scan, label_of, probabilities_of, sample
from .thumbnails import heat, opened, thumbnail

if TYPE_CHECKING:
    from ..models.model import Model
    from .confusion import Confusion

SHOWN, CLASSES, PAIRS, EACH = 8, 40, 12, 6
GRID = ("grad_cam", "layer_cam", "guided_backprop")
"""Methods of the class-by-class grids: the first two for where, the third for what detail."""
GRIDDED = 4


def mistakes(model: Model, scan: Scan, matrix: Confusion) -> list[dict[str, str]]:
    """Return the most confident mistakes, with thumbnails.

    Args:
        model: the network.
        scan: the scan of the folder.
        matrix: the confusion matrix with its mistakes.
    """
    rows = list(matrix.mistakes[:SHOWN])
    probabilities = probabilities_of(model, scan.logits[rows]) if rows else np.zeros((0, 1))
    return [
        {
            "image": thumbnail(opened(model, scan.paths[row])),
            "name": scan.names[row],
            "true": label_of(model, int(scan.true[row])),
            "predicted": label_of(model, int(probabilities[i].argmax())),
            "probability": percent(float(probabilities[i].max())),
        }
        for i, row in enumerate(rows)
    ]


def pairs(model: Model, scan: Scan, matrix: Confusion) -> list[dict[str, Any]]:
    """Return the images of the most frequent confusions, the surest mistakes first.

    Args:
        model: the network.
        scan: the scan of the folder.
        matrix: the confusion matrix.
    """
    probabilities = probabilities_of(model, scan.logits)
    predicted = probabilities.argmax(1)
    found = []
    for n, true, taken in matrix.largest[:PAIRS]:
        own = [
            i for i in matrix.mistakes
            if label_of(model, int(scan.true[i])) == true and label_of(model, int(predicted[i])) == taken
        ]  # fmt: skip
        anchor = f"pair-{matrix.labels.index(true)}-{matrix.labels.index(taken)}"
        images = [
            {"image": thumbnail(opened(model, scan.paths[i])), "name": scan.names[i],
             "probability": percent(float(probabilities[i].max()))}
            for i in own[:EACH]
        ]  # fmt: skip
        found.append({"id": anchor, "n": n, "true": true, "taken": taken, "images": images})
    return found


def percent(value: float) -> str:
    """Return a fraction in per cent with a no-break space, without decimals where it is not small."""
    return f"{100 * value:.1f}\u00a0%" if 0 < value < 0.01 else f"{100 * value:.0f}\u00a0%"


def class_pages(model: Model, scan: Scan, matrix: Confusion) -> list[dict[str, Any]]:
    """Return the page of every class: mean map, samples with maps, groups by what the model used.

    Args:
        model: the network.
        scan: the scan of the folder.
        matrix: the confusion matrix with its counts.
    """
    pages = []
    rows_of = sample(scan.usable)
    for label in np.unique(scan.usable[scan.usable >= 0])[:CLASSES]:
        rows = [int(i) for i in rows_of if scan.usable[i] == label]
        read = scan.rows.read(["map", "map_true", "map_shape", "features", "canvas"], rows)
        shape = read["map_shape"][0]
        same = [j for j, s in enumerate(read["map_shape"]) if s == shape and s]
        name = label_of(model, int(label))
        page: dict[str, Any] = {"label": name, "n": int((scan.usable == label).sum()), "mean": "", "groups": []}
        page["background"], page["grid"] = None, _grid(model, scan, rows, int(label))
        page["index"] = matrix.labels.index(name)
        if same:
            page["mean"] = heat(mean_map([read["map_true"][j] for j in same], shape))
            page["background"] = _background(read, same)
            features = np.asarray([read["features"][j] for j in same], np.float32)
            maps = np.asarray([read["map"][j] for j in same], np.float32)
            groups = [[rows[same[j]] for j in g] for g in clusters(features, np.maximum(maps, 0))]
            page["groups"] = [
                {"n": len(g), "images": [thumbnail(opened(model, scan.paths[i]), 88) for i in g[:6]]}
                for g in groups[:4]
            ]
        page["samples"] = []
        for j in np.linspace(0, len(rows) - 1, min(len(rows), SHOWN)).astype(int):
            pixels = opened(model, scan.paths[rows[j]])
            predicted = label_of(model, int(scan.logits[rows[j]].argmax()))
            shown = (
                heat(np.asarray(read["map"][j], np.float32).reshape(read["map_shape"][j]), pixels)
                if read["map_shape"][j] and model.preprocess is not None and model.preprocess.fit == "stretch"
                else ""
            )
            page["samples"].append(
                {"image": thumbnail(pixels), "map": shown, "predicted": predicted, "right": predicted == name,
                 "name": scan.names[rows[j]]}
            )  # fmt: skip
        pages.append(page)
    return pages


def _grid(model: Model, scan: Scan, rows: list[int], label: int) -> dict[str, Any] | None:
    """Return images × methods for one class: maps for the class itself, whatever the prediction."""
    if model.preprocess is None or model.preprocess.fit != "stretch":  # a map of a crop does not fit the image
        return None
    chosen = [rows[i] for i in np.linspace(0, len(rows) - 1, min(len(rows), GRIDDED)).astype(int)]
    images = [model.read(scan.paths[i]) for i in chosen]
    xs = [model.prepare(p)[0] for p in images]
    if any(x.shape != xs[0].shape for x in xs):
        return None
    maps = grid_of(model, GRID, np.stack(xs), [label] * len(xs))
    if not maps:
        return None
    return {
        "methods": list(maps),
        "rows": [
            {"image": thumbnail(p.pixels), "maps": [heat(m[i], p.pixels) for m in maps.values()]}
            for i, p in enumerate(images)
        ],
    }  # fmt: skip


def _background(read: dict[str, list[Any]], same: list[int]) -> dict[str, str] | None:
    """Return how much of the evidence for a class lies in what is likely background."""
    shape = read["map_shape"][same[0]]
    found = []
    for j in same[:: max(1, len(same) // 60)]:
        pixels = np.frombuffer(read["canvas"][j], np.uint8).reshape(CANVAS, CANVAS, 3)
        found.append(reliance(np.asarray(read["map_true"][j], np.float32).reshape(shape), pixels))
    evidence, area = np.mean(found, 0)
    return {"evidence": percent(float(evidence)), "area": percent(float(area))}
