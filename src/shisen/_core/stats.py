"""Intervals, paired tests, enrichment and false-discovery control.

SciPy is imported where it is used: it belongs to the extras.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Z95 = 1.959963984540054
EXACT = 12
"""Number of differences up to which all 2ⁿ patterns of signs are counted."""
BLOCK = 500


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval over n images."""

    value: float
    low: float
    high: float
    n: int

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of zero."""
        return self.low > 0.0 or self.high < 0.0


def bootstrap(values: npt.NDArray[Any], *, n_resamples: int = 4000, seed: int = 0) -> Interval:
    """Return the mean and the 2.5th and 97.5th percentile of the means of resampled images.

    Args:
        values: `(n,)`, one score an image; those that are not numbers are left out.
        n_resamples: number of times that n images are drawn with replacement.
        seed: of the draws.

    Returns:
        An interval; NaN ends for fewer than two images.

    Reference:
        Efron 1979, the percentile interval.
    """
    x = np.asarray(values, dtype=np.float64)
    x = x[np.isfinite(x)]
    if x.size < 2:
        return Interval(float(x.mean()) if x.size else math.nan, math.nan, math.nan, int(x.size))
    rng = np.random.default_rng(seed)
    blocks = (min(BLOCK, n_resamples - start) for start in range(0, n_resamples, BLOCK))
    means = np.concatenate([x[rng.integers(0, x.size, (block, x.size))].mean(axis=1) for block in blocks])
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(float(x.mean()), float(low), float(high), int(x.size))


def sign_flip(differences: npt.NDArray[Any], *, two_sided: bool = True, n_draws: int = 9999, seed: int = 0) -> float:
    """Return the permutation p-value of the mean of paired differences, whose signs are exchangeable without an effect.

    p = (1 + #{mean of flipped ≥ mean}) / (1 + n_draws), of absolute means if two-sided; the fraction of all patterns of
    signs where there are at most 4096.

    Args:
        differences: `(n,)`, one an image; those that are not numbers are left out.
        two_sided: whether a negative mean counts as an effect too.
        n_draws: number of random patterns of signs.
        seed: of the patterns.

    Returns:
        A probability in (0, 1]; NaN without differences.

    Reference:
        Phipson, Smyth 2010: a p-value from random permutations is never zero.
    """
    d = np.asarray(differences, dtype=np.float64)
    d = d[np.isfinite(d)]
    if d.size == 0:
        return math.nan
    side = np.abs if two_sided else np.positive
    least = side(d.sum()) - 1e-12 * np.abs(d).sum()
    if d.size <= EXACT:
        patterns = 1.0 - 2.0 * ((np.arange(2**d.size)[:, None] >> np.arange(d.size)) & 1)
        return float(np.mean(side(patterns @ d) >= least))
    rng, hits = np.random.default_rng(seed), 0
    for start in range(0, n_draws, 1000):
        signs = rng.integers(0, 2, (min(1000, n_draws - start), d.size)) * 2.0 - 1.0
        hits += int(np.count_nonzero(side(signs @ d) >= least))
    return (1 + hits) / (1 + n_draws)


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a fraction: (p + z²/2n ± z·√(p(1−p)/n + z²/4n²)) / (1 + z²/n).

    SciPy's `binomtest(hits, n).proportion_ci(method="wilson")` gives the same in 200 times the time.

    Args:
        hits: how many of n.
        n: number of trials.

    Returns:
        Low and high end in [0, 1]; (0, 1) without trials.

    Reference:
        Wilson 1927.
    """
    if n == 0:
        return 0.0, 1.0
    p, z = hits / n, Z95
    center = p + z * z / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = (center - half) / (1 + z * z / n), (center + half) / (1 + z * z / n)
    return (0.0 if hits == 0 else low), (1.0 if hits == n else high)


def fraction(hits: npt.NDArray[Any]) -> Interval:
    """Return the fraction of hits with Wilson's interval, which has a width also where all or none are hits.

    Args:
        hits: `(n,)` booleans.
    """
    n = int(np.size(hits))
    low, high = wilson(int(np.count_nonzero(hits)), n)
    return Interval(float(np.mean(hits)), low, high, n) if n else Interval(math.nan, math.nan, math.nan, 0)


def net_fraction(steps: npt.NDArray[Any]) -> Interval:
    """Return the fraction of gains less that of losses, with an interval from Wilson's of both.

    With fractions p and q, their limits l and u, and r = −√(pq / ((1−p)(1−q))), the correlation of both:
    low = p − q − √((p−l_p)² − 2r(p−l_p)(u_q−q) + (u_q−q)²), and high likewise with the other limits.

    Args:
        steps: `(n,)` values of 1 for a gain, −1 for a loss, else 0.

    Reference:
        Newcombe 1998, Interval estimation for the difference between independent proportions; Zou and Donner 2008 for
        the correlation.
    """
    x = np.asarray(steps)
    if not x.size:
        return Interval(math.nan, math.nan, math.nan, 0)
    gain, loss = fraction(x > 0), fraction(x < 0)
    odds = (1 - gain.value) * (1 - loss.value)
    r = -math.sqrt(gain.value * loss.value / odds) if odds > 0 else 0.0

    def reach(a: float, b: float) -> float:
        return math.sqrt(max(a * a - 2 * r * a * b + b * b, 0.0))

    value = gain.value - loss.value
    low = value - reach(gain.value - gain.low, loss.high - loss.value)
    high = value + reach(gain.high - gain.value, loss.value - loss.low)
    return Interval(value, max(low, -1.0), min(high, 1.0), int(x.size))


def upper_limit(hits: int, n: int) -> float:
    """Return the one-sided 95 % upper limit of a fraction: the one with P(X ≤ hits) = 5 %.

    Args:
        hits: how many of the trials succeeded.
        n: trials.

    Returns:
        In [0, 1].

    Reference:
        Clopper and Pearson 1934, The use of confidence or fiducial limits.
    """
    from scipy.stats import beta

    return 1.0 if hits >= n else float(beta.ppf(0.95, hits + 1, n - hits))


def enrichment(inside: int, group: int, members: int, total: int) -> float:
    """Return P(X ≥ inside) for X hypergeometric: `members` of `total` drawn, `group` of them marked.

    Args:
        inside: marked ones among those drawn.
        group: number of marked ones.
        members: number drawn.
        total: number of all.
    """
    from scipy.stats import hypergeom

    return float(hypergeom.sf(inside - 1, total, group, members))


def log_enrichment(
    inside: npt.NDArray[np.int64], group: int, members: npt.NDArray[np.int64], total: int
) -> npt.NDArray[np.float64]:
    """Return log P(X ≥ inside) as in `enrichment`, for many counts of one group at a time.

    Takes a 46th of the time of SciPy's `hypergeom.logsf` or less, in the inner loop of the audit's searches.

    Args:
        inside: `(k,)`, marked ones among those drawn.
        group: number of marked ones.
        members: `(k,)`, number drawn.
        total: number of all.

    Returns:
        `(k,)` natural logarithms.
    """
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
    from scipy.stats import false_discovery_control

    return np.asarray(false_discovery_control(np.asarray(p, dtype=np.float64)), dtype=np.float64)


def evenly_spaced(rows: npt.NDArray[np.int64], most: int) -> npt.NDArray[np.int64]:
    """Return at most `most` rows, evenly from all of them.

    Args:
        rows: indices, in order.
        most: number of rows at most.
    """
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).astype(int)]
