"""Global properties of a picture: how each is measured, and how a picture is given more or less of it."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Pixels8 = npt.NDArray[np.uint8]
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class Property:
    """A global property.

    Attributes:
        name: key into the words of the report.
        measure: from `(h, w, 3)` uint8 pixels to a number.
        shift: from pixels and a difference of the measured number to altered pixels; None if it cannot be altered
            without changing what the picture shows.
    """

    name: str
    measure: Callable[[Pixels8], float]
    shift: Callable[[Pixels8, float], Pixels8] | None


def _back(values: npt.NDArray[np.float32]) -> Pixels8:
    return np.asarray(np.rint(np.clip(values, 0, 255)), dtype=np.uint8)


def luma(pixels: Pixels8) -> npt.NDArray[np.float32]:
    """Return the grey value of each pixel, 0.299 R + 0.587 G + 0.114 B."""
    return np.asarray(pixels.astype(np.float32) @ LUMA, dtype=np.float32)


def brightness(pixels: Pixels8) -> float:
    """Return the mean grey value, in levels of 255."""
    return float(luma(pixels).mean())


def _brighten(pixels: Pixels8, by: float) -> Pixels8:
    return _back(pixels.astype(np.float32) + by)


def contrast(pixels: Pixels8) -> float:
    """Return log2 of the standard deviation of the grey values."""
    return float(np.log2(luma(pixels).std() + 1.0))


def _contrasted(pixels: Pixels8, by: float) -> Pixels8:
    values = pixels.astype(np.float32)
    mean = values.mean((0, 1))
    return _back(mean + (values - mean) * 2.0**by)


def warmth(pixels: Pixels8) -> float:
    """Return log2 of mean red over mean blue."""
    mean = pixels.astype(np.float32).mean((0, 1)) + 1.0
    return float(np.log2(mean[0] / mean[2]))


def _warmed(pixels: Pixels8, by: float) -> Pixels8:
    gain = np.array([2.0 ** (by / 2), 1.0, 2.0 ** (-by / 2)], np.float32)
    return _same_brightness(pixels, pixels.astype(np.float32) * gain)


def greenness(pixels: Pixels8) -> float:
    """Return log2 of mean green over the geometric mean of mean red and mean blue."""
    mean = pixels.astype(np.float32).mean((0, 1)) + 1.0
    return float(np.log2(mean[1] / np.sqrt(mean[0] * mean[2])))


def _greened(pixels: Pixels8, by: float) -> Pixels8:
    gain = np.array([2.0 ** (-by / 3), 2.0 ** (2 * by / 3), 2.0 ** (-by / 3)], np.float32)
    return _same_brightness(pixels, pixels.astype(np.float32) * gain)


def _same_brightness(pixels: Pixels8, values: npt.NDArray[np.float32]) -> Pixels8:
    return _back(values * (luma(pixels).mean() + 1e-3) / ((values @ LUMA).mean() + 1e-3))


def saturation(pixels: Pixels8) -> float:
    """Return the mean distance of the strongest from the weakest channel, in levels of 255."""
    return float((pixels.max(-1).astype(np.float32) - pixels.min(-1)).mean())


def _saturated(pixels: Pixels8, by: float) -> Pixels8:
    now = saturation(pixels)
    grey = luma(pixels)[..., None]
    return _back(grey + (pixels.astype(np.float32) - grey) * max(0.0, (now + by) / max(now, 1.0)))


def sharpness(pixels: Pixels8) -> float:
    """Return log2 of the energy of the finest detail (the Laplacian) over that of steps between neighbours."""
    grey = luma(pixels)
    fine = 4 * grey[1:-1, 1:-1] - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:]
    steps = np.square(np.diff(grey, axis=0)).mean() + np.square(np.diff(grey, axis=1)).mean()
    return float(np.log2((np.square(fine).mean() + 0.1) / (steps + 0.1)))


def _sharpened(pixels: Pixels8, by: float) -> Pixels8:
    from PIL import Image, ImageFilter

    image, target = Image.fromarray(pixels), sharpness(pixels) + by

    def filtered(strength: float) -> Pixels8:
        if by < 0:
            return np.asarray(image.filter(ImageFilter.GaussianBlur(strength)))
        soft = np.asarray(image.filter(ImageFilter.GaussianBlur(1.0)), np.float32)
        return _back(pixels + strength * (pixels - soft))

    return _searched(filtered, sharpness, target, by > 0)


def compression(pixels: Pixels8) -> float:
    """Return log2 of the mean step across the lines of an 8-pixel grid over the mean step elsewhere, both axes."""
    grey = luma(pixels)
    ratios = []
    for axis in (0, 1):
        steps = np.abs(np.diff(grey, axis=axis)).mean(1 - axis)
        on = np.arange(len(steps)) % 8 == 7
        if on.any() and not on.all():
            ratios.append(np.log2((steps[on].mean() + 0.25) / (steps[~on].mean() + 0.25)))
    return float(np.mean(ratios)) if ratios else 0.0


def _compressed(pixels: Pixels8, by: float) -> Pixels8:
    from PIL import Image, ImageFilter

    image = Image.fromarray(pixels)
    if by < 0:  # block edges are smoothed away
        return np.asarray(image.filter(ImageFilter.GaussianBlur(0.8)))

    def coded(strength: float) -> Pixels8:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=round(95 - 30 * strength))
        return np.asarray(Image.open(io.BytesIO(buffer.getvalue())).convert("RGB"))

    return _searched(coded, compression, compression(pixels) + by, True)


def _searched(
    alter: Callable[[float], Pixels8], measure: Callable[[Pixels8], float], target: float, rising: bool
) -> Pixels8:
    """Return the alteration of strength in [0, 3] whose measure comes nearest to the target, by bisection."""
    low, high, best = 0.0, 3.0, alter(0.0)
    gap = abs(measure(best) - target)
    for _ in range(6):
        middle = (low + high) / 2
        made = alter(middle)
        found = measure(made)
        if abs(found - target) < gap:
            best, gap = made, abs(found - target)
        if (found < target) == rising:
            low = middle
        else:
            high = middle
    return best


def aspect(pixels: Pixels8) -> float:
    """Return log2 of width over height."""
    return float(np.log2(pixels.shape[1] / pixels.shape[0]))


def resolution(pixels: Pixels8) -> float:
    """Return log2 of the number of pixels."""
    return float(np.log2(pixels.shape[0] * pixels.shape[1]))


def border(pixels: Pixels8) -> float:
    """Return the share of the four outermost lines that keep to one colour within 8 levels."""
    edges = (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1])
    flat = [np.abs(e.astype(np.float32) - np.median(e, axis=0)).max(-1) <= 8 for e in edges]
    return float(np.mean([f.mean() > 0.95 for f in flat]))


PROPERTIES: Mapping[str, Property] = {
    p.name: p
    for p in (
        Property("brightness", brightness, _brighten),
        Property("contrast", contrast, _contrasted),
        Property("warmth", warmth, _warmed),
        Property("greenness", greenness, _greened),
        Property("saturation", saturation, _saturated),
        Property("sharpness", sharpness, _sharpened),
        Property("compression", compression, _compressed),
        Property("border", border, None),
        Property("aspect", aspect, None),
        Property("resolution", resolution, None),
    )
}


def measured(pixels: Pixels8) -> list[float]:
    """Return all properties of a picture, in the order of `PROPERTIES`."""
    return [p.measure(pixels) for p in PROPERTIES.values()]
