"""What the last layer is given for images as they are and for altered ones, kept on disk as it is made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .._core.i18n import N_
from .._core.io import write_file
from .._core.prefetch import prefetched
from .._core.progress import Progress
from ..auditing.artefacts.base import Alter, shrunk
from ..types import InputImage
from .head import Head

if TYPE_CHECKING:
    from ..models.model import Model

Floats = npt.NDArray[np.float32]
BATCH = 32
FINEST = 448  # longer side of an image that is altered, at least, where it may be reduced


@dataclass(frozen=True)
class Change:
    """What is done to images.

    Attributes:
        name: names the features on disk, together with the rows.
        alter: from pixels and row to altered pixels; None for images as they are.
        reduce: whether images far larger than the network's input may be reduced first.
        offset: added to the row, so that no image is taken for one of those that have the artefact.
    """

    name: str
    alter: Alter | None = None
    reduce: bool = False
    offset: int = 0


PLAIN = Change("plain")


def altered(model: Model, paths: Sequence[str], rows: Sequence[int], change: Change) -> Iterator[Any]:
    """Yield prepared images `(h, w, c)`, altered.

    Args:
        model: the network.
        paths: files, by row.
        rows: which of them.
        change: what is done to them.
    """
    sides = model.preprocess.sides if model.preprocess else ()
    most = max(FINEST, 2 * max(sides)) if change.reduce and sides else None

    def one(row: int) -> Any:
        image = model.read(paths[row])
        if change.alter is not None:
            image = InputImage(change.alter(shrunk(image.pixels, most), row + change.offset), image.source)
        return model.prepare(image)[0]

    return prefetched(one, rows, depth=2 * BATCH)


@dataclass(frozen=True)
class Copies:
    """Features of images under changes, by a network cut in front of its last layer.

    Attributes:
        model: the network.
        head: the same, cut.
        paths: files, by row.
        folder: where features are kept; its name must depend on the network and the images.
        progress: called as `progress(done, total, words)`.
    """

    model: Model
    head: Head
    paths: tuple[str, ...]
    folder: Path
    progress: Progress

    def features(self, rows: npt.NDArray[np.int64], change: Change) -> Floats:
        """Return features `(n, d)` of some images, from disk where they were made before.

        Args:
            rows: which images.
            change: what is done to them.
        """
        name = hashlib.sha256(json.dumps([change.name, rows.tolist()]).encode()).hexdigest()[:16]
        file = self.folder / f"{name}.npy"
        if not file.is_file():
            found, batch = [], []
            for done, image in enumerate(altered(self.model, self.paths, rows.tolist(), change), 1):
                batch.append(image)
                if len(batch) == BATCH or done == len(rows) or batch[0].shape != image.shape:
                    found += self._through(batch)
                    batch = []
                    self.progress(done, len(rows), N_("Altering images"))
            write_file(file, partial(np.save, arr=np.concatenate(found)))
        return np.asarray(np.load(file))

    def _through(self, batch: list[Any]) -> list[Floats]:
        """Return the features of prepared images, which may differ in size."""
        if len({image.shape for image in batch}) == 1:
            return [self.head.features(np.stack(batch))]
        return [self.head.features(image[None]) for image in batch]
