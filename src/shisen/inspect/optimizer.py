"""Deep dream: a photo in which a layer is given more of whatever it sees."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..errors import InputError, explain_error
from ..models.model import Model
from ..targets import to_numpy
from .objectives import Excitement
from .transforms import resampling, scale

Map = npt.NDArray[np.float32]
STEP = 1.4  # each octave is this much larger than the one before


def dream(
    model: Model,
    photo: Any,
    layer: str,
    *,
    objective: Any = None,
    steps: int = 10,
    octaves: int = 4,
    rate: float = 0.02,
    seed: int = 0,
) -> Image.Image:
    """Change a photo so that a layer answers more, from coarse to fine.

    In each octave: image ← image + rate · g / mean|g|, g the gradient of the objective by the pixels, the image
    rolled by a random number of pixels before each step so that no seams show.

    Args:
        model: from `load` or `wrap`.
        photo: what the model can read; the result has the size of the network's input.
        layer: whose answer is raised.
        objective: an objective; `objectives.Excitement()`, the whole layer, if left out.
        steps: how many in each octave.
        octaves: sizes, each 1.4 times the one before; 1 for networks that take only one size.
        rate: size of a step, in pixel values from 0 to 1.
        seed: of the rolls.

    Returns:
        RGB image.

    Raises:
        InputError: for a number of steps or octaves below 1.

    Reference: Mordvintsev, Olah and Tyka 2015, Inceptionism.
    """
    if steps < 1 or octaves < 1:
        raise InputError(
            explain_error("There must be a step and an octave.", f"{steps} steps, {octaves} octaves", "Try 10 and 4.")
        )
    objective = Excitement() if objective is None else objective
    base, _ = model.prepare(model.read(photo))
    rng = np.random.default_rng(seed)
    h, w = base.shape[:2]
    detail = np.zeros((1, 1, base.shape[2]), np.float32)
    seen = base
    for octave in range(octaves - 1, -1, -1):
        size = (max(round(h / STEP**octave), 16), max(round(w / STEP**octave), 16)) if octave else (h, w)
        base_now = resized(base, size)
        seen = base_now + resized(detail, size)
        for _ in range(steps):
            down, right = (int(r) for r in rng.integers(-16, 17, 2))
            rolled = np.roll(seen, (down, right), axis=(0, 1))
            _, gradient = model.gradients(rolled[None], objective, at=layer)
            g = np.roll(to_numpy(gradient)[0], (-down, -right), axis=(0, 1))
            seen = np.clip(seen + rate * g / max(float(np.abs(g).mean()), 1e-30), 0, 1).astype(np.float32)
        detail = seen - base_now
    return Image.fromarray(np.rint(seen * 255).astype(np.uint8))


def resized(image: Map, size: tuple[int, int]) -> Map:
    """Return `(h, w, c)` at another size, bilinear, edges repeated."""
    h, w = image.shape[:2]
    if (h, w) == size:
        return image
    if min(h, w) == 1:
        return np.broadcast_to(image[:1, :1], (*size, image.shape[2])).astype(np.float32)
    matrix = scale(1.0)
    matrix[0, 0], matrix[1, 1] = (h - 1) / max(size[0] - 1, 1), (w - 1) / max(size[1] - 1, 1)
    # corners on corners, kept inside by a hair, so that no position falls outside
    move = resampling(matrix * np.array([[1 - 1e-9], [1 - 1e-9], [1.0]]), (h, w), size)
    return np.ascontiguousarray(move.apply(image.transpose(2, 0, 1)).transpose(1, 2, 0))
