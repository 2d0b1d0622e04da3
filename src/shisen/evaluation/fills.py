"""What takes the place of removed pixels, and in which order pixels are removed."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import unknown
from .sample import Image, Sample

FILLS = ("zero", "black", "mean", "blur")


def filled(case: Sample, fill: str) -> Image:
    """Return the image with all its pixels removed, `(h, w, c)`.

    Args:
        case: the image.
        fill: "zero" (what the network sees as 0), "black" (pixel value 0), "mean" (the image's mean color) or
            "blur" (11 × 11 Gaussian with a standard deviation of 5 pixels at 224, larger in proportion, as in RISE).
    """
    if fill == "zero":
        return case.black
    if fill == "black":
        return np.zeros_like(case.image)
    if fill == "mean":
        return np.broadcast_to(case.image.mean(axis=(0, 1), dtype=np.float64), case.image.shape).astype(np.float32)
    if fill == "blur":
        unit = max(case.size) / 224.0
        return blurred(case.image, 5.0 * unit, max(1, round(5 * unit)))
    raise unknown("fill", fill, FILLS)


@lru_cache(maxsize=8)
def _gaussian(length: int, sigma: float, reach: int) -> npt.NDArray[np.float32]:
    """Return the `(length, length)` matrix of a truncated Gaussian; weights beyond the edge are shared out."""
    offset = np.arange(length)[:, None] - np.arange(length)[None, :]
    weight = np.exp(-0.5 * (offset / sigma) ** 2) * (np.abs(offset) <= reach)
    return np.asarray(weight / weight.sum(axis=1, keepdims=True), dtype=np.float32)


def blurred(image: npt.NDArray[Any], sigma: float, reach: int) -> Image:
    """Return `(h, w, c)` blurred by a Gaussian cut off at `reach` pixels: two matrix products."""
    down = _gaussian(image.shape[0], sigma, reach)
    across = _gaussian(image.shape[1], sigma, reach)
    return np.asarray(np.einsum("ij,jkc,lk->ilc", down, image, across, optimize=True), dtype=np.float32)


def order(case: Sample) -> npt.NDArray[np.int64]:
    """Return flat pixel numbers, most important first; ties fall in an order drawn once for the image.

    The draw is shared by all maps of the image, so a constant map is removed exactly like the map of the draws
    itself, which is a random map: neither gains anything from where its pixels happen to be stored.
    """
    return case.ranks


def kept(ranks: npt.NDArray[np.int64], counts: npt.NDArray[np.int64], size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Return `(k, h, w)`: for each count, whether a pixel is *not* among the `count` first."""
    place = np.empty(ranks.size, dtype=np.int64)
    place[ranks] = np.arange(ranks.size)
    return (place[None, :] >= counts[:, None]).reshape(len(counts), *size)
