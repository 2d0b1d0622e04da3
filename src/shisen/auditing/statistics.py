"""Intervals, enrichment, permutation tests and false-discovery control."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Z95 = 1.959963984540054


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a fraction: (p + z²/2n ± z·√(p(1−p)/n + z²/4n²)) / (1 + z²/n).

    Reference: Wilson 1927.
    """
    if n == 0:
        return 0.0, 1.0
    p, z = hits / n, Z95
    center = p + z * z / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = (center - half) / (1 + z * z / n), (center + half) / (1 + z * z / n)
    return (0.0 if hits == 0 else low), (1.0 if hits == n else high)


def enrichment(inside: int, group: int, members: int, total: int) -> float:
    """Return P(X ≥ inside) for X hypergeometric: `members` of `total` drawn, `group` of them marked."""
    from scipy.stats import hypergeom

    return float(hypergeom.sf(inside - 1, total, group, members))


def log_enrichment(
    inside: npt.NDArray[np.int64], group: int, members: npt.NDArray[np.int64], total: int
) -> npt.NDArray[np.float64]:
    """Return log P(X ≥ inside) as in `enrichment`, for many counts of one group at a time."""
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, total + 1)))])

    def choose(n: npt.NDArray[np.int64], k: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        fits = (k >= 0) & (k <= n)
        n, k = np.broadcast_arrays(np.maximum(n, 0), np.where(fits, k, 0))
        return np.asarray(np.where(fits, log_factorial[n] - log_factorial[k] - log_factorial[n - k], -np.inf))

    hits, drawn = np.arange(group + 1)[None], np.asarray(members)[:, None]
    terms = choose(np.full_like(hits, group), hits) + choose(np.full_like(drawn, total - group), drawn - hits)
    terms = np.where(hits >= np.asarray(inside)[:, None], terms, -np.inf)
    peak = terms.max(1)
    return np.asarray(peak + np.log(np.exp(terms - peak[:, None]).sum(1)) - choose(np.asarray([total]), drawn[:, 0]))


def benjamini_hochberg(p: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return adjusted p-values: q_(i) = min over j ≥ i of p_(j)·m/j.

    Reference: Benjamini and Hochberg 1995.
    """
    values = np.asarray(p, dtype=np.float64)
    if values.size == 0:
        return values
    order = np.argsort(values, kind="stable")
    scaled = values[order] * len(values) / np.arange(1, len(values) + 1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return adjusted


def sign_flip(differences: npt.NDArray[np.float64], seed: int = 0, draws: int = 9999) -> float:
    """Return the one-sided permutation p-value of a positive mean: signs of paired differences are exchangeable.

    p = (1 + #{mean of flipped ≥ mean}) / (1 + draws).
    """
    d = np.asarray(differences, dtype=np.float64)
    if not d.size or not np.any(d):
        return 1.0
    draw = np.random.default_rng(seed)
    hits = 0
    for start in range(0, draws, 1000):
        signs = draw.integers(0, 2, size=(min(1000, draws - start), len(d))) * 2 - 1
        hits += int(np.count_nonzero(signs @ d >= d.sum() - 1e-12))
    return (1 + hits) / (1 + draws)


def bootstrap_mean(values: npt.NDArray[np.float64], seed: int = 0, draws: int = 2000) -> tuple[float, float]:
    """Return the 95 % percentile interval of the mean over resampled images."""
    v = np.asarray(values, dtype=np.float64)
    if not v.size:
        return 0.0, 0.0
    draw = np.random.default_rng(seed)
    means = [float(v[draw.integers(0, len(v), len(v))].mean()) for _ in range(draws)]
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


def spread(rows: npt.NDArray[np.int64], most: int) -> npt.NDArray[np.int64]:
    """Return at most `most` rows, evenly from all of them."""
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).astype(int)]
