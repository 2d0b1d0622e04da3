"""Whether a copy of an artefact looks to the network like the original."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .._core.stats import evenly_spaced
from .artefacts.base import Candidate, Images

Floats = npt.NDArray[np.floating]
FAITHFUL = 0.6
"""Least fidelity of a copy that is as good as the original."""
COMPARED = 120  # images of each group
LEAST = 5  # images of each group of the class
WHOLE = 0.8  # of a class: if more have an artefact, the rest may be images where it was missed
ENOUGH = 12  # images that must have an artefact to conclude that the network does not see it


def visible_difference(candidate: Candidate, images: Images) -> tuple[Floats, Floats, float] | None:
    """Return how the network's features of the images that have an artefact differ from those of the class's rest.

    Args:
        candidate: who has it.
        images: where features come from.

    Returns:
        The difference `(c,)` in standard deviations, the standard deviations, and the squared length of the
        difference without what chance adds to it; None where one of the groups is too small, or where most of the
        class have it.
    """
    own = np.flatnonzero(images.labels == candidate.label)
    have = evenly_spaced(np.intersect1d(own, candidate.members), COMPARED)
    rest = evenly_spaced(np.setdiff1d(own, candidate.members), COMPARED)
    if min(len(have), len(rest)) < LEAST or len(np.intersect1d(own, candidate.members)) > WHOLE * len(own):
        return None
    a, b = (images.pooled(rows.tolist()).astype(np.float64) for rows in (have, rest))
    within = (a.var(0, ddof=1) * (len(a) - 1) + b.var(0, ddof=1) * (len(b) - 1)) / (len(a) + len(b) - 2)
    deviation = np.sqrt(within) + 0.05 * float(np.sqrt(within).mean()) + 1e-9
    difference = (a.mean(0) - b.mean(0)) / deviation
    by_chance = float((within / deviation**2).sum()) * (1 / len(a) + 1 / len(b))
    return difference, deviation, float(difference @ difference) - by_chance


def fidelity(candidate: Candidate, images: Images, before: Floats, after: Floats) -> float | None:
    """Return how far copies move the network's features the way the original does: 0 for nothing, 1 for as far.

    Args:
        candidate: who has the original.
        images: where features of the original come from.
        before: `(n, c)` features of other images as they are.
        after: `(n, c)` the same with the copy.

    Returns:
        None where the class has too few images with or without it to know what the original does.
    """
    seen = visible_difference(candidate, images)
    if seen is None:
        return None
    difference, deviation, length = seen
    if length <= 0.15 * float(difference @ difference):  # not seen: any copy is as good, if enough images say so
        return 1.0 if (images.labels[list(candidate.members)] == candidate.label).sum() >= ENOUGH else None
    moved = (after - before).mean(0) / deviation
    return float(moved @ difference) / length


def returned(original: Floats, without: Floats, again: Floats) -> float | None:
    """Return how far images come back to what they were when an artefact is taken off and put on again.

    Args:
        original: `(n, c)` features of images that have it.
        without: the same after it was taken off.
        again: the same after it was put on again.

    Returns:
        1 for all the way; None where taking it off changes nothing, which carries no information about the copy.
    """
    deviation = original.std(0) + 0.05 * float(original.std(0).mean()) + 1e-9
    way, back = ((a - without).mean(0) / deviation for a in (original, again))
    length = float(way @ way)
    return None if length < 1e-6 else float(back @ way) / length
