"""Predict many images in batches; an image that cannot be read never loses the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .._core.prefetch import prefetched
from ..errors import ShisenError
from ..types import Prediction

if TYPE_CHECKING:
    from .model import Model

REFUSALS = (ShisenError, RuntimeError, ValueError)
"""What a network may raise for a batch, or for one image of it."""


def predict_each(
    model: Model, sources: Iterable[Any], top: int = 5, *, quick: bool = False
) -> Iterator[tuple[str, list[Prediction] | str]]:
    """Yield `(source, predictions)` per image in order, or `(source, message)` for one that cannot be used.

    With `quick`, large JPEG photos are decoded at a part of their size, see `Model.read`.

    Args:
        model: the network.
        sources: files, folders, patterns, arrays or images.
        top: number of classes.
        quick: decode large JPEG files at a fraction of their size.
    """
    for source, found in answers(model, sources, top, quick=quick):
        yield str(source), str(found) if isinstance(found, Exception) else found


def answers(
    model: Model, sources: Iterable[Any], top: int = 5, *, quick: bool = False
) -> Iterator[tuple[Any, list[Prediction] | Exception]]:
    """Yield every image with its predictions, or with the error that it gave; images of one shape run in batches.

    Args:
        model: the network.
        sources: files, arrays or images.
        top: number of classes.
        quick: decode large JPEG files at a fraction of their size.
    """

    def ready(source: Any) -> tuple[Any, Any]:
        try:
            return source, model.prepare(model.read(source, quick=quick))[0]
        except (ShisenError, OSError, MemoryError) as problem:
            return source, problem

    waiting: list[tuple[Any, Any]] = []
    for item in prefetched(ready, sources, depth=2 * model.batch_size):
        if waiting and (_shape(item) != _shape(waiting[0]) or len(waiting) == model.batch_size):
            yield from _predicted(model, waiting, top)
            waiting = []
        waiting.append(item)
    if waiting:
        yield from _predicted(model, waiting, top)


def _shape(item: tuple[Any, Any]) -> Any:
    return None if isinstance(item[1], Exception) else item[1].shape


def _predicted(
    model: Model, batch: list[tuple[Any, Any]], top: int
) -> Iterator[tuple[Any, list[Prediction] | Exception]]:
    if _shape(batch[0]) is None:
        yield from batch
        return
    try:
        logits = model.activations(np.stack([image for _, image in batch]))
        model.check_classes()
        found = model.predictions(logits, top)
    except REFUSALS as problem:
        if len(batch) == 1:
            yield batch[0][0], problem
            return
        for item in batch:  # one image must not lose its neighbors
            yield from _predicted(model, [item], top)
        return
    yield from ((source, row) for (source, _), row in zip(batch, found, strict=True))
