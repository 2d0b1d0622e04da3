"""Score-CAM's weights from fewer forward passes than masks: within a bound, or estimated from similar masks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError, explain_error

Values = npt.NDArray[np.float64]
Scorer = Callable[[npt.NDArray[np.intp]], npt.NDArray[np.float32]]
"""From the numbers of masks to the scores of the image under them."""

LENGTHS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)  # of the kernel, in median distances between masks
NOISES = (1e-4, 1e-2, 1e-1)  # of a score, in variances of the scores


def channel_sums(a: npt.NDArray[np.float32], which: npt.NDArray[np.intp], kinds: int) -> Values:
    """Return what each distinct mask's weight is multiplied by in the map.

    Args:
        a: `(h, w, channels)`.
        which: `(channels,)`, the mask of each channel.
        kinds: number of distinct masks.

    Returns:
        `(kinds, h·w)`, sums of the channels of each mask.
    """
    flat = a.reshape(-1, a.shape[-1]).T
    sums = np.zeros((kinds, flat.shape[1]))
    np.add.at(sums, which, flat.astype(np.float64))
    return sums


def limits(objective: Any) -> tuple[float, float]:
    """Return the least and the largest score that an objective of probabilities can have."""
    terms = getattr(objective, "terms", None)
    if not terms or getattr(objective, "score", "") != "probability" or objective.head not in ("softmax", "sigmoid"):
        raise InputError(
            explain_error(
                "tolerance needs a score with limits: the probability of a class, or a difference of such.",
                getattr(objective, "name", type(objective).__name__),
                "Leave tolerance out, or use max_evals=64.",
            )
        )
    weights = [float(weight) for weight, _ in terms]
    return sum(min(w, 0.0) for w in weights), sum(max(w, 0.0) for w in weights)


def bounded(
    sums: Values, score: Scorer, *, low: float, high: float, tolerance: float, portion: int
) -> tuple[Values, float]:
    """Return weights with which no position of Σ_k w_k · sums_k is off by more than a fraction of its largest value.

    A mask that is not evaluated weighs the middle of the limits, so it is off by half their width at most, and the map
    at position p by half · Σ_{k not evaluated} |sums_k(p)|. Masks are evaluated, those first that matter most where
    that bound is largest, until the bound is at most tolerance times the largest value that the map has for certain.

    Args:
        sums: `(kinds, positions)`, what each weight is multiplied by.
        score: returns the weights of masks.
        low: the least weight possible.
        high: the largest weight possible.
        tolerance: fraction of the map's largest value.
        portion: how many masks are evaluated at a time.

    Returns:
        weights `(kinds,)`, and the bound itself, as a fraction of the map's largest value.
    """
    half = (high - low) / 2.0
    weights = np.full(len(sums), (low + high) / 2.0)
    open_ = np.abs(sums) * half
    order = _by_worst_position(open_)
    done = 0
    while True:
        rest = order[done:]
        gap = float(open_[rest].sum(axis=0).max(initial=0.0))
        certain = float((weights @ sums).max(initial=0.0)) - gap
        if not rest.size or gap <= tolerance * certain:
            return weights, gap / certain if certain > 0.0 else 0.0
        some = rest[:portion]
        weights[some] = score(some)
        done += len(some)


def _by_worst_position(fractions: Values) -> npt.NDArray[np.intp]:
    """Return the order in which rows `(kinds, positions)` are taken: the largest one at the position with most left."""
    left = fractions.sum(axis=0)
    free = fractions.copy()
    order = np.empty(len(fractions), np.intp)
    for i in range(len(fractions)):
        order[i] = k = int(free[:, int(left.argmax())].argmax())
        left = np.maximum(left - fractions[k], 0.0)
        free[k] = -1.0
    return order


def estimated(masks: npt.NDArray[np.float32], sums: Values, score: Scorer, max_evals: int) -> tuple[Values, float]:
    """Return all weights from those of `max_evals` masks, by kriging: nearby masks have similar scores.

    The weight is modelled as a random function of the mask, with a constant mean and Matérn-3/2 covariance. The masks
    evaluated are those that together leave the least expected squared error of the map Σ_k w_k · sums_k, chosen one
    by one; their own weights are used as they are. The length of the covariance is the one that best predicts
    each score from the others.

    Args:
        masks: `(kinds, h, w)`, each from 0 to 1.
        sums: `(kinds, positions)`, what each weight is multiplied by.
        score: returns the weights of masks.
        max_evals: how many masks may be evaluated; all of them if there are no more.

    Returns:
        weights `(kinds,)`, and the leave-one-out correlation: of the scores with what is predicted for each from the
        others.

    Reference:
        Rasmussen, Williams 2006: Gaussian Processes for Machine Learning, sections 2.7 and 5.4.2.
    """
    kinds = len(masks)
    if max_evals >= kinds:
        return score(np.arange(kinds)).astype(np.float64), 1.0
    points = masks.reshape(kinds, -1).astype(np.float64)
    distance = _distances(points, points)
    scale = float(np.median(distance[distance > 0], overwrite_input=True)) if kinds > 1 else 1.0
    chosen = _most_informative(_matern(distance / (2.0 * scale)), sums, max_evals)
    y = score(chosen).astype(np.float64)
    among, to_all = distance[np.ix_(chosen, chosen)] / scale, distance[:, chosen] / scale
    choices = [(_left_out(_matern(among / length), noise, y), length, noise) for length in LENGTHS for noise in NOISES]
    (_, predicted), length, noise = min(choices, key=lambda choice: choice[0][0])
    weights = _kriged(_matern(among / length), _matern(to_all / length), noise, y)
    weights[chosen] = y
    known = y.std() > 0 and predicted.std() > 0
    return weights, float(np.corrcoef(y, predicted)[0, 1]) if known else 0.0


def _distances(a: Values, b: Values) -> Values:
    square = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1)[None, :] - 2.0 * (a @ b.T)
    return np.asarray(np.sqrt(np.maximum(square, 0.0)))


def _matern(distance: Values) -> Values:
    """Return (1 + √3 d) exp(−√3 d)."""
    d = np.sqrt(3.0) * distance
    return np.asarray((1.0 + d) * np.exp(-d))


def _most_informative(covariance: Values, sums: Values, count: int) -> npt.NDArray[np.intp]:
    """Return `count` points that leave the least trace of sumsᵀ · Cov · sums, chosen one after the other."""
    kinds = len(covariance)
    variance = np.diag(covariance).copy()
    seen = sums.T @ covariance  # covariance of the map with every weight, given the chosen masks
    factor = np.zeros((kinds, count))
    chosen = np.empty(count, np.intp)
    free = np.ones(kinds, bool)
    for j in range(count):
        gain = np.where(free & (variance > 1e-9), (seen * seen).sum(axis=0) / np.maximum(variance, 1e-9), -1.0)
        gain[~free] = -2.0
        chosen[j] = k = int(gain.argmax())
        free[k] = False
        column = covariance[:, k] - factor[:, :j] @ factor[k, :j]
        factor[:, j] = column / np.sqrt(max(variance[k], 1e-9))
        seen -= (sums.T @ factor[:, j])[:, None] * factor[:, j][None, :]
        variance = np.maximum(variance - factor[:, j] ** 2, 0.0)
    return chosen


def _left_out(covariance: Values, noise: float, y: Values) -> tuple[float, Values]:
    """Return the mean squared error of predicting each score from the others, and the predictions."""
    inverse = np.linalg.inv(covariance + noise * np.eye(len(y)))
    ones = inverse.sum(axis=1)
    inverse -= np.outer(ones, ones) / ones.sum()  # the mean is estimated too
    error = inverse @ y / np.maximum(np.diag(inverse), 1e-12)
    return float((error * error).mean()), y - error


def _kriged(among: Values, to_all: Values, noise: float, y: Values) -> Values:
    solved = np.linalg.solve(among + noise * np.eye(len(y)), np.stack([y, np.ones(len(y))], axis=1))
    mean = solved[:, 0].sum() / solved[:, 1].sum()
    return np.asarray(mean + to_all @ (solved[:, 0] - mean * solved[:, 1]))
