"""Text that differs in every image, such as dates: its strokes, taken from each image that has it.

What all images with a date have in common is a few digits and dashes; put on other images, these are no date. But
all of them are written in one ink t. With b the local median of an image, which thin strokes do not move, a pixel
x = α·t + (1 − α)·b gives the opacity

    α = (x − b)·(t − b) / |t − b|²

where x lies near the line from b to t. Strokes count as text if they are on what the members have in common, if
members differ in them, and if other images have no such ink there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from .base import Candidate, Evidence, Images, Intervention
from .fixed_patch import FixedPatch, overlaid, taken_finer

Floats = npt.NDArray[np.float32]
APART = 40.0  # levels between ink and background below which strokes cannot be distinguished
NEAR = 40.0  # levels by which a pixel may lie off the line from background to ink
LEAST = 6  # pixels, at least, on which nearly all members have ink
HIGHEST = 0.25  # height of a line of text, at most, as a fraction of the image
COVERED = 0.3  # fraction of these, at least, that lie on the patch
VARIED = 0.25  # how far, at least, members differ from their mean, as a fraction of their ink
REACH = 12  # heights of a line that text may go on beyond what members have in common
RARER = 0.5  # ink of other images at the same position, at most, as a fraction of that of members


@dataclass(frozen=True, eq=False)
class TextOverlay:
    """Text at one position, different in every image.

    Attributes:
        patch: what all images with it have in common.
        strokes: template `(h, w, 3)` and opacity `(h, w)` of the text of each legible member.
    """

    patch: FixedPatch
    strokes: tuple[tuple[Floats, Floats], ...]
    kind: str = "text_overlay"
    direction: int = 0
    order: ClassVar[int] = FixedPatch.order
    least_effect: ClassVar[float] = FixedPatch.least_effect
    control_words: ClassVar[str] = FixedPatch.control_words

    @classmethod
    def propose(cls, evidence: Evidence, label: int, found: Sequence[Candidate]) -> list[Candidate]:
        """Return the candidates so far, with varying text instead of the patches that are such."""
        return [cls._told(evidence, c) for c in found]

    @classmethod
    def _told(cls, evidence: Evidence, candidate: Candidate) -> Candidate:
        patch = candidate.artefact
        if evidence.read is None or not isinstance(patch, FixedPatch) or _high(patch.mask) > HIGHEST + 0.05:
            return candidate
        finer = taken_finer(patch, candidate, evidence.labels, evidence.read)
        if finer is None:
            return candidate
        canvases = np.concatenate([finer.affected, finer.others])
        strokes = written(canvases, len(finer.affected), finer.template, finer.alpha)
        return candidate if strokes is None else replace(candidate, artefact=cls(patch, tuple(strokes)))

    def mask_in(self, row: int) -> npt.NDArray[np.bool_]:
        """Where an image has it: what all have in common."""
        return self.patch.mask

    def describe(self) -> dict[str, Any]:
        """Return plain values."""
        return self.patch.describe()

    def words(self) -> tuple[str, Mapping[str, str]]:
        """Return the keys of its name in words."""
        return self.patch.words()

    def intervention(self, candidate: Candidate, images: Images) -> Intervention:
        """Return how to write the text of one member on an image."""
        strokes = self.strokes
        return overlaid(lambda row: strokes[(7 * row + 3) % len(strokes)], self.mask_in, candidate, images, moves=True)


def _high(mask: npt.NDArray[np.bool_]) -> float:
    """Return the height of a mask as a fraction of the image's."""
    return float(np.ptp(np.flatnonzero(mask.any(1))) + 1) / len(mask)


def written(
    canvases: npt.NDArray[np.uint8], members: int, template: Floats, alpha: Floats
) -> list[tuple[Floats, Floats]] | None:
    """Return template and opacity of the strokes of the legible members, None if the patch is no varying text.

    Args:
        canvases: `(n, h, w, 3)`: images that have the patch, then others.
        members: how many have it.
        template: what they have in common, `(h, w, 3)`.
        alpha: its opacity, `(h, w)`.

    Returns:
        Template `(h, w, 3)` and opacity `(h, w)` of each legible member.
    """
    from scipy import ndimage

    common_mask = alpha >= 0.5 * float(alpha.max())
    if common_mask.sum() < LEAST:
        return None
    ys, xs = np.nonzero(common_mask)
    high, wide = int(np.ptp(ys)) + 1, int(np.ptp(xs)) + 1
    if high > HIGHEST * len(alpha):  # no line of text
        return None
    line = max(3, min(high, wide))
    rows = slice(max(0, ys.min() - line // 2), ys.max() + line // 2 + 1)
    columns = slice(max(0, xs.min() - REACH * line), xs.max() + REACH * line + 1)
    parts = canvases[:, rows, columns].astype(np.float32)
    core = common_mask[rows, columns]
    # colors of the strokes' middles: where members agree most, and differ most from what is around
    strong = alpha[rows, columns] >= 0.9 * float(alpha.max())
    ink = np.median(template[rows, columns][strong & core], axis=0)
    opacity = np.stack([_opacity(part, ink, line) for part in parts])
    if len(opacity) < members + 4:
        return None
    opacity[:, :, ~_columns(opacity[:members], opacity[members:], core, line)] = 0.0
    own, others = opacity[:members], opacity[members:]
    legible = own.sum((1, 2)) >= 0.5 * np.median(own.sum((1, 2)))  # not white on white
    if legible.sum() < 3 or not own[legible].any():
        return None
    own = own[legible]
    total, mean = own.sum((1, 2)), own.mean(0)
    common = mean >= 0.7 * float(mean.max())
    if common.sum() < LEAST:
        return None
    inside = float((common & ndimage.binary_dilation(core, np.ones((3, 3)))).sum() / common.sum())
    varied = float(np.median(np.abs(own - mean).sum((1, 2)) / total))
    rarer = float(np.median(others.sum((1, 2))) / np.median(total))
    if inside < COVERED or varied < VARIED or rarer > RARER:
        return None
    color = np.broadcast_to(ink.astype(np.float32), template.shape)
    found = []
    for strokes in own:
        whole = np.zeros(alpha.shape, np.float32)
        whole[rows, columns] = strokes
        found.append((color, whole))
    return found


def _columns(own: Floats, others: Floats, core: npt.NDArray[np.bool_], line: int) -> npt.NDArray[np.bool_]:
    """Return which columns the line of text goes over, `(w,)`: more ink than elsewhere, without wide gaps."""
    from scipy import ndimage

    inked = own.mean((0, 1)) > 2 * others.mean((0, 1)) + 0.02
    joined = ndimage.binary_closing(np.pad(inked | core.any(0), line), iterations=max(1, line // 2))[line:-line]
    pieces, _ = ndimage.label(joined)
    kept = np.unique(pieces[core.any(0)])
    return np.asarray(np.isin(pieces, kept[kept > 0]))


def _opacity(part: Floats, ink: npt.NDArray[np.floating], line: int) -> Floats:
    """Return how much of each pixel is ink, `(h, w)` in [0, 1]; 0 where that cannot be determined."""
    from scipy import ndimage

    background = ndimage.median_filter(part, size=(2 * (line // 2) + 3, 2 * (line // 2) + 3, 1), mode="nearest")
    way = ink - background
    length = np.square(way).sum(-1)
    fraction = np.clip(((part - background) * way).sum(-1) / np.maximum(length, 1.0), 0.0, 1.0)
    off = np.sqrt(np.square(part - background - fraction[..., None] * way).sum(-1))
    fraction[(length < APART**2) | (off > NEAR)] = 0.0
    fraction[fraction < 0.15] = 0.0  # grain
    return np.asarray(fraction, dtype=np.float32)
