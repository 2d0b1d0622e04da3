"""ROAD: pixels are removed by noisy linear imputation, so that the mask itself carries no information."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .metrics import metric
from .requests import Outcome, Requests, ScoreRequest
from .sample import Image, Sample, first

RONG = "Rong et al.: A Consistent and Efficient Evaluation Strategy for Attribution Methods, 2022"

# (row, column, weight): direct neighbors count twice as much as diagonal ones
NEIGHBORS = tuple(
    (dy, dx, 1 / 12 if dy and dx else 1 / 6) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)
)


def imputed(image: npt.NDArray[Any], keep: npt.NDArray[np.bool_], noise: npt.NDArray[Any] | float = 0.0) -> Image:
    """Return the image with its removed pixels interpolated linearly from their neighbors, plus noise.

    Each removed pixel is the weighted mean of its up to eight neighbors, 1/6 for direct ones and 1/12 for diagonal
    ones, renormalized at the edges: one sparse linear system for the image.

    Args:
        image: `(h, w, c)`.
        keep: `(h, w)`, False where a pixel is removed.
        noise: added to removed pixels, `(h, w, c)` or a number, in pixel units.

    Returns:
        `(h, w, c)` float32.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.linalg import spsolve

    gone = ~keep
    unknowns = int(gone.sum())
    result = np.array(image, dtype=np.float32)
    if unknowns == 0:
        return result
    if unknowns == gone.size:  # nothing to interpolate from
        result[:] = result.mean(axis=(0, 1))
        return np.asarray(result + noise, dtype=np.float32)
    h, w = keep.shape
    number = np.full(keep.shape, -1)
    number[gone] = np.arange(unknowns)
    y, x = np.nonzero(gone)
    total = np.zeros(unknowns)
    right = np.zeros((unknowns, image.shape[2]))
    rows, columns, weights = [], [], []
    for dy, dx, weight in NEIGHBORS:
        inside = (y + dy >= 0) & (y + dy < h) & (x + dx >= 0) & (x + dx < w)
        i = np.nonzero(inside)[0]
        there = (y[i] + dy, x[i] + dx)
        total[i] += weight
        known = keep[there]
        right[i[known]] += weight * image[there][known]
        rows.append(i[~known])
        columns.append(number[there][~known])
        weights.append(np.full(int((~known).sum()), -weight))
    diagonal = np.arange(unknowns)
    system = coo_matrix(
        (
            np.concatenate([*weights, total]),
            (np.concatenate([*rows, diagonal]), np.concatenate([*columns, diagonal])),
        ),
        shape=(unknowns, unknowns),
    ).tocsc()
    solved = spsolve(system, right).reshape(unknowns, -1)
    extra = np.broadcast_to(np.asarray(noise), image.shape)[gone]
    result[gone] = solved + extra
    return result


def _road(sample: Sample, percentiles: Sequence[float], noise: float, morf: bool) -> Requests:
    ranks = sample.ranks if morf else sample.ranks[::-1]
    counts = np.asarray([round(q / 100.0 * ranks.size) for q in percentiles], dtype=np.int64)
    draw = sample.rng("road").normal(0.0, noise, sample.image.shape)
    images = np.stack([imputed(sample.image, ~gone, draw) for gone in first(ranks, counts, sample.size)])
    name = f"road {morf} {tuple(percentiles)} {noise}"
    p = sample.probabilities((yield ScoreRequest(images, name)))
    return Outcome(float(p.mean()), tuple(float(v) for v in p))


DEFAULT = (10, 20, 40, 70, 90)


@metric(family="faithfulness", unit="probability", higher_is_better=False, paper=RONG, monotone=True)
def road_morf(sample: Sample, *, percentiles: Sequence[float] = DEFAULT, noise: float = 0.01) -> Requests:
    """ROAD, most relevant first: the probability that remains when the most important pixels are interpolated away.

    value = mean over q of p(x without its q % highest pixels)

    Protocol: noisy linear imputation, see `imputed`; the noise keeps the network from recognizing the mask by its
    smoothness. Ties as in `deletion`.

    Options:
        percentiles: per cents removed.
        noise: standard deviation, in units of pixel values in [0, 1].

    Returns:
        a probability in [0, 1] and the values per percentile.

    Reference:
        Rong et al. 2022. The authors add noise on the normalized image; here it has the unit of pixels.
    """
    return (yield from _road(sample, percentiles, noise, True))


@metric(family="faithfulness", unit="probability", higher_is_better=True, paper=RONG, monotone=True)
def road_lerf(sample: Sample, *, percentiles: Sequence[float] = DEFAULT, noise: float = 0.01) -> Requests:
    """ROAD, least relevant first: the probability that remains when the least important pixels are interpolated away.

    value = mean over q of p(x without its q % lowest pixels)

    Protocol, args and returns: as `road_morf`.

    Options:
        percentiles: percentages of pixels that are removed.
        noise: standard deviation of the noise, in pixel values.

    Returns:
        a probability, 0 to 1.

    Reference:
        Rong et al. 2022.
    """
    return (yield from _road(sample, percentiles, noise, False))


@metric(family="faithfulness", unit="probability", higher_is_better=True, paper=RONG, monotone=True)
def road(sample: Sample, *, percentiles: Sequence[float] = DEFAULT, noise: float = 0.01) -> Requests:
    """ROAD, both ways: what least-important-first keeps beyond most-important-first.

    value = (road_lerf − road_morf) / 2

    Protocol and args: as `road_morf`.

    Options:
        percentiles: percentages of pixels that are removed.
        noise: standard deviation of the noise, in pixel values.

    Returns:
        half a difference of probabilities, −0.5 to 0.5; near 0 for a random map.

    Reference:
        Rong et al. 2022, in the combined form of the pytorch-grad-cam library.
    """
    last = yield from _road(sample, percentiles, noise, False)
    morf = yield from _road(sample, percentiles, noise, True)
    parts = {"least_relevant_first": last.value, "most_relevant_first": morf.value}
    return Outcome((last.value - morf.value) / 2.0, parts=parts)
