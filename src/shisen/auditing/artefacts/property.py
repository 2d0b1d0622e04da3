"""A property of the whole image, such as its brightness, of which images of a class have more or less than others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from ..._core.stats import enrichment, evenly_spaced, log_enrichment
from ..properties import PROPERTIES
from .base import Alter, Candidate, Evidence, Images, Intervention, Labels, Pixels8

MOST = 4
"""Candidates of a class from each of the two looks at properties."""
LOOKS = 2.0 * sum(not p.shown for p in PROPERTIES.values())
"""Properties and directions in which images may stand out: the p-value of one is multiplied by it."""
FAR = 4.0
"""Distance from the median of the other classes, in their standard deviations, at which an image stands out."""
CALIBRATED = 12  # images on which the strength of a property is found
FEWEST = 3  # images of a class that go together, at least
LEAST_REST = 0.1  # of the members: fewer other images of the class say nothing about what is usual in it


@dataclass(frozen=True)
class GlobalProperty:
    """More or less of a global property.

    Attributes:
        kind: the property's name, see `PROPERTIES`.
        direction: +1 for more, −1 for less.
        delta: difference of the property's median between members and the other classes.
        target: the property's median over the members of the class.
    """

    kind: str
    direction: int
    delta: float
    target: float
    order: ClassVar[int] = 3
    least_effect: ClassVar[float] = 0.1  # color and detail are part of what scenes are: models may be moved a little
    control_words: ClassVar[str] = "control_property"

    @classmethod
    def propose(cls, evidence: Evidence, label: int, found: Sequence[Candidate]) -> list[Candidate]:
        """Return the candidates so far, and the properties whose extreme values the class has most often."""
        return [*found, *property_candidates(evidence.labels, evidence.properties, label)]

    def describe(self) -> dict[str, Any]:
        """Return plain values."""
        return {"direction": self.direction, "delta": self.delta, "target": self.target}

    def words(self) -> tuple[str, Mapping[str, str]]:
        """Return the key of its name in words."""
        return f"{self.kind}{'+' if self.direction > 0 else '-'}", {}

    def mask_in(self, row: int) -> None:
        """Return None: it is of the whole image."""

    def intervention(self, candidate: Candidate, images: Images) -> Intervention:
        """Return how to give images the property as the members have it, and the way back; the control is that way."""
        samples = self.samples(candidate, images)
        if samples is None:
            return Intervention()
        kind, usual = PROPERTIES[self.kind], self.median(samples.without)
        put_on, take_off = kind.strength(samples.without, self.target), kind.strength(samples.affected, usual)
        back = self.altered(take_off)
        return Intervention(self.altered(put_on), back, back if kind.opposite else None, put_on)

    def median(self, pixels: Sequence[Pixels8]) -> float:
        """Return the median of the property over images."""
        return float(np.median([PROPERTIES[self.kind].measure(p) for p in pixels]))

    def samples(self, candidate: Candidate, images: Images) -> Samples | None:
        """Return images between which the property's strength is found.

        Images of the same class are compared where there are enough, so that what is usual for the class is not taken
        for the property.

        Args:
            candidate: the members.
            images: where they are read from.

        Returns:
            None where there are none.
        """
        members = np.asarray(candidate.members, np.int64)
        own = members[images.labels[members] == candidate.label]
        free = np.setdiff1d(np.flatnonzero(images.labels >= 0), members)
        same = free[images.labels[free] == candidate.label]
        enough = len(same) >= max(8, LEAST_REST * len(own))
        reference = same if enough else free[images.labels[free] != candidate.label]
        if not len(reference) or not len(own):
            return None
        without = [images.read(int(i)) for i in evenly_spaced(reference, CALIBRATED)]
        affected = [images.read(int(i)) for i in evenly_spaced(own, CALIBRATED)]
        return Samples(without, affected)

    def altered(self, strength: float) -> Alter | None:
        """Return what alters the property by a strength; None where that cannot be done, or is nothing."""
        alter = PROPERTIES[self.kind].alter
        if alter is None or not strength:
            return None
        return lambda pixels, row: alter(pixels, strength)


class Samples(NamedTuple):
    """Images without a property, and images of the class that have it."""

    without: list[Pixels8]
    affected: list[Pixels8]


class Cut(NamedTuple):
    """The last index, in falling order of a property, of those that have it, and p of their going with the class."""

    last: int
    p: float


def property_candidates(labels: Labels, properties: npt.NDArray[np.float64], label: int) -> list[Candidate]:
    """Return the properties whose extreme values a class has most often, by two looks at each.

    The scan takes, for each direction, the threshold with the least hypergeometric p-value, multiplied by the number of
    thresholds tried. What a class is by nature prevails there; so that a few images that were treated in one way are
    not lost among them, those that stand out from all other classes (`FAR`) are examined by themselves, in
    what distinguishes how images were made rather than what they show.

    Args:
        labels: `(n,)` class numbers, −1 for none.
        properties: `(n, properties)`, in the order of `PROPERTIES`.
        label: the class.

    Returns:
        At most `MOST` candidates of each look.
    """
    known = np.flatnonzero(labels >= 0)
    own = labels[known] == label
    scanned: list[Candidate] = []
    standing: list[Candidate] = []
    for column, name in enumerate(PROPERTIES):
        values = properties[known, column]
        if np.ptp(values) < 1e-9:
            continue
        for direction in (1, -1):
            order = np.argsort(-direction * values, kind="stable")
            best = best_cut(values[order], own[order])
            far = None if PROPERTIES[name].shown else _far_cut(direction * values[order], own[order])
            for cut, found in ((best, scanned), (far, standing)):
                if cut is None:
                    continue
                members = known[order[: cut.last + 1]]
                target = float(np.median(properties[members[labels[members] == label], column]))
                artefact = GlobalProperty(name, direction, target - float(np.median(values[~own])), target)
                inside = int(own[order[: cut.last + 1]].sum())
                found.append(Candidate(artefact, label, tuple(int(i) for i in members), inside, cut.p, int(own.sum())))
    for found in (scanned, standing):
        found.sort(key=lambda c: (c.p, c.kind))
    kept = scanned[:MOST]
    new = [c for c in standing if not any(_same(c, other) for other in kept)]
    return kept + new[:MOST]


def _same(a: Candidate, b: Candidate) -> bool:
    """Return whether two are about one property and mostly the same images."""
    x, y = set(a.members), set(b.members)
    return (a.kind, a.artefact.direction) == (b.kind, b.artefact.direction) and len(x & y) > 0.5 * len(x | y)


def _far_cut(values: npt.NDArray[np.float64], own: npt.NDArray[np.bool_]) -> Cut | None:
    """Return the cut of those that stand out from the other classes."""
    others = values[~own]
    center = float(np.median(others))
    deviation = 1.4826 * float(np.median(np.abs(others - center)))  # that of a normal distribution
    count = int((values > center + FAR * deviation + 1e-9).sum())
    inside = int(own[:count].sum())
    if inside < 3:
        return None
    p = min(1.0, LOOKS * enrichment(inside, int(own.sum()), count, len(own)))
    return Cut(count - 1, p) if p <= 0.05 else None


def best_cut(values: npt.NDArray[np.float64], own: npt.NDArray[np.bool_]) -> Cut | None:
    """Return the cut with the least p, corrected for all cuts and both directions.

    Args:
        values: `(n,)` values of a property, in order.
        own: `(n,)`, True for images of the class.
    """
    total, group, hits = len(own), int(own.sum()), np.cumsum(own.astype(np.int64))
    ends = np.flatnonzero(own & np.append(values[1:] != values[:-1], True))
    ends = ends[hits[ends] >= max(FEWEST, round(0.03 * group))]
    if not len(ends):
        return None
    p_values = np.exp(log_enrichment(hits[ends], group, ends + 1, total))
    i = int(np.argmin(p_values))
    p = float(min(1.0, p_values[i] * len(ends) * 2))
    return Cut(int(ends[i]), p) if p <= 0.05 else None
