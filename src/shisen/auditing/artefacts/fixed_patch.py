"""A patch that looks the same at one position of many images of a class."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..._core.stats import evenly_spaced
from ..compositing import SOLID, blended, extended, removed, without_edge
from ..patch_search import at_own_size, whole_patches
from .base import Alter, Candidate, Evidence, Images, Intervention, Labels, Pixels8, box_of, position_of
from .base import searched_candidate as searched

Floats = npt.NDArray[np.float32]
Overlay = Callable[[int], tuple[Floats, Floats]]
"""From a row to the template and opacity that are put on it."""

FINEST, LOOKED = 448, 30  # longer side, and images of each group, from which a patch is taken for compositing


@dataclass(frozen=True, eq=False)
class FixedPatch:
    """A patch at one position.

    Attributes:
        template: `(K, K, 3)` in levels of 255.
        alpha: `(K, K)` opacity in [0, 1], below `SOLID` on the rim, 0 outside of the patch.
    """

    template: Floats
    alpha: Floats
    kind: str = "fixed_patch"
    direction: int = 0
    order: ClassVar[int] = 0
    least_effect: ClassVar[float] = 0.05
    control_words: ClassVar[str] = "control_patch"

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """Where the patch is."""
        return np.asarray(self.alpha >= SOLID)

    def mask_in(self, row: int) -> npt.NDArray[np.bool_]:
        """Where an image has it."""
        return self.mask

    def describe(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "box": [float(v) for v in box_of(self.mask)],
            "area": float(self.mask.mean()),
            "template": int(self.template[self.mask].sum()),
        }

    def words(self) -> tuple[str, Mapping[str, str]]:
        """Return the keys of its name in words."""
        return "patch", {"where": position_of(self.mask)}

    @classmethod
    def propose(cls, evidence: Evidence, label: int, found: Sequence[Candidate]) -> list[Candidate]:
        """Return the candidates so far, and the common patches of the class."""
        labels = evidence.labels[evidence.sampled]
        patches = whole_patches(evidence.canvases, labels, label)
        new = [
            searched(evidence, label, cls(p.template, p.alpha), [int(evidence.sampled[i]) for i in p.members])
            for p in patches
        ]
        return [*found, *new]

    def intervention(self, candidate: Candidate, images: Images) -> Intervention:
        """Return how to put the patch on images, as sharp as they are, and how to fill its position."""
        finer = taken_finer(self, candidate, images.labels, images.read)
        template, alpha = (self.template, self.alpha) if finer is None else (finer.template, finer.alpha)
        return overlaid(lambda row: (template, alpha), self.mask_in, candidate, images, moves=False)


class Finer(NamedTuple):
    """A patch taken from the images at their usual size.

    Attributes:
        template: `(h, w, 3)` in levels of 255.
        alpha: `(h, w)` opacity.
        affected: `(n, h, w, 3)` images of the class that have it.
        others: `(m, h, w, 3)` images of other classes.
    """

    template: Floats
    alpha: Floats
    affected: npt.NDArray[np.uint8]
    others: npt.NDArray[np.uint8]


def taken_finer(
    patch: FixedPatch, candidate: Candidate, labels: Labels, read: Callable[[int], Pixels8]
) -> Finer | None:
    """Return a patch at the images' usual size: the small copies in which it was found blur thin strokes.

    Args:
        patch: as found on small copies.
        candidate: what has it.
        labels: class numbers, −1 for images that are left out.
        read: from a row to pixels.

    Returns:
        None where there are too few images, or where it is not seen in them.
    """
    own = labels == candidate.label
    members = [i for i in candidate.members if own[i]][:LOOKED]
    rest = evenly_spaced(np.setdiff1d(np.flatnonzero(own), candidate.members), LOOKED)
    others = evenly_spaced(np.setdiff1d(np.flatnonzero((labels >= 0) & ~own), candidate.members), LOOKED)
    if len(members) < 3 or len(others) < 8:
        return None
    opened = [Image.fromarray(read(int(i))) for i in (*members, *rest, *others)]
    size = np.median([image.size for image in opened[: len(members)]], axis=0)
    wide, high = (int(v) for v in np.maximum(1, np.rint(size * min(1.0, FINEST / size.max()))))
    canvases = np.stack([np.asarray(image.resize((wide, high), Image.Resampling.BOX)) for image in opened])
    made = at_own_size(canvases, patch.mask, members=len(members), rest=len(rest))
    return None if made is None else Finer(*made, canvases[: len(members)], canvases[len(members) + len(rest) :])


def overlaid(
    put: Overlay,
    mask_in: Callable[[int], npt.NDArray[np.bool_]],
    candidate: Candidate,
    images: Images,
    *,
    moves: bool,
) -> Intervention:
    """Return the intervention of something that is composited at a position.

    Args:
        put: what an image is given.
        mask_in: where an image has it, `(K, K)`.
        candidate: who has it; its images fill no control.
        images: where controls are filled from.
        moves: whether the position depends on the row.

    Returns:
        Its control is the same region, without the form or the edge of what is shown, filled from an image that does
        not have it.
    """
    fill = images.controls[~np.isin(images.control_rows, candidate.members)]
    still = None if moves else without_edge(put(0)[1])

    def control(pixels: Pixels8, row: int) -> Pixels8:
        alpha = without_edge(put(row)[1]) if still is None else still
        other = Image.fromarray(fill[(7 * row + 3) % len(fill)]).resize(alpha.shape[::-1], Image.Resampling.BILINEAR)
        return blended(pixels, np.asarray(other, np.float32), alpha)

    def remove(pixels: Pixels8, row: int) -> Pixels8:
        return removed(pixels, mask_in(row))

    return Intervention(_composited(put), remove, control if len(fill) else None, reduce=True)


def _composited(put: Overlay) -> Alter:
    """Return what composites; a template is made ready once for each opacity it is put on with."""
    known: dict[bytes, Floats] = {}

    def composite(pixels: Pixels8, row: int) -> Pixels8:
        template, alpha = put(row)
        key = alpha.tobytes()
        if key not in known:
            known[key] = extended(template, alpha)
        return blended(pixels, known[key], alpha)

    return composite
