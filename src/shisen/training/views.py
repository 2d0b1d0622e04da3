"""The images of a run as the frozen body sees them, and its activations of them, made once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .._core.i18n import N_
from .._core.prefetch import prefetched
from .._core.progress import Progress
from .cache import Cache
from .data import Item
from .settings import Trainer
from .store import Store

if TYPE_CHECKING:
    from ..models.model import Model

BATCH = 32


class Views:
    """Scaled inputs, decoded ahead in threads: all images, then all of them mirrored."""

    def __init__(self, model: Model, items: tuple[Item, ...], views: int) -> None:
        self.model, self.items, self.total = model, items, views * len(items)

    def _one(self, row: int) -> Any:
        image = self.model.prepare(self.model.read(self.items[row % len(self.items)].path))[0]
        return image[:, ::-1] if row >= len(self.items) else image

    def names(self) -> list[str]:
        """Return a name for every row: digest of the file, and whether it is mirrored."""
        files = list(prefetched(lambda item: hashlib.sha256(Path(item.path).read_bytes()).hexdigest(), self.items))
        return [f"{name}/{view}" for view in range(self.total // len(files)) for name in files]

    def batches(self, rows: Sequence[int]) -> Iterator[Any]:
        """Yield images `(n, h, w, 3)` in [0, 1] of these rows, batch by batch."""
        batch: list[Any] = []
        for image in prefetched(self._one, rows):
            batch.append(image)
            if len(batch) == BATCH:
                yield np.stack(batch)
                batch = []
        if batch:
            yield np.stack(batch)


def fill(cache: Cache, store: Store | None, trainer: Trainer, views: Views, progress: Progress) -> None:
    """Fill the cache from where it ends: from the store where it has an image, else through the body.

    Args:
        cache: of the run.
        store: of all runs, or None.
        trainer: has the body.
        views: the images, one a row of the cache.
        progress: called after every batch.
    """
    words = N_("Reading images")
    if store is None:
        for images in views.batches(range(cache.done, views.total)):
            progress(cache.write(trainer.body(images)), views.total, words)
        return
    names = views.names()
    missing = list({name: row for row, name in reversed(list(enumerate(names))) if name not in store}.values())[::-1]
    new = iter([names[row] for row in missing])
    for images in views.batches(missing):
        values = trainer.body(images)
        store.write([next(new) for _ in values], values)
        progress(views.total - sum(name not in store for name in names), views.total, words)
    for start in range(cache.done, views.total, 256):
        cache.write(store.take(names[start : start + 256]))
    progress(views.total, views.total, words)
