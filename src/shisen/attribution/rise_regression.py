"""RISE's map by regression: the same expectation as the mean over masks, with less sampling noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._core.image_ops import one_thread
from ..targets import to_numpy
from ..types import Array
from .rise_masks import Directions, Grids, Values

RATIOS = np.logspace(-5.0, 3.0, 33)  # of the variance that masks explain to the noise's


@dataclass
class Moments:
    """Sums over observations of features z `(k,)` and scores y: the sufficient statistics of a linear regression.

    Attributes:
        count: of observations.
        gram: Σ z zᵀ, `(k, k)`.
        cross: Σ z y, `(k,)`.
        features: Σ z, `(k,)`.
        score: Σ y.
        square: Σ y².
    """

    count: int
    gram: Values
    cross: Values
    features: Values
    score: float
    square: float

    @classmethod
    def of(cls, z: Values, y: Values) -> Moments:
        """Return the sums of features `(r, k)` and scores `(r,)`.

        Args:
            z: `(r, k)`.
            y: `(r,)`.
        """
        return cls(len(y), z.T @ z, z.T @ y, z.sum(axis=0), float(y.sum()), float(y @ y))

    def __add__(self, other: Moments) -> Moments:
        mine, others = vars(self), vars(other)
        return Moments(**{name: value + others[name] for name, value in mine.items()})


class Regression:
    """Collects scores under masks and solves for the map.

    y_i = a + βᵀ z_i + noise, z the mask along the directions in which masks vary (`Directions`), with variance one and
    uncorrelated over all masks. So β = Cov(y, z) whatever the network does, and Cov(y, M) / p, the expectation of
    RISE's map, follows from β. The mean over masks estimates β by Σ y z / n; here the masks that were drawn are taken
    into account: β̂ = (Σ z zᵀ + Γ⁻¹ / t)⁻¹ Σ z y, less the means, with Γ the variances of the directions, so that all
    pixels have the same prior variance. The ratio t of that variance to the noise's is the one under which the scores
    are most likely (restricted maximum likelihood).

    Of complements only half the difference of their scores is used: what the two have in common carries no
    information about Cov(y, M), because M and 1 − M are equally likely.

    Args:
        plan: the masks.

    Reference:
        Rasmussen, Williams 2006: Gaussian Processes for Machine Learning, section 2.1; Patterson, Thompson 1971.
    """

    def __init__(self, plan: Grids) -> None:
        self.plan = plan
        self.directions = Directions(plan)
        k = len(self.directions.variances)
        self.moments = Moments(0, np.zeros((k, k)), np.zeros(k), np.zeros(k), 0.0, 0.0)

    def add(self, run: range, keep: Array, change: Array) -> None:
        """Add the scores `(r, 1)` of one image under masks with these numbers; pairs stay together."""
        y = to_numpy(change).astype(np.float64)[:, 0]
        with one_thread(y):
            z = self.directions.features(run)
            self.moments += Moments.of(z[::2], (y[::2] - y[1::2]) / 2.0) if self.plan.pairs else Moments.of(z, y)

    def merged(self, other: Regression) -> Regression:
        """Return a regression with the scores of both."""
        both = Regression(self.plan)
        both.moments = self.moments + other.moments
        return both

    def solved(self) -> tuple[Values, Values]:
        """Return the map `(1, h, w)` and its standard error `(1,)`, the root of its mean variance."""
        with one_thread(self.moments.gram):
            return self._solved(self.moments)

    def _solved(self, moments: Moments) -> tuple[Values, Values]:
        root = np.sqrt(self.directions.variances)
        gram, cross, square, free = moments.gram, moments.cross, moments.square, moments.count
        if not self.plan.pairs:  # the mean is estimated too
            mean = moments.features / moments.count
            gram = gram - moments.count * np.outer(mean, mean)
            cross = cross - mean * moments.score
            square, free = square - moments.score**2 / moments.count, free - 1
        sizes, turned = np.linalg.eigh(root[:, None] * gram * root[None, :])
        sizes = np.maximum(sizes, 0.0)
        w = turned.T @ (root * cross)
        t, noise = _likeliest(sizes, w, square, free)
        weights = root * (turned @ (t * w / (1.0 + t * sizes)))
        leverage = noise * (root[:, None] * turned) ** 2 @ (t / (1.0 + t * sizes))
        plan = self.plan
        fraction = (1.0 - plan.p) / plan.p / (plan.size[0] * plan.size[1])
        error = np.sqrt(fraction * (self.directions.variances @ leverage))
        return self.directions.painted(weights)[None], np.asarray([error])


def _likeliest(sizes: Values, w: Values, square: float, free: int) -> tuple[float, float]:
    """Return the ratio t with the largest likelihood, the noise's variance integrated out, and that variance."""
    best: tuple[float, float, float] | None = None
    for t in RATIOS * free / max(float(sizes.sum()), 1e-30):
        left = max(square - float((t * w * w / (1.0 + t * sizes)).sum()), 1e-12 * square, 1e-300)
        lost = free * np.log(left) + float(np.log1p(t * sizes).sum())
        if best is None or lost < best[0]:
            best = lost, float(t), left / free
    assert best is not None
    return best[1], best[2]
