"""Small images for the report, as data URIs."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from ..models.model import Model

SIDE = 132


def thumbnail(pixels: npt.NDArray[np.uint8], side: int = SIDE) -> str:
    """Return an image, its longer side scaled to `side`, as a data URI.

    Args:
        pixels: `(h, w, 3)` uint8.
        side: height and width in pixels.
    """
    from PIL import Image

    image = Image.fromarray(pixels)
    scale = side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    buffer = io.BytesIO()
    image.resize(size, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def heat(
    values: npt.NDArray[np.float32], pixels: npt.NDArray[np.uint8] | None = None, peak: float | None = None
) -> str:
    """Return the positive part of a map in warm colors, over an image if there is one, as a data URI.

    Args:
        values: the map.
        pixels: `(h, w, 3)` uint8, the image.
        peak: value of the warmest color; None for the map's own largest one.
    """
    from PIL import Image

    h, w = (SIDE, SIDE) if pixels is None else pixels.shape[:2]
    if peak is None:
        peak = float(values.max()) if values.size else 0.0
    fraction = np.clip(values / peak, 0, 1) if peak > 0 else np.zeros_like(values)
    image = Image.fromarray(np.asarray(fraction, np.float32)).resize((w, h), Image.Resampling.BILINEAR)
    level = np.asarray(image, np.float32)[..., None]
    warm = np.concatenate([np.minimum(1, 2 * level), np.clip(2 * level - 1, 0, 1), 0.1 * (1 - level)], -1) * 255
    under = np.full((h, w, 3), 32, np.float32) if pixels is None else pixels.astype(np.float32) * 0.6
    mixed = under * (1 - 0.65 * level) + warm * 0.65 * level
    return thumbnail(np.asarray(np.rint(np.clip(mixed, 0, 255)), dtype=np.uint8))


def opened(model: Model, path: str) -> npt.NDArray[np.uint8]:
    """Return an image's pixels.

    Args:
        model: the network.
        path: path of the image.
    """
    pixels: npt.NDArray[np.uint8] = model.read(path).pixels
    return pixels
