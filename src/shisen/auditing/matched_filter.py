"""Which images are affected: a matched filter on the detail of a region, and the threshold that separates them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .._core.image_ops import box_mean

Floats = npt.NDArray[np.float32]
DETAIL = 9  # side of the local mean that is taken off
HELD = 48.0  # levels to which detail is held, so that no edge outweighs all others
NOISE = 4.0  # levels of noise a pixel has at least, as from 8 bits and compression
ROUNDS = 6


def detail(canvases: npt.NDArray[np.uint8]) -> Floats:
    """Return what differs from the local mean in brightness and in red minus blue, `(n, h, w, 2)`, held to ±48."""
    colors = canvases.astype(np.float32)
    values = np.stack([colors @ np.array([0.3, 0.6, 0.1], np.float32), colors[..., 0] - colors[..., 2]], -1)
    mean = np.stack([box_mean(values[..., c], DETAIL) for c in range(2)], -1)
    mean /= box_mean(np.ones((1, *values.shape[1:3]), np.float32), DETAIL)[..., None]
    return np.asarray(np.clip(values - mean, -HELD, HELD), dtype=np.float32)


def likeness(fine: Floats, own: npt.NDArray[np.bool_]) -> Floats:
    """Return how much every two images have in common, `(n, n)`: Σ (d_i − μ)(d_j − μ)/σ².

    μ and σ² are those of the images of other classes: what they all have counts for nothing. All images of the class
    contain the error of that μ, which would make noise alone stand apart from other classes: of every pair of them, its
    expectation Σ v/σ² / (m − 1) is taken off, with v the variance in the m other images.

    Args:
        fine: `(n, p)` detail of a region.
        own: which images are of the class.
    """
    others = fine[~own]
    variance = others.var(0)
    scaled = (fine - others.mean(0)) / np.sqrt(variance + NOISE**2)
    common = np.asarray(scaled @ scaled.T, dtype=np.float32)
    common[np.ix_(own, own)] -= float((variance / (variance + NOISE**2)).sum()) / max(len(others) - 1, 1)
    return common


def matched(common: Floats, group: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Return how much each image has in it what the group has in common: the mean likeness to its members.

    This is the matched filter Σ t·(d_i − μ)/σ² with t the mean of the group. For a member of the group, t is the mean
    of the other members, so that nothing counts for being there itself.

    Args:
        common: `(n, n)` likeness of every two images.
        group: `(n,)`, True for images of the group.
    """
    k = int(group.sum())
    scores = common[:, group].sum(1, dtype=np.float64)
    scores[group] = (scores[group] - np.diagonal(common)[group]) * k / max(k - 1, 1)
    return np.asarray(scores / k)


def apart(scores: npt.NDArray[np.float64], own: npt.NDArray[np.bool_], least: int = 3) -> tuple[Any, float]:
    """Return `(chosen, strength)`: who of the class stands apart, with all others that score as high, and how far.

    With z the scores in standard deviations of the other classes, the k highest of the class are chosen that make
    √k · mean(z) largest: one more is taken as long as it lies above half the mean of those taken, which is where a
    image is as likely to carry the thing as not.

    Args:
        scores: `(n,)` score of every image.
        own: `(n,)`, True for images of the class.
        least: least number of images that are chosen.
    """
    others = scores[~own]
    z = (scores - others.mean()) / (others.std() + 1e-6)
    ranked = np.sort(z[own])[::-1]
    counts = np.arange(1, len(ranked) + 1)
    strength = np.cumsum(ranked) / np.sqrt(counts)
    if len(ranked) < least:
        return np.zeros(len(own), bool), 0.0
    k = int(np.argmax(strength[least - 1 :])) + least
    return z >= ranked[k - 1], float(strength[k - 1])


def gathered(common: Floats, own: npt.NDArray[np.bool_], group: npt.NDArray[np.bool_]) -> tuple[Any, float]:
    """Return `(members of the class, strength)` after filter and choice by turns, from a first group.

    Args:
        common: `(n, n)` likeness of every two images.
        own: `(n,)`, True for images of the class.
        group: `(n,)`, True for images of the group.
    """
    strength = 0.0
    for _ in range(ROUNDS):
        chosen, strength = apart(matched(common, group), own)
        new = chosen & own
        if new.sum() < 3 or (new == group).all():
            return new, strength
        group = new
    return group, strength
