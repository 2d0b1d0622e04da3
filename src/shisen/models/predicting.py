"""Predict many images in batches; an image that cannot be read never loses the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from .._core.prefetch import prefetched
from ..errors import ShisenError
from ..types import Prediction
from .model import Model


def predict_each(
    model: Model, sources: Iterable[Any], top: int = 5, *, quick: bool = False
) -> Iterator[tuple[str, list[Prediction] | str]]:
    """Yield `(source, predictions)` per image in order, or `(source, message)` for one that cannot be read.

    With `quick`, large JPEG photos are decoded at a part of their size, see `Model.read`.

    Args:
        model: the network.
        sources: files, folders, patterns, arrays or images.
        top: number of classes.
        quick: decode large JPEG files at a fraction of their size.
    """

    def ready(source: Any) -> tuple[str, Any]:
        try:
            return str(source), model.prepare(model.read(source, quick=quick))[0]
        except (ShisenError, OSError, MemoryError) as problem:
            return str(source), str(problem)

    waiting: list[tuple[str, Any]] = []
    for item in prefetched(ready, sources, depth=2 * model.batch_size):
        if waiting and (_shape(item) != _shape(waiting[0]) or len(waiting) == model.batch_size):
            yield from _predicted(model, waiting, top)
            waiting = []
        waiting.append(item)
    if waiting:
        yield from _predicted(model, waiting, top)


def _shape(item: tuple[str, Any]) -> Any:
    return None if isinstance(item[1], str) else item[1].shape


def _predicted(model: Model, batch: list[tuple[str, Any]], top: int) -> Iterator[tuple[str, list[Prediction] | str]]:
    if _shape(batch[0]) is None:
        yield from batch
        return
    try:
        logits = model.activations(np.stack([image for _, image in batch]))
        model.check_classes()
        found = model.predictions(logits, top)
    except ShisenError as error:
        yield from ((source, str(error)) for source, _ in batch)
        return
    yield from ((source, row) for (source, _), row in zip(batch, found, strict=True))
