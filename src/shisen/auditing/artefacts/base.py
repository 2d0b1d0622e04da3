"""What every kind of artefact is: it proposes candidates, is put on images and taken off, and is described."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..._core.lru import LRUCache
from ..._core.stats import enrichment

if TYPE_CHECKING:
    from ...models.model import Model
    from ..middle import Middle

Pixels8 = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]
Alter = Callable[[Pixels8, int], Pixels8]
"""From the pixels of an image and its row to altered pixels."""

DECODED = 2**27
"""Bytes of decoded images that are kept in memory."""

SEARCHED = 200.0
"""Windows and groups among which a common patch was chosen: its p-value is multiplied by this."""


@dataclass(frozen=True)
class Evidence:
    """What candidates are proposed from.

    Attributes:
        labels: `(n,)` class number of every row, −1 for none.
        canvases: `(m, K, K, 3)` small copies of the images in `sampled`.
        sampled: `(m,)` their rows.
        properties: `(n, properties)`.
        read: from a row to the pixels `(h, w, 3)` of the image; None where only the small copies are there.
        embed: from images to pooled early features `(n, d)` of the embedded network, or None.
        middle: what a layer in the middle of the audited network sees, or None.
        memo: what a kind computes once for all classes, under its name.
    """

    labels: Labels
    canvases: npt.NDArray[np.uint8]
    sampled: npt.NDArray[np.int64]
    properties: npt.NDArray[np.float64]
    read: Callable[[int], Pixels8] | None = None
    embed: Callable[[Sequence[Pixels8]], npt.NDArray[np.float32]] | None = None
    middle: Middle | None = None
    memo: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Images:
    """What interventions are made on.

    Attributes:
        model: the audited network.
        paths: files.
        labels: `(n,)` class numbers, −1 for images that are left out.
        probabilities: `(n, classes)` of the images as they are.
        controls: `(m, K, K, 3)` small copies of images to fill control patches from.
        control_rows: `(m,)` their rows.
        pooled: from rows to what the network sees in the images: the mean activations `(n, c)` of its default layer.
        middle: what a layer in the middle of the network sees, or None.
        decoded: images decoded last.
    """

    model: Model
    paths: Sequence[str]
    labels: Labels
    probabilities: npt.NDArray[np.float64]
    controls: npt.NDArray[np.uint8]
    control_rows: npt.NDArray[np.int64]
    pooled: Callable[[Sequence[int]], npt.NDArray[np.float32]]
    middle: Middle | None = None
    decoded: LRUCache[Pixels8] = field(default_factory=lambda: LRUCache(DECODED, lambda pixels: pixels.nbytes))

    def read(self, row: int, most: int | None = None) -> Pixels8:
        """Return the pixels `(h, w, 3)` of an image.

        Args:
            row: which.
            most: pixels on its longer side, at most; None for the image as it is.

        Returns:
            An array of the caller's own.
        """
        key = (self.paths[row], most)
        pixels = self.decoded.get(key)
        if pixels is None:
            pixels = shrunk(self.model.read(self.paths[row]).pixels, most)
            self.decoded.put(key, pixels)
        return pixels.copy()


def shrunk(pixels: Pixels8, most: int | None) -> Pixels8:
    """Return an image whose longer side has at most so many pixels: each is the mean of what it covers.

    Args:
        pixels: `(h, w, 3)`.
        most: pixels on the longer side; None for the image as it is.
    """
    high, wide = pixels.shape[:2]
    fraction = 1.0 if most is None else most / max(high, wide)
    if fraction >= 1:
        return pixels
    size = max(1, round(wide * fraction)), max(1, round(high * fraction))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))


Answers = Callable[[Sequence[int]], npt.NDArray[np.float64]]
"""From rows to the class probabilities `(n, classes)` of the images, altered inside the network."""


@dataclass(frozen=True)
class Intervention:
    """How images are given an artefact, and how it is taken off.

    Attributes:
        apply: gives an image the artefact; None where that cannot be done.
        remove: takes it off an image that has it; None where that cannot be done.
        control: gives an image a matched control; None for the image as it is.
        strength: how strongly a property is put on, as its `alter` takes it.
        reduce: whether images far larger than the network's input may be reduced first.
        inside: gives the artefact inside the network, where that is how it is put on.
        inside_control: the matched control of that.
        least_inside: least effect that counts where it is given inside the network.
        scaled: from a factor to the same with so many times as much of it; None where there is no more or less of it.
        otherwise: another way, tried where the copy does not look like the original.
    """

    apply: Alter | None = None
    remove: Alter | None = None
    control: Alter | None = None
    strength: float = 0.0
    reduce: bool = False
    inside: Answers | None = None
    inside_control: Answers | None = None
    least_inside: float = 0.0
    scaled: Callable[[float], Intervention] | None = None
    otherwise: Intervention | None = None

    @property
    def within(self) -> Intervention | None:
        """Giving it inside the network alone, where that is a second way; None where it is none."""
        if self.apply is None or self.inside is None:
            return None
        return Intervention(inside=self.inside, inside_control=self.inside_control, least_inside=self.least_inside)

    @property
    def possible(self) -> bool:
        """Whether the artefact can be put on at all."""
        return self.apply is not None or self.inside is not None

    @property
    def ways(self) -> list[Intervention]:
        """This way and those tried after it, in their order."""
        return [self, *([] if self.otherwise is None else self.otherwise.ways)]


class Artefact(Protocol):
    """One artefact of a kind; the class itself proposes candidates.

    Attributes:
        kind: name of the kind, or of the property.
        direction: +1 for more, −1 for less of a property; 0 for what is there or not.
        order: in which kinds are put together; what explains others comes first.
        least_effect: fraction of other images whose prediction must turn for it to count as used.
        control_words: key of the words for its control.
    """

    @property
    def order(self) -> int: ...

    @property
    def least_effect(self) -> float: ...

    @property
    def control_words(self) -> str: ...

    @property
    def kind(self) -> str: ...

    @property
    def direction(self) -> int: ...

    @classmethod
    def propose(cls, evidence: Evidence, label: int, found: Sequence[Candidate]) -> list[Candidate]:
        """Return the candidates of a class: those `found` by earlier kinds, and those of this kind.

        One that this kind describes better replaces the one that was found.

        Args:
            evidence: what the scan has measured.
            label: index of the class.
            found: candidates proposed before.
        """
        ...

    def intervention(self, candidate: Candidate, images: Images) -> Intervention:
        """Return how to put it on images and take it off them.

        Args:
            candidate: the candidate.
            images: images of other classes, `(n, h, w, 3)` uint8.
        """
        ...

    def describe(self) -> dict[str, Any]:
        """Return plain values for the record and for the names of cached work."""
        ...

    def words(self) -> tuple[str, Mapping[str, str]]:
        """Return the key of its name in words, and the keys of the words that are filled in."""
        ...

    def mask_in(self, row: int) -> npt.NDArray[np.bool_] | None:
        """Return where an image has it, `(K, K)`; None for the whole image."""
        ...


@dataclass(frozen=True)
class Candidate:
    """An artefact that goes with a class, before it is known whether the model uses it.

    Attributes:
        artefact: what it is.
        label: class number.
        members: rows of the images of any class that have it, those that have most of it first.
        inside: how many of them are of the class.
        p: of its association with the label, corrected for the search.
        group: how many images the class has.
    """

    artefact: Artefact
    label: int
    members: tuple[int, ...]
    inside: int
    p: float
    group: int = 0

    @property
    def kind(self) -> str:
        """Name of the artefact's kind."""
        return self.artefact.kind

    def describe(self) -> dict[str, Any]:
        """Return the candidate as plain values, for the record and for the names of cached work."""
        return {
            "kind": self.kind,
            "label": self.label,
            "members": list(self.members),
            "inside": self.inside,
            "p": self.p,
            **self.artefact.describe(),
        }


def searched_candidate(evidence: Evidence, label: int, artefact: Artefact, members: Sequence[int]) -> Candidate:
    """Return the candidate of a patch that was found among the small copies.

    Args:
        evidence: what it was found in.
        label: class number.
        artefact: the patch.
        members: rows of the images that carry it, likeliest first.

    Returns:
        A candidate whose p-value is corrected for the windows and groups that were searched.
    """
    inside = int((evidence.labels[list(members)] == label).sum())
    group = int((evidence.labels[evidence.sampled] == label).sum())
    p = min(1.0, SEARCHED * enrichment(inside, group, len(members), len(evidence.sampled)))
    return Candidate(artefact, label, tuple(members), inside, p, group)


def box_of(mask: npt.NDArray[np.bool_]) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of a mask `(K, K)`, in fractions of the image."""
    ys, xs = np.nonzero(mask)
    high, wide = mask.shape
    return xs.min() / wide, ys.min() / high, (xs.max() + 1) / wide, (ys.max() + 1) / high


def position_of(mask: npt.NDArray[np.bool_]) -> str:
    """Return the key of the words for where a mask `(K, K)` lies."""
    left, top, right, bottom = box_of(mask)
    if right - left > 0.8 and bottom - top > 0.8:
        high, wide = mask.shape
        middle = mask[round(0.3 * high) : round(0.7 * high), round(0.3 * wide) : round(0.7 * wide)]
        return "around" if middle.mean() < 0.15 else "everywhere"
    x, y = (left + right) / 2, (top + bottom) / 2
    column = 0 if x < 0.38 else 2 if x > 0.62 else 1
    row = 0 if y < 0.38 else 2 if y > 0.62 else 1
    names = (
        ("top_left", "top_middle", "top_right"),
        ("left", "center", "right"),
        ("bottom_left", "bottom_middle", "bottom_right"),
    )
    return names[row][column]
