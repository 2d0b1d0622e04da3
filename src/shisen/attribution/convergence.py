"""When to stop drawing: how alike the maps of two halves of the draws are."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InputError, explain_error

HALF = 16  # draws that go to one half, the next as many to the other


def checked_stop(stop: float | None) -> None:
    """Raise unless `stop` is None or a correlation that can be reached."""
    if stop is not None and not 0.0 < stop < 1.0:
        raise InputError(explain_error("stop must be a correlation, 0 < stop < 1.", stop, "Try stop=0.95."))


def half_of(run: range) -> int:
    """Return to which half a run of draws belongs, 0 or 1; runs do not reach over a multiple of `HALF`."""
    return run.start // HALF % 2


def due(run: range, n: int, first: int) -> bool:
    """Tell whether to look at the halves after this run: with `first` draws or more, when both have as many."""
    both = run.stop % (2 * HALF) == 0 and run.stop >= first
    return both or run.stop == n >= 2 * HALF


def agreement(first: Any, second: Any) -> float:
    """Return the correlation to be expected between two maps of all draws, from the maps of two halves.

    2 r / (1 + r), r the Pearson correlation of the halves' maps over all their values; 0 where r is not positive,
    or a half is constant.

    Reference:
        Spearman 1910: Correlation calculated from faulty data; Brown 1910, in the same journal.
    """
    a, b = (np.asarray(x, np.float64).ravel() for x in (first, second))
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    r = float(a @ b) / size if size > 0 else 0.0
    return 2.0 * r / (1.0 + r) if r > 0.0 else 0.0
