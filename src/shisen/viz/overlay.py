"""An image and its map in one image: blended, lit, as heat alone, or as contour lines."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..errors import InputError, explain_error, unknown
from .colormap import Bytes, centered, color, index, table
from .legend import badge

STYLES = ("blend", "mask", "heatmap", "contour")

BAND = 32_768  # pixels worked on at a time: temporaries stay in the processor's cache, and no fresh memory is allocated
SAMPLE = 1_000_000  # pixels that are enough to estimate a percentile
UNSEEN = 0.6  # light of image parts that the network did not look at
UNLIT = 0.12  # light that `mask` leaves where there is no evidence, so that the image can be recognized
NOWHERE = 72  # gray of the same pixels in `heatmap`
LEVELS = (0.25, 0.5, 0.75)


def displayable(pixels: npt.NDArray[Any]) -> Bytes:
    """Return any array as an image that can be shown.

    Bytes stay as they are, 16 bits lose the lower half, floats in [0, 1] are times 255; values in another range are
    stretched from their least to their largest, not a number is black. One channel is gray, three are colors, of any
    other number the mean is shown.

    Args:
        pixels: `(H, W)` or `(H, W, C)` of any type.

    Returns:
        `(H, W, 3)` uint8; the array itself if it already is one.

    Raises:
        InputError: if it is not an image's shape.
    """
    array = np.asarray(pixels)
    if array.ndim not in (2, 3) or array.size == 0 or array.dtype.kind not in "buif":
        raise InputError(
            explain_error(
                "An image must be numbers of shape (H, W) or (H, W, C).",
                f"{array.dtype} of shape {array.shape}",
                "Pass one image, channels last.",
            )
        )
    if array.dtype == np.uint8:
        level = array
    elif array.dtype == np.bool_:
        level = array.astype(np.uint8) * np.uint8(255)
    elif array.dtype == np.uint16 and array.max() > 255:
        level = (array >> 8).astype(np.uint8)
    else:
        level = _stretched(array)
    if level.ndim == 2:
        level = level[..., None]
    if level.shape[2] == 3:
        return level
    if level.shape[2] != 1:
        level = np.rint(level.mean(axis=2, dtype=np.float32, keepdims=True)).astype(np.uint8)
    gray: Bytes = np.repeat(level, 3, axis=2)
    return gray


def _stretched(array: npt.NDArray[Any]) -> Bytes:
    real = array.astype(np.float64 if array.dtype.itemsize > 4 else np.float32)
    finite = real[np.isfinite(real)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    if low >= 0.0 and high <= 1.0 and array.dtype.kind == "f":
        low, high = 0.0, 1.0
    elif low >= 0.0 and high <= 255.0:
        low, high = 0.0, 255.0
    real = np.nan_to_num(real, nan=low, posinf=high, neginf=low)
    width = max(high - low, 1e-30)
    return np.asarray(np.rint(np.clip(real / width - low / width, 0.0, 1.0) * 255.0), dtype=np.uint8)


def overlay(
    pixels: npt.NDArray[Any],
    heat: npt.NDArray[np.floating],
    style: str = "blend",
    *,
    colormap: str = "jet",
    alpha: float = 0.4,
) -> Image.Image:
    """Draw a map and its image in one image of the image's size.

    `blend` is (1 − alpha) · image + alpha · color; `mask` lights the image by the map, its 10th to 90th
    percentile stretched; `heatmap` is the colors alone; `contour` draws lines at 25, 50 and 75 % of the hottest
    value. With a diverging color map zero is the middle. Where the map is NaN the network did not look: the image
    is left without tint and a little darker. A map without any evidence is labeled as such.

    Args:
        pixels: `(H, W, 3)` uint8, or what `displayable` makes of it.
        heat: `(H, W)` in [0, 1], or in [−1, 1] for a diverging color map.
        style: "blend", "mask", "heatmap" or "contour".
        colormap: a matplotlib color map.
        alpha: opacity of the colors in `blend`, 0 to 1.

    Returns:
        RGB image, H pixels high and W wide.

    Raises:
        UnknownName: if there is no such style or color map.
        InputError: if the shapes do not fit or alpha is out of range.
    """
    image = displayable(pixels)
    values = np.asarray(heat, dtype=np.float32)
    if style not in STYLES:
        raise unknown("style", style, STYLES)
    if values.shape != image.shape[:2]:
        raise InputError(
            explain_error(
                f"The map must have the image's size {image.shape[:2]}.",
                f"shape {values.shape}",
                "Lay it over the image first.",
            )
        )
    if not 0.0 <= alpha <= 1.0:
        raise InputError(explain_error("alpha must lie between 0 and 1.", alpha, "0.4 suits most images."))
    fractions = table(colormap) * np.float32(alpha)  # an unknown name is answered before any work
    out = np.empty_like(image)
    low, high = _stretch(values) if style == "mask" else (0.0, 1.0)
    for rows in _bands(image.shape[0], image.shape[1]):
        part, warm = image[rows], values[rows]
        if style == "blend":
            out[rows] = _mix(part, np.take(fractions, index(centered(warm, colormap)), axis=0), alpha)
        elif style == "mask":
            out[rows] = _lit(part, warm, low, high)
        elif style == "heatmap":
            out[rows] = color(centered(warm, colormap), colormap)
        else:
            out[rows] = part
        away = np.isnan(warm)
        for columns in _runs(np.asarray(away.any(axis=0))):  # a rectangle is seen: mostly two strips beside it
            dark = (
                np.uint8(NOWHERE)
                if style == "heatmap"
                else np.take(_dimmed(UNLIT if style == "mask" else UNSEEN), part[:, columns])
            )
            unseen = away[:, columns]
            np.copyto(out[rows][:, columns], dark, where=True if unseen.all() else unseen[..., None])
    drawn = Image.fromarray(out)
    if not ((values > 0.0) | (values < 0.0)).any():  # NaN is neither
        return badge(drawn, "no evidence")
    if style == "contour":
        from .contour import draw_contours

        return draw_contours(drawn, values, colormap=colormap, levels=LEVELS)
    return drawn


def _bands(height: int, width: int) -> Iterator[slice]:
    step = max(1, BAND // max(width, 1))
    return (slice(start, start + step) for start in range(0, height, step))


def _runs(marked: npt.NDArray[np.bool_]) -> Iterator[slice]:
    """Yield where runs of neighbors that are marked begin and end."""
    steps = np.flatnonzero(np.diff(marked, prepend=False, append=False))
    return (slice(int(start), int(end)) for start, end in zip(steps[::2], steps[1::2], strict=True))


@lru_cache(maxsize=4)
def _dimmed(light: float) -> Bytes:
    """Return what each of the 256 levels becomes at this light."""
    return np.asarray(np.arange(256) * np.float32(light), dtype=np.uint8)


def _mix(image: Bytes, fraction: npt.NDArray[np.float32], alpha: float) -> Bytes:
    mixed = image * np.float32(1.0 - alpha)
    mixed += fraction
    return np.asarray(np.rint(mixed, out=mixed), dtype=np.uint8)


def _lit(image: Bytes, heat: npt.NDArray[np.float32], low: float, high: float) -> Bytes:
    light = (np.clip(np.nan_to_num(heat), low, high) - np.float32(low)) / np.float32(max(high - low, 1e-12))
    light = np.float32(UNLIT) + np.float32(1.0 - UNLIT) * light
    return np.rint(image * light[..., None]).astype(np.uint8)


def _stretch(heat: npt.NDArray[np.float32]) -> tuple[float, float]:
    """Return the values between which `mask` goes from dark to light: the 10th and 90th percentile of the map."""
    stride = max(1, int(np.ceil(np.sqrt(heat.size / SAMPLE))))
    sample = heat[::stride, ::stride]
    sample = np.maximum(sample[np.isfinite(sample)], 0.0)
    top = max(float(np.nanmax(heat, initial=0.0)), 0.0)
    if not sample.size:
        return 0.0, max(top, 1.0)
    low, high = (float(q) for q in np.percentile(sample, (10, 90)))
    return (low, high) if high > low else (low, top) if top > low else (top, top + 1.0)
