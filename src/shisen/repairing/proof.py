"""The proof: the audit's interventions before and after, on images that had no part in the repair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .._core.stats import benjamini_hochberg, bootstrap, fraction, net_fraction, sign_flip
from ..auditing.findings import EQUIVALENT, LEVEL
from .record import Cure, Form, Pair, Verdict

Doubles = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Answers:
    """Logits `(n, classes)` of the same images before and after a repair."""

    before: Doubles
    after: Doubles

    def said(self) -> tuple[Labels, Labels]:
        """Return the predicted class numbers before and after."""
        return self.before.argmax(1), self.after.argmax(1)

    def right(self, labels: Labels) -> Pair:
        """Return the accuracy before and after.

        Args:
            labels: `(n,)` class numbers.
        """
        before, after = self.said()
        return Pair(fraction(before == labels), fraction(after == labels))


@dataclass(frozen=True)
class Given:
    """Images as they are, and the same with something put on them.

    Attributes:
        labels: `(n,)` class numbers.
        plain: answers to the images as they are.
        altered: answers to them with it.
    """

    labels: Labels
    plain: Answers
    altered: Answers

    def turned(self, label: int) -> tuple[Doubles, Doubles]:
        """Return, before and after, 1 for an image that turns to a class, −1 for one that turns away from it, else 0.

        Args:
            label: number of the class.
        """
        before, after = (
            (new == label).astype(float) - (old == label)
            for new, old in zip(self.altered.said(), self.plain.said(), strict=True)
        )
        return before, after


@dataclass(frozen=True)
class Measured:
    """What a finding was measured with.

    Attributes:
        finding: its number in the audit, from 1.
        label: number of its class.
        name: name of its class.
        treated: whether the repair was made for it.
        forms: images of other classes with the artefact, by the name of its form; "same" first.
        control: the same images with the matched control, or None.
        without: images of the class without the artefact, or None.
    """

    finding: int
    label: int
    name: str
    treated: bool
    forms: dict[str, Given]
    control: Given | None
    without: Answers | None


def proven(measured: Sequence[Measured]) -> tuple[Cure, ...]:
    """Judge all findings together.

    Removed: it is excluded that 5 points or more of the images turn in any form, and that so many turn with the control
    that did not before (exact binomial tests, the largest p-value of these, adjusted over the findings by Benjamini
    and Hochberg, at most 0.05). Reduced: the whole interval of the reduction is above zero, and its adjusted p-value,
    by flipping signs, is at most 0.05. Everything else is not cured. What was not treated is measured, not judged.

    Args:
        measured: the findings.

    Returns:
        What became of each.
    """
    found = [_cure(one) for one in measured]
    treated = [one for one in found if one.cure.treated]
    if not treated:
        return tuple(one.cure for one in found)
    left, fell = (benjamini_hochberg(p) for p in zip(*((one.p_left, one.p_same) for one in treated), strict=True))
    judged = {id(one): _judged(one.cure, float(p), float(q)) for one, p, q in zip(treated, left, fell, strict=True)}
    return tuple(judged.get(id(one), one.cure) for one in found)


class _Tested(NamedTuple):
    """What a finding was measured to do, and the p-values of an effect being left, and of nothing having changed."""

    cure: Cure
    p_left: float
    p_same: float


def _cure(one: Measured) -> _Tested:
    from scipy.stats import binom

    forms, p_values = [], []
    for name, given in one.forms.items():
        before, after = given.turned(one.label)
        count = int((after > 0).sum())
        forms.append(Form(name, Pair(net_fraction(before), net_fraction(after)), count, len(after)))
        p_values.append(float(binom.cdf(count, len(after), EQUIVALENT)))
    first = next(iter(one.forms.values()))
    before, after = first.turned(one.label)
    control = None
    if one.control is not None:
        was, now = one.control.turned(one.label)
        control = Pair(net_fraction(was), net_fraction(now))
        p_values.append(float(binom.cdf(int(((now > 0) & (was <= 0)).sum()), len(now), EQUIVALENT)))
    without = None
    if one.without is not None:
        without = one.without.right(np.full(len(one.without.before), one.label))
    cure = Cure(
        finding=one.finding,
        label=one.name,
        treated=one.treated,
        verdict="not_cured",
        forms=tuple(forms),
        control=control,
        conflict=first.altered.right(first.labels),
        without=without,
        reduction=bootstrap(before - after),
    )
    return _Tested(cure, max(p_values), sign_flip(before - after, two_sided=False))


def _judged(cure: Cure, q_removed: float, q_reduced: float) -> Cure:
    assert cure.reduction is not None
    fell = q_reduced <= LEVEL and cure.reduction.low > 0
    verdict: Verdict = "removed" if q_removed <= LEVEL and fell else "reduced" if fell else "not_cured"
    return replace(cure, verdict=verdict, q_removed=q_removed, q_reduced=q_reduced)


def calibration_error(logits: Doubles, labels: Labels, bins: int = 10) -> float:
    """Return the mean |confidence − accuracy| over bins of confidence, weighted by images.

    Args:
        logits: `(n, classes)`.
        labels: `(n,)` class numbers.
        bins: of equal width.

    Reference:
        Guo et al. 2017.
    """
    e = np.exp(logits - logits.max(1, keepdims=True))
    confidence = (e / e.sum(1, keepdims=True)).max(1)
    right = logits.argmax(1) == labels
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [abs(float((confidence - right)[which == b].sum())) for b in range(bins)]
    return float(sum(gaps) / max(len(labels), 1))
