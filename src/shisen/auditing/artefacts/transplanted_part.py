"""A part of images, of any look and at any position, that the audited network relies on: a transplant of raw pixels.

Of every image of a class, the positions where the evidence for the class is largest are taken: HiResCAM at a layer in
the middle. What the network sees there is clustered. A cluster that many images of the class have is put on images of
other classes by transplanting the donors' own pixels around the position, feathered. A part of a building makes a
building, so parts that are the class itself are kept apart from foreign ones: to the network, a foreign part is unlike
anything else that it relies on in the class, and unlike anything at any position of images of other classes. Its
control are the same positions of images of the class without it, or other positions of the donors where all have it.
Of other parts the control is, in the same way, what the network relies on most in those images of the class that do
not have the part: only what does more than what the class itself is counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..._core.stats import enrichment, evenly_spaced
from .base import Alter, Candidate, Evidence, Images, Intervention, Pixels8

Floats = npt.NDArray[np.float32]
HOTTEST = 4  # positions of an image
COUNTS = (3, 5, 8)  # clusters of a class
FEW = 12  # images of a class, at least
LEAST, LARGEST = 0.1, 0.9  # of the class that have a part; a foreign one may be in all of them
LEAST_OTHERS = 5  # images of the class without it
MOST = 2  # parts of a class
RADIUS = 1.3  # of the transplanted disc, in cells of the layer's map; it fades out over as much again
SMALLEST, WIDEST = 0.6, 1.7  # times that radius
ELSEWHERE, BESIDE, FAR = 0.1, 0.2, 0.18
"""Likeness (cosine) by which a foreign part is more like itself than like positions of other classes' images, and than
what else the network relies on in the class. All of that may be foreign, if it is `FAR` from other classes."""
COMPARED = 150  # images of other classes


Spots = Mapping[int, tuple[tuple[float, float], ...]]
"""Row → where an image has a part: middles, down and to the right, in fractions of the image, the clearest first."""


@dataclass(frozen=True, eq=False)
class TransplantedPart:
    """A part that the network relies on.

    Attributes:
        spots: where each member has it.
        others: where the evidence is largest in the images of the class that do not have it.
        radius: of the disc, as a fraction of the image's sides.
        foreign: whether it is unlike what the class, and other classes, are to the network.
        side: of the masks that mark it.
    """

    spots: Spots
    others: Spots
    radius: float
    foreign: bool = False
    kind: str = "transplanted_part"
    direction: int = 0
    side: int = 56
    order: ClassVar[int] = 2
    control_words: ClassVar[str] = "control_part"

    @property
    def least_effect(self) -> float:
        """Fraction of other images whose prediction must turn for it to count as used."""
        return 0.1 if self.foreign else 0.35  # parts of what a class is move answers too

    @classmethod
    def propose(cls, evidence: Evidence, label: int, found: Sequence[Candidate]) -> list[Candidate]:
        """Return the candidates so far, and the parts that the network relies on in most images of the class."""
        if evidence.middle is None:
            return list(found)
        labels = evidence.labels[evidence.sampled]
        own = evidence.sampled[labels == label]
        if len(own) < FEW:
            return list(found)
        seen = evidence.middle.hottest(own.tolist(), label, HOTTEST)
        hottest: Spots = {
            int(own[i]): ((float(y), float(x)),) for i, (y, x) in zip(seen.images[::-1], seen.at[::-1], strict=True)
        }
        new = []
        for chosen, apart in parts(seen.features, seen.images, len(own)):
            foreign = _foreign(evidence, own, label, seen.features, chosen)
            if foreign is not None:
                spots, members = foreign
            else:
                spots = {}
                for i in chosen:
                    row = int(own[seen.images[i]])
                    spots[row] = (*spots.get(row, ()), (float(seen.at[i, 0]), float(seen.at[i, 1])))
                members = tuple(spots)
            others = {row: spot for row, spot in hottest.items() if row not in spots}
            if foreign is None and (len(others) < LEAST_OTHERS or len(spots) > LARGEST * len(own)):
                continue
            looked = len(labels) if foreign is None else len(own) + len(_compared(evidence, label)[0])
            p = min(1.0, sum(COUNTS) * enrichment(len(spots), len(own), len(members), looked))
            artefact = cls(spots, others, RADIUS * seen.cell, foreign is not None)
            new.append((foreign is None, -apart, Candidate(artefact, label, members, len(spots), p, len(own))))
        new.sort(key=lambda one: one[:2])
        return [*found, *[c for *_, c in new[:MOST]]]

    def describe(self) -> dict[str, Any]:
        """Return plain values."""
        spots = {str(row): [list(spot) for spot in some] for row, some in self.spots.items()}
        return {"spots": spots, "radius": self.radius, "foreign": self.foreign}

    def words(self) -> tuple[str, Mapping[str, str]]:
        """Return the key of its name in words."""
        return "transplanted_part", {}

    def mask_in(self, row: int) -> npt.NDArray[np.bool_] | None:
        """Return where an image has it."""
        spots = self.spots.get(row)
        return None if spots is None else discs(self.side, self.side, spots, self.radius) > 0.5

    def intervention(self, candidate: Candidate, images: Images) -> Intervention:
        """Return how to transplant a member's part, and as control other positions, or other images' parts.

        Where that is no faithful copy, more or less of what is around is transplanted along with it.
        """
        foreign = self.foreign
        spots = self.spots if foreign else {row: some[:1] for row, some in self.spots.items()}
        control = self._elsewhere() if foreign else self.others

        def around(factor: float) -> Intervention:
            radius = self.radius * min(max(factor, SMALLEST), WIDEST)
            put, instead = (_transplant(some, radius, images) for some in (spots, control))
            return Intervention(put, None, instead, reduce=True)

        return replace(around(1.0), scaled=around if foreign else None)

    def _elsewhere(self) -> Spots:
        """Return the same positions of images of the class without the part; of members other ones if all have it."""
        members = sorted(self.spots)
        if len(self.others) >= LEAST_OTHERS:
            return {row: self.spots[members[i % len(members)]] for i, row in enumerate(sorted(self.others))}
        return {row: tuple(_away(spot) for spot in some) for row, some in self.spots.items()}


def _away(spot: tuple[float, float]) -> tuple[float, float]:
    """Return the position half an image away, both ways."""
    return (spot[0] + 0.5) % 1.0, (spot[1] + 0.5) % 1.0


def _transplant(spots: Spots, radius: float, images: Images) -> Alter:
    donors = sorted(spots)

    def transplant(pixels: Pixels8, row: int) -> Pixels8:
        donor = donors[(7 * row + 3) % len(donors)]
        high, wide = pixels.shape[:2]
        scaled = Image.fromarray(images.read(donor)).resize((wide, high), Image.Resampling.BILINEAR)
        alpha = discs(high, wide, spots[donor], radius)[..., None]
        mixed = pixels * (1 - alpha) + np.asarray(scaled, np.float32) * alpha
        return np.asarray(np.rint(mixed), dtype=np.uint8)

    return transplant


def _compared(evidence: Evidence, label: int) -> tuple[npt.NDArray[np.int64], Floats]:
    """Return rows of images of other classes, and their maps `(n, h, w, c)` of the middle layer, of length one."""
    assert evidence.middle is not None
    if "maps" not in evidence.memo:
        rows = evenly_spaced(evidence.sampled, COMPARED)
        evidence.memo["maps"] = rows, _unit(evidence.middle.class_maps(rows.tolist()))
    rows, maps = evidence.memo["maps"]
    others = evidence.labels[rows] != label
    return rows[others], maps[others]


def _unit(maps: Floats) -> Floats:
    return np.asarray(maps / np.maximum(np.linalg.norm(maps, axis=-1, keepdims=True), 1e-9))


def _foreign(
    evidence: Evidence,
    own: npt.NDArray[np.int64],
    label: int,
    features: Floats,
    chosen: npt.NDArray[np.int64],
) -> tuple[Spots, tuple[int, ...]] | None:
    """Return where images of a class have a part that is unlike what the class is, and who of any class has it.

    Args:
        evidence: with maps of the middle layer.
        own: rows of the class.
        label: the class.
        features: `(m, c)` of length one, what the network sees where the evidence for the class is largest.
        chosen: which of them are of the part.

    Returns:
        None where the part is like other positions of the class, or of other classes.
    """
    assert evidence.middle is not None
    rows, maps = _compared(evidence, label)
    if not len(rows):
        return None
    center = features[chosen].mean(0)
    center = center / max(float(np.linalg.norm(center)), 1e-9)
    likeness = features @ center
    mine, rest, others = likeness[chosen], np.delete(likeness, chosen), (maps @ center).max((1, 2))
    elsewhere = float(np.median(mine) - np.quantile(others, 0.95))
    beside = float(np.quantile(mine, 0.25) - np.quantile(rest, 0.9)) if len(rest) else 0.0
    if elsewhere < ELSEWHERE or (beside < BESIDE and elsewhere < FAR):
        return None
    least = float(np.median(mine) + np.quantile(others, 0.95)) / 2
    found = {
        int(row): spots
        for row, likeness in zip(own, _unit(evidence.middle.class_maps(own.tolist())) @ center, strict=True)
        if (spots := _peaks(likeness, least))
    }
    ranked = sorted(found, key=lambda row: -len(found[row]))
    return found, (*ranked, *(int(row) for row, most in zip(rows, others, strict=True) if most >= least))


def _peaks(values: Floats, least: float) -> tuple[tuple[float, float], ...]:
    """Return where a map is largest, at least `least`, in fractions of its sides; none touches another."""
    left, spots = values.astype(np.float64), []
    for _ in range(HOTTEST):
        y, x = (int(v) for v in np.unravel_index(int(left.argmax()), left.shape))
        if left[y, x] < least:
            break
        spots.append(((y + 0.5) / left.shape[0], (x + 0.5) / left.shape[1]))
        left[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2] = -np.inf
    return tuple(spots)


def discs(high: int, wide: int, middles: Sequence[tuple[float, float]], radius: float) -> Floats:
    """Return the opacity `(h, w)` of several discs of one radius, see `disc`.

    Args:
        high: pixels.
        wide: pixels.
        middles: down and to the right, in fractions of the image.
        radius: in the same.
    """
    return np.asarray(np.max([disc(high, wide, middle, radius) for middle in middles], axis=0))


def disc(high: int, wide: int, middle: tuple[float, float], radius: float) -> Floats:
    """Return the opacity `(h, w)` of a disc that fades out towards twice its radius.

    Args:
        high: pixels.
        wide: pixels.
        middle: down and to the right, in fractions of the image.
        radius: in the same.
    """
    y = (np.arange(high)[:, None] + 0.5) / high - middle[0]
    x = (np.arange(wide)[None] + 0.5) / wide - middle[1]
    return np.clip(2.0 - np.hypot(y, x) / radius, 0.0, 1.0).astype(np.float32)


def parts(features: Floats, images: npt.NDArray[np.int64], count: int) -> list[tuple[npt.NDArray[np.int64], float]]:
    """Return `(positions, apart)` of clusters of what the network sees, of many images of a class.

    Args:
        features: `(m, c)` of length one.
        images: `(m,)` which image each is of.
        count: images of the class.

    Returns:
        Positions of each cluster, and how alike they are beside others.
    """
    from sklearn.cluster import KMeans

    found: list[tuple[npt.NDArray[np.int64], float]] = []
    distinct = len(np.unique(features.round(5), axis=0))
    for k in (k for k in COUNTS if k < distinct):
        names = KMeans(k, n_init=4, random_state=0).fit_predict(features)
        for name in range(k):
            rows = np.flatnonzero(names == name)
            have = len(set(images[rows].tolist()))
            if have < max(5, LEAST * count):
                continue
            center = features[rows].mean(0)
            center = center / np.linalg.norm(center)
            likeness = features @ center
            apart = float(likeness[rows].mean() - likeness[names != name].mean())
            if not any(_alike(images[rows], images[r]) for r, _ in found):
                found.append((rows, apart))
    return found


def _alike(a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]) -> bool:
    x, y = set(a.tolist()), set(b.tolist())
    return len(x & y) > 0.7 * len(x | y)
