"""Two models on the same images: who is right where, and what each makes of the same candidates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .artefacts.base import Candidate
from .confusion import Confusion
from .findings import Finding
from .scanned import Scan, confusion_of, probabilities_of

if TYPE_CHECKING:
    from ..models.model import Model


@dataclass(frozen=True)
class Compared:
    """Another model beside the audited one.

    Attributes:
        name: of the other model.
        confusion: its predictions against the labels.
        findings: what it makes of the same candidates, with the class numbers of the first model.
        only_first, only_other: rows that only one of the two gets right, the surest first.
        p: of the two being equally often right, by the exact sign test on those rows.
    """

    name: str
    confusion: Confusion
    findings: tuple[Finding, ...]
    only_first: tuple[int, ...]
    only_other: tuple[int, ...]
    p: float


def compared(models: tuple[Model, Model], scans: tuple[Scan, Scan], findings: Sequence[Finding]) -> Compared:
    """Put another model's answers beside; images are compared by the names of the classes.

    Args:
        models: the audited one and the other.
        scans: of each.
        findings: of the other, with the class numbers of the first.

    Returns:
        The other model beside the audited one.

    Reference for the test: McNemar 1947, in its exact form.
    """
    from scipy.stats import binomtest

    first_scan, other_scan = scans
    right, sure = [], []
    for model, one in zip(models, scans, strict=True):
        probabilities = probabilities_of(model, one.logits)
        right.append((probabilities.argmax(1) == one.usable) & (one.usable >= 0))
        sure.append(probabilities.max(1))
    known = (first_scan.usable >= 0) & (other_scan.usable >= 0)
    first, other = known & right[0] & ~right[1], known & right[1] & ~right[0]
    together = int(first.sum() + other.sum())
    p = float(binomtest(int(first.sum()), together).pvalue) if together else 1.0

    def ranked(rows: np.ndarray, by: np.ndarray) -> tuple[int, ...]:
        chosen = np.flatnonzero(rows)
        return tuple(int(i) for i in chosen[np.argsort(-by[chosen], kind="stable")])

    return Compared(
        name=models[1].name,
        confusion=confusion_of(models[1], other_scan),
        findings=tuple(findings),
        only_first=ranked(first, sure[0]),
        only_other=ranked(other, sure[1]),
        p=p,
    )


def identity(candidate: Candidate) -> tuple[str, int, tuple[int, ...]]:
    """Return what makes two models' findings the same candidate, whatever numbers their classes have."""
    return candidate.kind, candidate.artefact.direction, candidate.members
