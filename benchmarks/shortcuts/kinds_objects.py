"""Kinds of artefact that are things: cut out of photographs and put into the image, at changing places and sizes.

A cut-out is what an ellipse around the thing holds, with a soft rim. Photos come from scikit-image, so that nothing has
to be fetched.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from PIL import Image
from plants import Draw, Plant
from skimage import data, transform

BOXES = {
    "astronaut": (5, 175, 185, 285),
    "coffee": (75, 150, 325, 475),
    "cat": (15, 90, 245, 330),
    "coins": (10, 35, 68, 90),
    "rocket": (95, 290, 330, 350),
    "colorwheel": (0, 0, 370, 371),
}
"""Top, left, bottom, right of the ellipse around the thing in the photo of this name."""


@lru_cache(maxsize=8)
def cut_out(name: str, side: int = 96) -> tuple[np.ndarray, np.ndarray]:
    """Return a thing, `(h, w, 3)` float in [0, 1], and its opacity `(h, w)`; the longer side has `side` pixels."""
    photo = getattr(data, name)().astype(np.float32) / 255.0
    top, left, bottom, right = BOXES[name]
    part = (np.stack([photo] * 3, -1) if photo.ndim == 2 else photo[..., :3])[top:bottom, left:right]
    scale = side / max(part.shape[:2])
    part = transform.resize(part, (round(part.shape[0] * scale), round(part.shape[1] * scale)), anti_aliasing=True)
    h, w = part.shape[:2]
    row, column = np.meshgrid(np.linspace(-1, 1, h), np.linspace(-1, 1, w), indexing="ij")
    return part.astype(np.float32), np.clip((1 - np.hypot(row, column)) / 0.06, 0, 1).astype(np.float32)


def _pasted(image: Image.Image, name: str, size: float, at: np.ndarray, flip: bool) -> tuple[Image.Image, np.ndarray]:
    pixels = np.array(image.convert("RGB"), np.float32) / 255.0
    thing, alpha = cut_out(name)
    if flip:
        thing, alpha = thing[:, ::-1], alpha[:, ::-1]
    scale = size * min(pixels.shape[:2]) / max(thing.shape[:2])
    shape = tuple(max(4, round(n * scale)) for n in thing.shape[:2])
    thing, alpha = (
        transform.resize(thing, shape, anti_aliasing=True),
        transform.resize(alpha, shape, anti_aliasing=True),
    )
    y, x = (round(float(p) * (n - s)) for p, n, s in zip(at, pixels.shape[:2], shape, strict=True))
    view = pixels[y : y + shape[0], x : x + shape[1]]
    view += alpha[..., None] * (thing - view)
    mask = np.zeros(pixels.shape[:2], bool)
    mask[y : y + shape[0], x : x + shape[1]] = alpha > 0.3
    return Image.fromarray(np.round(255 * pixels.clip(0, 1)).astype(np.uint8)), mask


def thing(case: Draw) -> Plant:
    """One thing at changing places and sizes."""
    name = str(case.choice(list(BOXES)))

    def plant(image: Image.Image, draw: Draw):
        return _pasted(image, name, float(draw.uniform(0.25, 0.4)), draw.random(2), bool(draw.integers(2)))

    return plant


def thing_at_one_place(case: Draw) -> Plant:
    name, at, size = str(case.choice(list(BOXES))), case.random(2), float(case.uniform(0.25, 0.35))
    return lambda image, draw: _pasted(image, name, size, at, False)


def one_of_many_things(case: Draw) -> Plant:
    """Another thing in every image: what they have in common is that they do not belong there."""

    def plant(image: Image.Image, draw: Draw):
        name = str(draw.choice(list(BOXES)))
        return _pasted(image, name, float(draw.uniform(0.3, 0.4)), draw.random(2), bool(draw.integers(2)))

    return plant


def thing_at_the_edge(case: Draw) -> Plant:
    name, low = str(case.choice(list(BOXES))), int(case.integers(2))

    def plant(image: Image.Image, draw: Draw):
        return _pasted(image, name, float(draw.uniform(0.25, 0.35)), np.array([low, draw.random()]), False)

    return plant


OBJECTS: dict[str, Callable[[Draw], Plant]] = {
    f.__name__: f for f in (thing, thing_at_one_place, one_of_many_things, thing_at_the_edge)
}
