"""A part of images, of any look and at any position, that the audited network relies on: a transplant of raw pixels.

Of every image of a class, the positions where the evidence for the class is largest are taken: HiResCAM at a layer in
the middle. What the network sees there is clustered. A cluster that many images of the class have is put on images of
other classes by transplanting the donors' own pixels around the position, feathered. A part of a building makes a
building: so the control transplants, in the same way, what the network relies on most in those images of the class that
do not have the part. Only what does more than what the class itself is counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..._core.stats import enrichment
from .base import Alter, Candidate, Evidence, Images, Intervention, Pixels8

Floats = npt.NDArray[np.float32]
HOTTEST = 4  # positions of an image
COUNTS = (3, 5, 8)  # clusters of a class
FEW = 12  # images of a class, at least
LEAST, LARGEST = 0.1, 0.9  # of the class that have a part
LEAST_OTHERS = 5  # images of the class without it
MOST = 2  # parts of a class
RADIUS = 1.3  # of the transplanted disc, in cells of the layer's map; it fades out over as much again


Spots = Mapping[int, tuple[float, float]]
"""Row → where an image has a part: its middle, down and to the right, in fractions of the image."""


@dataclass(frozen=True, eq=False)
class TransplantedPart:
    """A part that the network relies on.

    Attributes:
        spots: where each member has it.
        others: where the evidence is largest in the images of the class that do not have it.
        radius: of the disc, as a fraction of the image's sides.
        side: of the masks that mark it.
    """

    spots: Spots
    others: Spots
    radius: float
    kind: str = "transplanted_part"
    direction: int = 0
    side: int = 56
    order: ClassVar[int] = 2
    least_effect: ClassVar[float] = 0.25  # parts of what a class is move answers too
    control_words: ClassVar[str] = "control_part"

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
        new = []
        hottest = {
            int(own[i]): (float(y), float(x)) for i, (y, x) in zip(seen.images[::-1], seen.at[::-1], strict=True)
        }
        for chosen, apart in parts(seen.features, seen.images, len(own)):
            spots: dict[int, tuple[float, float]] = {}
            for i in chosen:
                spots.setdefault(int(own[seen.images[i]]), (float(seen.at[i, 0]), float(seen.at[i, 1])))
            others = {row: spot for row, spot in hottest.items() if row not in spots}
            if len(others) >= LEAST_OTHERS:
                p = min(1.0, sum(COUNTS) * enrichment(len(spots), len(own), len(spots), len(labels)))
                artefact = cls(spots, others, RADIUS * seen.cell)
                new.append((apart, Candidate(artefact, label, tuple(spots), len(spots), p, len(own))))
        new.sort(key=lambda one: -one[0])
        return [*found, *[c for _, c in new[:MOST]]]

    def describe(self) -> dict[str, Any]:
        """Return plain values."""
        return {"spots": {str(row): list(spot) for row, spot in self.spots.items()}, "radius": self.radius}

    def words(self) -> tuple[str, Mapping[str, str]]:
        """Return the key of its name in words."""
        return "transplanted_part", {}

    def mask_in(self, row: int) -> npt.NDArray[np.bool_] | None:
        """Return where an image has it."""
        spot = self.spots.get(row)
        return None if spot is None else disc(self.side, self.side, spot, self.radius) > 0.5

    def intervention(self, candidate: Candidate, images: Images) -> Intervention:
        """Return how to transplant a member's part, and as control that of other images of the class."""
        return Intervention(
            self._transplant(self.spots, images), None, self._transplant(self.others, images), reduce=True
        )

    def _transplant(self, spots: Spots, images: Images) -> Alter:
        donors = sorted(spots)

        def transplant(pixels: Pixels8, row: int) -> Pixels8:
            donor = donors[(7 * row + 3) % len(donors)]
            high, wide = pixels.shape[:2]
            scaled = Image.fromarray(images.read(donor)).resize((wide, high), Image.Resampling.BILINEAR)
            alpha = disc(high, wide, spots[donor], self.radius)[..., None]
            mixed = pixels * (1 - alpha) + np.asarray(scaled, np.float32) * alpha
            return np.asarray(np.rint(mixed), dtype=np.uint8)

        return transplant


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
            if not LEAST * count <= have <= LARGEST * count or have < 5:
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
