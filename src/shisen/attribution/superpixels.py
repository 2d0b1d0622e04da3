"""Segmentation of an image, and masks that keep some of its segments."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError, explain_error, requiring
from ..targets import like
from ..types import Array

Segmentation = npt.NDArray[np.int64]
"""`(h, w)` with the number of the segment each pixel belongs to: 0, 1, 2, …"""


def cut(image: npt.NDArray[np.float32], segments: int | str, compactness: float) -> Segmentation:
    """Cut an image into about so many segments that follow its edges (SLIC superpixels), or into a grid.

    Args:
        image: `(h, w, c)`, pixels in [0, 1].
        segments: how many; or "7x7" for a grid of rectangles, which needs no package.
        compactness: how square superpixels are; larger is squarer.

    Returns:
        `(h, w)`, numbered from 0 without gaps.

    Raises:
        InputError: for fewer than two segments, or a grid that does not fit the image.
        MissingDependency: without scikit-image, unless `segments` is a grid.
    """
    h, w = image.shape[:2]
    if isinstance(segments, str):
        rows, cross, columns = segments.partition("x")
        if not (cross and rows.isdigit() and columns.isdigit() and 1 <= int(rows) <= h and 1 <= int(columns) <= w):
            raise InputError(
                explain_error("A grid reads like '7x7'.", repr(segments), "Or give a number of superpixels.")
            )
        r, c = np.arange(h) * int(rows) // h, np.arange(w) * int(columns) // w
        return np.asarray(r[:, None] * int(columns) + c[None, :], dtype=np.int64)
    if segments < 2:
        raise InputError(explain_error("segments must be at least 2.", segments, "Try 50."))
    with requiring("scikit-image", "perturbation", "Cutting into superpixels (segments='7x7' does not)"):
        from skimage.segmentation import slic
    span = float(image.max() - image.min())
    if span == 0:  # nothing to follow
        return cut(image, f"{round(np.sqrt(segments))}x{round(np.sqrt(segments))}", compactness)
    color = image.shape[2] == 3
    found = slic(
        np.ascontiguousarray((image - image.min()) / span, dtype=np.float64),
        n_segments=segments,
        compactness=compactness,
        channel_axis=-1,
        convert2lab=color,
        start_label=0,
    )
    return np.asarray(np.unique(found, return_inverse=True)[1].reshape(h, w), dtype=np.int64)


def masks(chosen: npt.NDArray[Any], segments: Segmentation, images: Array) -> Array:
    """Return masks `(r, h, w)` that keep the chosen segments, as the images' kind of array.

    Args:
        chosen: `(r, segments)`, 1 for a segment that is kept.
        segments: from `cut`.
        images: any array of the framework wanted.

    Returns:
        float32, 1 where a pixel is kept.
    """
    return like(chosen.astype(np.float32)[:, segments], images)


def paint(values: npt.NDArray[np.float64], segments: Segmentation) -> npt.NDArray[np.float32]:
    """Return a map in which each segment's value is distributed evenly over its pixels; it sums to the values.

    Args:
        values: `(segments,)`.
        segments: `(h, w)` segment numbers.
    """
    sizes = np.bincount(segments.ravel(), minlength=len(values))
    return np.asarray((values / sizes)[segments], dtype=np.float32)
