"""Candidates for shortcuts: common patches, and global properties that go with a class."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .patches import Patch, common_patches, wandering_patch
from .properties import PROPERTIES
from .statistics import enrichment, log_enrichment

SEARCHED = 200.0
"""Windows and groups among which a common patch was chosen: its p-value is multiplied by this."""
MOST = 4
"""Candidates of a class from each of the two looks at properties."""
LOOKS = 2.0 * sum(not p.shown for p in PROPERTIES.values())
"""Properties and directions in which images may stand out: the p-value of one is multiplied by it."""
FAR = 4.0
"""Distance from the median of the other classes, in their standard deviations, at which an image stands out."""


@dataclass(frozen=True)
class Candidate:
    """Something that goes with a class, before it is known whether the model uses it.

    Attributes:
        kind: "patch" or a property's name.
        label: class number.
        members: rows of the images of any class that have it, those that have most of it first.
        inside: how many of them are of the class.
        p: of its association with the label, corrected for the search.
        direction: +1 for more, −1 for less of a property; 0 for a patch.
        delta: difference of the property's median between members and the other classes.
        target: the property's median over the members of the class.
        patch: for a patch.
    """

    kind: str
    label: int
    members: tuple[int, ...]
    inside: int
    p: float
    direction: int = 0
    delta: float = 0.0
    target: float = 0.0
    patch: Patch | None = None


def candidates(
    canvases: npt.NDArray[np.uint8],
    sampled: npt.NDArray[np.int64],
    labels: npt.NDArray[np.int64],
    properties: npt.NDArray[np.float64],
) -> list[Candidate]:
    """Return the candidates of every class.

    Args:
        canvases: `(m, K, K, 3)`, small copies of the images in `sampled`.
        sampled: their rows.
        labels: class number of every row, −1 for none.
        properties: `(n, properties)`.
    """
    found: list[Candidate] = []
    for label in sorted(set(labels[labels >= 0].tolist())):
        patches = common_patches(canvases, labels[sampled], label)
        moving = wandering_patch(canvases, labels[sampled], label, patches)
        for patch in [*patches, *([] if moving is None else [moving])]:
            rows = tuple(int(sampled[i]) for i in patch.members)
            inside, total = patch.inside, len(sampled)
            group = int((labels[sampled] == label).sum())
            p = min(1.0, SEARCHED * enrichment(inside, group, len(rows), total))
            offsets = {int(sampled[i]): offset for i, offset in patch.offsets.items()}
            kept = replace(patch, members=rows, offsets=offsets)
            found.append(Candidate("patch", label, rows, inside, p, patch=kept))
        found += property_candidates(labels, properties, label)
    return found


def property_candidates(
    labels: npt.NDArray[np.int64], properties: npt.NDArray[np.float64], label: int
) -> list[Candidate]:
    """Return the properties whose extreme values a class has most often, by two looks at each.

    The scan takes, for each direction, the threshold with the least hypergeometric p-value, multiplied by the number of
    thresholds tried. What a class is by nature prevails there; so that a few images that were treated in one way are
    not lost behind it, those that stand out from all other classes (`FAR`) are looked at by themselves, in what tells
    how images were made rather than what they show.
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
            best = _best_cut(values[order], own[order], np.cumsum(own[order]))
            far = None if PROPERTIES[name].shown else _far_cut(direction * values[order], own[order])
            for cut, found in ((best, scanned), (far, standing)):
                if cut is None:
                    continue
                members = known[order[: cut[0] + 1]]
                target = float(np.median(properties[members[labels[members] == label], column]))
                rows = tuple(int(i) for i in members)
                delta = target - float(np.median(values[~own]))
                inside = int(own[order[: cut[0] + 1]].sum())
                found.append(Candidate(name, label, rows, inside, cut[1], direction, delta, target))
    for found in (scanned, standing):
        found.sort(key=lambda c: (c.p, c.kind))
    kept = scanned[:MOST]
    new = [c for c in standing if not any(_same(c, other) for other in kept)]
    return kept + new[:MOST]


def _same(a: Candidate, b: Candidate) -> bool:
    """Return whether two are about one property and mostly the same images."""
    x, y = set(a.members), set(b.members)
    return (a.kind, a.direction) == (b.kind, b.direction) and len(x & y) > 0.5 * len(x | y)


def _far_cut(values: npt.NDArray[np.float64], own: npt.NDArray[np.bool_]) -> tuple[int, float] | None:
    """Return the last place, in falling order, that stands out from the other classes, and p of who is before it."""
    others = values[~own]
    center = float(np.median(others))
    spread = 1.4826 * float(np.median(np.abs(others - center)))  # that of a normal distribution
    count = int((values > center + FAR * spread + 1e-9).sum())
    inside = int(own[:count].sum())
    if inside < 3:
        return None
    p = min(1.0, LOOKS * enrichment(inside, int(own.sum()), count, len(own)))
    return (count - 1, p) if p <= 0.05 else None


def _best_cut(
    values: npt.NDArray[np.float64], own: npt.NDArray[np.bool_], hits: npt.NDArray[np.int64]
) -> tuple[int, float] | None:
    total, group = len(own), int(own.sum())
    ends = np.flatnonzero(own & np.append(values[1:] != values[:-1], True))
    ends = ends[hits[ends] >= max(3, round(0.03 * group))]
    if not len(ends):
        return None
    chance = np.exp(log_enrichment(hits[ends], group, ends + 1, total))
    i = int(np.argmin(chance))
    p = float(min(1.0, chance[i] * len(ends) * 2))
    return (int(ends[i]), p) if p <= 0.05 else None


def describe(candidate: Candidate) -> dict[str, Any]:
    """Return the candidate as plain values, for the record and for the names of cached work."""
    plain: dict[str, Any] = {
        "kind": candidate.kind,
        "label": candidate.label,
        "members": list(candidate.members),
        "inside": candidate.inside,
        "p": candidate.p,
        "direction": candidate.direction,
        "delta": candidate.delta,
        "target": candidate.target,
    }
    if candidate.patch is not None:
        ys, xs = np.nonzero(candidate.patch.mask)
        side = candidate.patch.mask.shape[0]
        plain["box"] = [float(v) / side for v in (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)]
        plain["wanders"] = bool(candidate.patch.offsets)
        plain["area"] = float(candidate.patch.mask.mean())
        plain["template"] = int(candidate.patch.template[candidate.patch.mask].sum())
    return plain
