"""Whether a linear probe on the model's features separates groups of images within the classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .._core.stats import evenly_spaced

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
LEAST = 5
"""Least images of a class inside and outside of a group."""
PROBED, FOLDS, COMPONENTS, RESAMPLES = 2000, 5, 50, 500


@dataclass(frozen=True)
class Probe:
    """How well a linear probe on the model's features tells a group from the rest of the same class.

    Attributes:
        auc: probability that, of two images of a class, the probe gives the one of the group the higher score: ½ by
            chance. Cross-validated, averaged over groups and classes.
        low, high: 95 % interval, from resampled images.
        n: images.
    """

    auc: float
    low: float
    high: float
    n: int

    @property
    def tells(self) -> bool:
        """Whether the model's features tell the groups apart better than chance."""
        return self.low > 0.5


def probe(
    groups: npt.NDArray[np.str_],
    labels: Ints,
    pooled: Callable[[Sequence[int]], npt.NDArray[np.float32]],
    *,
    seed: int = 0,
) -> Probe | None:
    """Return how well a cross-validated linear probe tells groups apart within the classes.

    What tells the class does not help: images are compared with images of their own class only.

    Args:
        groups: `(n,)` names of the groups.
        labels: `(n,)` class numbers, −1 for images that are left out.
        pooled: from rows to features `(n, c)`.
        seed: of the folds and of the resampled images.

    Returns:
        None where no class has five images inside and five outside of a group.

    References:
        Alain and Bengio 2016, Understanding intermediate layers using linear classifier probes; for the area under
        the curve from ranks: Hanley and McNeil 1982.
    """
    pairs = _comparable(groups, labels)
    own = np.isin(labels, sorted({k for _, k in pairs}))
    rows = evenly_spaced(np.flatnonzero(own), PROBED)
    pairs = _comparable(groups[rows], labels[rows])
    if not pairs:
        return None
    scores = _scores(pooled(rows.tolist()).astype(np.float64), groups[rows], labels[rows], seed)
    draw = np.random.default_rng(seed)
    parts = [
        (scores[g][labels[rows] == k], (groups[rows] == g)[labels[rows] == k]) for g, k in pairs
    ]  # fmt: skip
    weights = np.asarray([min(inside.sum(), (~inside).sum()) for _, inside in parts], float)

    def mean(resampled: bool) -> float:
        found = []
        for values, inside in parts:
            a, b = values[inside], values[~inside]
            if resampled:
                a, b = draw.choice(a, len(a)), draw.choice(b, len(b))
            found.append(auc(a, b))
        return float(np.average(found, weights=weights))

    low, high = np.percentile([mean(True) for _ in range(RESAMPLES)], [2.5, 97.5])
    return Probe(mean(False), float(low), float(high), len(rows))


def _comparable(groups: npt.NDArray[np.str_], labels: Ints) -> list[tuple[str, int]]:
    """Return the pairs of a group and a class that has enough images inside and outside of it."""
    found = []
    for k in np.unique(labels[labels >= 0]):
        own = groups[labels == k]
        values, counts = np.unique(own, return_counts=True)
        found += [
            (str(v), int(k)) for v, n in zip(values, counts, strict=True) if n >= LEAST and len(own) - n >= LEAST
        ]  # fmt: skip
    return found


def _scores(
    features: Floats, groups: npt.NDArray[np.str_], labels: Ints, seed: int
) -> dict[str, npt.NDArray[np.float64]]:
    """Return the cross-validated score of every group for every image; the classes' means are taken out first."""
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    names = sorted(set(groups.tolist()))
    codes = np.asarray([names.index(g) for g in groups])
    scores = np.zeros((len(groups), len(names)))
    cells = np.unique(np.stack([codes, labels], 1), axis=0, return_inverse=True)[1].ravel()
    folds = np.zeros(len(groups), np.int64)
    order = np.random.default_rng(seed).permutation(len(groups))
    folds[order[np.argsort(cells[order], kind="stable")]] = np.arange(len(groups)) % FOLDS  # each cell in all folds
    for fold in range(FOLDS):
        train, test = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        centered = features.copy()
        for k in np.unique(labels):  # of the training images only; groups weigh the same
            mine = train[labels[train] == k]
            means = [features[mine[codes[mine] == g]].mean(0) for g in np.unique(codes[mine])]
            centered[labels == k] -= np.mean(means, 0) if means else 0.0
        parts = min(COMPONENTS, max(2, len(train) // 4), features.shape[1])
        fitted = make_pipeline(
            StandardScaler(),
            PCA(parts, random_state=seed),
            LogisticRegression(C=0.1, max_iter=2000, class_weight="balanced"),
        ).fit(centered[train], codes[train])
        made = fitted.decision_function(centered[test])
        known = fitted[-1].classes_
        if made.ndim == 1:
            made = np.stack([-made, made], 1)
        scores[np.ix_(test, known)] = made
    return {name: scores[:, i] for i, name in enumerate(names)}


def auc(inside: Floats, outside: Floats) -> float:
    """Return the probability that an image of the group has the higher score; ties count half.

    Args:
        inside: scores of the group's images.
        outside: scores of the others.
    """
    from scipy.stats import rankdata

    ranks = rankdata(np.concatenate([inside, outside]))[: len(inside)]
    return float((ranks.sum() - len(inside) * (len(inside) + 1) / 2) / (len(inside) * len(outside)))
