"""Several pieces of one artefact: candidates of a class that nearly the same images have, tested as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..._core.stats import enrichment
from ..properties import PROPERTIES
from .base import Alter, Artefact, Candidate, Evidence, Images, Intervention, Labels, Pixels8, position_of
from .property import GlobalProperty
from .transform import Treatment, explains
from .transplanted_part import TransplantedPart

ALIKE = 0.6
"""Least overlap, intersection over union, of the images of the class that have two pieces of one artefact."""
FEWEST, CONTAINED, CHANCE = 5, 0.8, 1e-3
"""Least images of what is a part of another, the fraction of them that the other has too, and p of such an overlap."""
SURER = 1e-6
"""How much less p of a treatment or a foreign part must be than that of a patch for it to lead."""
WHOLE = 0.8
"""Fraction of a class above which what has nearly the same images need not have the same cause."""
EXPLAINED = 0.5
"""Least fraction of a property's difference that the rest of the artefact makes, for it to be a consequence."""


@dataclass(frozen=True, eq=False)
class Compound:
    """Pieces of one artefact.

    Attributes:
        parts: what is put on together, in the order of kinds; the first one leads.
        instead: treatments that nearly the same images seem to have had; one of them where the first is no faithful
            copy, never two together: one may undo the other.
    """

    parts: tuple[Candidate, ...]
    instead: tuple[Candidate, ...] = ()
    kind: str = "compound"
    direction: int = 0

    @property
    def lead(self) -> Candidate:
        """The part that it is named after."""
        return self.parts[0]

    @property
    def order(self) -> int:
        """In which kinds are put together: that of the leading part."""
        return self.lead.artefact.order

    @property
    def control_words(self) -> str:
        """Key of the words for its control."""
        return self.lead.artefact.control_words

    @property
    def least_effect(self) -> float:
        """Fraction of other images whose prediction must turn for it to count as used."""
        return self.lead.artefact.least_effect

    @classmethod
    def propose(cls, evidence: Evidence, label: int, found: Sequence[Candidate]) -> list[Candidate]:
        """Return the candidates of a class, with those that nearly the same images have as one."""
        return merged(found, evidence.labels, label)

    def describe(self) -> dict[str, Any]:
        """Return plain values."""
        return {"parts": [c.describe() for c in self.parts], "instead": [c.describe() for c in self.instead]}

    def words(self) -> tuple[str, Mapping[str, str]]:
        """Return the keys of its name in words: that of its leading part, or where its patches lie together."""
        masks = [m for m in (c.artefact.mask_in(c.members[0]) for c in self.parts) if m is not None]
        key, fills = self.lead.artefact.words()
        if len(masks) > 1 and "where" in fills:
            together = position_of(_together(masks))
            return ("frame", {}) if together == "around" else (key, {"where": together})
        return key, fills

    def mask_in(self, row: int) -> npt.NDArray[np.bool_] | None:
        """Return where an image has any of it; None for the whole image."""
        masks = [m for m in (c.artefact.mask_in(row) for c in self.parts) if m is not None]
        return _together(masks) if masks else None

    def intervention(self, candidate: Candidate, images: Images) -> Intervention:
        """Return how to put all parts on an image, and take them off again.

        Properties go on first, each as strongly as it takes with everything else put on; then what is composited.
        Transplants bring along what the donors show; they only go on where the other parts alone are no faithful copy.
        """
        drawn = [c for c in self.parts if not isinstance(c.artefact, TransplantedPart)]
        ways: list[Sequence[Candidate]] = [self.parts]
        if isinstance(self.lead.artefact, TransplantedPart):
            ways.insert(0, [self.lead])
        elif drawn and len(drawn) < len(self.parts):
            ways.insert(0, drawn)
        ways += [[one, *[c for c in drawn if c.artefact.order != Treatment.order]] for one in self.instead]
        how = Intervention()
        for parts in reversed(ways):
            one = self._joint(parts, candidate, images)
            how = replace(one, otherwise=how if how.possible else None) if one.possible else how
        return how

    def _joint(
        self, parts: Sequence[Candidate], candidate: Candidate, images: Images, factor: float = 1.0
    ) -> Intervention:
        whole_parts = [c.artefact.intervention(c, images) for c in parts if not isinstance(c.artefact, GlobalProperty)]
        fixed = [one if one.scaled is None or factor == 1 else one.scaled(factor) for one in whole_parts]
        graded = any(one.scaled is not None for one in whole_parts)
        pixels = [one for one in fixed if one.apply is not None]
        base = _chained([one.apply for one in pixels if one.apply is not None])
        put_on: list[Alter] = []
        back: list[Alter] = []
        for part in parts:
            if isinstance(part.artefact, GlobalProperty):
                strengths = _residual(part, images, put_on, base)
                put_on += [a for a in (part.artefact.altered(strengths[0]),) if a is not None]
                back += [a for a in (part.artefact.altered(strengths[1]),) if a is not None]
        removes = [one.remove for one in pixels if one.remove is not None]
        controls = [one.control for one in pixels if one.control is not None]
        whole = [*put_on, *([base] if pixels else [])]
        inside = next((one for one in fixed if one.inside is not None), Intervention())
        return Intervention(
            apply=_chained(whole) if whole else None,
            remove=_chained([*removes, *back[::-1]]) if removes or back else None,
            control=_chained(controls) if controls else self._opposite(back) if not pixels else None,
            reduce=not put_on and all(one.reduce for one in pixels),
            inside=inside.inside,
            inside_control=inside.inside_control,
            least_inside=inside.least_inside,
            scaled=(lambda more: self._joint(parts, candidate, images, more)) if graded else None,
        )

    def _opposite(self, back: Sequence[Alter]) -> Alter | None:
        lead = PROPERTIES.get(self.lead.kind)
        return _chained(back) if back and lead is not None and lead.opposite else None


def _together(masks: Sequence[npt.NDArray[np.bool_]]) -> npt.NDArray[np.bool_]:
    """Return where any of several masks is, at the size of the largest; kinds mark regions at sizes of their own."""
    high, wide = (max(mask.shape[axis] for mask in masks) for axis in (0, 1))
    every = [m[np.arange(high)[:, None] * m.shape[0] // high, np.arange(wide) * m.shape[1] // wide] for m in masks]
    return np.asarray(np.any(every, axis=0))


def _chained(alters: Sequence[Alter]) -> Alter:
    """Return one change that makes several in turn."""

    def chained(pixels: Pixels8, row: int) -> Pixels8:
        for alter in alters:
            pixels = alter(pixels, row)
        return pixels

    return chained


def _residual(part: Candidate, images: Images, before: Sequence[Alter], base: Alter) -> tuple[float, float]:
    """Return how strongly a property is put on where the rest is on too, and how strongly taken off; 0 for no need."""
    artefact = part.artefact
    assert isinstance(artefact, GlobalProperty)
    samples = artefact.samples(part, images)
    if samples is None:
        return 0.0, 0.0
    kind, usual = PROPERTIES[artefact.kind], artefact.median(samples.without)
    changed = [_chained(before)(p, i) for i, p in enumerate(samples.without)]
    now = artefact.median([base(p, i) for i, p in enumerate(changed)])
    if explained(usual, now, artefact.target):
        return 0.0, 0.0
    return (
        kind.strength(changed, artefact.target, lambda p: base(p, 0)),
        kind.strength(samples.affected, usual),
    )


def explained(before: float, after: float, target: float) -> bool:
    """Return whether a property has come most of the way from what it was to its target.

    Args:
        before: the property before the change.
        after: the property after the change.
        target: the value aimed at.
    """
    return abs(target - after) <= (1 - EXPLAINED) * abs(target - before)


def pieces(artefact: Artefact) -> list[Artefact]:
    """Return what an artefact consists of, the leading piece first; itself if it is whole."""
    return [c.artefact for c in artefact.parts] if isinstance(artefact, Compound) else [artefact]


def merged(found: Sequence[Candidate], labels: Labels, label: int) -> list[Candidate]:
    """Return the candidates of a class, with those that nearly the same images have as one.

    What leads comes first: patches before transforms before properties, and among these the least p; but a treatment
    or a foreign part that goes with the class far more surely leads a patch, which is only a piece then, unless it is a
    treatment that does not explain what sets its images apart. Global
    properties of most of a class are its nature as likely as anything's trace: they stay by themselves.

    Args:
        found: the candidates of the class.
        labels: class numbers.
        label: the class.
    """
    group = max(int((labels == label).sum()), 1)
    ordered = sorted(found, key=_leading)
    own = {id(c): frozenset(i for i in c.members if labels[i] == label) for c in found}
    taken: set[int] = set()
    out: list[Candidate] = []
    for lead in ordered:
        if id(lead) in taken:
            continue
        taken.add(id(lead))
        parts, instead = [lead], list[Candidate]()
        for other in ordered:
            apart = other.artefact.order >= 3 and len(own[id(other)]) > WHOLE * group
            if id(other) in taken or apart or not _same_cause(own[id(lead)], own[id(other)], group):
                continue
            taken.add(id(other))
            if other.artefact.order == Treatment.order and any(c.artefact.order == Treatment.order for c in parts):
                instead.append(other)
                continue
            known = {(c.kind, c.artefact.direction) for c in parts if c.artefact.order >= 2}
            if (other.kind, other.artefact.direction) not in known:  # else the same, found by another look
                parts.append(other)
        single = len(parts) == 1 and not instead
        out.append(lead if single else _joined(parts, tuple(instead), own, labels, label))
    return out


def _leading(candidate: Candidate) -> tuple[int, float]:
    one = candidate.artefact
    treated = isinstance(one, Treatment) and explains(candidate, one)
    whole = treated or (isinstance(one, TransplantedPart) and one.foreign)
    return (0, candidate.p / SURER) if whole else (one.order, candidate.p)


def _alike(a: frozenset[int], b: frozenset[int]) -> bool:
    return len(a & b) >= ALIKE * len(a | b)


def _same_cause(a: frozenset[int], b: frozenset[int], group: int) -> bool:
    """Return whether two things of a class have one cause: nearly the same images, or one's among the other's.

    Args:
        a: images of the class that have the one.
        b: images of the class that have the other.
        group: how many images the class has.
    """
    both, least = len(a & b), min(len(a), len(b))
    within = least >= FEWEST and both >= CONTAINED * least and enrichment(both, len(a), len(b), group) <= CHANCE
    return within or _alike(a, b)


def _joined(
    parts: Sequence[Candidate],
    instead: tuple[Candidate, ...],
    own: Mapping[int, frozenset[int]],
    labels: Labels,
    label: int,
) -> Candidate:
    """Return one candidate of several: its images are those that most of the leading kind's parts have."""
    lead = parts[0]
    leading = [
        c for c in parts if c.artefact.order == lead.artefact.order < 3 and _alike(own[id(c)], own[id(lead)])
    ] or [lead]
    counts: dict[int, int] = {}
    for c in leading:
        for row in c.members:
            counts[row] = counts.get(row, 0) + 1
    ranked = sorted((row for row, n in counts.items() if 2 * n > len(leading)), key=lambda r: -counts[r])
    members = tuple(ranked) or leading[0].members
    inside = sum(int(labels[row] == label) for row in members)
    p = min(c.p for c in leading)
    return Candidate(_named(tuple(parts), instead), label, members, inside, p, lead.group)


def _named(parts: tuple[Candidate, ...], instead: tuple[Candidate, ...]) -> Compound:
    """Return a compound with the treatment that explains its images best in place of the one most sure to be there."""
    at = next((i for i, c in enumerate(parts) if isinstance(c.artefact, Treatment)), None)
    if at is None:
        return Compound(parts, instead)
    best, *others = sorted((parts[at], *instead), key=lambda c: getattr(c.artefact, "misfit", 0.0))
    return Compound((*parts[:at], best, *parts[at + 1 :]), tuple(others))
