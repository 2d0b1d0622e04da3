"""Two models on the same images: who is right where, and what each makes of the same suspects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .candidates import Candidate
from .confusion import Confusion
from .findings import Finding
from .testing import Scan, chances_of, confusion_of

if TYPE_CHECKING:
    from ..models.model import Model


@dataclass(frozen=True)
class Compared:
    """Another model beside the audited one.

    Attributes:
        name: of the other model.
        confusion: its predictions against the labels.
        findings: what it makes of the same suspects, with the class numbers of the first model.
        only_first, only_other: rows that only one of the two gets right, the surest first.
        p: of the two being equally often right, by the exact sign test on those rows.
    """

    name: str
    confusion: Confusion
    findings: tuple[Finding, ...]
    only_first: tuple[int, ...]
    only_other: tuple[int, ...]
    p: float


def compared(
    name: str, models: tuple[Model, Model], walked: tuple[Scan, Scan], findings: Sequence[Finding]
) -> Compared:
    """Put another model's answers beside; images are compared by the names of the classes.

    Reference for the test: McNemar 1947, in its exact form.
    """
    from scipy.stats import binomtest

    matrix, _ = confusion_of(models[1], walked[1])
    right, sure = [], []
    for model, one in zip(models, walked, strict=True):
        chance = chances_of(model, one.logits)
        right.append((chance.argmax(1) == one.usable) & (one.usable >= 0))
        sure.append(chance.max(1))
    known = (walked[0].usable >= 0) & (walked[1].usable >= 0)
    first, other = known & right[0] & ~right[1], known & right[1] & ~right[0]
    together = int(first.sum() + other.sum())
    p = float(binomtest(int(first.sum()), together).pvalue) if together else 1.0

    def ranked(rows: np.ndarray, by: np.ndarray) -> tuple[int, ...]:
        places = np.flatnonzero(rows)
        return tuple(int(i) for i in places[np.argsort(-by[places], kind="stable")])

    return Compared(name, matrix, tuple(findings), ranked(first, sure[0]), ranked(other, sure[1]), p)


def suspect(candidate: Candidate) -> tuple[str, int, tuple[int, ...]]:
    """Return what makes two models' findings the same suspect, whatever numbers their classes have."""
    return candidate.kind, candidate.direction, candidate.members
