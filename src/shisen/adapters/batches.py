"""Networks that take one image only, or whose answer for an image depends on those beside it: image by image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from array_api_compat import array_namespace

from ..errors import N_, ModelError, ShisenError, explain_error
from ..types import Array, Attention
from .capabilities import HasAttention

Result = TypeVar("Result")


def together_or_apart(
    whole: Callable[[], Result],
    apart: Callable[[], Result] | None = None,
    remember: Callable[[], object] = lambda: None,
) -> Result:
    """Return what `whole` returns for a batch; where the network cannot take it, what `apart` does.

    Args:
        whole: runs the batch at once.
        apart: runs it image by image; None where `whole` does.
        remember: called where only `apart` works.

    Returns:
        The result of either.

    Raises:
        ModelError: where the framework fails in both ways.
    """
    try:
        return whole()
    except (ShisenError, MemoryError):
        raise
    except Exception as problem:  # every framework has errors of its own
        if "OutOfMemory" in type(problem).__name__:
            raise
        if apart is None:
            raise _failed(problem) from problem
    found = apart()
    remember()
    return found


def _failed(problem: Exception) -> ModelError:
    return ModelError(
        explain_error(
            N_("The network must run on this input, and backward where a method uses gradients."),
            f"{type(problem).__name__}: {' '.join(str(problem).split())[:300]}",
            N_("Try the same in the network's own framework; occlusion and rise need no gradients."),
        )
    )


def check_rows(logits: Any, count: int) -> None:
    """Raise for an answer of another number of images than were given.

    Args:
        logits: what the network returned.
        count: number of images.

    Raises:
        ValueError: as a framework would for a shape that does not fit.
    """
    if len(logits) != count:
        raise ValueError(f"{len(logits)} rows for {count} images")


class BatchedAttention:
    """The attention of a network, `size` images at a time."""

    def __init__(self, network: HasAttention, size: int) -> None:
        self._network, self._size = network, size

    def attentions(
        self, images: Array, objective: Any = None, *, per_block: bool = False, pooled: bool = False
    ) -> tuple[Attention, ...]:
        parts = []
        for s in slices(images.shape[0], self._size):
            own = None if objective is None else objective.take(np.arange(s.start, s.stop))
            parts.append(self._network.attentions(images[s], own, per_block=per_block, pooled=pooled))
        return tuple(
            replace(
                layer,
                values=joined([p[i].values for p in parts]),
                gradients=None if layer.gradients is None else joined([p[i].gradients for p in parts]),
            )
            for i, layer in enumerate(parts[0])
        )


def slices(count: int, size: int) -> list[slice]:
    """Return the batches of `count` rows.

    Args:
        count: number of rows.
        size: rows of a batch.
    """
    return [slice(i, min(i + size, count)) for i in range(0, count, size)]


def joined(parts: list[Any], axis: int = 0) -> Any:
    """Return the arrays of several batches as one, tuples of arrays part by part.

    Args:
        parts: of every batch.
        axis: of the rows.
    """
    if len(parts) == 1:
        return parts[0]
    if isinstance(parts[0], tuple):
        return tuple(joined([p[i] for p in parts], axis) for i in range(len(parts[0])))
    return array_namespace(parts[0]).concat(parts, axis=axis)
