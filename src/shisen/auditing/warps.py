"""Changes of where things are in an image: warps, from displacements of its pixels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels8 = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating]
Change = Callable[[Pixels8, np.random.Generator], Pixels8]
Grade = Callable[[float], Change]
"""From how many times as strong to the change."""


def back(values: Floats) -> Pixels8:
    """Return values as pixels, rounded and held to [0, 255]."""
    return np.asarray(np.rint(np.clip(values, 0, 255)), dtype=np.uint8)


def sampled(pixels: Pixels8, y: Floats, x: Floats) -> Pixels8:
    """Return the pixels at other positions, mirrored at the edges.

    Args:
        pixels: `(h, w, 3)`.
        y: `(h, w)` where each pixel is taken from, in pixels downwards.
        x: the same to the right.
    """
    from scipy import ndimage

    at = np.stack(np.broadcast_arrays(y, x))
    channels = [
        ndimage.map_coordinates(pixels[..., c].astype(np.float32), at, order=1, mode="mirror") for c in range(3)
    ]
    return back(np.stack(channels, -1))


def _grid(pixels: Pixels8) -> tuple[Floats, Floats]:
    high, wide = pixels.shape[:2]
    return np.arange(high, dtype=np.float64)[:, None], np.arange(wide, dtype=np.float64)[None]


def wavy(amount: float) -> Change:
    """Shift lines to the side by a wave of a fiftieth of the width, four of them in the height."""

    def warp(pixels: Pixels8, draw: np.random.Generator) -> Pixels8:
        y, x = _grid(pixels)
        high, wide = pixels.shape[:2]
        return sampled(pixels, y, x + 0.02 * amount * wide * np.sin(8 * np.pi * y / high))

    return warp


def elastic(amount: float) -> Change:
    """Shift pixels at random, neighbors alike, by a hundredth of the image's side."""

    def warp(pixels: Pixels8, draw: np.random.Generator) -> Pixels8:
        from scipy import ndimage

        y, x = _grid(pixels)
        side = max(pixels.shape[:2])
        shifts = [ndimage.gaussian_filter(draw.normal(0, 1, pixels.shape[:2]), 0.03 * side) for _ in range(2)]
        dy, dx = (0.01 * amount * side * s / max(float(s.std()), 1e-9) for s in shifts)
        return sampled(pixels, y + dy, x + dx)

    return warp


def glass(amount: float) -> Change:
    """Take every pixel from a random position near it, as through ground glass."""

    def warp(pixels: Pixels8, draw: np.random.Generator) -> Pixels8:
        y, x = _grid(pixels)
        far = 0.015 * amount * max(pixels.shape[:2])
        dy, dx = (draw.uniform(-far, far, pixels.shape[:2]) for _ in range(2))
        return sampled(pixels, y + dy, x + dx)

    return warp


def bulging(amount: float) -> Change:
    """Enlarge the middle and compress the edges, as a wide-angle lens does."""

    def warp(pixels: Pixels8, draw: np.random.Generator) -> Pixels8:
        y, x = _grid(pixels)
        middle = [(side - 1) / 2 for side in pixels.shape[:2]]
        v, u = (y - middle[0]) / max(middle[0], 1), (x - middle[1]) / max(middle[1], 1)
        k = 0.35 * min(amount, 2.0)
        factor = (1 - k) + k * (u**2 + v**2) / 2
        return sampled(pixels, middle[0] + factor * v * middle[0], middle[1] + factor * u * middle[1])

    return warp


def keystone(amount: float) -> Change:
    """Narrow the scene towards the top, as where a camera looks up."""

    def warp(pixels: Pixels8, draw: np.random.Generator) -> Pixels8:
        y, x = _grid(pixels)
        high, wide = pixels.shape[:2]
        narrowing = 1 - 0.45 * min(amount, 2.0) * y / high
        return sampled(pixels, y, (wide - 1) / 2 + (x - (wide - 1) / 2) * narrowing)

    return warp


def stretched(amount: float) -> Change:
    """Squeeze the middle of the image's height to three fifths, as when a high image was forced into a square."""

    def squeeze(pixels: Pixels8, draw: np.random.Generator) -> Pixels8:
        high, wide = pixels.shape[:2]
        x = round(min(0.2 * amount, 0.4) * wide)
        return np.asarray(Image.fromarray(pixels[:, x : wide - x]).resize((wide, high), Image.Resampling.BICUBIC))

    return squeeze


def ghost(amount: float) -> Change:
    """Add a paler copy of the image beside it, as of a reflection or a double exposure."""

    def double(pixels: Pixels8, draw: np.random.Generator) -> Pixels8:
        beside = np.roll(pixels, max(1, int(0.05 * amount * pixels.shape[1])), axis=1)
        return back(0.65 * pixels + 0.35 * beside)

    return double


def zoom_blur(amount: float) -> Change:
    """Blur towards the edges, as of a camera that moves forward."""

    def blur(pixels: Pixels8, draw: np.random.Generator) -> Pixels8:
        image, total = Image.fromarray(pixels), np.zeros(pixels.shape, np.float64)
        keeps = np.linspace(1, max(1 - 0.12 * amount, 0.4), 6)
        for keep in keeps:
            y, x = ((1 - keep) / 2 * side for side in pixels.shape[:2])
            box = (x, y, image.width - x, image.height - y)
            total += np.asarray(image.resize(image.size, Image.Resampling.BILINEAR, box=box))
        return back(total / len(keeps))

    return blur
