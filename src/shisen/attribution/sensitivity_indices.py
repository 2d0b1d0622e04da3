"""Indices of global sensitivity analysis: how much of the score's variation each cell of a grid accounts for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from array_api_compat import array_namespace

from .._core.baselines import Eraser
from ..adapters.wrappers import network_zero
from ..errors import InputError, explain_error, requiring
from ..registry import method
from ..targets import like, to_numpy
from ..types import Array, Classifier, Objective
from .objective import on_device, resolved
from .path_and_noise import portions
from .perturbation import scores_under

Design = npt.NDArray[np.float64]
"""`(masks, cells)` in [0, 1]: how much of each cell is kept."""
FLAT = 1e-6
"""Range of scores, as a fraction of their magnitude, below which they do not vary but for rounding."""


@method(
    family="perturbation",
    unit="fraction of the score's variance",
    signed=False,
    shows="sensitivity",
    linear=False,
    passes="n_samples * (grid ** 2 + 1)",
    paper="Fel, Cadène, Chalvidal, Cord, Vigouroux, Serre: Look at the Variance!, 2021",
)
def sobol(
    model: Classifier,
    images: Array,
    objective: Objective,
    *,
    n_samples: int = 32,
    grid: int = 8,
    baseline: str | float = "black",
    seed: int = 0,
) -> Array:
    """Sobol indices: the fraction of the score's variance under random masks that involves each cell of a grid.

    values_c = mean_i (y(m_i) − y(m_i with cell c drawn again))² / (2 Var_i y(m_i)), m uniform in [0, 1] for every cell

    Interactions count for every cell that takes part, so the values sum to 1 or more. Estimator of Jansen; masks are a
    Sobol sequence, shifted at random.

    Options:
        n_samples: number of masks m, a power of two; each is evaluated once more for every cell.
        grid: cells along each side of the image.
        seed: random seed of the shift; masks are shared across the batch.

    Returns:
        `(n, h, w)`, ≥ 0, the index of the cell that a pixel lies in. The sign of a cell's effect is not seen.

    Raises:
        InputError: if n_samples is no power of two, or the grid does not fit the image.
        MissingDependency: without SciPy.

    Reference:
        Fel et al. 2021. Their code starts the sequence at zero and evaluates the second half of the design too, which
        the estimator does not use.
    """
    if n_samples < 2 or n_samples & (n_samples - 1):
        raise InputError(explain_error("n_samples must be a power of two, at least 2.", n_samples, "Try 32."))
    cells = grid ** len(images.shape[1:-1])
    design = replicated_design(cells, n_samples, seed)
    scores = _scores(model, images, objective, design, grid, baseline)
    found = []
    for y in scores.T:
        first, others = y[:n_samples], y[n_samples:].reshape(cells, n_samples)
        variance = float(first.var(ddof=1))
        changes = ((first - others) ** 2).mean(axis=1)
        found.append(changes / (2.0 * variance) if _varies(y) and variance > 0 else np.zeros(cells))
    return _on_cells(np.stack(found), grid, images)


def replicated_design(cells: int, n_samples: int, seed: int) -> Design:
    """Return masks A, and for every cell the masks A with that cell's column taken from B.

    Args:
        cells: number of cells.
        n_samples: number of masks in A, a power of two.
        seed: random seed of the shift.

    Returns:
        `(n_samples · (cells + 1), cells)`: A, then one block of n_samples masks a cell.

    Raises:
        MissingDependency: without SciPy.
    """
    with requiring("scipy", "perturbation", "Sobol sequences"):
        from scipy.stats.qmc import Sobol
    points = Sobol(2 * cells, scramble=False).random(n_samples)
    points = (points + np.random.default_rng(seed).random(2 * cells)) % 1.0
    first, second = points[:, :cells], points[:, cells:]
    blocks = np.repeat(first[None], cells, axis=0)
    blocks[np.arange(cells), :, np.arange(cells)] = second.T
    return np.concatenate([first, blocks.reshape(-1, cells)])


@method(
    family="perturbation",
    unit="dependence (HSIC)",
    signed=False,
    shows="sensitivity",
    linear=False,
    passes="n_samples",
    paper="Novello, Fel, Vigouroux: Making Sense of Dependence, 2022",
)
def hsic(
    model: Classifier,
    images: Array,
    objective: Objective,
    *,
    n_samples: int = 500,
    grid: int = 7,
    bandwidth: Literal["distance", "score"] = "distance",
    baseline: str | float = "black",
    seed: int = 0,
) -> Array:
    """HSIC: how strongly the score depends on whether each cell of a grid is kept, in any way, not only on average.

    values_c = 1/n² Σ_ij K̃_ij L̃_ij, K_ij = ½ − (m_ic − m_jc)², L_ij = exp(−(y_i − y_j)² / (2 b²)), both centered;
    every cell is kept (m = 1) in half of the n masks

    Options:
        n_samples: number of masks.
        grid: cells along each side of the image.
        bandwidth: b: "distance", the median of |y_i − y_j|, which does not depend on where zero is; "score", the median
            of the scores y, as in the article, whose scores are probabilities.
        seed: random seed of the masks, which are shared across the batch.

    Returns:
        `(n, h, w)`, ≥ 0, the value of the cell that a pixel lies in. The sign of a cell's effect is not seen.

    Raises:
        InputError: for fewer than four samples, or a grid that does not fit the image.

    Reference:
        Novello, Fel, Vigouroux 2022; their code leaves the sum undivided by one of the two n.
    """
    if n_samples < 4:
        raise InputError(explain_error("n_samples must be at least 4.", n_samples, "Try 500."))
    cells = grid ** len(images.shape[1:-1])
    half = np.arange(n_samples) % 2
    rng = np.random.default_rng(seed)
    design = np.stack([rng.permutation(half) for _ in range(cells)], axis=1).astype(np.float64)
    scores = _scores(model, images, objective, design, grid, baseline)
    centered = design - design.mean(axis=0)
    found = []
    for y in scores.T:
        apart = np.abs(y[:, None] - y[None, :])
        b = float(np.median(apart[np.triu_indices(len(y), 1)])) if bandwidth == "distance" else float(np.median(y))
        if not _varies(y) or b == 0.0:
            found.append(np.zeros(cells))
            continue
        kernel = np.exp(-(apart**2) / (2.0 * b**2))
        # K is 2 (m_i − ½) (m_j − ½), so one product with L serves all cells; centering K on both sides centers L
        found.append(2.0 * np.einsum("ic,ic->c", centered, kernel @ centered) / len(y) ** 2)
    return _on_cells(np.stack(found), grid, images)


def _varies(y: Design) -> bool:
    return bool(np.ptp(y) > FLAT * np.abs(y).max())


def _scores(
    model: Classifier, images: Array, objective: Any, design: Design, grid: int, baseline: str | float
) -> Design:
    """Return the scores `(masks, n)` of all images under all masks of a design."""
    sides = tuple(int(side) for side in images.shape[1:-1])
    if not 1 <= grid <= min(sides):
        raise InputError(
            explain_error(f"grid must lie between 1 and {min(sides)}.", grid, f"The image has the sides {sides}.")
        )
    objective = resolved(model, images, objective)
    images = on_device(model, images)

    def masks() -> Iterator[Array]:
        for run in portions(model, images, len(design)):
            yield like(_enlarged(design[run.start : run.stop], grid, sides).astype(np.float32), images)

    eraser = Eraser(images, baseline, network_zero(model, images.shape[-1]))
    found = [score for _, score in scores_under(model, eraser, masks(), objective)]
    return to_numpy(array_namespace(found[0]).concat(found, axis=0)).astype(np.float64)


def _enlarged(values: Design, grid: int, sides: tuple[int, ...]) -> Design:
    """Return `(rows, *sides)` with every pixel's value that of its cell."""
    found = values.reshape(-1, *(grid,) * len(sides))
    for axis, side in enumerate(sides, 1):
        found = np.take(found, np.arange(side) * grid // side, axis=axis)
    return found


def _on_cells(values: Design, grid: int, images: Array) -> npt.NDArray[np.float32]:
    sides = tuple(int(side) for side in images.shape[1:-1])
    return np.asarray(_enlarged(np.maximum(values, 0.0), grid, sides), dtype=np.float32)
