"""LIME and kernel SHAP: a linear model of the network around one image, over segments of the image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
from array_api_compat import array_namespace

from .._core.baselines import Eraser
from ..adapters.wrappers import network_zero
from ..errors import InputError, explain_error
from ..registry import method
from ..targets import to_numpy
from ..types import Array, Classifier, Maps, Objective
from .objective import on_device, resolved
from .perturbation import scores_under
from .superpixels import cut, masks, paint

Choices = npt.NDArray[np.float64]
"""`(n, segments)`, 1 where a segment is kept."""

Fit = Callable[[Choices, npt.NDArray[np.float64]], npt.NDArray[np.float64]]


@method(
    family="perturbation",
    planar=True,
    passes="n_samples",
    paper="Ribeiro, Singh, Guestrin: Why Should I Trust You?, 2016",
)
def lime(
    model: Classifier,
    images: Array,
    objective: Objective,
    *,
    n_samples: int = 1000,
    segments: int | str = 50,
    kernel_width: float = 0.25,
    ridge: float = 1.0,
    baseline: str | float = "mean",
    seed: int = 0,
) -> Maps:
    """LIME: a weighted linear model of the score over superpixels kept or removed.

    min_β Σ_i k(z_i) (y_i − β₀ − β · z_i)² + ridge · |β|²,
    k(z) = exp(−d² / kernel_width²), d = 1 − √(fraction of segments kept), the cosine distance to the whole image

    Options:
        n_samples: number of altered images, the unaltered one among them; each segment is kept with probability ½.
        segments: number of superpixels (scikit-image SLIC), or a grid such as "7x7".
        kernel_width: of the kernel k.
        ridge: factor of the penalty.
        seed: random seed of the choices.

    Returns:
        `(n, h, w)`, signed, in units of the score: each segment's coefficient, distributed evenly over its
        pixels. Notes, one entry an image: `segments`, their number, and `fit`, the weighted R² of the linear model;
        do not trust the map where it is small.

    Raises:
        InputError: if n_samples is too small.

    Reference:
        Ribeiro, Singh, Guestrin 2016. All segments enter the model; the authors' code then shows the strongest.
    """
    notes: dict[str, list[Any]] = {"segments": [], "fit": []}

    def choose(count: int) -> _Design:
        z = np.random.default_rng(seed).integers(0, 2, (n_samples, count)).astype(np.float64)
        z[0] = 1.0
        weights = np.exp(-((1.0 - np.sqrt(z.mean(axis=1))) ** 2) / kernel_width**2)

        def fit(z: Choices, y: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
            beta, quality = weighted_ridge(z, y, weights, ridge)
            notes["segments"].append(count)
            notes["fit"].append(quality)
            return beta

        return _Design(z, fit)

    if n_samples < 2:
        raise InputError(explain_error("n_samples must be at least 2.", n_samples, "Try 1000."))
    values = _over_segments(model, images, objective, choose, segments=segments, baseline=baseline)
    return Maps(values, notes)


@method(
    family="perturbation",
    planar=True,
    passes="n_samples",
    complete=True,
    paper="Lundberg, Lee: A Unified Approach to Interpreting Model Predictions, 2017",
)
def kernel_shap(
    model: Classifier,
    images: Array,
    objective: Objective,
    *,
    n_samples: int = 1000,
    segments: int | str = 50,
    baseline: str | float = "mean",
    seed: int = 0,
) -> Maps:
    """Kernel SHAP: Shapley values of superpixels, by weighted least squares.

    min_φ Σ_z π(z) (y_z − y_∅ − φ · z)² with Σ φ = y(x) − y_∅, π(z) = (K − 1) / (C(K, s) s (K − s)), s = Σ z

    All 2^K choices are evaluated if n_samples allows; otherwise choices are drawn by their weight, each with its
    complement.

    Options:
        n_samples: number of altered images.
        segments: number K of superpixels (scikit-image SLIC), or a grid such as "7x7".
        seed: random seed of the choices.

    Returns:
        `(n, h, w)`, signed, in units of the score: each segment's Shapley value, distributed evenly over its pixels;
        the sum is y(x) − y(x with every segment replaced). Notes, one entry an image: `difference` (that), `gap` (what
        rounding leaves of it) and `segments`.

    Raises:
        InputError: if n_samples is too small.

    Reference:
        Lundberg, Lee 2017.
    """
    notes: dict[str, list[Any]] = {"difference": [], "gap": [], "segments": []}

    def choose(count: int) -> _Design:
        z, weights = coalitions(count, n_samples, seed)

        def fit(z: Choices, y: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
            phi = shapley(z[2:], y[2:], weights, empty=y[0], whole=y[1])
            notes["difference"].append(float(y[1] - y[0]))
            notes["gap"].append(float(y[1] - y[0] - phi.sum()))
            notes["segments"].append(count)
            return phi

        return _Design(np.concatenate([np.zeros((1, count)), np.ones((1, count)), z]), fit)

    if n_samples < 4:
        raise InputError(explain_error("n_samples must be at least 4.", n_samples, "Try 1000."))
    values = _over_segments(model, images, objective, choose, segments=segments, baseline=baseline)
    return Maps(values, notes)


@dataclass(frozen=True)
class _Design:
    """Which segments are kept in every altered image, and how the scores are turned into one value a segment."""

    choices: Choices
    fit: Fit


def _over_segments(
    model: Classifier,
    images: Array,
    objective: Any,
    choose: Callable[[int], _Design],
    *,
    segments: int | str,
    baseline: str | float,
) -> npt.NDArray[np.float32]:
    """Segment each image, score the choices of its segments, fit, and paint; one image at a time."""
    objective = resolved(model, images, objective)
    images = on_device(model, images)
    zero, step = network_zero(model, images.shape[-1]), model.batch_size
    maps = []
    for i in range(images.shape[0]):
        one = images[i : i + 1, ...]
        found = cut(to_numpy(one[0, ...]), segments, 10.0)
        design = choose(int(found.max()) + 1)
        starts = range(0, len(design.choices), step)
        kept = (masks(design.choices[start : start + step], found, one) for start in starts)
        scored = scores_under(model, Eraser(one, baseline, zero), kept, objective.take(np.asarray([i])))
        y = array_namespace(one).concat([score[:, 0] for _, score in scored], axis=0)
        maps.append(paint(design.fit(design.choices, to_numpy(y).astype(np.float64)), found))
    return np.stack(maps)


def weighted_ridge(
    z: Choices, y: npt.NDArray[np.float64], weights: npt.NDArray[np.float64], ridge: float
) -> tuple[npt.NDArray[np.float64], float]:
    """Return the coefficients and the weighted R² of a ridge regression whose intercept is not penalized.

    Args:
        z: `(n, K)` choices.
        y: `(n,)` scores.
        weights: `(n,)`, positive.
        ridge: factor of the penalty, ≥ 0.

    Returns:
        `(K,)`, and R² (1 where all scores are equal).
    """
    fraction = weights / weights.sum()
    center, level = fraction @ z, float(fraction @ y)
    zc, yc = z - center, y - level
    gram = (zc * weights[:, None]).T @ zc + ridge * np.eye(z.shape[1])
    beta = np.linalg.solve(gram, (zc * weights[:, None]).T @ yc) if ridge > 0 else _least(zc, yc, weights)
    total = float(weights @ yc**2)
    return beta, 1.0 - float(weights @ (yc - zc @ beta) ** 2) / total if total > 0 else 1.0


def _least(z: Choices, y: npt.NDArray[np.float64], weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    root = np.sqrt(weights)
    return np.asarray(np.linalg.lstsq(z * root[:, None], y * root, rcond=None)[0], dtype=np.float64)


def coalitions(count: int, n_samples: int, seed: int) -> tuple[Choices, npt.NDArray[np.float64]]:
    """Return choices of segments, neither none nor all, and the weight each has in kernel SHAP's regression.

    Args:
        count: number K of segments.
        n_samples: budget of altered images, those with none and all of the segments among them.
        seed: random seed of the draws.

    Returns:
        choices `(n, K)`, 1 for a segment that is kept, and weights `(n,)`.
    """
    sizes = np.arange(1, count)
    kernel = (count - 1) / (sizes * (count - sizes))  # of all choices of a size together
    if count <= 20 and 2**count <= n_samples:
        rows, weights = [], []
        for s, total in zip(sizes, kernel, strict=True):
            found = list(combinations(range(count), int(s)))
            rows += found
            weights += [total / len(found)] * len(found)
        z = np.zeros((len(rows), count))
        for row, kept in zip(z, rows, strict=True):
            row[list(kept)] = 1.0
        return z, np.asarray(weights)
    rng = np.random.default_rng(seed)
    drawn = rng.choice(sizes, size=(n_samples - 2) // 2, p=kernel / kernel.sum())
    z = np.zeros((2 * len(drawn), count))
    for i, s in enumerate(drawn):
        z[2 * i, rng.permutation(count)[:s]] = 1.0
        z[2 * i + 1] = 1.0 - z[2 * i]
    return z, np.ones(len(z))


def shapley(
    z: Choices, y: npt.NDArray[np.float64], weights: npt.NDArray[np.float64], *, empty: float, whole: float
) -> npt.NDArray[np.float64]:
    """Solve kernel SHAP's regression with the constraint that the values sum to `whole` − `empty`.

    Args:
        z: `(n, K)` choices without none and all.
        y: `(n,)` scores.
        weights: `(n,)`.
        empty: score of the baseline.
        whole: score of the whole image.

    Returns:
        `(K,)`, Shapley values.
    """
    if z.shape[1] == 1:
        return np.asarray([whole - empty])
    # the last value follows from the others: φ_K = total − Σ φ
    total = whole - empty
    first = _least(z[:, :-1] - z[:, -1:], y - empty - z[:, -1] * total, weights)
    return np.append(first, total - first.sum())
