"""How to train, and what every epoch gave; the same for every framework."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from .._core.progress import Progress

if TYPE_CHECKING:
    from .cache import Cache

TRAINED_SHARE = 7 / 16  # of the blocks; EfficientNet-Lite0 and ResNet-50 have sixteen


@dataclass(frozen=True)
class Settings:
    """How to train.

    Attributes:
        epochs: passes over the images with the last blocks trained.
        blocks: number of last blocks to train; None for 7 of 16, 0 for the linear head only.
        rate: highest learning rate of the last blocks, on a cosine after a short rise.
        batch: images a step.
        decay: weight decay.
        smoothing: label smoothing.
        patience: epochs without a better validation loss after which training stops.
        flip: whether mirrored images are shown too.
        seed: of every random choice.
    """

    epochs: int = 5
    blocks: int | None = None
    rate: float = 5e-4
    batch: int = 32
    decay: float = 1e-2
    smoothing: float = 0.1
    patience: int = 3
    flip: bool = True
    seed: int = 0


@dataclass(frozen=True)
class Epoch:
    """Figures of one epoch; epoch 0 is the linear head on the frozen body. NaN where there is no validation."""

    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float


@dataclass(frozen=True)
class Part:
    """Cached activations and classes; `views` rows an image, the images of one view together."""

    cache: Cache
    targets: npt.NDArray[np.int64]

    @property
    def views(self) -> int:
        return len(self.cache.rows) // len(self.targets)


class Trainer(Protocol):
    """A backbone cut into a frozen body and a tail that is trained, in one framework.

    Attributes:
        shape: of the body's answer to one image.
        weights: name of the file that `save` writes.
    """

    shape: tuple[int, ...]
    weights: str

    def body(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float16]:
        """Return the frozen body's activations of images `(n, h, w, 3)` in [0, 1]."""

    def frozen(self) -> Iterator[tuple[str, npt.NDArray[Any]]]:
        """Yield the body's weights by name, in a fixed order."""

    def train(
        self, data: Sequence[Part | None], settings: Settings, checkpoint: Path, progress: Progress
    ) -> list[Epoch]:
        """Train the head, then the last blocks; keep the best epoch.

        Args:
            data: training and validation images.
            settings: how to train.
            checkpoint: file that an interrupted run continues from.
            progress: called after every step.

        Returns:
            The scores of every epoch.
        """

    def evaluate(self, part: Part) -> npt.NDArray[np.float32]:
        """Return the logits of every image, not mirrored."""

    def save(self, folder: Path) -> None:
        """Write the weights."""


def rate_at(settings: Settings, now: float, step: float) -> float:
    """Return the learning rate when a fraction `now` of all steps is done: a rise over a tenth, then a cosine.

    Args:
        settings: the highest rate is theirs.
        now: share done, in [0, 1).
        step: share that one step is.
    """
    return settings.rate * min(1.0, (now + step) / 0.1) * 0.5 * (1 + math.cos(math.pi * now))


def figures(logits: npt.NDArray[np.float32], targets: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Return mean cross-entropy and accuracy.

    Args:
        logits: `(n, classes)`.
        targets: class numbers, `(n,)`.
    """
    y = logits.astype(np.float64)
    y = y - y.max(1, keepdims=True)
    own = y[np.arange(len(y)), targets] - np.log(np.exp(y).sum(1))
    return float(-own.mean()), float((y.argmax(1) == targets).mean())


def stale(history: list[list[float]], patience: int) -> bool:
    """Return whether the validation loss, the fourth figure of an epoch, has not become better for so many epochs.

    Args:
        history: rows of scores, one per epoch.
        patience: number of epochs without improvement.
    """
    losses = [row[3] for row in history]
    if any(math.isnan(v) for v in losses) or len(losses) <= patience:
        return False
    return min(losses[-patience:]) >= min(losses[:-patience])
