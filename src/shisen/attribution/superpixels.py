"""An image cut into pieces, and pieces put together to masks."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError, explain_error, require
from ..targets import like
from ..types import Array

Pieces = npt.NDArray[np.int64]
"""`(h, w)` with the number of the piece each pixel belongs to: 0, 1, 2, …"""


def cut(image: npt.NDArray[np.float32], pieces: int | str, compactness: float) -> Pieces:
    """Cut an image into about so many pieces that follow its edges (SLIC superpixels), or into a grid.

    Args:
        image: `(h, w, c)`, pixels in [0, 1].
        pieces: how many; or "7x7" for a grid of rectangles, which needs no package.
        compactness: how square superpixels are; larger is squarer.

    Returns:
        `(h, w)`, numbered from 0 without gaps.

    Raises:
        MissingDependency: without scikit-image, unless a grid is asked for.
    """
    h, w = image.shape[:2]
    if isinstance(pieces, str):
        rows, cross, columns = pieces.partition("x")
        if not (cross and rows.isdigit() and columns.isdigit() and 1 <= int(rows) <= h and 1 <= int(columns) <= w):
            raise InputError(
                explain_error("A grid reads like '7x7'.", repr(pieces), "Or give a number of superpixels.")
            )
        r, c = np.arange(h) * int(rows) // h, np.arange(w) * int(columns) // w
        return np.asarray(r[:, None] * int(columns) + c[None, :], dtype=np.int64)
    if pieces < 2:
        raise InputError(explain_error("pieces must be at least 2.", pieces, "Try 50."))
    try:
        from skimage.segmentation import slic
    except ImportError as problem:
        raise require("scikit-image", "perturbation", "Cutting into superpixels (pieces='7x7' does not)") from problem
    span = float(image.max() - image.min())
    if span == 0:  # nothing to follow
        return cut(image, f"{round(np.sqrt(pieces))}x{round(np.sqrt(pieces))}", compactness)
    color = image.shape[2] == 3
    found = slic(
        np.ascontiguousarray((image - image.min()) / span, dtype=np.float64),
        n_segments=pieces,
        compactness=compactness,
        channel_axis=-1,
        convert2lab=color,
        start_label=0,
    )
    return np.asarray(np.unique(found, return_inverse=True)[1].reshape(h, w), dtype=np.int64)


def masks(chosen: npt.NDArray[Any], pieces: Pieces, images: Array) -> Array:
    """Return masks `(r, h, w)` that keep the chosen pieces, in the images' kind of array.

    Args:
        chosen: `(r, pieces)`, 1 for a piece that is kept.
        pieces: from `cut`.
        images: any array of the kind wanted.
    """
    return like(chosen.astype(np.float32)[:, pieces], images)


def paint(values: npt.NDArray[np.float64], pieces: Pieces) -> npt.NDArray[np.float32]:
    """Return a map in which each piece's value is shared out evenly among its pixels, so that it sums to the values."""
    sizes = np.bincount(pieces.ravel(), minlength=len(values))
    return np.asarray((values / sizes)[pieces], dtype=np.float32)
