"""The default layer is one that the explained output depends on: not, say, the decoder beside a classifier."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .._core.i18n import N_
from ..errors import ShisenError
from ..targets import like, to_numpy
from .points import described
from .trace import Trace

TRIED = 24
"""Candidates before the last that are tried, from the end."""


def every_output(y: Any) -> Any:
    """Weigh all outputs, none like another, so that none cancels another."""
    count = int(np.prod(y.shape[1:]))
    row = np.linspace(0.5, 1.5, count, dtype=np.float32).reshape(1, *y.shape[1:])
    return like(np.broadcast_to(row, tuple(y.shape)).copy(), y)


def on_the_way(trace: Trace, gradients_at: Callable[[Sequence[str]], Sequence[Any]]) -> Trace:
    """Move the default to the last candidate at which the output has a gradient.

    Args:
        trace: the trace of the network.
        gradients_at: from paths to the gradients of some score there.

    Returns:
        The trace with that default; the same trace where no candidate has a gradient.
    """
    if trace.default not in trace.candidates:
        return trace
    last = trace.candidates.index(trace.default)
    if _any(gradients_at, [trace.default.path]):
        return trace
    earlier = trace.candidates[max(0, last - TRIED) : last]
    matters = _each(gradients_at, earlier)
    found = next((c for c, some in zip(reversed(earlier), reversed(matters), strict=True) if some), None)
    if found is None:
        return trace
    reason = N_("last feature map that the output depends on: {positions} positions, {channels} channels")
    kept = trace.candidates[: trace.candidates.index(found) + 1]
    return replace(trace, default=found, reason=described(reason, found), candidates=kept)


def _each(gradients_at: Callable[[Sequence[str]], Sequence[Any]], calls: Sequence[Any]) -> list[bool]:
    """Return for each call whether there is a gradient."""
    try:
        return [bool((to_numpy(g) != 0).any()) for g in gradients_at([c.path for c in calls])]
    except ShisenError:  # one of them may have none
        return [_any(gradients_at, [c.path]) for c in calls]


def _any(gradients_at: Callable[[Sequence[str]], Sequence[Any]], paths: Sequence[str]) -> bool:
    try:
        return any(bool((to_numpy(g) != 0).any()) for g in gradients_at(paths))
    except ShisenError:  # such as a score that does not depend on the point
        return False
