"""Captured points of one forward: which call of which module is meant, and whether all have been seen."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from threading import get_ident
from typing import Any

from ..errors import ModelError, explain_error
from .points import Call, PointTable

AtPoint = Callable[[str, Call, Any], Any]
"""Called as `(point, call, output)` when a point is reached; returns the output to go on with."""

ENDS = ("input", "logits")
"""Points of every network that are no module's output."""


class Reached(BaseException):
    """Every requested point has been seen, the rest need not run; no `Exception`, which a network could catch."""


def in_this_thread(hook: Callable[..., Any]) -> Callable[..., Any]:
    """Return a hook that does nothing in other threads, which may run the same module at the same time."""
    here = get_ident()

    @functools.wraps(hook)
    def guarded(*args: Any) -> Any:
        return hook(*args) if get_ident() == here else None

    return guarded


class Capture:
    """Hands the outputs of the requested calls to a function, however often their modules run.

    Args:
        points: where names are looked up, once.
        wanted: names of the requested points.
        at_point: see `AtPoint`.

    Attributes:
        modules: paths of the modules to watch.
        missing: points that have not been seen.
    """

    def __init__(self, points: PointTable, wanted: Iterable[str], at_point: AtPoint) -> None:
        self.modules: dict[str, list[tuple[str, Call]]] = {}
        for point in dict.fromkeys(wanted):
            if point not in ENDS:
                call = points.find(point)
                self.modules.setdefault(call.module, []).append((point, call))
        self.missing = {point for found in self.modules.values() for point, _ in found}
        self._at_point = at_point
        self._counts = dict.fromkeys(self.modules, 0)

    def see(self, module: str, output: Any) -> Any:
        """Take one output of a watched module; returns what to go on with.

        Args:
            module: path of the module.
            output: the output.

        Returns:
            The output to go on with.
        """
        self._counts[module] += 1
        for point, call in self.modules[module]:
            if call.index == self._counts[module]:
                self.missing.discard(point)
                output = self._at_point(point, call, output)
        return output

    def check(self) -> None:
        """Raise if a point has not been seen.

        Raises:
            ModelError: naming the first of them.
        """
        if self.missing:
            raise ModelError(
                explain_error(
                    f"The layer {min(self.missing)!r} must run for this image.",
                    "a forward that did not reach it",
                    "Choose another layer; see `shisen layers`.",
                )
            )
