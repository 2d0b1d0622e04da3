"""Deep dream: a photo changed so that the activations of a layer grow."""

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
    n_steps: int = 10,
    n_octaves: int = 4,
    rate: float = 0.02,
    seed: int = 0,
) -> Image.Image:
    """Change a photo so that the activations of a layer grow, from coarse to fine.

    In each octave: image ← image + rate · g / mean|g|, g the gradient of the objective by the pixels, the image
    rolled by a random number of pixels before each step so that no seams show.

    Args:
        model: from `load` or `wrap`.
        photo: what the model can read; the result has the size of the network's input.
        layer: the layer.
        objective: an objective; `objectives.Excitement()`, the whole layer, if omitted.
        n_steps: number of steps in each octave.
        n_octaves: number of sizes, each 1.4 times the one before; 1 for networks that take only one size.
        rate: size of a step, in pixel values from 0 to 1.
        seed: random seed of the rolls.

    Returns:
        RGB image.

    Raises:
        InputError: for a number of steps or octaves below 1.

    Reference: Mordvintsev, Olah and Tyka 2015, Inceptionism.
    """
    if n_steps < 1 or n_octaves < 1:
        received = f"{n_steps} steps, {n_octaves} octaves"
        raise InputError(explain_error("At least one step and one octave are needed.", received, "Try 10 and 4."))
    objective = Excitement() if objective is None else objective
    base, _ = model.prepare(model.read(photo))
    rng = np.random.default_rng(seed)
    h, w = base.shape[:2]
    detail = np.zeros((1, 1, base.shape[2]), np.float32)
    seen = base
    for octave in range(n_octaves - 1, -1, -1):
        size = (max(round(h / STEP**octave), 16), max(round(w / STEP**octave), 16)) if octave else (h, w)
        base_now = resized(base, size)
        seen = base_now + resized(detail, size)
        for _ in range(n_steps):
            down, right = (int(r) for r in rng.integers(-16, 17, 2))
            rolled = np.roll(seen, (down, right), axis=(0, 1))
            _, gradient = model.gradients(rolled[None], objective, at=layer)
            g = np.roll(to_numpy(gradient)[0], (-down, -right), axis=(0, 1))
            seen = np.clip(seen + rate * g / max(float(np.abs(g).mean()), 1e-30), 0, 1).astype(np.float32)
        detail = seen - base_now
    return Image.fromarray(np.rint(seen * 255).astype(np.uint8))


def resized(image: Map, size: tuple[int, int]) -> Map:
    """Return an image at another size, bilinear, edges repeated.

    Args:
        image: `(h, w, c)`.
        size: `(h, w)` of the result.
    """
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
