"""The order and direction of the axes of a volume, from the affine that says where its voxels lie."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Affine = npt.NDArray[np.float64]
PAIRS = ("LR", "PA", "IS")
"""Directions in the body along the three axes of the world, from negative to positive: to the right, front and up."""


def world_axes(affine: Affine) -> list[int]:
    """Return which axis of the world each axis of the array follows most, none twice.

    Args:
        affine: `(4, 4)`, from indices of voxels to millimeters (RAS+).
    """
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    left = np.abs(affine[:3, :3] / np.where(lengths > 0, lengths, 1.0))
    found = [0, 0, 0]
    for _ in range(3):
        world, axis = np.unravel_index(int(np.argmax(left)), left.shape)
        found[int(axis)] = int(world)
        left[world, :] = left[:, axis] = -1.0
    return found


def letters_of(affine: Affine) -> str:
    """Return the direction of each axis of the array as a letter, such as "RAS" or "LPS"."""
    return "".join(PAIRS[w][int(affine[w, axis] > 0)] for axis, w in enumerate(world_axes(affine)))


def turns(affine: Affine, letters: str) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
    """Return how axes are ordered, and which of them are then turned around, so that they point as `letters` say.

    Args:
        affine: `(4, 4)`, from indices of voxels to millimeters (RAS+).
        letters: three, one of each pair L R, P A, I S.

    Raises:
        ValueError: for other letters.
    """
    wanted = [next((w for w, pair in enumerate(PAIRS) if one in pair), -1) for one in letters]
    if sorted(wanted) != [0, 1, 2]:
        raise ValueError(letters)
    known = world_axes(affine)
    order = [known.index(w) for w in wanted]
    flips = [bool((affine[w, axis] > 0) != (one in "RAS")) for w, axis, one in zip(wanted, order, letters, strict=True)]
    return (order[0], order[1], order[2]), (flips[0], flips[1], flips[2])


def turned_affine(affine: Affine, shape: Sequence[int], order: Sequence[int], flips: Sequence[bool]) -> Affine:
    """Return the affine of an array whose axes were ordered and turned around.

    Args:
        affine: of the array before.
        shape: of the array afterwards.
        order: of the axes.
        flips: which of the ordered axes were turned around.
    """
    new = affine[:, [*order, 3]].copy()
    for axis, flip in enumerate(flips):
        if flip:
            new[:3, 3] += new[:3, axis] * (shape[axis] - 1)
            new[:3, axis] *= -1
    return new
