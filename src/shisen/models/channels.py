"""Data of any number of channels and any depth: units, channels, and a view for drawing."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ImageError, InputError, ShisenWarning, explain_error

LUMINANCE = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in a gray value, ITU-R BT.601."""
VIEW_PERCENTILES = (2.0, 98.0)
"""What becomes black and white when bands of any unit are drawn."""


def in_units(array: npt.NDArray[Any], name: str, data_range: tuple[float, float] | None = None) -> npt.NDArray[Any]:
    """Return data as uint8 or as float32 in which black is 0 and white is 1.

    Without `data_range`, 16-bit data whose largest value is below 4096 are read as 12 bits, with a warning.

    Args:
        array: of any numeric type.
        name: of the image, for messages.
        data_range: the values of black and white.

    Returns:
        An array of the same shape.

    Raises:
        ImageError: for values that are not finite, or whose black and white are not known.
    """
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise not_finite(array)
    if data_range is not None:
        black, white = data_range
        units: npt.NDArray[Any] = ((array.astype(np.float64) - black) / (white - black)).astype(np.float32)
        return units
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind == "b":
        return array.astype(np.float32)
    low, high = float(array.min()), float(array.max())
    if array.dtype.kind == "f":
        if low >= -1e-6 and high <= 1 + 1e-6:
            clipped: npt.NDArray[Any] = np.clip(array, 0, 1).astype(np.float32)
            return clipped
        expected, received = "An image of floats must lie in [0, 1].", f"values from {low:.4g} to {high:.4g}"
        raise ImageError(explain_error(expected, received, _float_advice(low, high)))
    if low < 0 or high > 65535:
        raise ImageError(
            explain_error(
                "An image of whole numbers must have values of 8, 12 or 16 bits.",
                f"{name!r} with values from {low:.0f} to {high:.0f}",
                "Name the values of black and white: Preprocess(data_range=(black, white)), --data-range; of a CT the "
                "window=(center, width), --window; or zscore=True, --zscore.",
            )
        )
    whole: npt.NDArray[Any] = (array / np.float32(white_of(array))).astype(np.float32)
    return whole


def bands_view(array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return a gray view of data in any unit, from the least to the largest value of its mean band, `(H, W)`."""
    gray = array.astype(np.float64)
    gray = gray.mean(axis=2) if gray.ndim == 3 else gray
    low, high = float(gray.min()), float(gray.max())
    return to_bytes((gray - low) / ((high - low) or 1.0))


def to_bytes(units: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return data in units of [0, 1] as uint8; uint8 stays as it is."""
    if units.dtype == np.uint8:
        return units
    return np.rint(np.clip(units.astype(np.float64), 0, 1) * 255).astype(np.uint8)


def white_of(array: npt.NDArray[Any]) -> float:
    """Return the value of white in an array of whole numbers: of 8 bits, 12 bits (with a warning) or 16 bits."""
    high = int(array.max())
    if high <= 255 and array.dtype.itemsize > 2:  # 32-bit types often carry 8 bits
        return 255.0
    if 0 < high < 4096:
        warnings.warn(
            "A 16-bit image without values above 4095 was read as 12 bits: 4095 is white. If it is a dark image of 16 "
            "bits, pass Preprocess(data_range=(0, 65535)) (--data-range 0,65535).",
            ShisenWarning,
            stacklevel=2,
        )
        return 4095.0
    return 65535.0


def _float_advice(low: float, high: float) -> str:
    if low >= 0 and high <= 255:
        return "Divide by 255, turn it into uint8, or pass Preprocess(data_range=(0, 255))."
    if low >= -1 - 1e-6 and high <= 1 + 1e-6:
        return "Give (array + 1) / 2, or pass Preprocess(data_range=(-1, 1))."
    return (
        "If it is normalized already, undo that: the network's `preprocess` normalizes. Data in other units need "
        "Preprocess(data_range=(black, white)), window=(center, width) or zscore=True; data_range=(0, 1) takes them as "
        "they are."
    )


def with_channels(
    array: npt.NDArray[Any], channels: int, name: str, *, opaque: bool = True, rank: int = 2
) -> npt.NDArray[Any]:
    """Return `(*positions, C)` data with the channels that a network takes, such as `(H, W, C)`.

    Color becomes gray by luminance, gray is repeated for color, and four channels get an opaque alpha, with a warning.

    Args:
        array: `(H, W)`, or `(*positions, C)`, uint8 or in units of [0, 1].
        channels: how many the network takes.
        name: of the image, for messages.
        opaque: whether a fourth channel may be added.
        rank: number of axes of positions.

    Returns:
        `(*positions, channels)`, of the same type.

    Raises:
        ImageError: if the channels cannot be converted.
    """
    array = array[..., None] if array.ndim == rank else array
    have = array.shape[-1]
    if have == channels:
        return array
    if channels == 1 and have in (3, 4):
        gray = array[..., :3].astype(np.float64) @ np.asarray(LUMINANCE)
        gray = np.rint(gray) if array.dtype == np.uint8 else gray
        one: npt.NDArray[Any] = gray.astype(array.dtype)[..., None]
        return one
    if channels == 3 and have in (1, 2):
        return np.repeat(array[..., :1], 3, axis=-1)
    if channels == 3 and have == 4:
        return array[..., :3]
    if channels == 4 and have in (1, 3) and opaque:
        warnings.warn(
            "The network takes four channels: an image without a fourth one gets an opaque alpha channel. If it takes "
            "another band, give data of four channels (a TIFF stack, .npy or an array).",
            ShisenWarning,
            stacklevel=2,
        )
        white = 255 if array.dtype == np.uint8 else 1
        color = np.repeat(array, 3, axis=-1) if have == 1 else array
        return np.concatenate([color, np.full_like(color[..., :1], white)], axis=-1)
    count = f"{channels} channel{'' if channels == 1 else 's'}"
    raise ImageError(
        explain_error(
            f"The network takes images of {count}, as it or its preprocessing says.",
            f"{name!r} with {have}",
            "Choose channels with Preprocess(bands=(…)), give data with that many, or one mean and std per channel.",
        )
    )


def view(array: npt.NDArray[Any], rgb: tuple[int, int, int] | None = None) -> npt.NDArray[np.uint8]:
    """Return a view of data for drawing.

    One and three channels of 8 bits or in [0, 1] are drawn as they are, other data from the 2nd to the 98th percentile.

    Args:
        array: `(H, W, C)`, uint8 or float.
        rgb: the channels drawn as red, green and blue; None for the first three, or the mean of two.

    Returns:
        `(H, W, 3)` uint8.
    """
    count = array.shape[2]
    if rgb is not None:
        shown = array[:, :, list(rgb)]
    elif count >= 3:
        shown = array[:, :, :3]
    else:
        shown = np.repeat(array.mean(axis=2, keepdims=True, dtype=np.float32).astype(array.dtype), 3, axis=2)
    if shown.dtype == np.uint8:
        return np.ascontiguousarray(shown)
    low, high = 0.0, 1.0
    if rgb is not None or count not in (1, 3) or shown.min() < 0 or shown.max() > 1:
        low, high = (float(v) for v in np.percentile(shown, VIEW_PERCENTILES))
        low, high = (low, high) if high > low else (float(shown.min()), float(shown.max()) or 1.0)
    return to_bytes((shown.astype(np.float64) - low) / ((high - low) or 1.0))


def not_finite(array: npt.NDArray[Any]) -> ImageError:
    """Return the error for data with NaN or infinite values."""
    bad = int(array.size - np.isfinite(array).sum())
    return ImageError(
        explain_error(
            "An image must hold finite values.",
            f"{bad} of {array.size} values NaN or infinite",
            "Replace them, for example with numpy.nan_to_num(array).",
        )
    )


def whole_numbers(values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return pixels, 0 to 255, for a network of whole numbers.

    Args:
        values: uint8, or floats that are whole.

    Raises:
        InputError: for fractions, such as values in [0, 1].
    """
    found = np.asarray(values, np.float32)
    if not np.array_equal(found, np.rint(found)):
        raise InputError(
            explain_error(
                "The network takes whole numbers, 0 to 255.",
                f"values from {found.min():.3g} to {found.max():.3g}",
                "Pass a uint8 array, or preprocess={'range': (0, 255)} to wrap().",
            )
        )
    return found
