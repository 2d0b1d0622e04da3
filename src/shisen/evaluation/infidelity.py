"""Does the map foretell what disturbances do, and does it hold still under small ones?"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .masking_metrics import correlation
from .metrics import metric
from .sample import Ask, Explain, Image, Outcome, Sample, Steps

YEH = "Yeh et al.: On the (In)fidelity and Sensitivity of Explanations, 2019"


def ranked(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return ranks from 0, equal values sharing the mean of their ranks."""
    flat = np.asarray(values, dtype=np.float64).ravel()
    _, place, count = np.unique(flat, return_inverse=True, return_counts=True)
    ends = np.cumsum(count)
    return np.asarray((ends - (count + 1) / 2.0)[place], dtype=np.float64)


def rank_correlation(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
    """Return Spearman's rank correlation, ties sharing their mean rank; 0 if only one map is constant.

    Args:
        a: values of any shape.
        b: values of the same shape as `a`.
    """
    return correlation(ranked(a), ranked(b))


def _squares(case: Sample, n_samples: int, size: int) -> npt.NDArray[np.bool_]:
    """Return `(n_samples, h, w)`: random squares of side `size`, the same for all maps of the image."""
    h, w = case.size
    rng = case.rng(f"squares {n_samples} {size}")
    top = rng.integers(0, max(1, h - size + 1), n_samples)
    left = rng.integers(0, max(1, w - size + 1), n_samples)
    y, x = np.arange(h), np.arange(w)
    rows = (y >= top[:, None]) & (y < top[:, None] + size)
    columns = (x >= left[:, None]) & (x < left[:, None] + size)
    return rows[:, :, None] & columns[:, None, :]


def _removed(case: Sample, masks: npt.NDArray[np.bool_], name: str) -> Any:
    """Ask for the class score without each of the masked parts; return how much the score falls."""
    images = case.blended(~masks)
    scores = case.scores((yield Ask(images, name, shared=True)))
    return case.scores(case.logits[None])[0] - scores


@metric(family="stability", unit="logit²", higher_is_better=False, paper=YEH)
def infidelity(case: Sample, *, n_samples: int = 32, fraction: float = 0.25, scaled: bool = True) -> Steps:
    """Mean squared error of the map's forecast of what removing a random square does to the score.

    value = mean_I (β · Σ_{i∈I} v_i − (f(x) − f(x without I)))²,  β = Σ ab / Σ a² with a the forecasts and b the falls

    Protocol: squares at random places, drawn once an image and set to what the network sees as zero. Values are
    the enlarged map, one a pixel, so that maps of any resolution are treated alike. With `scaled`, β makes the
    figure independent of the map's unit; without, β = 1, which suits input_x_gradient and its kind only.

    Args:
        case: the image and its map.
        n_samples: number of squares.
        fraction: side of a square as a fraction of the image's shorter side.
        scaled: use the best factor β.

    Returns:
        squared logits, ≥ 0; 0 for a perfect forecast.

    Reference:
        Yeh et al. 2019, square removal; β as in the authors' and Captum's normalized version.
    """
    side = max(1, round(fraction * min(case.size)))
    masks = _squares(case, n_samples, side)
    falls = yield from _removed(case, masks, f"squares {n_samples} {side}")
    forecast = np.einsum("khw,hw->k", masks, case.heat.astype(np.float64))
    power = float(forecast @ forecast)
    factor = 1.0 if not scaled else float(forecast @ falls) / power if power > 0.0 else 0.0
    return Outcome(float(np.mean((factor * forecast - falls) ** 2)))


@metric(
    family="faithfulness",
    unit="rank correlation",
    higher_is_better=True,
    paper="Fel et al.: Look at the Variance!, 2021; after Bhatt, Weller, Moura 2020",
)
def mufidelity(case: Sample, *, n_samples: int = 48, grid: int = 9, fraction: float = 0.5) -> Steps:
    """Rank correlation between the importance of random subsets and what their removal costs.

    value = ρ_S(Σ_{i∈S} v_i, f(x) − f(x without S)) over random subsets S

    Protocol: S removes `share` of the cells of a `grid` × `grid` raster, drawn once an image; removed pixels are what
    the network sees as zero; f is the logit.

    Args:
        case: the image and its map.
        n_samples: number of subsets.
        grid: cells a side.
        fraction: fraction of the cells removed.

    Returns:
        Spearman's correlation, −1 to 1; near 0 for a random map, 0 for a constant one.

    Reference:
        Bhatt, Weller, Moura 2020; Fel et al. 2021. Sums of the enlarged map, one value a pixel.
    """
    h, w = case.size
    rng = case.rng(f"subsets {n_samples} {grid} {fraction}")
    count = max(1, round(fraction * grid * grid))
    cells = np.zeros((n_samples, grid * grid), dtype=bool)
    for row in cells:
        row[rng.permutation(grid * grid)[:count]] = True
    rows, columns = np.arange(h) * grid // h, np.arange(w) * grid // w
    masks = cells.reshape(n_samples, grid, grid)[:, rows][:, :, columns]
    falls = yield from _removed(case, masks, f"subsets {n_samples} {grid} {fraction}")
    forecast = np.einsum("khw,hw->k", masks, case.heat.astype(np.float64))
    if np.ptp(case.heat) <= 1e-6 * np.abs(case.heat).max():
        return Outcome(0.0)  # subsets differ by a pixel or two in area: not evidence about place
    return Outcome(rank_correlation(forecast, falls))


def _noisy(case: Sample, n_samples: int, radius: float) -> Image:
    noise = case.rng(f"noise {n_samples} {radius}").uniform(-radius, radius, (n_samples, *case.image.shape))
    return np.asarray(case.image + noise, dtype=np.float32)


@metric(family="stability", unit="fraction of the map's norm", higher_is_better=False, paper=YEH, needs="maps")
def max_sensitivity(case: Sample, *, n_samples: int = 6, radius: float = 0.02) -> Steps:
    """Largest relative change of the map under small noise on the image.

    value = max_k ‖v(x + ε_k) − v(x)‖ / ‖v(x)‖, ε uniform in [−radius, radius]

    Protocol: Frobenius norm of the raw map at its own resolution; the noise is drawn once an image.

    Args:
        case: the image and its map.
        n_samples: number of noisy copies.
        radius: in units of pixel values in [0, 1].

    Returns:
        a ratio ≥ 0; NaN for a zero map.

    Reference:
        Yeh et al. 2019.
    """
    again = yield Explain(_noisy(case, n_samples, radius))
    own = np.asarray(case.values, dtype=np.float64)
    norm = float(np.sqrt((own**2).sum()))
    if norm == 0.0:
        return Outcome(float("nan"))
    change = ((np.asarray(again, dtype=np.float64) - own) ** 2).reshape(n_samples, -1).sum(axis=1)
    return Outcome(float(np.sqrt(change.max())) / norm)
