"""Images that occur twice: under two labels, in the training folder too, or twice in a class."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from .confusion import Fraction
from .likeness import GRID, Floats, likeness

How = Literal["same_file", "same_pixels", "near"]

CANDIDATE = 0.9
"""Least correlation of two descriptors."""
NEIGHBORS, BLOCK = 3, 1024


class Pair(NamedTuple):
    """Two entries that show the same image.

    Attributes:
        first: row of the audited image.
        other: row of the other one; of the training folder if `leaked`.
        leaked: whether the other one lies in the training folder.
        how: "same_file", "same_pixels" or "near" (other size, compression, light, crop or mirrored).
        likeness: correlation of the detail, 1 for the same pixels.
    """

    first: int
    other: int
    leaked: bool
    how: How
    likeness: float


@dataclass(frozen=True)
class Duplicates:
    """What occurs twice.

    Attributes:
        pairs: those of the training folder first, then those with two labels, then the rest.
        train: names and labels of the training images that occur in pairs, by row.
        trained_on: number of training images compared; 0 without a training folder.
        clean: accuracy on the images that are not in the training folder, None without such a folder.
        train_paths: files of the same training images.
    """

    pairs: tuple[Pair, ...]
    train: dict[int, tuple[str, str]]
    trained_on: int
    clean: Fraction | None
    train_paths: dict[int, str] = field(default_factory=dict)


class Prints(NamedTuple):
    """What images are compared by.

    Attributes:
        digests: SHA-256 of each file, "" where it could not be read.
        descriptors: `(n, 256)` of length one; zero where there is nothing to compare.
        canvas: from a row to its small copy `(K, K, 3)`.
    """

    digests: Sequence[str]
    descriptors: Floats
    canvas: Callable[[int], npt.NDArray[np.uint8]]


def candidates(left: Floats, right: Floats, same: bool) -> Iterator[tuple[int, int]]:
    """Yield pairs of rows whose descriptors correlate, mirrored or not; the nearest few of each row.

    Args:
        left: `(n, 256)` descriptors.
        right: `(m, 256)` descriptors.
        same: whether both are the same images; then each pair is yielded once.
    """
    mirrored = right.reshape(-1, GRID, GRID)[:, :, ::-1].reshape(-1, GRID * GRID)
    found: set[tuple[int, int]] = set()
    for start in range(0, len(left), BLOCK):
        likeness = np.maximum(left[start : start + BLOCK] @ right.T, left[start : start + BLOCK] @ mirrored.T)
        if same:
            own = np.arange(len(likeness))
            likeness[own, own + start] = -1
        few = min(NEIGHBORS, likeness.shape[1])
        nearest = np.argpartition(-likeness, few - 1, axis=1)[:, :few] if few else np.zeros((0, 0), np.int64)
        for i, row in enumerate(nearest):
            for j in row[likeness[i, row] >= CANDIDATE]:
                pair = (start + i, int(j))
                found.add((min(pair), max(pair)) if same else pair)
    yield from sorted(found)


def pairs_of(left: Prints, right: Prints | None) -> list[Pair]:
    """Return the pairs among images, or between them and those of the training folder.

    Args:
        left: of the audited images.
        right: of the training images; None to compare the audited images with each other.
    """
    other = left if right is None else right
    by_file: dict[str, list[int]] = {}
    for j, digest in enumerate(other.digests):
        if digest:
            by_file.setdefault(digest, []).append(j)
    leaked = right is not None
    found = {
        (i, j): Pair(i, j, leaked, "same_file", 1.0)
        for i, digest in enumerate(left.digests)
        for j in by_file.get(digest, ())
        if digest and (leaked or i < j)
    }
    for i, j in candidates(left.descriptors, other.descriptors, right is None):
        if (i, j) in found:
            continue
        a, b = left.canvas(i), other.canvas(j)
        if (a == b).all():
            found[i, j] = Pair(i, j, leaked, "same_pixels", 1.0)
        elif (value := likeness(a, b)) > 0:
            found[i, j] = Pair(i, j, leaked, "near", round(value, 4))
    return [found[key] for key in sorted(found)]
