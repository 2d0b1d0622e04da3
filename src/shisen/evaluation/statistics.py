"""Whether one setting is better than another on the same images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .._core.i18n import N_
from .._core.stats import Interval, bootstrap, sign_flip


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
            return N_("no clear difference")
        if self.higher_is_better is None:
            return N_("different")
        return N_("better") if (self.interval.value > 0.0) == self.higher_is_better else N_("worse")

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
        pairs: `(n, 2)`: the method's and the reference's score of each image.
        higher_is_better: the metric's direction.

    Returns:
        A `Difference`; images for which one of the two is not a number are left out.
    """
    d = np.asarray(pairs, dtype=np.float64).reshape(-1, 2)
    d = d[:, 0] - d[:, 1]
    return Difference(method, reference, metric, bootstrap(d), sign_flip(d, n_draws=4000), higher_is_better)
