"""LIME and kernel SHAP: a linear model of the network around one image, over pieces of the image."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
from array_api_compat import array_namespace

from .._core.baselines import Eraser, network_zero
from ..errors import InputError, explain_error
from ..registry import method
from ..targets import to_numpy
from ..types import Array, Classifier, Maps, Objective
from .objective import on_device, resolved
from .perturbation import seen_through
from .superpixels import Pieces, cut, masks, paint

Choices = npt.NDArray[np.float64]
"""`(n, pieces)`, 1 where a piece is kept."""

Fit = Callable[[Choices, npt.NDArray[np.float64]], npt.NDArray[np.float64]]


@method(
    family="perturbation",
    unit="{score}",
    passes="n_samples",
    linear=True,
    needs="activations",
    paper="Ribeiro, Singh, Guestrin: Why Should I Trust You?, 2016",
)
def lime(
    model: Classifier,
    images: Array,
    objective: Objective,
    *,
    n_samples: int = 1000,
    pieces: int | str = 50,
    width: float = 0.25,
    ridge: float = 1.0,
    baseline: str | float = "mean",
    seed: int = 0,
) -> Maps:
    """LIME: a weighted linear model of the score over superpixels left in or out.

    min_β Σ_i k(z_i) (y_i − β₀ − β · z_i)² + ridge · |β|²,
    k(z) = exp(−d² / width²), d = 1 − √(fraction of pieces kept), the cosine distance to the whole image

    Args:
        model: the network.
        images: `(n, h, w, c)`, pixels in [0, 1].
        objective: the objective; "the top class" is the one of the unaltered image.
        n_samples: number of altered images, the unaltered one among them; each piece is kept with probability ½.
        pieces: number of superpixels (scikit-image SLIC), or a grid such as "7x7".
        width: of the kernel.
        ridge: strength of the penalty.
        baseline: what a missing piece becomes: a pixel value, "black", "gray", "mean", "network_zero", "blur" or
            "inpaint".
        seed: of the choices.

    Returns:
        `(n, h, w)`, signed, in units of the score: each piece's coefficient, shared out evenly among its pixels.
        Notes, one entry an image: `pieces`, and `fit`, the weighted R² of the linear model; little trust where it
        is small.

    Reference:
        Ribeiro, Singh, Guestrin 2016. All pieces enter the model; the authors' code then shows the strongest.
    """
    notes: dict[str, list[Any]] = {"pieces": [], "fit": []}

    def choose(count: int) -> tuple[Choices, Fit]:
        z = np.random.default_rng(seed).integers(0, 2, (n_samples, count)).astype(np.float64)
        z[0] = 1.0
        weights = np.exp(-((1.0 - np.sqrt(z.mean(axis=1))) ** 2) / width**2)

        def fit(z: Choices, y: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
            beta, quality = weighted_ridge(z, y, weights, ridge)
            notes["pieces"].append(count)
            notes["fit"].append(quality)
            return beta

        return z, fit

    if n_samples < 2:
        raise InputError(explain_error("n_samples must be at least 2.", n_samples, "Try 1000."))
    values = _over_pieces(model, images, objective, (pieces, baseline), choose)
    return Maps(values, notes)


@method(
    family="perturbation",
    unit="{score}",
    passes="n_samples",
    complete=True,
    linear=True,
    needs="activations",
    paper="Lundberg, Lee: A Unified Approach to Interpreting Model Predictions, 2017",
)
def kernel_shap(
    model: Classifier,
    images: Array,
    objective: Objective,
    *,
    n_samples: int = 1000,
    pieces: int | str = 50,
    baseline: str | float = "mean",
    seed: int = 0,
) -> Maps:
    """Kernel SHAP: Shapley values of superpixels, by weighted least squares.

    min_φ Σ_z π(z) (y_z − y_∅ − φ · z)² with Σ φ = y(x) − y_∅, π(z) = (K − 1) / (C(K, s) s (K − s)), s = Σ z

    All 2^K choices are asked if they fit into n_samples; otherwise choices are drawn by their weight, each with its
    complement.

    Args:
        model: the network.
        images: `(n, h, w, c)`, pixels in [0, 1].
        objective: the objective; "the top class" is the one of the unaltered image.
        n_samples: number of altered images.
        pieces: number K of superpixels (scikit-image SLIC), or a grid such as "7x7".
        baseline: what a missing piece becomes: a pixel value, "black", "gray", "mean", "network_zero", "blur" or
            "inpaint".
        seed: of the choices.

    Returns:
        `(n, h, w)`, signed, in units of the score: each piece's Shapley value shared out evenly among its pixels;
        the sum is y(x) − y(x with every piece replaced). Notes, one entry an image: `difference` (that), `gap` (what
        rounding leaves of it) and `pieces`.

    Reference:
        Lundberg, Lee 2017.
    """
    notes: dict[str, list[Any]] = {"difference": [], "gap": [], "pieces": []}

    def choose(count: int) -> tuple[Choices, Fit]:
        z, weights = coalitions(count, n_samples, seed)

        def fit(z: Choices, y: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
            phi = shapley(z[2:], y[2:], weights, (y[0], y[1]))
            notes["difference"].append(float(y[1] - y[0]))
            notes["gap"].append(float(y[1] - y[0] - phi.sum()))
            notes["pieces"].append(count)
            return phi

        return np.concatenate([np.zeros((1, count)), np.ones((1, count)), z]), fit

    if n_samples < 4:
        raise InputError(explain_error("n_samples must be at least 4.", n_samples, "Try 1000."))
    values = _over_pieces(model, images, objective, (pieces, baseline), choose)
    return Maps(values, notes)


def _over_pieces(
    model: Classifier,
    images: Array,
    objective: Any,
    how: tuple[int | str, str | float],
    choose: Callable[[int], tuple[Choices, Fit]],
) -> npt.NDArray[np.float32]:
    """Cut each image, ask the network about the choices, fit, and paint; one image at a time."""
    objective = resolved(model, images, objective)
    images = on_device(model, images)
    maps = []
    for i in range(images.shape[0]):
        one = images[i : i + 1, ...]
        pieces = cut(to_numpy(one[0, ...]), how[0], 10.0)
        z, fit = choose(int(pieces.max()) + 1)
        eraser = Eraser(one, how[1], network_zero(model, one.shape[-1]))
        answers = seen_through(
            model, eraser, _portions(z, pieces, one, model.batch_size), objective.take(np.asarray([i]))
        )
        scores = [score[:, 0] for _, score in answers]
        y = to_numpy(array_namespace(one).concat(scores, axis=0)).astype(np.float64)
        maps.append(paint(fit(z, y), pieces))
    return np.stack(maps)


def _portions(z: Choices, pieces: Pieces, images: Array, batch_size: int) -> Iterator[Array]:
    for start in range(0, len(z), batch_size):
        yield masks(z[start : start + batch_size], pieces, images)


def weighted_ridge(
    z: Choices, y: npt.NDArray[np.float64], weights: npt.NDArray[np.float64], ridge: float
) -> tuple[npt.NDArray[np.float64], float]:
    """Return the coefficients and the weighted R² of a ridge regression whose intercept is not penalized."""
    fraction = weights / weights.sum()
    center, level = fraction @ z, float(fraction @ y)
    zc, yc = z - center, y - level
    gram = (zc * weights[:, None]).T @ zc + ridge * np.eye(z.shape[1])
    beta = np.linalg.solve(gram, (zc * weights[:, None]).T @ yc) if ridge > 0 else _least(zc, yc, weights)
    spread = float(weights @ yc**2)
    return beta, 1.0 - float(weights @ (yc - zc @ beta) ** 2) / spread if spread > 0 else 1.0


def _least(z: Choices, y: npt.NDArray[np.float64], weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    root = np.sqrt(weights)
    return np.asarray(np.linalg.lstsq(z * root[:, None], y * root, rcond=None)[0], dtype=np.float64)


def coalitions(count: int, n_samples: int, seed: int) -> tuple[Choices, npt.NDArray[np.float64]]:
    """Return choices of pieces, neither none nor all, and the weight each has in kernel SHAP's regression.

    Args:
        count: number K of pieces.
        n_samples: how many altered images may be asked for, none and all among them.
        seed: of the draws.
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
    z: Choices, y: npt.NDArray[np.float64], weights: npt.NDArray[np.float64], ends: tuple[float, float]
) -> npt.NDArray[np.float64]:
    """Solve kernel SHAP's regression with the constraint that the values sum to the difference of `ends`.

    Args:
        z: `(n, K)` choices without none and all.
        y: `(n,)` scores.
        weights: `(n,)`.
        ends: scores of nothing and of the whole image.
    """
    empty, whole = ends
    if z.shape[1] == 1:
        return np.asarray([whole - empty])
    # the last value follows from the others: φ_K = total − Σ φ
    total = whole - empty
    first = _least(z[:, :-1] - z[:, -1:], y - empty - z[:, -1] * total, weights)
    return np.append(first, total - first.sum())
