"""Counterfactual fine-tuning: the last blocks of a run see every image with the artefacts and without them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .._core.i18n import N_
from .._core.progress import Progress
from ..training.cache import Cache
from ..training.loop import train
from ..training.run_loading import load_backbone, trainer_class
from ..training.settings import Part, Settings, Trainer
from .copies import BATCH, Change, altered

if TYPE_CHECKING:
    from ..models.model import Model

EPOCHS, RATE = 3, 2e-4


@dataclass(frozen=True)
class Views:
    """Images of a part under several changes, each of which shows all of them.

    Attributes:
        name: of the part, for its file.
        paths: files, by row.
        rows: images of the part.
        labels: `(len(rows),)` class numbers.
        changes: what is done to them; images as they are come first.
    """

    name: str
    paths: tuple[str, ...]
    rows: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    changes: tuple[Change, ...]


def tuned(
    model: Model,
    record: dict[str, Any],
    weights: Path,
    parts: tuple[Views, Views],
    folder: Path,
    *,
    seed: int,
    progress: Progress,
) -> Trainer:
    """Continue the training of a run on images with and without artefacts.

    Args:
        model: the model of the run.
        record: of the run folder.
        weights: of the run.
        parts: images to learn from, and images that choose the epoch.
        folder: for activations and checkpoints; a stopped repair continues there.
        seed: of every random choice.
        progress: called as `progress(done, total, words)`.

    Returns:
        What holds the tuned weights.
    """
    learn, check = parts
    settings = Settings(
        epochs=EPOCHS, learning_rate=RATE, label_smoothing=0.0, seed=seed, blocks=record["settings"]["blocks"]
    )
    backbone = load_backbone(record["backbone"], record["framework"], "").with_preprocess(model.preprocess)
    sample = np.stack([model.prepare(model.read(learn.paths[int(learn.rows[0])]))[0]] * 2)
    trainer = trainer_class(record["framework"])(backbone, sample, len(record["labels"]), settings)
    trainer.take(weights)
    seen = [_seen(trainer, model, one, folder, progress) for one in (learn, check)]
    given = Part(seen[0], learn.labels)
    checked = Part(seen[1], np.tile(check.labels, len(check.changes)))
    train(trainer, given, checked, settings, folder / "tuning", progress)
    return trainer


def _seen(trainer: Trainer, model: Model, views: Views, folder: Path, progress: Progress) -> Cache:
    """Return the frozen body's activations of all views, those of one change together."""
    n = len(views.rows)
    cache = Cache(folder / f"{views.name}.bin", n * len(views.changes), trainer.shape)
    while cache.done < len(cache.rows):
        change, first = views.changes[cache.done // n], cache.done % n
        batch: list[Any] = []
        rows: Sequence[int] = views.rows[first:].tolist()
        for i, image in enumerate(altered(model, views.paths, rows, change), 1):
            batch.append(image)
            if len(batch) == BATCH or i == len(rows):
                cache.write(trainer.body(np.stack(batch)))
                batch = []
                progress(cache.done, len(cache.rows), N_("Altering images"))
    return cache
