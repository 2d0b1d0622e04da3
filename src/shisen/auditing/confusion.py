"""How good the predictions are: accuracy with intervals, confusion matrix, calibration, confident mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .._core.stats import wilson

BINS = 10


@dataclass(frozen=True)
class Fraction:
    """A fraction `hits` / `n` with its 95 % Wilson interval."""

    hits: int
    n: int

    @property
    def value(self) -> float:
        return self.hits / self.n if self.n else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        return wilson(self.hits, self.n)


@dataclass(frozen=True)
class Confusion:
    """The predictions of a folder against its labels.

    Attributes:
        labels: the classes.
        counts: `[true][predicted]` images.
        accuracy: over all images.
        recall: of each true class.
        precision: of each predicted class.
        largest: `(images, true, predicted)` for the most frequent confusions, largest first.
        calibration: `(mean confidence, accuracy, images)` for ten bins of confidence; empty bins are left out.
        calibration_error: mean |confidence − accuracy| over the bins, weighted by images.
        mistakes: rows of wrong predictions, the most confident first.
    """

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    accuracy: Fraction
    recall: tuple[Fraction, ...]
    precision: tuple[Fraction, ...]
    largest: tuple[tuple[int, str, str], ...]
    calibration: tuple[tuple[float, float, int], ...]
    calibration_error: float
    mistakes: tuple[int, ...]


def confusion(
    labels: Sequence[str],
    true: npt.NDArray[np.int64],
    predicted: npt.NDArray[np.int64],
    confidence: npt.NDArray[np.float64],
) -> Confusion:
    """Compare predictions with labels.

    Args:
        labels: the classes.
        true: class numbers; images without one (−1) do not count.
        predicted: class numbers.
        confidence: probability of the predicted class, in [0, 1].

    Returns:
        The matrix with accuracy, calibration and confident mistakes.
    """
    known = np.flatnonzero(true >= 0)
    t, p, c = true[known], predicted[known], confidence[known]
    counts = np.zeros((len(labels), len(labels)), np.int64)
    np.add.at(counts, (t, p), 1)
    right = t == p
    pairs = [
        (int(counts[i, j]), labels[i], labels[j]) for i, j in zip(*np.nonzero(counts), strict=True) if i != j
    ]  # fmt: skip
    bins = np.minimum((c * BINS).astype(int), BINS - 1)
    calibration = [
        (float(c[bins == b].mean()), float(right[bins == b].mean()), int((bins == b).sum()))
        for b in range(BINS)
        if (bins == b).any()
    ]
    error = sum(abs(conf - acc) * n for conf, acc, n in calibration) / max(len(known), 1)
    wrong = known[~right]
    order = np.argsort(-confidence[wrong], kind="stable")
    return Confusion(
        tuple(labels),
        tuple(tuple(int(v) for v in row) for row in counts),
        Fraction(int(right.sum()), len(known)),
        tuple(Fraction(int(counts[i, i]), int(counts[i].sum())) for i in range(len(labels))),
        tuple(Fraction(int(counts[i, i]), int(counts[:, i].sum())) for i in range(len(labels))),
        tuple(sorted(pairs, key=lambda x: (-x[0], x[1], x[2]))[:10]),
        tuple(calibration),
        float(error),
        tuple(int(i) for i in wrong[order]),
    )
