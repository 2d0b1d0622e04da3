"""Baselines: the pixels that stand for absence, the same in attribution methods and in metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from array_api_compat import array_namespace, device

from ..errors import unknown
from ..types import Array
from .image_ops import axes_of, blur

INPAINT = "inpaint"


def _mean(images: Array, zero: tuple[float, ...]) -> Array:
    """Each image's own mean color, taken axis by axis: NumPy adds a whole image up with too few digits."""
    xp = array_namespace(images)
    mean = images
    for axis in reversed(axes_of(images)):
        mean = xp.mean(mean, axis=axis, keepdims=True)
    return xp.zeros_like(images) + mean


def _network_zero(images: Array, zero: tuple[float, ...]) -> Array:
    xp = array_namespace(images)
    return xp.zeros_like(images) + xp.asarray(zero, dtype=images.dtype, device=device(images))


def _blur(images: Array, zero: tuple[float, ...]) -> Array:
    """RISE's blur: an 11 × 11 Gaussian with a standard deviation of 5 pixels at 224, larger in proportion."""
    unit = max(images.shape[1:-1]) / 224.0
    return blur(images, 5.0 * unit, max(1, round(5 * unit)), rank=images.ndim - 2)


BASELINES: dict[str, Callable[[Array, tuple[float, ...]], Array]] = {
    "black": lambda images, zero: array_namespace(images).zeros_like(images),
    "gray": lambda images, zero: array_namespace(images).zeros_like(images) + 0.5,
    "mean": _mean,
    "network_zero": _network_zero,
    "blur": _blur,
}
"""Name → function of the images and of the pixel value that the network sees as zero."""


def baseline_pixels(images: Array, baseline: str | float, zero: tuple[float, ...] = (0.0,)) -> Array:
    """Return what stands for absence in every image.

    Args:
        images: `(n, *positions, c)`, pixels in [0, 1].
        baseline: a pixel value, "black" (0), "gray" (0.5), "mean" (each image's own mean color), "network_zero" (what
            the network sees as zero) or "blur" (11 × 11 Gaussian, standard deviation 5 pixels at 224, as in RISE).
        zero: the network's zero as a pixel value, for all channels or one a channel;
            `shisen.adapters.wrappers.network_zero` returns it.

    Returns:
        `(n, *positions, c)`, pixels.

    Raises:
        UnknownName: for another name. "inpaint" depends on what is kept: see `Eraser`.
    """
    if not isinstance(baseline, str):
        return array_namespace(images).zeros_like(images) + float(baseline)
    if baseline not in BASELINES:
        raise unknown("baseline", baseline, [*BASELINES, INPAINT])
    return BASELINES[baseline](images, zero)


class Eraser:
    """Takes parts of images away: `eraser(keep)` gives every image under every mask.

    image · keep + baseline · (1 − keep)

    The baseline "inpaint" continues the surroundings: a Gaussian-weighted mean of what is kept,
    blur(image · keep) / blur(keep) with a standard deviation of a twentieth of the side, and the mean of what is kept
    where nothing is near; black where nothing is kept at all. It is simpler than solving for a smooth surface, and runs
    for all masks at once.

    Args:
        images: `(n, *positions, c)`, pixels in [0, 1].
        baseline: as in `baseline_pixels`, or "inpaint".
        zero: as in `baseline_pixels`.
    """

    def __init__(self, images: Array, baseline: str | float, zero: tuple[float, ...] = (0.0,)) -> None:
        self.images = images
        self.base: Any = None if baseline == INPAINT else baseline_pixels(images, baseline, zero)

    def __call__(self, keep: Array) -> Array:
        """Return `(r·n, *positions, c)`: row i is image i mod n under mask i div n.

        Args:
            keep: `(r, *positions)` in [0, 1]; 1 keeps a pixel.
        """
        xp = array_namespace(self.images)
        mask = keep[:, None, ..., None]
        images = self.images[None, ...]
        base = self._continued(keep) if self.base is None else self.base[None, ...]
        out = mask * images + (1.0 - mask) * base  # in this form, pixels that are kept are kept exactly
        return xp.reshape(out, (-1, *self.images.shape[1:]))

    def _continued(self, keep: Array) -> Array:
        xp = array_namespace(self.images)
        r, (n, *sides, c) = keep.shape[0], self.images.shape
        near = keep > 0.999  # half-kept pixels would bleed into their own baseline
        sigma, axes = 0.05 * max(sides), axes_of(self.images)
        solid = xp.astype(near, self.images.dtype)
        kept = self.images[None, ...] * solid[:, None, ..., None]
        total = blur(xp.reshape(kept, (r * n, *sides, c)), sigma, rank=len(sides))
        weight = blur(solid, sigma, rank=len(sides))[:, None, ..., None]
        mean = xp.sum(kept, axis=tuple(a + 1 for a in axes), keepdims=True)
        count = xp.sum(solid, axis=axes, keepdims=True)[:, None, ..., None]
        mean = mean / xp.maximum(count, xp.ones_like(count))
        least = 1e-4  # far from everything kept, the mean takes over
        return (xp.reshape(total, (r, n, *sides, c)) + least * mean) / (weight + least)
