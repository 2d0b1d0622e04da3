"""Early stopping of sampling, by the agreement between the maps of two halves of the samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InputError, explain_error

HALF = 16  # consecutive samples that go to one half; the next 16 go to the other


def checked_stop(stop: float | None) -> None:
    """Raise unless `stop` is None or a correlation that can be reached."""
    if stop is not None and not 0.0 < stop < 1.0:
        raise InputError(explain_error("stop must be a correlation, 0 < stop < 1.", stop, "Try stop=0.95."))


def half_of(run: range) -> int:
    """Return to which half a run of samples belongs, 0 or 1; runs do not cross a multiple of `HALF`."""
    return run.start // HALF % 2


def check_due(run: range, n_samples: int, first: int) -> bool:
    """Return whether to compare the halves after this run.

    Args:
        run: numbers of the samples just evaluated.
        n_samples: how many there may be in all.
        first: samples before the first comparison.

    Returns:
        True where both halves have equally many samples, at least `first` in all, and after the last sample.
    """
    both = run.stop % (2 * HALF) == 0 and run.stop >= first
    return both or run.stop == n_samples >= 2 * HALF


def agreement(first: Any, second: Any) -> float:
    """Return the correlation to be expected between two maps of all samples, from the maps of two halves.

    2 r / (1 + r), r the Pearson correlation of the halves' maps over all their values.

    Args:
        first: map of one half, of any shape.
        second: map of the other half, of the same shape.

    Returns:
        a correlation, 0 to 1; 0 where r is not positive, or a half is constant.

    Reference:
        Spearman 1910: Correlation calculated from faulty data; Brown 1910, in the same journal.
    """
    a, b = (np.asarray(x, np.float64).ravel() for x in (first, second))
    a, b = a - a.mean(), b - b.mean()
    norms = float(np.sqrt((a @ a) * (b @ b)))
    r = float(a @ b) / norms if norms > 0 else 0.0
    return 2.0 * r / (1.0 + r) if r > 0.0 else 0.0
