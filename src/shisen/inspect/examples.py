"""Maximally activating images: the photos that activate a channel most, cropped to the receptive field."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from .._core.i18n import N_
from .._core.progress import Progress, silent
from .._core.writers import write
from ..errors import InputError, explain_error
from ..models.model import Model
from ..targets import MixedObjective, neuron, to_numpy
from ..viz.legend import badge, number
from ..viz.overlay import displayable
from ..viz.sheet import tile
from .contact_sheet import titled
from .filters import FilterGrid

MASS = 0.95  # fraction of the gradient that a receptive field holds, along each axis
SMALLEST = 16  # pixels of a crop: below that nobody sees what it is


@dataclass(frozen=True)
class Crop:
    """The receptive field of a channel's maximum in a photo.

    Attributes:
        source: the photo.
        value: the channel's activation there.
        box: top, left, bottom, right in pixels of the network's input.
        pixels: `(h, w, 3)` uint8.
    """

    source: str
    value: float
    box: tuple[int, int, int, int]
    pixels: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Examples:
    """The crops that activate each channel most, and its maximum activation in every photo.

    Attributes:
        layer: where the channels are.
        channels: their numbers.
        crops: one tuple per channel, the strongest first.
        values: `(photos, channels)`, the maximum activation in each photo.
    """

    layer: str
    channels: tuple[int, ...]
    crops: tuple[tuple[Crop, ...], ...]
    values: npt.NDArray[np.float32]

    def draw(self, made: FilterGrid, *, side: int = 96) -> Image.Image:
        """Draw each generated image beside its crops, one row per channel.

        Args:
            made: the generated images of the same channels.
            side: of every image, in pixels.

        Returns:
            The drawn image.
        """
        cells: list[npt.NDArray[Any]] = []
        across = 1 + max(len(row) for row in self.crops)
        for i, row in enumerate(self.crops):
            cells.append(np.asarray(badge(_square(np.asarray(made.image(i)), side), made.name(i))))
            for crop in row:
                cells.append(np.asarray(badge(_square(crop.pixels, side), number(crop.value))))
            cells += [np.full((side, side, 3), 255, np.uint8)] * (across - 1 - len(row))
        sheet = tile(cells, per_row=across, numbers=False, gap=3)
        return titled(sheet, f"{self.layer}: generated images, and the photos that activate the channel most", 12)

    def save(self, path: str | Path, made: FilterGrid) -> Path:
        """Write what `draw` draws.

        Args:
            path: of the image.
            made: the generated images of the same channels.

        Raises:
            InputError: for an unknown suffix.
        """
        return write(self, path, made=made)


def crops(
    model: Model,
    layer: str,
    channels: Iterable[int],
    photos: Sequence[Any],
    *,
    top: int = 4,
    progress: Progress = silent,
) -> Examples:
    """Find the photos that activate each channel most.

    The crop is the receptive field of the position with the maximum activation, measured as the middle 95 % of the
    magnitude of that position's gradient by the pixels, along each axis.

    Args:
        model: from `load` or `wrap`.
        layer: where the channels are.
        channels: their numbers.
        photos: what the model can read.
        top: number of crops per channel, from different photos.
        progress: called as `progress(done, total, words)` after every photo.

    Returns:
        The `Examples`.

    Raises:
        InputError: without photos or channels, or for a channel that does not exist.
    """
    wanted = tuple(int(c) for c in channels)
    if not wanted or not len(photos):
        received = f"{len(wanted)} channels, {len(photos)} photos"
        raise InputError(explain_error("Channels and photos are needed.", received, "Give a folder."))
    values = np.zeros((len(photos), len(wanted)), np.float32)
    positions = np.zeros((len(photos), len(wanted), 2), np.int64)
    for i, photo in enumerate(photos):
        image, _ = model.prepare(model.read(photo))
        maps = to_numpy(model.activations(image[None], layer))[0]
        maps = maps.reshape(1, 1, -1) if maps.ndim == 1 else maps
        if max(wanted) >= maps.shape[2] or min(wanted) < 0:
            raise InputError(
                explain_error(
                    f"A channel must lie between 0 and {maps.shape[2] - 1}.", max(wanted), "See `shisen layers`."
                )
            )
        own = maps[:, :, list(wanted)].reshape(-1, len(wanted))
        best = own.argmax(axis=0)
        values[i] = own[best, np.arange(len(wanted))]
        positions[i] = np.stack(np.unravel_index(best, maps.shape[:2]), axis=1)
        progress(i + 1, len(photos), N_("Computing activations"))
    order = np.argsort(-values, axis=0, kind="stable")[: min(top, len(photos))]
    columns_of: dict[int, list[int]] = {}
    for photo_index, j in ((int(order[k, j]), j) for j in range(len(wanted)) for k in range(len(order))):
        columns_of.setdefault(photo_index, []).append(j)
    found: dict[tuple[int, int], Crop] = {}
    for i, columns in columns_of.items():  # every photo is read once more, all of its channels in one batch
        opened = model.read(photos[i])
        image, _ = model.prepare(opened)
        objectives = MixedObjective(tuple(neuron(wanted[j], *(int(p) for p in positions[i, j])) for j in columns))
        _, gradients = model.gradients(np.repeat(image[None], len(columns), axis=0), objectives, at=layer)
        for j, gradient in zip(columns, to_numpy(gradients), strict=True):
            t, left, b, right = box = field(gradient)
            found[i, j] = Crop(opened.source, float(values[i, j]), box, displayable(image)[t:b, left:right])
    rows = tuple(tuple(found[int(i), j] for i in order[:, j]) for j in range(len(wanted)))
    return Examples(layer, wanted, rows, values)


def field(gradient: npt.NDArray[np.float32]) -> tuple[int, int, int, int]:
    """Return the receptive field as top, left, bottom, right: the middle 95 % of Σ|g| along each axis.

    Args:
        gradient: `(h, w, c)`, gradient of one position by the input.
    """
    magnitude = np.abs(gradient).sum(axis=-1)
    edges = []
    for axis in (1, 0):
        mass = np.cumsum(magnitude.sum(axis=axis))
        length = len(mass)
        if mass[-1] <= 0:
            edges.append((0, length))
            continue
        first = int(np.searchsorted(mass, mass[-1] * (1 - MASS) / 2))
        last = int(np.searchsorted(mass, mass[-1] * (1 + MASS) / 2)) + 1
        room = max(SMALLEST - (last - first), 0)
        first = max(0, min(first - room // 2, length - SMALLEST))
        edges.append((first, min(length, max(last, first + SMALLEST))))
    (top, bottom), (left, right) = edges
    return top, left, bottom, right


def _square(pixels: npt.NDArray[np.uint8], side: int) -> Image.Image:
    """Return an image fitted into a square, on white."""
    image = Image.fromarray(pixels)
    factor = side / max(image.size)
    image = image.resize((max(1, round(image.width * factor)), max(1, round(image.height * factor))))
    out = Image.new("RGB", (side, side), (255, 255, 255))
    out.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return out
