"""Class maps, one channel per class, are the answer itself: a default layer is never one of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import ShisenError
from ..targets import like, to_numpy
from .points import Call, default_before
from .trace import Trace

TRIED = 3
"""Classes whose gradient tells whether a map has one channel for each."""


@dataclass(frozen=True)
class OneOutput:
    """The gradient of one class, over all of its positions.

    Attributes:
        index: of the class.
        axis: of the classes among the axes of one row.
        shape: of one row.
    """

    index: int
    axis: int
    shape: tuple[int, ...]

    def __call__(self, y: Any) -> Any:
        """Return the gradient of the class by `y`."""
        hot = np.zeros((y.shape[0], *self.shape), np.float32)
        np.moveaxis(hot, 1 + self.axis, 0)[self.index] = 1.0
        return like(hot, y)


def past_class_maps(trace: Trace, gradients_at: Callable[[str, Sequence[OneOutput]], Any]) -> Trace:
    """Move the default before the maps whose channels are the classes.

    Args:
        trace: the trace of the network.
        gradients_at: from a path and objectives to the gradients there, `(objectives, 1, h, w, c)`.

    Returns:
        The trace with that default.
    """
    candidates, passed = list(trace.candidates), list[Call]()
    if trace.default not in candidates:
        return trace
    candidates = candidates[: candidates.index(trace.default) + 1]
    while candidates and _is_class_map(candidates[-1], trace, gradients_at):
        passed.append(candidates.pop())
    if not passed:
        return trace
    default, reason = default_before(candidates, passed)
    return replace(trace, default=default, reason=reason)


def _is_class_map(call: Call, trace: Trace, gradients_at: Callable[[str, Sequence[OneOutput]], Any]) -> bool:
    channels = call.layout.shape(call.shape)[-1]
    axis = next((i for i, n in enumerate(trace.logits) if n == channels), None)
    if axis is None or channels < 2:
        return False
    wanted = [OneOutput(k, axis, trace.logits) for k in range(min(TRIED, channels))]
    try:
        gradients = np.abs(to_numpy(gradients_at(call.path, wanted)).astype(np.float64))
    except ShisenError:  # such as a network without gradients: the structure has to tell
        at = trace.calls.index(call)
        return not any(later.parameters for later in trace.calls[at + 1 :])
    total = gradients.sum()
    own = sum(gradients[i, ..., k].sum() for i, k in enumerate(range(len(wanted))))
    return bool(own >= (1 - 1e-6) * total)
