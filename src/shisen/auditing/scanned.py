"""What is kept of every image after the scan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..errors import ModelError
from .confusion import Confusion, confusion
from .parts import Rows

if TYPE_CHECKING:
    from ..models.model import Model

CANVAS = 112
"""Side of the small copy in which common patches are looked for."""

SAMPLED = 200
"""Images a class in which common patches are looked for; memory is bounded by it."""


@dataclass(frozen=True)
class Scan:
    """What is kept in memory of every image: a few numbers each.

    Attributes:
        rows: the parts on disk.
        names, paths: of the images.
        true: class numbers, −1 for none.
        good: which images could be read.
        logits: `(n, classes)`; zero where unreadable.
        properties: `(n, properties)`.
        errors: names of files that could not be read, with the reason.
    """

    rows: Rows
    names: tuple[str, ...]
    paths: tuple[str, ...]
    true: npt.NDArray[np.int64]
    good: npt.NDArray[np.bool_]
    logits: npt.NDArray[np.float32]
    properties: npt.NDArray[np.float64]
    errors: dict[str, str]

    @property
    def usable(self) -> npt.NDArray[np.int64]:
        """Class numbers, −1 also for images that could not be read."""
        return np.where(self.good, self.true, -1)


def probabilities_of(model: Model, logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return probabilities of class logits, one column a class.

    Args:
        model: the network.
        logits: `(n, classes)`.
    """
    y = logits.astype(np.float64)
    if model.head == "sigmoid":
        return np.asarray(1 / (1 + np.exp(-y)))
    e = np.exp(y - y.max(-1, keepdims=True))
    return np.asarray(e / e.sum(-1, keepdims=True))


def label_of(model: Model, index: int) -> str:
    """Return the name of a class.

    Args:
        model: the network.
        index: index of the class.
    """
    return model.labels[index] if index < len(model.labels) else f"class {index}"


def confusion_of(model: Model, scan: Scan) -> Confusion:
    """Return the confusion among the classes that occur.

    Args:
        model: the network.
        scan: the scan of the folder.
    """
    probabilities = probabilities_of(model, scan.logits)
    predicted = probabilities.argmax(1)
    true = scan.usable
    present = np.unique(np.concatenate([true[true >= 0], predicted[true >= 0]]))
    index = {int(k): i for i, k in enumerate(present)}
    own = np.asarray([index.get(int(k), -1) for k in true])
    predicted_class = np.asarray([index.get(int(k), 0) for k in predicted])
    names = [label_of(model, int(k)) for k in present]
    return confusion(names, own, predicted_class, probabilities.max(1))


def sample(true: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return rows spread evenly over every class, at most `SAMPLED` each."""
    kept = []
    for label in np.unique(true[true >= 0]):
        rows = np.flatnonzero(true == label)
        kept.append(rows[np.linspace(0, len(rows) - 1, min(len(rows), SAMPLED)).astype(int)])
    return np.sort(np.concatenate(kept))


def canvases_of(scan: Scan, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """Return the small copies `(n, K, K, 3)` of some images.

    Args:
        scan: the scan of the folder.
        rows: indices of images.
    """
    raw = scan.rows.read(["canvas"], rows.tolist())["canvas"]
    return np.stack([np.frombuffer(c, np.uint8).reshape(CANVAS, CANVAS, 3) for c in raw])


def pooled_of(scan: Scan, rows: Sequence[int]) -> npt.NDArray[np.float32]:
    """Return the mean activations `(n, c)` of the default layer for some images, in the order of `rows`.

    Args:
        scan: the scan of the folder.
        rows: indices of images.
    """
    wanted = sorted(set(rows))
    found = dict(zip(wanted, scan.rows.read(["pooled"], wanted)["pooled"], strict=True))
    return np.asarray([found[row] for row in rows], np.float32)


def map_layer(model: Model) -> str | None:
    """Return the layer at which maps are made, None for a model without one."""
    try:
        return model.default_layer
    except ModelError:
        return None
