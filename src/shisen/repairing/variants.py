"""One artefact at other positions, at other sizes and more faintly, derived from what puts it on an image.

What composites is linear in each pixel: it gives m·x + b. Put on a black and on a white image it gives b and 255·m + b,
and a third image tells whether that is all it does. Then m and b can be moved, scaled and made fainter. Anything else
that leaves pixels where they are is mixed with the image as it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..auditing.artefacts.base import Alter, Pixels8

Floats = npt.NDArray[np.float32]
PROBE = 96  # side of the images on which it is found out what an artefact does
NEAR = 3.0  # levels by which a linear change may miss, after rounding twice
SEEN = 2.0  # levels, at least, by which an artefact changes what is of it
COVERS = 0.7  # of the image's sides: what covers more cannot be moved


@dataclass(frozen=True)
class Variant:
    """Another form of an artefact.

    Attributes:
        name: "position", "size" or "strength", and a number where there are several.
        down, right: how far it is moved, in fractions of the image.
        size: factor of its sides, about its middle.
        strength: opacity, in (0, 1].
    """

    name: str
    down: float = 0.0
    right: float = 0.0
    size: float = 1.0
    strength: float = 1.0


SAME = Variant("same")


class Layer(NamedTuple):
    """What compositing does: the pixel becomes factor·pixel + summand; both `(h, w, 3)`."""

    factor: Floats
    summand: Floats

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """Where it changes anything, `(h, w)`."""
        return np.asarray((np.abs(self.factor - 1) > 0.02).any(-1) | (np.abs(self.summand) > SEEN).any(-1))


class Box(NamedTuple):
    """Where something is, in fractions of the image."""

    top: float
    left: float
    bottom: float
    right: float


def layer_of(apply: Alter, shape: tuple[int, ...], row: int) -> Layer | None:
    """Return what an artefact does to every pixel of an image of this shape; None where it is no compositing.

    Args:
        apply: puts it on.
        shape: `(h, w, 3)`.
        row: of the image, on which its position may depend.
    """
    black, white = (apply(np.full(shape, v, np.uint8), row).astype(np.float32) for v in (0, 255))
    found = Layer(np.asarray((white - black) / 255, np.float32), black)
    probe = np.random.default_rng(row).integers(0, 256, shape).astype(np.uint8)
    linear = np.abs(apply(probe, row) - (found.factor * probe + found.summand)).max() <= NEAR
    return found if linear and not (np.ptp(found.factor) < 0.02 and found.mask.all()) else None


def box_of(apply: Alter, row: int) -> Box | None:
    """Return where an artefact lies that can be moved; None for one that cannot.

    Args:
        apply: puts it on.
        row: of the image, on which its position may depend.
    """
    layer = layer_of(apply, (PROBE, PROBE, 3), row)
    if layer is None or not layer.mask.any():
        return None
    ys, xs = (np.flatnonzero(layer.mask.any(axis)) for axis in (1, 0))
    box = Box(*(float(v) / PROBE for v in (ys[0], xs[0], ys[-1] + 1, xs[-1] + 1)))
    return box if max(box.bottom - box.top, box.right - box.left) <= COVERS else None


def stays(apply: Alter, row: int) -> bool:
    """Return whether pixels stay where they are: a bright square is still at its position.

    Args:
        apply: puts the artefact on.
        row: of the image, on which its position may depend.
    """
    gray = np.full((PROBE, PROBE, 3), 110, np.uint8)
    square = gray.copy()
    y, x, side = PROBE // 5, PROBE // 3, PROBE // 12
    square[y : y + side, x : x + side] = 190
    before = np.abs(square.astype(np.float32) - gray).sum(-1)
    after = np.abs(apply(square, row).astype(np.float32) - apply(gray, row)).sum(-1)
    after[after < 0.25 * max(float(after.max()), 1.0)] = 0.0
    if after.shape != before.shape or not after.any():
        return False
    middles = [
        np.array([(m.sum(1) @ np.arange(PROBE)), (m.sum(0) @ np.arange(PROBE))]) / m.sum() for m in (before, after)
    ]
    return bool(np.abs(middles[0] - middles[1]).max() <= PROBE / 24)


def variants_of(apply: Alter, row: int = 0) -> tuple[Variant, ...]:
    """Return other forms in which an artefact is tested after a cure.

    Args:
        apply: puts it on.
        row: of an image, on which its position may depend.
    """
    box, found = box_of(apply, row), []
    if box is not None:
        down, right = 1 - box.top - box.bottom, 1 - box.left - box.right  # to the mirrored position
        moves = [(down, right), (0.0, right), (down, 0.0)]
        far = [m for m in moves if max(abs(m[0]), abs(m[1])) > 0.1] or [_aside(box)]
        found += [Variant(f"position {n}", *move) for n, move in enumerate(far[:2], 1)]
        found += [Variant("size 0.7", size=0.7), Variant("size 1.4", size=1.4)]
    if stays(apply, row):
        found.append(Variant("strength 0.6", strength=0.6))
    return tuple(found)


def _aside(box: Box) -> tuple[float, float]:
    """Return the move of something in the middle to the upper left corner."""
    return -box.top, -box.left


def drawn(apply: Alter, seed: int) -> Alter:
    """Return an artefact in a random form for each image: half as it is, half moved, scaled or fainter.

    Args:
        apply: puts it on.
        seed: of the draws, which belong to the image.
    """
    movable, fades = box_of(apply, 0) is not None, stays(apply, 0)

    def alter(pixels: Pixels8, row: int) -> Pixels8:
        draw = np.random.default_rng([seed, row])
        if draw.random() < 0.5 or not (movable or fades):
            return apply(pixels, row)
        strength = float(draw.uniform(0.5, 1.0)) if fades else 1.0
        box = box_of(apply, row) if movable else None
        if box is None:
            return varied(apply, Variant("drawn", strength=strength))(pixels, row)
        down = float(draw.uniform(-box.top, 1 - box.bottom))
        right = float(draw.uniform(-box.left, 1 - box.right))
        size = float(np.exp(draw.uniform(np.log(0.6), np.log(1.6))))
        return varied(apply, Variant("drawn", down, right, size, strength))(pixels, row)

    return alter


def varied(apply: Alter, variant: Variant) -> Alter:
    """Return what puts an artefact on in another form; as it is where it cannot be moved.

    Args:
        apply: puts it on.
        variant: the form.
    """
    if variant == SAME:
        return apply

    def alter(pixels: Pixels8, row: int) -> Pixels8:
        if variant.down or variant.right or variant.size != 1:
            layer = layer_of(apply, pixels.shape, row)
            changed = apply(pixels, row) if layer is None else _composited(pixels, _moved(layer, variant))
        else:
            changed = apply(pixels, row)
        if variant.strength == 1 or changed.shape != pixels.shape:
            return changed
        mixed = pixels + variant.strength * (changed.astype(np.float32) - pixels)
        return np.asarray(np.rint(mixed), dtype=np.uint8)

    return alter


def _composited(pixels: Pixels8, layer: Layer) -> Pixels8:
    return np.asarray(np.rint(np.clip(layer.factor * pixels + layer.summand, 0, 255)), dtype=np.uint8)


def _moved(layer: Layer, variant: Variant) -> Layer:
    """Return a layer moved and scaled about the middle of what it changes; what leaves the image is gone."""
    mask = layer.mask
    if not mask.any():
        return layer
    high, wide = mask.shape
    ys, xs = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    middle = (xs[0] + xs[-1] + 1) / 2, (ys[0] + ys[-1] + 1) / 2
    to = middle[0] + variant.right * wide, middle[1] + variant.down * high
    scale = 1 / variant.size
    matrix = (scale, 0.0, middle[0] - scale * to[0], 0.0, scale, middle[1] - scale * to[1])

    def at(values: Floats, outside: float) -> Floats:
        channels = [
            Image.fromarray(np.ascontiguousarray(values[..., c] - outside)).transform(
                (wide, high), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR
            )
            for c in range(values.shape[-1])
        ]
        return np.stack([np.asarray(c, np.float32) for c in channels], -1) + outside

    return Layer(at(layer.factor, 1.0), at(layer.summand, 0.0))
