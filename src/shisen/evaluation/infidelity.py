"""Does the map predict the effect of perturbations, and is it stable under small ones?"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .masking_metrics import correlation
from .metrics import metric
from .requests import MapRequest, Outcome, Requests, ScoreRequest
from .sample import Image, Sample

YEH = "Yeh et al.: On the (In)fidelity and Sensitivity of Explanations, 2019"


def ranked(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return ranks from 0; equal values get the mean of their ranks."""
    flat = np.asarray(values, dtype=np.float64).ravel()
    _, position, count = np.unique(flat, return_inverse=True, return_counts=True)
    ends = np.cumsum(count)
    return np.asarray((ends - (count + 1) / 2.0)[position], dtype=np.float64)


def rank_correlation(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
    """Return Spearman's rank correlation, with mean ranks for ties; 0 if only one map is constant.


    Args:
        a: values of any shape.
        b: values of the same shape as `a`.
    """
    return correlation(ranked(a), ranked(b))


def _squares(sample: Sample, n_samples: int, size: int) -> npt.NDArray[np.bool_]:
    """Return `(n_samples, h, w)`: random squares of side `size`, the same for all maps of the image."""
    h, w = sample.size
    rng = sample.rng(f"squares {n_samples} {size}")
    top = rng.integers(0, max(1, h - size + 1), n_samples)
    left = rng.integers(0, max(1, w - size + 1), n_samples)
    y, x = np.arange(h), np.arange(w)
    rows = (y >= top[:, None]) & (y < top[:, None] + size)
    columns = (x >= left[:, None]) & (x < left[:, None] + size)
    return rows[:, :, None] & columns[:, None, :]


def removed_falls(sample: Sample, masks: npt.NDArray[np.bool_], name: str, baseline: str | float) -> Any:
    """Return how much the class score falls without each of the masked parts, by a request.

    Args:
        sample: the image.
        masks: `(k, h, w)`, True where a pixel is replaced.
        name: of the masks, the same for all maps of the image.
        baseline: what replaces a removed pixel.
    """
    images = sample.blended(~masks, baseline)
    scores = sample.scores((yield ScoreRequest(images, f"{name} {baseline}", shared=True)))
    return sample.scores(sample.logits[None])[0] - scores


@metric(family="stability", unit="logit²", higher_is_better=False, paper=YEH)
def infidelity(
    sample: Sample,
    *,
    n_samples: int = 32,
    fraction: float = 0.25,
    scaled: bool = True,
    baseline: str | float = "network_zero",
) -> Requests:
    """Mean squared error of the map's prediction of how the score changes when a random square is removed.

    value = mean_I (β · Σ_{i∈I} v_i − (f(x) − f(x without I)))²,  β = Σ ab / Σ a² a the predictions, b the falls

    Protocol: squares at random positions, drawn once an image and replaced by the baseline. Values are
    the enlarged map, one a pixel, so that maps of any resolution are treated alike. With `scaled`, β makes the
    value independent of the map's unit; without, β = 1, which suits methods like input_x_gradient only.

    Options:
        n_samples: number of squares.
        fraction: side of a square as a fraction of the image's shorter side.
        scaled: use the best factor β.

    Returns:
        squared logits, ≥ 0; 0 for a perfect prediction.

    Reference:
        Yeh et al. 2019, square removal; β as in the authors' and Captum's normalized version.
    """
    side = max(1, round(fraction * min(sample.size)))
    masks = _squares(sample, n_samples, side)
    falls = yield from removed_falls(sample, masks, f"squares {n_samples} {side}", baseline)
    predicted = np.einsum("khw,hw->k", masks, sample.heat.astype(np.float64))
    power = float(predicted @ predicted)
    factor = 1.0 if not scaled else float(predicted @ falls) / power if power > 0.0 else 0.0
    return Outcome(float(np.mean((factor * predicted - falls) ** 2)))


def subsets(sample: Sample, n_samples: int, grid: int, fraction: float) -> tuple[npt.NDArray[np.bool_], str]:
    """Return random subsets of the cells of a raster, the same for all maps of the image, and a name of them.

    Args:
        sample: the image.
        n_samples: number of subsets.
        grid: cells a side.
        fraction: fraction of the cells in a subset.

    Returns:
        `(n_samples, h, w)`, and the name.
    """
    name = f"subsets {n_samples} {grid} {fraction}"
    h, w = sample.size
    rng = sample.rng(name)
    count = max(1, round(fraction * grid * grid))
    cells = np.zeros((n_samples, grid * grid), dtype=bool)
    for row in cells:
        row[rng.permutation(grid * grid)[:count]] = True
    rows, columns = np.arange(h) * grid // h, np.arange(w) * grid // w
    return cells.reshape(n_samples, grid, grid)[:, rows][:, :, columns], name


@metric(
    family="faithfulness",
    unit="rank correlation",
    higher_is_better=True,
    paper="Fel et al.: Look at the Variance!, 2021; after Bhatt, Weller, Moura 2020",
)
def mufidelity(
    sample: Sample, *, n_samples: int = 48, grid: int = 9, fraction: float = 0.5, baseline: str | float = "network_zero"
) -> Requests:
    """Rank correlation between the importance of random subsets and the fall of the score without them.

    value = ρ_S(Σ_{i∈S} v_i, f(x) − f(x without S)) over random subsets S

    Protocol: S removes `fraction` of the cells of a `grid` × `grid` raster, drawn once an image; removed pixels are
    the baseline; f is the logit.

    Options:
        n_samples: number of subsets.
        grid: cells a side.
        fraction: fraction of the cells removed.

    Returns:
        Spearman's correlation, −1 to 1; near 0 for a random map, 0 for a constant one.

    Reference:
        Bhatt, Weller, Moura 2020; Fel et al. 2021. Sums of the enlarged map, one value a pixel.
    """
    masks, name = subsets(sample, n_samples, grid, fraction)
    falls = yield from removed_falls(sample, masks, name, baseline)
    predicted = np.einsum("khw,hw->k", masks, sample.heat.astype(np.float64))
    if np.ptp(sample.heat) <= 1e-6 * np.abs(sample.heat).max():
        return Outcome(0.0)  # subsets differ by a pixel or two in area, which carries no information about positions
    return Outcome(rank_correlation(predicted, falls))


def _noisy(sample: Sample, n_samples: int, radius: float) -> Image:
    noise = sample.rng(f"noise {n_samples} {radius}").uniform(-radius, radius, (n_samples, *sample.image.shape))
    return np.asarray(sample.image + noise, dtype=np.float32)


@metric(family="stability", unit="fraction of the map's norm", higher_is_better=False, paper=YEH, needs="maps")
def max_sensitivity(sample: Sample, *, n_samples: int = 6, radius: float = 0.02) -> Requests:
    """Largest relative change of the map under small noise on the image.

    value = max_k ‖v(x + ε_k) − v(x)‖ / ‖v(x)‖, ε uniform in [−radius, radius]

    Protocol: Frobenius norm of the raw map at its own resolution; the noise is drawn once an image.

    Options:
        n_samples: number of noisy copies.
        radius: in units of pixel values in [0, 1].

    Returns:
        a ratio ≥ 0; NaN for a zero map.

    Reference:
        Yeh et al. 2019.
    """
    again = yield MapRequest(_noisy(sample, n_samples, radius))
    own = np.asarray(sample.values, dtype=np.float64)
    norm = float(np.sqrt((own**2).sum()))
    if norm == 0.0:
        return Outcome(float("nan"))
    change = ((np.asarray(again, dtype=np.float64) - own) ** 2).reshape(n_samples, -1).sum(axis=1)
    return Outcome(float(np.sqrt(change.max())) / norm)
