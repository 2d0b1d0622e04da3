"""Small copies of images and maps, for reports."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..types import Frame
from ..viz.scale import on_image

SIDE = 128


def _shrunk(size: tuple[int, int]) -> tuple[int, int]:
    scale = min(1.0, SIDE / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _placed(values: npt.NDArray[Any], size: tuple[int, int]) -> npt.NDArray[np.float32]:
    return on_image(values, Frame(size, size, (0.0, 0.0, float(size[1]), float(size[0]))))


def small_image(image: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return `(h, w, 3)` uint8, at most 128 pixels a side, of an image with pixels in [0, 1]."""
    size = _shrunk((image.shape[0], image.shape[1]))
    colors = [image[:, :, min(c, image.shape[2] - 1)] for c in range(3)]
    small = np.stack([_placed(c, size) for c in colors], axis=-1)
    return np.asarray(np.clip(np.rint(small * 255.0), 0, 255), dtype=np.uint8)


def small_map(heat: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return `(h, w)` uint8, at most 128 pixels a side, of a map in [0, 1]."""
    size = _shrunk((heat.shape[0], heat.shape[1]))
    return np.asarray(np.clip(np.rint(_placed(heat, size) * 255.0), 0, 255), dtype=np.uint8)
