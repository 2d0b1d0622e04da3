"""One pass over a folder: prediction, maps, what the model used, properties and a small copy of every image."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .._core.i18n import N_
from .._core.prefetch import prefetched
from .._core.progress import Progress
from ..adapters.capabilities import HasWeights
from ..adapters.wrappers import capability
from ..errors import ShisenError
from ..targets import ClassObjective, TopKObjective, class_logits, to_numpy
from .budget import estimate_scan
from .evidence import maps_by
from .parts import Rows
from .properties import measured
from .scanned import CANVAS, map_layer

if TYPE_CHECKING:
    from ..models.model import Model
    from ..training.data import Item

PART = 32


class _Recorded:
    """The top class's objective, which records the logits it was evaluated at."""

    name = "top class"

    def __init__(self, objective: TopKObjective) -> None:
        self.objective = objective
        self.logits: list[Any] = []

    def __call__(self, y: Any) -> Any:
        self.logits.append(to_numpy(y))
        return self.objective(y)

    def value(self, y: Any) -> Any:
        return self.objective.value(y)

    def take(self, rows: Any) -> _Recorded:
        return self


def key_of(model: Model, items: Sequence[Item], version: str) -> str:
    """Return a name for the work on these images with this model; it changes when either does.

    Args:
        model: the network.
        items: the labeled images.
        version: version of the computation.
    """
    digest = hashlib.sha256(f"{version}\0{model.name}\0{model.framework}\0{model.preprocess}\0".encode())
    if model.precision != "float32":
        digest.update(model.precision.encode())
    network = capability(model, HasWeights)
    for name, value in network.weights().items() if network else ():
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(to_numpy(value)).tobytes())
    for item in items:
        size = Path(item.path).stat().st_size if Path(item.path).is_file() else -1
        digest.update(json.dumps([item.name, item.label, size]).encode())
    return digest.hexdigest()[:16]


def scan_images(
    model: Model,
    items: Sequence[Item],
    targets: npt.NDArray[np.int64],
    rows: Rows,
    progress: Progress,
    *,
    method: str = "",
) -> None:
    """Fill the parts that are missing. One gradient pass a batch gives predictions, maps and features.

    Args:
        model: the network.
        items: the images.
        targets: their class numbers; −1 for none.
        rows: where the parts go.
        progress: called as `progress(done, total, words)`.
        method: a registered name for other maps than gradient times activation.
    """
    layer = map_layer(model)
    missing = [p for p in range((len(items) + PART - 1) // PART) if not rows.has(p)]
    todo = [i for p in missing for i in range(p * PART, min((p + 1) * PART, len(items)))]
    done = len(items) - len(todo)
    stream = prefetched(lambda i: _read(model, items[i]), todo, depth=2 * PART)
    start = time.perf_counter()
    for part in missing:
        own = slice(part * PART, (part + 1) * PART)
        read = [next(stream) for _ in items[own]]
        rows.write(part, _part(model, items[own], targets[own], read, layer=layer, method=method))
        done += len(read)
        if part == missing[0]:
            estimate_scan(progress, (time.perf_counter() - start) / len(read) * len(todo), len(todo))
        progress(done, len(items), N_("Looking at images"))


def _read(model: Model, item: Item) -> dict[str, Any]:
    from PIL import Image

    try:
        image = model.read(item.path)
        x, frame = model.prepare(image)
        pixels = image.pixels
        small = np.asarray(Image.fromarray(pixels).resize((CANVAS, CANVAS), Image.Resampling.BILINEAR))
        found = {"image": x, "canvas": small.tobytes(), "properties": measured(pixels), "box": list(frame.box)}
        return {**found, "height": pixels.shape[0], "width": pixels.shape[1], "sha256": image.sha256, "error": ""}
    except (ShisenError, OSError, ValueError, MemoryError) as problem:
        empty: dict[str, Any] = {
            "image": None,
            "canvas": b"",
            "properties": [],
            "box": [],
            "height": 0,
            "width": 0,
            "sha256": "",
        }
        return {**empty, "error": f"{type(problem).__name__}: {problem}"}


def _part(
    model: Model,
    items: Sequence[Item],
    targets: npt.NDArray[np.int64],
    read: list[dict[str, Any]],
    *,
    layer: str | None,
    method: str,
) -> dict[str, Any]:
    """Return the columns of a part."""
    kept = ("canvas", "properties", "box", "height", "width", "sha256", "error")
    columns: dict[str, list[Any]] = {k: [r[k] for r in read] for k in kept}
    columns["name"] = [item.name for item in items]
    columns["path"] = [item.path for item in items]
    columns["label"] = [item.label for item in items]
    columns["target"] = targets.tolist()
    for name in ("logits", "map", "map_true", "features", "map_shape", "pooled"):
        columns[name] = [[] for _ in items]
    good = [j for j, r in enumerate(read) if r["image"] is not None]
    for shape in sorted({read[j]["image"].shape for j in good}):
        same = [j for j in good if read[j]["image"].shape == shape]
        images, wanted = np.stack([read[j]["image"] for j in same]), targets[same].tolist()
        answers = look(model, layer, images, wanted)
        if method:
            _replace_maps(model, method, images, wanted, answers)
        for j, answer in zip(same, answers, strict=True):
            for name, value in answer.items():
                columns[name][j] = value
    return columns


def _replace_maps(
    model: Model, method: str, images: Any, targets: Sequence[int], answers: list[dict[str, Any]]
) -> None:
    """Put the maps of a registered method instead of gradient times activation, for both classes."""
    predicted = [int(np.argmax(a["logits"])) for a in answers]
    maps = maps_by(model, method, images, predicted)
    other = maps_by(model, method, images, [k if t < 0 else t for t, k in zip(targets, predicted, strict=True)])
    for answer, one, true, target in zip(answers, maps, other, targets, strict=True):
        answer["map"], answer["map_shape"] = one.ravel().tolist(), list(one.shape)
        answer["map_true"] = true.ravel().tolist() if target >= 0 else []


def look(model: Model, layer: str | None, images: Any, targets: Sequence[int]) -> list[dict[str, Any]]:
    """Return logits, maps and used features of a batch from one forward.

    The map of a class is Σ_c g·A at the default layer, which for a mean and a linear head adds up to the score; the
    used features are mean_hw(g·A), channel by channel.

    Args:
        model: the network.
        layer: path of the layer.
        images: `(n, h, w, c)` pixels in [0, 1].
        targets: class of each image.
    """
    if layer is None:
        logits = to_numpy(class_logits(model.activations(images), model.head))
        return [
            {
                "logits": row.astype(np.float32).tolist(),
                "map": [],
                "map_true": [],
                "map_shape": [],
                "features": [],
                "pooled": row.astype(np.float32).tolist(),
            }
            for row in logits
        ]
    found = []
    for start in range(0, len(images), model.batch_size):
        part = images[start : start + model.batch_size]
        own = list(targets[start : start + model.batch_size])
        top = _Recorded(TopKObjective(head=model.head))
        true = ClassObjective("true class", ((1.0, tuple(max(t, 0) for t in own)),), head=model.head)
        values, (gradient, gradient_true) = model.gradients(part, [top, true], wrt=layer)
        a, g, h = to_numpy(values), to_numpy(gradient), to_numpy(gradient_true)
        logits = to_numpy(class_logits(top.logits[0], model.head)).astype(np.float32)
        used = (a * g).mean((1, 2)).astype(np.float16)
        pooled = a.mean((1, 2))
        for i in range(len(part)):
            found.append(
                {
                    "logits": logits[i].tolist(),
                    "map": (a[i] * g[i]).sum(-1).astype(np.float32).ravel().tolist(),
                    "map_true": (a[i] * h[i]).sum(-1).astype(np.float32).ravel().tolist() if own[i] >= 0 else [],
                    "map_shape": list(a.shape[1:3]),
                    "features": used[i].astype(np.float32).tolist(),
                    "pooled": pooled[i].astype(np.float16).astype(np.float32).tolist(),
                }
            )
    return found
