"""Small shifts, rotations and changes of scale, each one linear resampling with its exact adjoint.

An image that activates a channel only at one position and one size is noise to a reader; one that still does so
when it is moved a little is a pattern.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ..errors import InputError, explain_error

Map = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Resampling:
    """out_j = Σ_k weight_jk · image[index_jk]; the same for every plane of every image.

    Attributes:
        index: `(m, 4)` positions in the flattened source.
        weight: `(m, 4)` bilinear weights; zero outside of the source.
        source: `(h, w)` before.
        target: `(h, w)` after; m = h · w.
    """

    index: npt.NDArray[np.int64]
    weight: Map
    source: tuple[int, int]
    target: tuple[int, int]

    @cached_property
    def outside(self) -> Map:
        """The fraction of each output that lies outside of the source, `(m,)`: 1 − Σ_k weight."""
        return np.asarray(1.0 - self.weight.sum(axis=1), np.float32)

    def apply(self, planes: Map, background: float = 0.0) -> Map:
        """Return the planes resampled.

        Args:
            planes: `(..., h, w)` of the source size.
            background: value outside of the source.
        """
        flat = planes.reshape(-1, self.source[0] * self.source[1])
        out = np.zeros((flat.shape[0], self.index.shape[0]), planes.dtype)
        for k in range(4):
            out += flat[:, self.index[:, k]] * self.weight[:, k]
        if background:
            out += np.float32(background) * self.outside
        return out.reshape(*planes.shape[:-2], *self.target)

    def adjoint(self, planes: Map) -> Map:
        """Return Σ_j weight_jk · planes_j at index_jk: the transpose of `apply` with no background.

        Args:
            planes: `(..., h, w)` of the target size.
        """
        flat = planes.reshape(-1, self.target[0] * self.target[1])
        rows, weight = self._inverse
        out = np.zeros((flat.shape[0], self.source[0] * self.source[1]), planes.dtype)
        for k in range(rows.shape[0]):
            out += flat[:, rows[k]] * weight[k]
        return out.reshape(*planes.shape[:-2], *self.source)

    @cached_property
    def _inverse(self) -> tuple[npt.NDArray[np.int64], Map]:
        """For every position of the source, the outputs it went to and with which weight, `(most, h · w)` each.

        Gathering from a table is many times faster than adding at indices, and always sums in the same order.
        """
        position, weight = self.index.ravel(), self.weight.ravel()
        kept = np.flatnonzero(weight)
        order = kept[np.argsort(position[kept], kind="stable")]
        position = position[order]
        count = np.bincount(position, minlength=self.source[0] * self.source[1])
        slot = np.arange(len(position)) - np.repeat(np.cumsum(count) - count, count)
        rows = np.zeros((int(count.max(initial=1)), len(count)), np.int64)
        table = np.zeros(rows.shape, np.float32)
        rows[slot, position] = order // 4
        table[slot, position] = weight[order]
        return rows, table


def resampling(matrix: Matrix, source: tuple[int, int], target: tuple[int, int]) -> Resampling:
    """Return the bilinear resampling that takes output positions from the input positions of an affine map.

    (row, column, 1) of the input, both measured from the center, = matrix · (row, column, 1) of the output.

    Args:
        matrix: `(3, 3)`.
        source: `(h, w)` before.
        target: `(h, w)` after.

    Raises:
        InputError: for an image without pixels.
    """
    if min(*source, *target) < 1:
        raise InputError(
            explain_error("An image needs at least one pixel.", f"{source} to {target}", "Make it larger.")
        )
    rows, columns = np.meshgrid(*(np.arange(t, dtype=np.float64) - (t - 1) / 2 for t in target), indexing="ij")
    points = matrix @ np.stack([rows.ravel(), columns.ravel(), np.ones(rows.size)])
    r, c = points[0] + (source[0] - 1) / 2, points[1] + (source[1] - 1) / 2
    top, left = np.floor(r), np.floor(c)
    down, across = r - top, c - left
    index, weight = [], []
    for dr, wr in ((0, 1 - down), (1, down)):
        for dc, wc in ((0, 1 - across), (1, across)):
            y, x = (top + dr).astype(np.int64), (left + dc).astype(np.int64)
            inside = (y >= 0) & (y < source[0]) & (x >= 0) & (x < source[1])
            index.append(np.where(inside, y * source[1] + x, 0))
            weight.append(np.where(inside, wr * wc, 0.0))
    return Resampling(np.stack(index, axis=1), np.stack(weight, axis=1).astype(np.float32), source, target)


def jitter(down: float, right: float) -> Matrix:
    """Move the image, in pixels.

    Args:
        down: distance down in pixels.
        right: distance to the right in pixels.

    Returns:
        `(3, 3)`.
    """
    return np.array([[1.0, 0.0, -down], [0.0, 1.0, -right], [0.0, 0.0, 1.0]])


def scale(factor: float) -> Matrix:
    """Enlarge the image about its center."""
    return np.diag([1.0 / factor, 1.0 / factor, 1.0])


def rotate(degrees: float) -> Matrix:
    """Rotate the image about its center, counter-clockwise."""
    a = np.deg2rad(degrees)
    return np.array([[np.cos(a), np.sin(a), 0.0], [-np.sin(a), np.cos(a), 0.0], [0.0, 0.0, 1.0]])


def pad(size: tuple[int, int], border: int) -> Resampling:
    """Put a border of `border` pixels around the image.

    Args:
        size: `(height, width)` in pixels.
        border: width of the border in pixels.

    Returns:
        The resampling.
    """
    return resampling(np.eye(3), size, (size[0] + 2 * border, size[1] + 2 * border))


@dataclass(frozen=True)
class RandomTransform:
    """How much an image is shifted, scaled and rotated before the network sees it, drawn anew in each step.

    Attributes:
        shift: greatest shift, as a fraction of the side; uniform.
        scale: greatest change of size, as a fraction: factors from 1 − scale to 1 + scale.
        degrees: greatest rotation; uniform.
        border: pixels of gray around the image, as a fraction of the side.
    """

    shift: float = 1 / 16
    scale: float = 0.1
    degrees: float = 10.0
    border: float = 1 / 32

    def draw(self, rng: np.random.Generator, side: int) -> Resampling:
        """Return one resampling: pad, jitter, scale, rotate in one interpolation, so that nothing blurs twice.

        Args:
            rng: random number generator.
            side: height and width in pixels.
        """
        down, right, larger, turn = rng.uniform(-1, 1, 4)
        target = side + 2 * round(self.border * side)
        shift = self.shift * side
        # output position → input position: undo the rotation, then the scale, then the shift
        matrix = jitter(down * shift, right * shift) @ scale(1 + self.scale * larger) @ rotate(self.degrees * turn)
        return resampling(matrix, (side, side), (target, target))
