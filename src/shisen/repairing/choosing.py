"""Which treatment: the cheapest that does what is wanted on held-out images, or else the one that does most."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .head import Layer
from .linear import Lesson, projected, refitted
from .record import Trial

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]

STRENGTHS = (1.0, 10.0, 100.0)
PENALTIES = (1.0, 0.1, 0.01)
LOST = 0.01  # of accuracy on images as they are, at most
ENOUGH = 0.02  # effect that is left on the images that choose, below which nothing dearer is tried


@dataclass(frozen=True)
class Exam:
    """Features of the images that choose.

    Attributes:
        plain: `(n, d)` of images as they are.
        labels: `(n,)` class numbers.
        copies: for each artefact its class, and features of the images with it in several forms.
    """

    plain: Floats
    labels: Labels
    copies: tuple[tuple[int, tuple[Floats, ...]], ...]


class Option(NamedTuple):
    """A treatment, with the layer that it gives."""

    trial: Trial
    layer: Layer


def rated(treatment: str, setting: str, layer: Layer, exam: Exam) -> Option:
    """Return a treatment with what it does on the images that choose.

    Args:
        treatment: its name.
        setting: its strength.
        layer: what it gives.
        exam: features of the images that choose.
    """
    plain = layer.logits(exam.plain).argmax(1)
    effects, conflict = [], []
    for label, forms in exam.copies:
        other = exam.labels != label
        for features in forms:
            said = layer.logits(features).argmax(1)
            effects.append(float((said[other] == label).mean() - (plain[other] == label).mean()))
            conflict.append(float((said[other] == exam.labels[other]).mean()))
    accuracy = float((plain == exam.labels).mean())
    return Option(Trial(treatment, setting, max(effects), accuracy, float(np.mean(conflict))), layer)


def linear_options(layer: Layer, lesson: Lesson, exam: Exam) -> Iterator[Option]:
    """Yield treatments of the last layer, cheapest first.

    Args:
        layer: as it is.
        lesson: features that treatments learn from.
        exam: features of the images that choose.
    """
    for strength in STRENGTHS:
        yield rated("projection", f"{strength:g}", projected(layer, lesson, strength), exam)
    for penalty in PENALTIES:
        yield rated("refit", f"{penalty:g}", refitted(layer, lesson, penalty), exam)


def chosen(first: Option, options: Sequence[Callable[[], Sequence[Option]]]) -> tuple[Option, list[Trial]]:
    """Return the treatment that is taken, and all that were tried.

    Args:
        first: the model as it is.
        options: groups of treatments, cheapest first; one is computed only if no earlier one was enough.

    Returns:
        The best option of the first group that has one which leaves less than `ENOUGH` and costs at most `LOST` of
        accuracy; the best of all where none does.
    """
    every = [first]
    best = first
    for group in options:
        every += group()
        best = min(every, key=lambda option: _harm(option.trial, first.trial))
        if best.trial.effect <= ENOUGH and best.trial.accuracy >= first.trial.accuracy - LOST:
            break
    return best, [replace(o.trial, chosen=o is best) for o in every]


def _harm(trial: Trial, first: Trial) -> float:
    """Return what an option leaves undone: effect beyond nothing, accuracy lost beyond what is allowed, errors."""
    lost = max(0.0, first.accuracy - trial.accuracy)
    return max(0.0, trial.effect) + 5 * max(0.0, lost - LOST / 2) + 0.3 * (1 - trial.conflict) + 0.5 * lost
