"""What a part of an image is replaced by when it is taken away."""

from __future__ import annotations

from typing import Any

from array_api_compat import array_namespace

from ..errors import unknown
from ..types import Array
from .resample import blur

FILLS = ("zero", "gray", "mean", "blur", "inpaint")
BLUR = 0.1
"""Deviation of the "blur" fill, as a fraction of the longer side."""


def filling(images: Array, fill: str | float) -> Array:
    """Return what stands for absence in every image.

    Args:
        images: `(n, h, w, c)`, pixels in [0, 1].
        fill: a level in pixel values, "zero" (black), "gray" (0.5), "mean" (each image's own mean color) or
            "blur" (the image blurred by a tenth of its side).

    Returns:
        `(n, h, w, c)`, pixels.

    Raises:
        UnknownName: for another word.
    """
    xp = array_namespace(images)
    level = {"zero": 0.0, "gray": 0.5}.get(fill, fill) if isinstance(fill, str) else float(fill)
    if not isinstance(level, str):
        return xp.zeros_like(images) + level
    if level == "mean":
        rows = xp.mean(images, axis=2, keepdims=True)  # in two steps: NumPy adds a whole image up with too few digits
        return xp.zeros_like(images) + xp.mean(rows, axis=1, keepdims=True)
    if level == "blur":
        return blur(images, BLUR * max(images.shape[1:3]))
    raise unknown("fill", fill, FILLS)


class Eraser:
    """Takes parts of images away: `eraser(keep)` gives every image under every mask.

    image · keep + fill · (1 − keep)

    The fill "inpaint" continues the surroundings: a Gaussian-weighted mean of what is kept,
    blur(image · keep) / blur(keep) with a deviation of a twentieth of the side, and the mean of what is kept
    where nothing is near. It is simpler than solving for a smooth surface, and runs for all masks at once.

    Args:
        images: `(n, h, w, c)`, pixels in [0, 1].
        fill: a level or one of `FILLS`.
    """

    def __init__(self, images: Array, fill: str | float) -> None:
        self.images = images
        self.inpaint = fill == "inpaint"
        self.base: Any = None if self.inpaint else filling(images, fill)

    def __call__(self, keep: Array) -> Array:
        """Return `(r·n, h, w, c)`: row i is image i mod n under mask i div n.

        Args:
            keep: `(r, h, w)` in [0, 1]; 1 keeps a pixel.
        """
        xp = array_namespace(self.images)
        mask = keep[:, None, :, :, None]
        images = self.images[None, ...]
        base = self._continued(keep) if self.inpaint else self.base[None, ...]
        out = mask * images + (1.0 - mask) * base  # in this form, pixels that are kept are kept exactly
        return xp.reshape(out, (-1, *self.images.shape[1:]))

    def _continued(self, keep: Array) -> Array:
        xp = array_namespace(self.images)
        r, (n, h, w, c) = keep.shape[0], self.images.shape
        near = keep > 0.999  # half-kept pixels would bleed into their own filling
        sigma = 0.05 * max(h, w)
        solid = xp.astype(near, self.images.dtype)
        kept = self.images[None, ...] * solid[:, None, :, :, None]
        total = blur(xp.reshape(kept, (r * n, h, w, c)), sigma)
        weight = blur(solid, sigma)[:, None, :, :, None]
        mean = xp.sum(kept, axis=(2, 3), keepdims=True)
        count = xp.sum(solid, axis=(1, 2))[:, None, None, None, None]
        mean = mean / xp.maximum(count, xp.ones_like(count))
        floor = 1e-4  # far from everything kept, the mean takes over
        return (xp.reshape(total, (r, n, h, w, c)) + floor * mean) / (weight + floor)
