"""Which other classes an intervention takes images from, and which it gives them to."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

LEAST, DROP, LEVEL = 10, 0.15, 0.01
"""Least images of a class, least part of them that is lost, and level of the test, for a class to count as lowered."""
POSSIBLE = 0.1
"""Largest p of a class that more images may show to be lowered."""

Floats = npt.NDArray[np.float64]


class Shift(NamedTuple):
    """What an artefact does to the images of another class than its own.

    Attributes:
        label: number of that class.
        n: its images that were given the artefact.
        before, after, control: how many of them are predicted as their class: as they are, with the artefact, and
            with its control.
        gains: number of the class that most of the lost ones are predicted as.
        p: one-sided exact sign test of losing more than the control does.
    """

    label: int
    n: int
    before: int
    after: int
    control: int
    gains: int
    p: float

    @property
    def lowers(self) -> bool:
        """Whether it lowers this class, and more than its control does."""
        lost = min(self.before, self.control) - self.after
        return self.n >= LEAST and lost >= DROP * self.n and self.p <= LEVEL

    @property
    def may_lower(self) -> bool:
        """Whether it may lower this class, which more images would show."""
        return self.before - self.after >= DROP * self.n and LEVEL < self.p <= POSSIBLE


def shifts(labels: npt.NDArray[np.int64], before: Floats, after: Floats, control: Floats | None) -> tuple[Shift, ...]:
    """Return what happens to the images of each class, those that lose most first.

    Args:
        labels: `(n,)` true class of each image.
        before: `(n, classes)` probabilities of the images as they are.
        after: the same with the artefact.
        control: the same with its control, None without one.

    Returns:
        The classes that lose images.
    """
    from scipy.stats import binomtest

    found = []
    plain, now = before.argmax(1), after.argmax(1)
    other = plain if control is None else control.argmax(1)
    for k in np.unique(labels):
        own = labels == k
        right, kept = (plain[own] == k) & (other[own] == k), now[own] == k
        lost, won = int((right & ~kept).sum()), int((~right & kept).sum())
        if lost <= won:
            continue
        gone = now[own][(plain[own] == k) & ~kept]
        p = float(binomtest(lost, lost + won, alternative="greater").pvalue)
        a, b, c = (int((x[own] == k).sum()) for x in (plain, now, other))
        found.append(Shift(int(k), int(own.sum()), a, b, c, int(np.bincount(gone).argmax()), p))
    return tuple(sorted(found, key=lambda s: (s.after - s.before, s.label)))
