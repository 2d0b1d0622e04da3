"""How to train, and what every epoch gave; the same for every framework."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from ..models.model import Model
    from ..models.wrapping import Request
    from .cache import Cache

TRAINED_FRACTION = 7 / 16  # of the blocks; EfficientNet-Lite0 and ResNet-50 have sixteen


@dataclass(frozen=True)
class Settings:
    """How to train.

    Attributes:
        epochs: passes over the images with the last blocks trained.
        blocks: number of last blocks to train; None for 7 of 16, 0 for the linear head only.
        learning_rate: highest one of the last blocks, on a cosine after a short rise.
        batch_size: images a step.
        weight_decay: of the last blocks.
        label_smoothing: in [0, 1).
        patience: epochs without a better validation loss after which training stops.
        flip: whether mirrored images are shown too.
        seed: of every random choice.
    """

    epochs: int = 5
    blocks: int | None = None
    learning_rate: float = 5e-4
    batch_size: int = 32
    weight_decay: float = 1e-2
    label_smoothing: float = 0.1
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


@dataclass(frozen=True)
class Batch:
    """The body's activations of some images in `inputs`, their classes, and the learning rate of the step."""

    rate: float
    inputs: npt.NDArray[np.float32]
    targets: npt.NDArray[np.int64]


class Trainer(Protocol):
    """A backbone cut into a frozen body and a trainable part, in one framework.

    Attributes:
        shape: of the body's answer to one image.
        weights: name of the file that `save` writes.
    """

    shape: tuple[int, ...]
    weights: str

    def __init__(self, model: Model, sample: npt.NDArray[np.float32], classes: int, settings: Settings) -> None:
        """Cut the backbone.

        Args:
            model: from `load`, with the preprocessing of the run.
            sample: two images `(2, h, w, 3)` in [0, 1].
            classes: number of classes.
            settings: how many blocks to train, and the seed.
        """

    @staticmethod
    def restored(file: Path, request: Request, backbone: str, classes: int) -> Any:
        """Return the network that a run has trained.

        Args:
            file: written by `save`.
            request: the arguments of `load`.
            backbone: name of the network that the training started from.
            classes: number of classes.
        """

    def body(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float16]:
        """Return the frozen body's activations of images `(n, h, w, 3)` in [0, 1]."""

    def frozen(self) -> Iterator[tuple[str, npt.NDArray[Any]]]:
        """Yield the body's weights by name, in a fixed order."""

    def take(self, file: Path) -> None:
        """Take all weights from a file that `save` wrote."""

    def start(self, settings: Settings) -> None:
        """Prepare the trainable part and its optimizer; batch normalization keeps its statistics."""

    def resume(self, checkpoint: Path) -> list[list[float]]:
        """Continue from a checkpoint of the same settings; return the figures of its epochs, none without one."""

    def fit_head(self, learn: Part) -> tuple[float, float]:
        """Fit the linear head on the frozen body; return mean cross-entropy and accuracy."""

    def epoch(self, number: int, batches: Iterable[Batch]) -> tuple[float, float]:
        """Train for one epoch.

        Args:
            number: of the epoch, on which dropout depends.
            batches: of the epoch.

        Returns:
            Mean cross-entropy without smoothing and accuracy, measured on the way.
        """

    def keep(self, checkpoint: Path, history: list[list[float]], best: bool) -> None:
        """Write a checkpoint.

        Args:
            checkpoint: file without suffix.
            history: the figures of every epoch so far.
            best: whether the last epoch is the best so far.
        """

    def restore_best(self) -> None:
        """Take the weights of the best epoch."""

    def evaluate(self, part: Part) -> npt.NDArray[np.float32]:
        """Return the logits of every image, not mirrored."""

    def save(self, folder: Path) -> None:
        """Write the weights."""


def rate_at(settings: Settings, now: float, step: float) -> float:
    """Return the learning rate when a fraction `now` of all steps is done: a rise over a tenth, then a cosine.

    Args:
        settings: the highest rate is theirs.
        now: fraction done, in [0, 1).
        step: fraction that one step is.
    """
    return settings.learning_rate * min(1.0, (now + step) / 0.1) * 0.5 * (1 + math.cos(math.pi * now))


def figures(logits: npt.NDArray[np.float32], targets: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Return mean cross-entropy and accuracy.

    Args:
        logits: `(n, classes)`.
        targets: `(n,)` class numbers.
    """
    y = logits.astype(np.float64)
    y = y - y.max(1, keepdims=True)
    own = y[np.arange(len(y)), targets] - np.log(np.exp(y).sum(1))
    return float(-own.mean()), float((y.argmax(1) == targets).mean())


def stale(history: Sequence[Epoch], patience: int) -> bool:
    """Return whether the validation loss has not become better for a number of epochs.

    Args:
        history: the figures of every epoch so far.
        patience: that number.
    """
    losses = [epoch.val_loss for epoch in history]
    if any(math.isnan(v) for v in losses) or len(losses) <= patience:
        return False
    return min(losses[-patience:]) >= min(losses[:-patience])
