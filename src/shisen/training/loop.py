"""The training loop, the same for every framework: a linear head first, then epochs that end in a checkpoint."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path

import numpy as np

from .._core.i18n import N_
from .._core.progress import Progress
from .settings import Batch, Epoch, Part, Settings, Trainer, figures, rate_at, stale


def train(
    trainer: Trainer, learn: Part, check: Part | None, settings: Settings, checkpoint: Path, progress: Progress
) -> list[Epoch]:
    """Train the head, then the last blocks with scale and shift of their batch normalization; keep the best epoch.

    Every epoch ends in a checkpoint, from which a stopped run continues to the same weights.

    Args:
        trainer: the network, in its framework.
        learn: images to learn from.
        check: images to validate on, or None.
        settings: how.
        checkpoint: file for the state after each epoch, without suffix.
        progress: called after every epoch.

    Returns:
        The figures of every epoch.
    """
    trainer.start(settings)
    history = [Epoch(int(row[0]), *row[1:]) for row in trainer.resume(checkpoint)]
    for number in range(len(history), settings.epochs + 1):
        if stale(history, settings.patience):
            break
        learned = trainer.epoch(number, batches(learn, settings, number)) if number else trainer.fit_head(learn)
        checked = (math.nan, math.nan) if check is None else figures(trainer.evaluate(check), check.targets)
        best = check is None or not history or checked[0] < min(e.val_loss for e in history)
        history.append(Epoch(number, *learned, *checked))
        trainer.keep(checkpoint, [list(astuple(epoch)) for epoch in history], best)
        if number:
            progress(number, settings.epochs, N_("Training"))
    trainer.restore_best()
    return history


def batches(learn: Part, settings: Settings, epoch: int) -> Iterator[Batch]:
    """Yield the batches of an epoch: all images in random order, each in one of its views.

    Args:
        learn: images to learn from.
        settings: batch size, learning rate and seed.
        epoch: its number, from 1.
    """
    draw, n = np.random.default_rng([settings.seed, epoch]), len(learn.targets)
    order = draw.permutation(n)
    views = draw.integers(learn.views, size=n)
    steps = math.ceil(n / settings.batch_size)
    total = settings.epochs * steps
    for step in range(steps):
        rows = order[step * settings.batch_size : (step + 1) * settings.batch_size]
        rate = rate_at(settings, ((epoch - 1) * steps + step) / total, 1 / total)
        yield Batch(rate, learn.cache.take(views[rows] * n + rows), learn.targets[rows])
