"""A patch that moves: the same look at another position in each image of a class.

Images are reduced to cells, windows of 4 × 4 cells are described by their colors. The windows of a class that stand
out (rare color, unlike what surrounds them) are sought everywhere in the other images; a window that comes back in
many images of the class and not elsewhere is a moving patch. The images are then laid over each other at the positions
found, and the overlay is taken apart as for patches that keep their position.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ..._core.stats import evenly_spaced, log_enrichment
from ..compositing import SOLID, filled, with_rim
from ..matched_filter import NOISE, apart
from .base import Candidate, Evidence, Images, Intervention, box_of, searched_candidate
from .fixed_patch import FixedPatch, overlaid

Floats = npt.NDArray[np.float32]
CELLS = (3, 5)  # sides of a cell, in pixels of the canvas
WIDE = 4  # cells a window has on a side
SEEDS = 6  # windows that stand out, for each image
LOOKED = 40, 120  # images of the class and of the others that are compared
MARGIN = 8  # pixels around a window that may belong to the patch
NEARER = 2.0  # how much nearer members must be to each other's window than images of other classes
LEVEL = 0.01  # of the association with the class; what is proposed by chance, the intervention refutes


@dataclass(frozen=True)
class Roaming:
    """A look that moves.

    Attributes:
        template: `(s, s, 3)` in levels of 255.
        alpha: `(s, s)` opacity in [0, 1].
        rows: images that have it, likeliest first.
        corners: top and left of the template in each, in pixels of the canvas; may lie outside.
        inside: how many are of the class.
        p: of its association with the class, before correction for the search.
    """

    template: Floats
    alpha: Floats
    rows: tuple[int, ...]
    corners: tuple[tuple[int, int], ...]
    inside: int
    p: float


@dataclass(frozen=True, eq=False)
class MovingPatch:
    """A patch at changing positions.

    Attributes:
        template: `(K, K, 3)` in levels of 255, at one of its positions.
        alpha: `(K, K)` opacity in [0, 1].
        offsets: how far down and to the right of that position each member has it.
    """

    template: Floats
    alpha: Floats
    offsets: Mapping[int, tuple[int, int]]
    kind: str = "moving_patch"
    direction: int = 0
    order: ClassVar[int] = FixedPatch.order
    least_effect: ClassVar[float] = FixedPatch.least_effect
    control_words: ClassVar[str] = FixedPatch.control_words

    def at(self, row: int) -> tuple[Floats, Floats]:
        """Return template and opacity where an image has it, or where one of the members has it."""
        every = tuple(self.offsets.values())
        offset = self.offsets.get(row, every[(7 * row + 3) % len(every)])
        return moved(self.template, offset), moved(self.alpha, offset)

    def mask_in(self, row: int) -> npt.NDArray[np.bool_]:
        """Where an image has it."""
        return np.asarray(self.at(row)[1] >= SOLID)

    def describe(self) -> dict[str, Any]:
        """Return plain values."""
        mask = self.alpha >= SOLID
        return {
            "box": [float(v) for v in box_of(mask)],
            "area": float(mask.mean()),
            "template": int(self.template[mask].sum()),
        }

    def words(self) -> tuple[str, Mapping[str, str]]:
        """Return the key of its name in words."""
        return "moving_patch", {}

    @classmethod
    def propose(cls, evidence: Evidence, label: int, found: Sequence[Candidate]) -> list[Candidate]:
        """Return the candidates so far, and the patch of the class that moves, if there is one."""
        known = [
            (filled(c.artefact.alpha) >= SOLID, {int(i) for i in np.flatnonzero(np.isin(evidence.sampled, c.members))})
            for c in found
            if isinstance(c.artefact, FixedPatch)
        ]
        one = roaming(evidence.canvases, evidence.labels[evidence.sampled], label, known)
        if one is None:
            return list(found)
        rows = [int(evidence.sampled[i]) for i in one.rows]
        return [*found, searched_candidate(evidence, label, cls.laid_out(one, evidence.canvases.shape[1], rows), rows)]

    @classmethod
    def laid_out(cls, one: Roaming, side: int, rows: Sequence[int]) -> MovingPatch:
        """Return the patch on a canvas: at its first position that is wholly inside, else at the nearest that is.

        Args:
            one: the patch.
            side: height and width in pixels.
            rows: indices of the images.
        """
        size = one.alpha.shape[0]
        inside = [c for c in one.corners if min(c) >= 0 and max(c) + size <= side]
        y, x = inside[0] if inside else (min(max(v, 0), side - size) for v in one.corners[0])
        template, alpha = np.zeros((side, side, 3), np.float32), np.zeros((side, side), np.float32)
        template[y : y + size, x : x + size], alpha[y : y + size, x : x + size] = one.template, one.alpha
        return cls(template, alpha, {r: (a - y, b - x) for r, (a, b) in zip(rows, one.corners, strict=True)})

    def intervention(self, candidate: Candidate, images: Images) -> Intervention:
        """Return how to put the patch where one of its members has it."""
        return overlaid(self.at, self.mask_in, candidate, images, moves=True)


def moved(values: Floats, offset: tuple[int, int]) -> Floats:
    """Return an array moved down and to the right; what leaves it is gone, what enters is zero.

    Args:
        values: `(h, w)` or `(h, w, c)`.
        offset: `(down, right)` in pixels.
    """
    out = np.zeros_like(values)
    (dy, dx), (h, w) = offset, values.shape[:2]
    if abs(dy) < h and abs(dx) < w:
        out[max(dy, 0) : h + min(dy, 0), max(dx, 0) : w + min(dx, 0)] = values[
            max(-dy, 0) : h + min(-dy, 0), max(-dx, 0) : w + min(-dx, 0)
        ]
    return out


Known = tuple[npt.NDArray[np.bool_], set[int]]
"""Where a patch that keeps its position lies, `(K, K)`, and the images that have it."""


def roaming(
    canvases: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64], label: int, known: list[Known]
) -> Roaming | None:
    """Return the look that comes back at changing positions in a class most surprisingly, or None.

    Args:
        canvases: `(n, K, K, 3)`.
        labels: class numbers.
        label: the class.
        known: patches that have been found already; they are not found again.
    """
    inside = evenly_spaced(np.flatnonzero(labels == label), LOOKED[0])
    outside = evenly_spaced(np.flatnonzero(labels != label), LOOKED[1])
    if len(inside) < 6 or len(outside) < 12:
        return None
    rows = np.concatenate([inside, outside])
    own = np.arange(len(rows)) < len(inside)
    best: tuple[float, int, Any, Any] | None = None
    for cell in CELLS:
        windows, grid = _windows(canvases[rows], cell)
        for seed, distance, position in _nearest(windows, _standing_out(windows, own, grid)):
            distance[seed[0]] = np.median(np.sort(distance)[1:4])  # its likeness to itself carries no information
            chosen, strength = apart(-np.log(distance + NOISE), own, least=4)
            if best is not None and strength <= best[0]:
                continue
            nearer = np.median(distance[~own]) / (np.median(distance[chosen & own]) + NOISE)
            corners = np.stack(np.unravel_index(position, (grid, grid)), 1) * cell
            middles = (corners + cell * WIDE // 2)[chosen & own]
            if nearer < NEARER or _chance(chosen, own) > LEVEL or _held(rows[chosen & own], middles, known):
                continue
            best = (strength, cell, chosen, corners)
    if best is None:
        return None
    _, cell, chosen, corners = best
    p = _chance(chosen, own)
    return _taken_apart(canvases, labels == label, rows[chosen], corners[chosen], side=cell * WIDE, p=p)


def _held(rows: npt.NDArray[np.int64], middles: npt.NDArray[np.int64], known: list[Known]) -> bool:
    """Return whether most windows lie on a patch that keeps its position, in images that have it."""
    on = [[int(r) in members and bool(mask[y, x]) for r, (y, x) in zip(rows, middles, strict=True)]
          for mask, members in known]  # fmt: skip
    return any(np.mean(one) > 0.4 for one in on)


def _chance(chosen: npt.NDArray[np.bool_], own: npt.NDArray[np.bool_]) -> float:
    counts = np.array([(chosen & own).sum()]), np.array([chosen.sum()])
    return float(np.exp(log_enrichment(counts[0], int(own.sum()), counts[1], len(own))[0]))


def _windows(canvases: npt.NDArray[np.uint8], cell: int) -> tuple[Floats, int]:
    """Return the descriptors `(n, windows, 48)` and how many windows there are on a side."""
    n, side = len(canvases), canvases.shape[1] // cell
    cut = canvases[:, : side * cell, : side * cell].astype(np.float32)
    cells = cut.reshape(n, side, cell, side, cell, 3).mean((2, 4))
    grid = side - WIDE + 1
    parts = [cells[:, y : y + grid, x : x + grid] for y in range(WIDE) for x in range(WIDE)]
    return np.concatenate(parts, -1).reshape(n, grid * grid, -1), grid


def _standing_out(windows: Floats, own: npt.NDArray[np.bool_], grid: int) -> list[tuple[int, int]]:
    """Return `(image, window)` of the windows of the class with the rarest colors, apart from each other."""
    mean = windows.reshape(*windows.shape[:2], -1, 3).mean(2)
    bins = (mean / 16).astype(int).clip(0, 15)
    index = (bins[..., 0] * 16 + bins[..., 1]) * 16 + bins[..., 2]
    counts = np.bincount(index[~own].ravel(), minlength=4096).reshape(16, 16, 16).astype(np.float64)
    for axis in range(3):  # neighboring colors count too
        counts = counts + 0.5 * (np.roll(counts, 1, axis) + np.roll(counts, -1, axis))
    rare = -np.log(counts.ravel()[index] + 1.0)
    # what keeps to one color is distinguished best: detail counts against a window a little
    rare -= windows.reshape(*windows.shape[:2], -1, 3).std(2).mean(-1) / 32.0
    found = []
    for i in np.flatnonzero(own):
        order = np.argsort(-rare[i], kind="stable")
        taken: list[tuple[int, int]] = []
        for position in order[: grid * grid // 4]:
            y, x = divmod(int(position), grid)
            if all(abs(y - a) >= 2 or abs(x - b) >= 2 for a, b in taken):
                taken.append((y, x))
                found.append((int(i), int(position)))
                if len(taken) == SEEDS:
                    break
    return found


def _nearest(
    windows: Floats, seeds: list[tuple[int, int]]
) -> Iterator[tuple[tuple[int, int], npt.NDArray[np.float64], npt.NDArray[np.int64]]]:
    """Yield, for each seed, every image's smallest root-mean-square distance from it, and where that is."""
    n, count, depth = windows.shape
    flat = windows.reshape(-1, depth)
    norms = np.square(flat).sum(1)
    for start in range(0, len(seeds), 16):
        some = seeds[start : start + 16]
        templates = np.stack([windows[seed] for seed in some])
        square = norms[:, None] - 2 * (flat @ templates.T) + np.square(templates).sum(1)
        square = square.reshape(n, count, len(some))
        position = square.argmin(1)
        least = np.take_along_axis(square, position[:, None], 1)[:, 0]
        distance = np.sqrt(np.maximum(least, 0) / depth).astype(np.float64)
        for j, seed in enumerate(some):
            yield seed, distance[:, j].copy(), position[:, j]


def _crops(canvases: npt.NDArray[np.uint8], corners: npt.NDArray[np.int64], side: int) -> Floats:
    """Return `(n, side, side, 3)` around the corners; beyond the image its last pixels go on."""
    k, offsets = canvases.shape[1], np.arange(side)
    out = np.empty((len(canvases), side, side, 3), np.float32)
    for i, (y, x) in enumerate(corners):
        out[i] = canvases[i][np.clip(y + offsets, 0, k - 1)][:, np.clip(x + offsets, 0, k - 1)]
    return out


def _taken_apart(
    canvases: npt.NDArray[np.uint8],
    own: npt.NDArray[np.bool_],
    rows: npt.NDArray[np.int64],
    corners: npt.NDArray[np.int64],
    *,
    side: int,
    p: float,
) -> Roaming | None:
    """Lay the images over each other, align them, and separate overlay from background."""
    from scipy import ndimage

    corners, wide = corners - MARGIN, side + 2 * MARGIN
    for _ in range(3):
        crops = _crops(canvases[rows], corners, wide)
        mean = np.median(crops, 0)
        for i in range(len(rows)):
            shifts = [(dy, dx) for dy in range(-3, 4) for dx in range(-3, 4)]
            shifted = np.stack([_crops(canvases[rows[i]][None], (corners[i] + s)[None], wide)[0] for s in shifts])
            middle = slice(MARGIN - 3, -MARGIN + 3)
            error = np.mean(np.square(shifted - mean)[:, middle, middle], (1, 2, 3))
            corners[i] = corners[i] + np.asarray(shifts[int(np.argmin(error))])
    crops = _crops(canvases[rows], corners, wide)
    natural = canvases[:: max(1, len(canvases) // 200)].astype(np.float32).std(0).mean() + NOISE
    deviation = np.median(np.abs(crops - np.median(crops, 0)), 0).mean(-1) * 1.4826
    raw = np.clip(1.0 - deviation / natural, 0, 1).astype(np.float32)
    center = slice(wide // 2 - 2, wide // 2 + 2)
    pieces, _ = ndimage.label(raw >= max(SOLID, 0.6 * float(raw[center, center].mean())))
    middle_piece = pieces[MARGIN:-MARGIN, MARGIN:-MARGIN]
    names = np.bincount(middle_piece[middle_piece > 0]) if (middle_piece > 0).any() else np.zeros(0)
    if not names.size or names.max() < 9:
        return None
    alpha = with_rim(np.where(pieces == names.argmax(), raw, 0.0).astype(np.float32), raw, 0.0)
    template = np.median(crops, 0).astype(np.float32)
    inside = int(own[rows].sum())
    return Roaming(template, alpha, tuple(int(r) for r in rows), tuple((int(y), int(x)) for y, x in corners), inside, p)
