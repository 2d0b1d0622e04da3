"""From a signal, a volume or a video to the numbers that a network expects: channels, intensities and size."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .._core.image_ops import separable
from ..errors import ImageError, InputError, explain_error
from ..types import Frame, InputImage
from .channels import in_units, with_channels

if TYPE_CHECKING:
    from .preprocess import Preprocess

Values = npt.NDArray[np.float32]


def intensities(values: npt.NDArray[Any], name: str, preprocess: Preprocess) -> npt.NDArray[Any]:
    """Return data in the units of a preprocessing: black 0 and white 1, a window of a CT, or z-scores.

    Args:
        values: `(*positions, c)`, of any numeric type.
        name: of the file, for messages.
        preprocess: whose `data_range`, `window` and `zscore` count.

    Returns:
        uint8, or float32.

    Raises:
        ImageError: for values that are not finite, or whose black and white are not known.
    """
    span = preprocess.data_range
    if preprocess.window is not None:
        center, width = preprocess.window
        span = (center - width / 2, center + width / 2)
    if preprocess.zscore and span is None:
        span = (0.0, 1.0)  # the values as they are
    units = in_units(values, name, span)
    if preprocess.window is not None:
        units = np.clip(units, 0, 1)
    if not preprocess.zscore:
        return units
    axes = tuple(range(units.ndim - 1))
    mean, std = (f(units, axis=axes, keepdims=True, dtype=np.float64) for f in (np.mean, np.std))
    standard: Values = ((units - mean) / np.where(std > 0, std, 1.0)).astype(np.float32)
    return standard


def with_intensities(image: InputImage, preprocess: Preprocess) -> InputImage:
    """Return an image of any rank with `data`: the channels that a network takes, in the units it takes.

    Args:
        image: as it was read.
        preprocess: what the network expects.

    Raises:
        ImageError: it does not have the channels, or its units are not known.
    """
    values = chosen_bands(image.pixels, image.source, preprocess)
    units = intensities(values, image.source, preprocess)
    data = with_channels(units, preprocess.channels, image.source, opaque=False, rank=len(image.size))
    return InputImage(image.pixels, image.source, image.sha256, data, image.space)


def chosen_bands(values: npt.NDArray[Any], name: str, preprocess: Preprocess) -> npt.NDArray[Any]:
    """Return the channels that a preprocessing selects.

    Args:
        values: `(*positions, c)`.
        name: of the file, for messages.
        preprocess: whose `bands` count.

    Raises:
        ImageError: for channels that the data do not have.
    """
    if preprocess.bands is None:
        return values
    if max(preprocess.bands) >= values.shape[-1]:
        expected = f"The data must have the channels {preprocess.bands} that `bands` names, counted from 0."
        raise ImageError(explain_error(expected, f"{name!r} with {values.shape[-1]}", "Name others with bands=."))
    return values[..., list(preprocess.bands)]


def at_size(image: InputImage, preprocess: Preprocess) -> tuple[Values, Frame]:
    """Return `(*positions, c)` values at the network's size, and the frame they come from.

    Each axis is resampled by itself: linearly and, where it shrinks, smoothed by a triangle as wide as the step, as
    Pillow does; or to the nearest neighbor.

    Args:
        image: of the rank of the preprocessing, with `data` of the network's channels.
        preprocess: size, fit and interpolation.

    Raises:
        InputError: for an image of another number of axes, or an interpolation that volumes do not have.
    """
    size, sides = image.size, preprocess.sides
    if len(size) != len(sides):
        raise InputError(
            explain_error(
                f"The network takes inputs with {len(sides)} axes of positions, {sides}.",
                f"{image.source!r} with {len(size)}, {size}",
                "Give size= as many numbers as the input has axes beside the channels.",
            )
        )
    if preprocess.interpolation not in ("bilinear", "nearest"):
        text = "Signals and volumes are resampled with interpolation 'bilinear' (linear along each axis) or 'nearest'."
        raise InputError(explain_error(text, repr(preprocess.interpolation), "Leave it out."))
    array = image.pixels if image.data is None else image.data
    values = array.astype(np.float32) / np.float32(255 if array.dtype == np.uint8 else 1)
    scaled, offsets = preprocess.placed(size)
    matrices = []
    for length, new, offset, side in zip(size, scaled, offsets, sides, strict=True):
        whole = resampling(length, new, preprocess.interpolation)
        placed = np.zeros((side, length), np.float32)
        first, last = max(offset, 0), min(offset + side, new)
        placed[first - offset : last - offset] = whole[first:last]
        matrices.append(placed)
    fill = 0.0 if preprocess.zscore else 0.5  # as much as nothing: the mean, or the gray that images are padded with
    resampled = separable(values[None] - np.float32(fill), *matrices)[0] + np.float32(fill)
    return np.asarray(resampled, np.float32), preprocess.frame(size)


@lru_cache(maxsize=32)
def resampling(length: int, new: int, interpolation: str) -> Values:
    """Return the `(new, length)` matrix that resamples an axis; rows sum to one.

    Args:
        length: before.
        new: after.
        interpolation: "bilinear" or "nearest".
    """
    step = length / new
    center = (np.arange(new) + 0.5) * step
    if interpolation == "nearest":
        nearest = np.minimum(center.astype(int), length - 1)
        return np.asarray(np.eye(length)[nearest], np.float32)
    reach = max(step, 1.0)
    weights = np.maximum(0.0, 1.0 - np.abs(np.arange(length) + 0.5 - center[:, None]) / reach)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)
