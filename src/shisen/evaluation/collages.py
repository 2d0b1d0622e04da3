"""The grid game: in collages of the user's images it is known where a map should be, without any annotation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .localization import energy_fraction
from .metrics import metric
from .requests import Outcome
from .sample import Image, Sample

CONFIDENT = 0.8


@dataclass(frozen=True, eq=False)
class Collage:
    """Four images in one.

    Attributes:
        image: `(2h, 2w, c)`.
        members: which image lies in each cell, row by row.
    """

    image: Image
    members: tuple[int, int, int, int]


def cell(position: int, size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Return `(h, w)`: the pixels of cell 0, 1, 2 or 3 of a collage of this size, row by row.


    Args:
        position: number of the cell, 0 to 3.
        size: `(height, width)` of the collage in pixels.
    """
    h, w = size
    inside = np.zeros(size, dtype=bool)
    row, column = divmod(position, 2)
    inside[row * h // 2 : (row + 1) * h // 2, column * w // 2 : (column + 1) * w // 2] = True
    return inside


def collages(
    images: Sequence[npt.NDArray[Any]],
    classes: Sequence[int],
    probabilities: Sequence[float],
    *,
    confident: float = CONFIDENT,
    seed: int = 0,
) -> list[Collage]:
    """Put confidently recognized images of four different classes together, each image at most once.

    Args:
        images: `(h, w, c)` each, of one shape.
        classes: the network's top class of each.
        probabilities: its probability.
        confident: least probability of an image that is used.
        seed: random seed of the order in which images are taken.

    Returns:
        As many collages as can be made; the images keep their size, so a collage has twice the sides.
    """
    rng = np.random.default_rng(seed)
    waiting = [int(i) for i in rng.permutation(len(images)) if probabilities[i] >= confident]
    made: list[Collage] = []
    while True:
        members: list[int] = []
        for i in waiting:
            if classes[i] not in [classes[j] for j in members]:
                members.append(i)
            if len(members) == 4:
                break
        if len(members) < 4:
            return made
        waiting = [i for i in waiting if i not in members]
        a, b, c, d = members
        rows = [np.concatenate([images[a], images[b]], axis=1), np.concatenate([images[c], images[d]], axis=1)]
        made.append(Collage(np.concatenate(rows, axis=0).astype(np.float32), (a, b, c, d)))


def halved(image: npt.NDArray[Any]) -> Image:
    """Return the image at half its size: means of 2 × 2 pixels; an odd last row or column is left out."""
    h, w = image.shape[0] // 2, image.shape[1] // 2
    cut = np.asarray(image[: 2 * h, : 2 * w], dtype=np.float32)
    return np.asarray(cut.reshape(h, 2, w, 2, -1).mean(axis=(1, 3)), dtype=np.float32)


@metric(
    family="localization",
    unit="fraction",
    higher_is_better=True,
    paper="Böhle, Fritz, Schiele: Convolutional Dynamic Alignment Networks, 2021",
    needs="collage",
)
def grid_game(sample: Sample) -> Outcome:
    """Fraction of the map's positive part that lies on the right one of four images.

    value = Σ_{i∈cell of the class} v⁺_i / Σ v⁺

    Protocol: four images of different classes that the network recognizes with a probability of at least 0.8 make
    a collage with twice the sides; each class is explained in turn. A network that takes one size only is shown
    the images at half size instead.

    Returns:
        a fraction in [0, 1]: 0.25 for a constant map and, on average, for a random one.

    Reference:
        Böhle, Fritz, Schiele 2021; there with 3 × 3 cells.
    """
    assert sample.region is not None
    return Outcome(energy_fraction(sample.heat, sample.region))
