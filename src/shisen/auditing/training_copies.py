"""Small copies of the training images, to compare audited images with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from .._core.i18n import N_
from .._core.io import write_file
from .._core.prefetch import prefetched
from .._core.progress import Progress
from ..models.image_io import open_image
from ..training.data import Item
from .duplicates import Prints
from .likeness import SIDE, Floats, descriptor


class TrainingFolder:
    """Small copies of the training images, kept on disk in parts, so that memory stays bounded.

    Args:
        items: the training images.
        folder: where the parts go; named after the images, so that an interrupted audit continues.
    """

    size = 256

    def __init__(self, items: Sequence[Item], folder: Path) -> None:
        key = hashlib.sha256()
        for item in items:
            there = Path(item.path)
            key.update(json.dumps([item.name, there.stat().st_size if there.is_file() else -1]).encode())
        self.items, self.folder = items, folder / f"train-{key.hexdigest()[:16]}"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._kept: tuple[int, npt.NDArray[np.uint8]] = (-1, np.zeros((0, SIDE, SIDE, 3), np.uint8))

    def prints(self, progress: Progress) -> Prints:
        """Return what the images are compared by.

        Args:
            progress: called as `progress(done, total, words)`.
        """
        digests: list[str] = []
        descriptors: list[Floats] = []
        for part in range((len(self.items) + self.size - 1) // self.size):
            file = self.folder / f"{part:06d}.npz"
            if not file.is_file():
                own = self.items[part * self.size : (part + 1) * self.size]
                read = list(prefetched(_small, [item.path for item in own]))
                canvases, names = np.stack([c for c, _ in read]), np.asarray([d for _, d in read])
                write_file(file, partial(np.savez, canvases=canvases, digests=names))
            digests += [str(d) for d in np.load(file)["digests"]]
            descriptors += [descriptor(c) for c in self._part(part)]
            progress(len(digests), len(self.items), N_("Looking at training images"))
        return Prints(digests, np.stack(descriptors), self._canvas)

    def _part(self, part: int) -> npt.NDArray[np.uint8]:
        if self._kept[0] != part:
            self._kept = part, np.load(self.folder / f"{part:06d}.npz")["canvases"]
        return self._kept[1]

    def _canvas(self, row: int) -> npt.NDArray[np.uint8]:
        canvas: npt.NDArray[np.uint8] = self._part(row // self.size)[row % self.size]
        return canvas


def _small(path: str) -> tuple[npt.NDArray[np.uint8], str]:
    """Return the small copy of an image and the digest of its file; black and "" where it cannot be read."""
    try:
        image = open_image(path)
        small = Image.fromarray(image.pixels).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        return np.asarray(small), image.sha256
    except Exception:  # a broken file can fail in any decoder
        return np.zeros((SIDE, SIDE, 3), np.uint8), ""
