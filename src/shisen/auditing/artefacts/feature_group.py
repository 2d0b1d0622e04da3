"""A group of images of a class that the audited network itself sees apart from the others of the class.

Images of a class are clustered by what a layer in the middle of the network sees in them: k-means on principal
components of the mean and the standard deviation of each channel. What the group has is put on other images inside the
network, by statistics of every position and channel of the maps: with μ and σ those of the group and μ' and σ' those of
the rest of the class, a map a becomes

    r·a + μ − r·μ',    r = min(σ/σ', 1)

so that what covers the image in the group covers it too; then what lies downstream runs. It needs no image surgery, and
finds what nobody has a list of. The control is the same with groups of other images of the class that are alike too.

Natural groups of a class, such as close views of houses, turn answers too. They differ in the ways in which images of
other classes differ among themselves; a foreign group's difference from the rest of its class lies outside of these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from ..._core.stats import enrichment
from ...targets import probabilities, to_numpy
from ..middle import Middle
from .base import Candidate, Evidence, Images, Intervention
from .property import best_cut

Floats = npt.NDArray[np.float32]
COUNTS = (2, 3, 4)  # clusters of a class
COMPONENTS = 10
LEAST, LARGEST = 0.08, 0.7  # of the class that a group is
FEW = 12  # images of a class, at least
MOST = 2  # groups of a class
DRAWN = 3  # groups for the control
NATURAL, WAYS = 0.45, 20
"""Fraction of a natural group's difference that lies along the main ways in which images of other classes differ."""
APART = 2.5  # standard deviations, at least, between a group and the rest of its class


@dataclass(frozen=True, eq=False)
class FeatureGroup:
    """Images that the network sees apart.

    Attributes:
        rows: images of the class that are of the group.
        apart: how far from the rest, in standard deviations.
        natural: fraction of the difference from the rest that images of other classes show among themselves.
    """

    rows: tuple[int, ...]
    apart: float
    natural: float = 1.0
    kind: str = "feature_group"
    direction: int = 0
    order: ClassVar[int] = 2
    control_words: ClassVar[str] = "control_group"

    @property
    def least_effect(self) -> float:
        """Fraction of other images whose prediction must turn for it to count as used."""
        return 0.35 if self.natural < NATURAL else 0.7

    @classmethod
    def propose(cls, evidence: Evidence, label: int, found: Sequence[Candidate]) -> list[Candidate]:
        """Return the candidates so far, and the groups of the class that stand apart most."""
        if evidence.middle is None:
            return list(found)
        if "pooled" not in evidence.memo:
            pooled = evidence.middle.pooled(evidence.sampled.tolist())
            evidence.memo["pooled"] = (pooled - pooled.mean(0)) / (pooled.std(0) + 1e-6)
        labels = evidence.labels[evidence.sampled]
        new = []
        for group, apart, members in groups(evidence.memo["pooled"], labels == label)[:MOST]:
            rows = tuple(int(evidence.sampled[i]) for i in members)
            inside = sum(int(evidence.labels[r] == label) for r in rows)
            size = int((labels == label).sum())
            searched = sum(COUNTS) * len(COUNTS)
            p = min(1.0, searched * enrichment(inside, size, len(rows), len(labels)))
            natural = _natural(evidence.memo["pooled"], labels, label, group)
            artefact = cls(tuple(int(evidence.sampled[i]) for i in group), apart, natural)
            new.append(Candidate(artefact, label, rows, inside, p, size))
        return [*found, *new]

    def describe(self) -> dict[str, Any]:
        """Return plain values."""
        return {"rows": list(self.rows), "apart": self.apart, "natural": self.natural}

    def words(self) -> tuple[str, Mapping[str, str]]:
        """Return the key of its name in words."""
        return "feature_group", {}

    def mask_in(self, row: int) -> None:
        """Return None: it has no region."""

    def intervention(self, candidate: Candidate, images: Images) -> Intervention:
        """Return how to put the group's difference on maps inside the network."""
        middle = images.middle
        if middle is None:
            return Intervention()
        own = np.flatnonzero(images.labels == candidate.label)
        group = np.intersect1d(own, self.rows)
        if min(len(group), len(own) - len(group)) < 4:
            return Intervention()
        maps = middle.class_maps(own.tolist())

        chosen = np.isin(own, group)
        rest = maps[~chosen]
        alike = [Transfer.of(rest, one) for one in neighbors(rest, len(group))]

        def control(rows: Sequence[int]) -> npt.NDArray[np.float64]:
            answers = np.stack([one.answers(middle, rows) for one in alike])
            strongest = answers[..., candidate.label].argmax(0)
            return np.asarray(answers[strongest, np.arange(answers.shape[1])])

        transfer = Transfer.of(maps, chosen)
        return Intervention(
            inside=lambda rows: transfer.answers(middle, rows), inside_control=control, least_inside=self.least_effect
        )


class Transfer(NamedTuple):
    """What turns maps into those of a group: scale and shift, `(h, w, c)` each."""

    scale: Floats
    shift: Floats

    @classmethod
    def of(cls, maps: Floats, inside: npt.NDArray[np.bool_]) -> Transfer:
        """Return the transfer between the maps of a class.

        Args:
            maps: `(n, h, w, c)`.
            inside: `(n,)`, True for images of the group.
        """
        a, b = maps[inside], maps[~inside]
        scale = np.minimum(a.std(0, ddof=1) / (b.std(0, ddof=1) + 1e-6), 1.0)
        return cls(scale.astype(np.float32), (a.mean(0) - scale * b.mean(0)).astype(np.float32))

    def answers(self, middle: Middle, rows: Sequence[int]) -> npt.NDArray[np.float64]:
        """Return class probabilities `(n, classes)` of images whose maps are transferred.

        Args:
            middle: feature maps of the audited images.
            rows: indices of the images.
        """
        found = []
        for x, maps in middle.batches(rows):
            logits = middle.model.replaced(x, maps * self.scale + self.shift, middle.layer)
            found.append(to_numpy(probabilities(logits, middle.model.head)))
        return np.concatenate(found).astype(np.float64)


def neighbors(maps: Floats, size: int) -> list[npt.NDArray[np.bool_]]:
    """Return groups of images that look as much alike as a group does, as a control of it.

    Images that resemble each other turn answers more than random ones, whose differences cancel out.

    Args:
        maps: `(n, h, w, c)` of images of a class that are not of the group.
        size: of the group; half of the images at most are taken.

    Returns:
        `DRAWN` masks `(n,)`: images spread over the first principal component, each with those nearest to it.
    """
    pooled = np.concatenate([maps.mean((1, 2)), maps.std((1, 2))], 1)
    centered = pooled - pooled.mean(0)
    _, _, axes = np.linalg.svd(centered, full_matrices=False)
    points = centered @ axes[:COMPONENTS].T
    order = np.argsort(points[:, 0], kind="stable")
    seeds = order[np.linspace(0, len(order) - 1, DRAWN).astype(int)]
    count = max(2, min(size, len(maps) // 2))
    far = [np.square(points - points[seed]).sum(1) for seed in seeds]
    return [np.isin(np.arange(len(maps)), np.argsort(d, kind="stable")[:count]) for d in far]


def groups(
    pooled: npt.NDArray[np.floating], own: npt.NDArray[np.bool_]
) -> list[tuple[npt.NDArray[np.int64], float, list[int]]]:
    """Return `(group, apart, members)` of the groups of a class, those furthest apart first.

    Args:
        pooled: `(n, d)` standardized features of all images.
        own: which are of the class.

    Returns:
        The group itself, how far it is from the rest of the class, and the images of any class that are on its side,
        likeliest first, cut where they go with the class most surely.
    """
    from sklearn.cluster import KMeans

    inside = np.flatnonzero(own)
    if len(inside) < FEW:
        return []
    mine = pooled[inside] - pooled[inside].mean(0)
    _, _, axes = np.linalg.svd(mine, full_matrices=False)
    points = mine @ axes[:COMPONENTS].T
    found: list[tuple[npt.NDArray[np.int64], float, list[int]]] = []
    distinct = len(np.unique(points.round(5), axis=0))
    for count in (count for count in COUNTS if count < distinct):
        names = KMeans(count, n_init=4, random_state=0).fit_predict(points)
        for k in range(count):
            chosen = names == k
            if not LEAST * len(inside) <= chosen.sum() <= LARGEST * len(inside) or chosen.sum() < 5:
                continue
            way = _direction(points, chosen)
            scores = (pooled - pooled[inside].mean(0)) @ axes[:COMPONENTS].T @ way
            a, b = scores[inside][chosen], scores[inside][~chosen]
            apart = float((a.mean() - b.mean()) / np.sqrt((a.var() + b.var()) / 2 + 1e-9))
            least = (a.mean() + b.mean()) / 2
            ranked = np.argsort(-scores, kind="stable")
            cut = best_cut(-scores[ranked], own[ranked])
            if cut is not None:  # of images of other classes, those that stand out as much
                next_own = scores[ranked[cut.last + 1 :]][own[ranked[cut.last + 1 :]]]
                least = max(least, (scores[ranked[cut.last]] + next_own.max(initial=least)) / 2)
            members = [int(i) for i in ranked if scores[i] > least]
            if apart >= APART and not any(len(np.intersect1d(inside[chosen], g)) > 0.7 * len(g) for g, _, _ in found):
                found.append((inside[chosen], apart, members))
    return sorted(found, key=lambda one: -one[1])


def _natural(
    pooled: npt.NDArray[np.floating], labels: npt.NDArray[np.int64], label: int, group: npt.NDArray[np.int64]
) -> float:
    """Return the fraction of a group's difference from its class that lies along the ways in which others differ.

    Args:
        pooled: `(n, d)` standardized features.
        labels: `(n,)` class numbers.
        label: class of the group.
        group: rows of the group.
    """
    rest = np.setdiff1d(np.flatnonzero(labels == label), group)
    others = [pooled[labels == k] - pooled[labels == k].mean(0) for k in set(labels[labels >= 0].tolist()) - {label}]
    if not len(rest) or not others:
        return 1.0
    within = np.concatenate(others)
    _, _, ways = np.linalg.svd(within, full_matrices=False)
    difference = pooled[group].mean(0) - pooled[rest].mean(0)
    along = ways[: min(WAYS, len(within) // 5)] @ difference
    return float(np.square(along).sum() / max(float(np.square(difference).sum()), 1e-12))


def _direction(points: npt.NDArray[np.floating], chosen: npt.NDArray[np.bool_]) -> npt.NDArray[np.floating]:
    """Return the direction that separates a group from the rest best: Fisher's, shrunk towards the identity."""
    a, b = points[chosen], points[~chosen]
    within = np.cov(a.T) * (len(a) - 1) + np.cov(b.T) * (len(b) - 1)
    within = within / (len(points) - 2)
    within += 0.1 * np.trace(within) / len(within) * np.eye(len(within))
    return np.asarray(np.linalg.solve(within, a.mean(0) - b.mean(0)))
