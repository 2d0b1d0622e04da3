"""Control maps, which do not depend on the network: what every method has to beat. They are evaluated like methods."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from .._core.image_ops import blur
from ..errors import unknown

Map = npt.NDArray[np.float32]


def random(image: npt.NDArray[Any], seed: int) -> Map:
    """Independent noise in every pixel: the random numbers by which `Sample.ranks` breaks ties.


    Args:
        image: `(h, w, c)` pixels in [0, 1].
        seed: seed of the image.

    Returns:
        `(h, w)`, 0 to 1.
    """
    draw = np.random.default_rng([seed, zlib.crc32(b"ties")]).random(image.shape[0] * image.shape[1])
    return np.asarray(draw.reshape(image.shape[:2]), dtype=np.float32)


def random_patches(image: npt.NDArray[Any], seed: int) -> Map:
    """Independent noise on a grid of 7 × 7, as coarse as the maps of most networks' last layers.


    Args:
        image: `(h, w, c)` pixels in [0, 1].
        seed: seed of the image.

    Returns:
        `(7, 7)`, 0 to 1.
    """
    return np.random.default_rng([seed, zlib.crc32(b"patches")]).random((7, 7)).astype(np.float32)


def center(image: npt.NDArray[Any], seed: int) -> Map:
    """A Gaussian in the middle with a standard deviation of a quarter of each side: objects are often centered.


    Args:
        image: `(h, w, c)` pixels in [0, 1].
        seed: seed of the image.

    Returns:
        `(h, w)`, 0 to 1.
    """
    h, w = image.shape[:2]
    y = ((np.arange(h) + 0.5) / h - 0.5) / 0.25
    x = ((np.arange(w) + 0.5) / w - 0.5) / 0.25
    return np.asarray(np.exp(-0.5 * (y[:, None] ** 2 + x[None, :] ** 2)), dtype=np.float32)


def constant(image: npt.NDArray[Any], seed: int) -> Map:
    """One everywhere.


    Args:
        image: `(h, w, c)` pixels in [0, 1].
        seed: seed of the image.

    Returns:
        `(h, w)`.
    """
    return np.ones(image.shape[:2], dtype=np.float32)


def edges(image: npt.NDArray[Any], seed: int) -> Map:
    """Magnitude of the gradient of the brightness, slightly blurred: looks convincing and does not use the network.


    Args:
        image: `(h, w, c)` pixels in [0, 1].
        seed: seed of the image.

    Returns:
        `(h, w)`, not negative.
    """
    gray = blur(image.mean(axis=2)[None], 2.0, 6)[0]
    down, across = np.gradient(gray.astype(np.float64))
    return np.asarray(np.hypot(down, across), dtype=np.float32)


CONTROL_MAPS: dict[str, Callable[[npt.NDArray[Any], int], Map]] = {
    f.__name__: f for f in (random, random_patches, center, constant, edges)
}


def control_map(name: str, image: npt.NDArray[Any], seed: int) -> Map:
    """Return a control map of one image.

    Args:
        name: one of `CONTROL_MAPS`.
        image: `(h, w, c)`.
        seed: of the image.

    Returns:
        `(h, w)`, or coarser.

    Raises:
        UnknownName: for another name.
    """
    if name not in CONTROL_MAPS:
        raise unknown("control map", name, CONTROL_MAPS)
    return CONTROL_MAPS[name](image, seed)
