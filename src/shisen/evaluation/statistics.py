"""How sure a mean over images is, and whether one setting is better than another on the same images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

RESAMPLES = 4000


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


def bootstrap(values: npt.NDArray[Any], seed: int = 0) -> Interval:
    """Return the mean and the 2.5th and 97.5th percentile of the means of resampled images.

    Args:
        values: one figure an image; those that are not numbers are left out.
        seed: of the resampling.

    Returns:
        An interval; NaN ends for fewer than two images.
    """
    x = np.asarray(values, dtype=np.float64)
    x = x[np.isfinite(x)]
    if x.size < 2:
        return Interval(float(x.mean()) if x.size else float("nan"), float("nan"), float("nan"), int(x.size))
    rng = np.random.default_rng(seed)
    means = np.concatenate([x[rng.integers(0, x.size, (500, x.size))].mean(axis=1) for _ in range(RESAMPLES // 500)])
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(float(x.mean()), float(low), float(high), int(x.size))


def sign_flip_p(differences: npt.NDArray[Any], seed: int = 0) -> float:
    """Return the two-sided p-value of "the mean difference is zero" by flipping the signs of differences.

    p = fraction of sign patterns with |mean| at least the observed one; exact up to 12 images, drawn beyond.
    """
    d = np.asarray(differences, dtype=np.float64)
    d = d[np.isfinite(d)]
    if d.size == 0:
        return float("nan")
    observed = abs(float(d.mean())) * (1.0 - 1e-12)
    if d.size <= 12:
        patterns = 1.0 - 2.0 * ((np.arange(2**d.size)[:, None] >> np.arange(d.size)) & 1)
        return float(np.mean(np.abs(patterns @ d) / d.size >= observed))
    rng = np.random.default_rng(seed)
    signs = rng.integers(0, 2, (RESAMPLES, d.size)) * 2.0 - 1.0
    reached = int(np.sum(np.abs(signs @ d) / d.size >= observed))
    return (reached + 1.0) / (RESAMPLES + 1.0)


@dataclass(frozen=True)
class Difference:
    """One setting against another on the same images, by one metric.

    Attributes:
        method, reference: names of the two.
        metric: name of the metric.
        interval: of the mean difference, method minus reference.
        p: probability of so large a difference if there were none.
        higher_is_better: direction of the metric, or None.
    """

    method: str
    reference: str
    metric: str
    interval: Interval
    p: float
    higher_is_better: bool | None

    @property
    def verdict(self) -> str:
        """ "better", "worse", "different" or "no clear difference"."""
        if not self.interval.excludes_zero or not self.p < 0.05:
            return "no clear difference"
        if self.higher_is_better is None:
            return "different"
        return "better" if (self.interval.value > 0.0) == self.higher_is_better else "worse"

    @property
    def sentence(self) -> str:
        """The finding in words."""
        i = self.interval
        return (
            f"{self.method} against {self.reference} by {self.metric}: {self.verdict} "
            f"({i.value:+.3g}, 95 % interval {i.low:+.3g} to {i.high:+.3g}, n = {i.n}, p = {self.p:.3g})."
        )


def difference(
    method: str,
    reference: str,
    metric: str,
    pairs: npt.NDArray[Any],
    higher_is_better: bool | None,
) -> Difference:
    """Return the paired comparison of two settings.

    Args:
        method, reference, metric: names.
        pairs: `(n, 2)`: method's and reference's figure for each image.
        higher_is_better: the metric's direction.
    """
    d = np.asarray(pairs, dtype=np.float64).reshape(-1, 2)
    d = d[:, 0] - d[:, 1]
    return Difference(method, reference, metric, bootstrap(d), sign_flip_p(d), higher_is_better)
