"""Resizing and blurring as separable matrix products, the same numbers on every backend; and box means."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
from array_api_compat import array_namespace, device

from ..types import Array

Matrix = npt.NDArray[np.float32]
_lock, _held, _inside = Lock(), ExitStack(), 0


@contextmanager
def one_thread(array: Array) -> Iterator[None]:
    """Keep products of NumPy arrays on one thread; other kinds of array are left alone.

    After a product NumPy's idle threads spin for milliseconds, on the cores that the network's next forward needs.
    The number of threads is the process's, so it is put back when the last of several callers leaves.
    """
    global _inside
    if not isinstance(array, np.ndarray):
        yield
        return
    with _lock:
        if _inside == 0:
            _held.enter_context(_blas().limit(limits=1))
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _held.close()


@lru_cache(maxsize=1)
def _blas() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")


@lru_cache(maxsize=256)
def bilinear(source: int, target: int) -> Matrix:
    """Return the `(target, source)` matrix of linear interpolation, half-pixel centers, edges held.

    Args:
        source: length before.
        target: length after.
    """
    at = np.clip((np.arange(target) + 0.5) * source / target - 0.5, 0, source - 1)
    low = np.minimum(np.floor(at).astype(int), source - 1)
    high = np.minimum(low + 1, source - 1)
    matrix = np.zeros((target, source))
    np.add.at(matrix, (np.arange(target), low), 1 - (at - low))
    np.add.at(matrix, (np.arange(target), high), at - low)
    return np.ascontiguousarray(matrix, dtype=np.float32)


@lru_cache(maxsize=256)
def spreading(source: int, target: int) -> Matrix:
    """Return the `(target, source)` matrix that spreads every value over its neighborhood: columns sum to one.

    Enlarging with it keeps the sum of a map, where `bilinear` keeps its level.

    Args:
        source: length before.
        target: length after.
    """
    matrix = bilinear(source, target).astype(np.float64)
    total = matrix.sum(axis=0, keepdims=True)
    if (total == 0).any():  # shrinking: some values fell between the samples
        matrix = np.eye(target)[np.minimum(np.arange(source) * target // source, target - 1)].T
        total = np.ones((1, source))
    return np.ascontiguousarray(matrix / total, dtype=np.float32)


@lru_cache(maxsize=256)
def gaussian(size: int, sigma: float, radius: int | None = None) -> Matrix:
    """Return the `(size, size)` matrix of a Gaussian blur; rows sum to one, also at the edges.

    Args:
        size: number of pixels along the axis.
        sigma: standard deviation in pixels.
        radius: distance in pixels beyond which weights are 0; None for no bound.

    Returns:
        float32 weights, one row for each blurred pixel.
    """
    offset = np.arange(size)[:, None] - np.arange(size)[None, :]
    matrix = np.exp(-0.5 * (offset / max(sigma, 1e-6)) ** 2)
    if radius is not None:
        matrix *= np.abs(offset) <= radius
    return np.ascontiguousarray(matrix / matrix.sum(axis=1, keepdims=True), dtype=np.float32)


def separable(maps: Array, *matrices: Matrix) -> Array:
    """Return rows · map · columnsᵀ for maps `(n, h, w)` or `(n, h, w, c)`, channel by channel; any rank alike.

    Args:
        maps: `(n, *positions)` or `(n, *positions, c)`.
        *matrices: one for each axis of positions, `(length afterwards, length before)`.
    """
    xp = array_namespace(maps)
    every = [xp.asarray(m, dtype=maps.dtype, device=device(maps)) for m in matrices]
    if len(every) != 2:
        return _axis_by_axis(maps, every)
    left, right = every
    with one_thread(maps):
        if maps.ndim == 3:
            return left @ maps @ xp.permute_dims(right, (1, 0))
        n, h, w, c = maps.shape
        tall = left @ xp.reshape(maps, (n, h, w * c))
        wide = xp.reshape(tall, (n * left.shape[0], w, c))
        return xp.reshape(right @ wide, (n, left.shape[0], right.shape[0], c))


def _axis_by_axis(maps: Array, matrices: Sequence[Any]) -> Array:
    xp = array_namespace(maps)
    with one_thread(maps):
        for axis, matrix in enumerate(matrices, 1):
            shape = tuple(maps.shape)
            lines = xp.reshape(maps, (math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])))
            maps = xp.reshape(matrix @ lines, (*shape[:axis], matrix.shape[0], *shape[axis + 1 :]))
    return maps


def resize(maps: Array, size: tuple[int, ...]) -> Array:
    """Resize maps `(n, h, w)` or `(n, h, w, c)` bilinearly, half-pixel centers, without smoothing first.

    Args:
        maps: any float array; `(n, *positions)` or `(n, *positions, c)` with as many positions as `size` has.
        size: `(H, W)` wanted, `(length,)` of a signal, `(D, H, W)` of a volume.

    Returns:
        `(n, H, W)` or `(n, H, W, c)`, in the same unit.
    """
    now = tuple(maps.shape[1 : 1 + len(size)])
    if now == tuple(size):
        return maps
    return separable(maps, *map(bilinear, now, size))


def distribute(maps: Array, size: tuple[int, ...]) -> Array:
    """Enlarge maps so that their sum stays what it is; arguments as in `resize`.

    Args:
        maps: `(n, *positions)` or `(n, *positions, c)`.
        size: positions afterwards, such as `(height, width)`.

    Returns:
        Maps of the new size, with the same sum.
    """
    now = tuple(maps.shape[1 : 1 + len(size)])
    if now == tuple(size):
        return maps
    return separable(maps, *map(spreading, now, size))


def blur(maps: Array, sigma: float, radius: int | None = None, *, rank: int = 2) -> Array:
    """Blur maps with a Gaussian; at the border only what lies inside counts.

    Args:
        maps: `(n, h, w)` or `(n, h, w, c)`, any float array.
        sigma: standard deviation in pixels.
        radius: distance in pixels at which the Gaussian is cut off; None for no bound.
        rank: number of axes of positions.

    Returns:
        an array of the same shape, in the same unit.
    """
    return separable(maps, *(gaussian(side, float(sigma), radius) for side in maps.shape[1 : 1 + rank]))


def axes_of(maps: Array) -> tuple[int, ...]:
    """Return the axes of positions of maps `(n, *positions, c)`: (1, 2) for images."""
    return tuple(range(1, maps.ndim - 1))


def box_mean(values: Matrix, width: int) -> Matrix:
    """Return the mean over a square neighborhood; beyond the border everything is 0.

    Args:
        values: `(n, h, w)`.
        width: side of the square in pixels, odd.

    Returns:
        `(n, h, w)` float32.
    """
    from scipy import ndimage

    return np.asarray(ndimage.uniform_filter(values, (1, width, width), output=np.float32, mode="constant"))
