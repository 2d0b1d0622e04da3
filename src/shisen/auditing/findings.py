"""From a candidate and its effect to a finding: in the data, used by the model or not, or not decided, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from .._core.stats import benjamini_hochberg, upper_limit
from .artefacts.base import Candidate
from .artefacts.compound import pieces
from .artefacts.feature_group import FeatureGroup
from .artefacts.transform import CERTAIN, PURE, Treatment, explains
from .fidelity import FAITHFUL

if TYPE_CHECKING:
    from .interventions import Effect

State = Literal["used", "not_used", "not_decided"]

LEVEL = 0.05
HIGH = 0.20
EQUIVALENT = 0.05
"""An effect whose 95 % upper limit lies below this counts as none."""
WEAK = 0.3
"""Fidelity of a copy below which hardly anything of the original arrives."""
FEW = 5
"""Least images of the class that must have an artefact for anything to be decided about it."""
KEPT = 0.15
"""Largest change of answers when an artefact is taken off that agrees with "not used"."""
NATURE = 0.5
"""Least fraction of a class that has a property by nature."""
ALIKE = 0.25
"""How treated the images of a treatment must look that is called used, as a mean percentile among treated copies,
unless nearly all of them are of the class and the effect is high."""
TREATMENT = 1
"""Order of treatments: a detector may take for one what images show by nature."""
SEEN, BEYOND = 2, 0.1
"""Order of parts and groups that the network sees: they may be what the class is, and so may their control; beyond it
lies at least so much, and half of the effect."""
ELSEWHERE = 8
"""Least images of other classes that have an artefact by themselves for their predictions to say anything."""


class Trial(NamedTuple):
    """A candidate, what interventions did, and why none could be made ("" where one was)."""

    candidate: Candidate
    effect: Effect | None
    obstacle: str = ""


@dataclass(frozen=True)
class Finding:
    """One thing that goes with a class, and whether the model uses it.

    Attributes:
        candidate: what was found.
        effect: what interventions did, or None where none was possible.
        in_data: whether it is associated with the label, at a false-discovery rate of 5 %.
        state: "used", "not_used" (an equivalence test bounds the effect of a faithful copy) or "not_decided".
        reason: what decided: for "not_decided" why, such as "weak_copy"; "" otherwise.
        q_data, q_used: adjusted p-values.
        severity: "high", "medium" or "low".
        nature: whether it is likely what the class is: a property that most of its images have.
    """

    candidate: Candidate
    effect: Effect | None
    in_data: bool
    state: State
    reason: str
    q_data: float
    q_used: float
    severity: str
    nature: bool = False

    @property
    def used(self) -> bool:
        """Whether the model uses it."""
        return self.state == "used"


def findings(tests: Sequence[Trial]) -> list[Finding]:
    """Judge all candidates together, and put what is likely to do most harm first.

    Used: it is associated with the class; the adjusted p-value, that of doing more than the control, is at most 0.05;
    the whole interval of the effect is above zero; the effect is at least the kind's `least_effect`, and half of that
    beyond the control (of a part or group that the network sees, 10 points and half of the effect);
    images of other classes that have it by themselves do not contradict the effect. Not used: the 95 % upper limit of
    a faithful copy's effect is below 5 points. Everything else is not decided.

    Args:
        tests: candidates of all classes with what was measured.

    Returns:
        Those that are associated with their class.
    """
    data = benjamini_hochberg([t.candidate.p for t in tests])
    adjusted = iter(benjamini_hochberg([t.effect.p for t in tests if t.effect is not None]))
    found = []
    for test, q_data in zip(tests, data, strict=True):
        q_used = 1.0 if test.effect is None else float(next(adjusted))
        if q_data > LEVEL:
            continue
        state, reason = judged(test, q_used)
        effect = 0.0 if test.effect is None else test.effect.effect
        severity = "low" if state != "used" else "high" if effect >= HIGH else "medium"
        c = test.candidate
        nature = _natural(c)
        found.append(Finding(c, test.effect, True, state, reason, float(q_data), q_used, severity, nature))
    found.sort(key=_harm)
    return found


def associated(candidates: Sequence[Candidate]) -> list[bool]:
    """Return which candidates go with their class more than by chance, at a false-discovery rate of 5 %."""
    return [bool(q <= LEVEL) for q in benjamini_hochberg([c.p for c in candidates])]


def judged(test: Trial, q_used: float) -> tuple[State, str]:
    """Return the state of a candidate that is associated with its class, and the reason that decided.

    Args:
        test: the candidate and what was measured.
        q_used: adjusted p-value of doing more than the control.
    """
    c, e = test.candidate, test.effect
    if c.inside < FEW:
        return "not_decided", "few_images"
    if e is None:
        return "not_decided", test.obstacle or "no_way"
    least = least_effect(c, inside=e.inside)
    treated = c.artefact.order == TREATMENT and not e.inside
    if treated and e.fidelity is not None and e.fidelity < WEAK:
        return "not_decided", "weak_copy"  # what moves answers is not what the images have
    if treated and e.effect >= least and not sure(c, e.effect):
        return "not_decided", "only_alike"
    if e.low > 0 and e.effect >= least:
        if _contradicted(c, e):
            return "not_decided", "elsewhere"
        seen = e.inside or c.artefact.order == SEEN
        enough = max(min(least, BEYOND), e.effect / 2) if seen else least / 2
        beyond = q_used <= LEVEL and e.after - e.control >= enough
        return ("used", "") if beyond else ("not_decided", "strong_control")
    if e.fidelity is None:
        return "not_decided", "no_comparison"
    if e.fidelity < FAITHFUL:
        return "not_decided", "weak_copy" if e.fidelity < WEAK else "partial_copy"
    if e.undone_tested and e.kept - e.undone > KEPT:
        return "not_decided", "contradiction"
    if e.upper >= EQUIVALENT:
        return "not_decided", "wide_interval"
    return "not_used", ""


def _contradicted(candidate: Candidate, effect: Effect) -> bool:
    """Return whether images of other classes that have it by themselves are predicted as the class too rarely.

    Only where they are many, beside those of the class: a few may be mistakes of the search.
    """
    n = effect.elsewhere
    many = n >= ELSEWHERE and 2 * n >= candidate.inside
    return many and upper_limit(effect.elsewhere_turned, n) - effect.before < effect.low


def least_effect(candidate: Candidate, *, inside: bool = False) -> float:
    """Return the fraction of other images whose prediction must turn for a candidate to count as used.

    Args:
        candidate: the candidate.
        inside: whether it is put on inside the network: then that of the group of images that it is taken from.
    """
    groups = [a.least_effect for a in pieces(candidate.artefact) if isinstance(a, FeatureGroup)]
    if inside and groups:
        return groups[0]
    return HIGH if _natural(candidate) else candidate.artefact.least_effect  # what a class is moves answers too


def _natural(candidate: Candidate) -> bool:
    """Return whether something is likely what the class is: a property that most of its images have."""
    return candidate.artefact.order >= 3 and candidate.inside > NATURE * candidate.group


def sure(candidate: Candidate, effect: float) -> bool:
    """Return whether the images of a treatment have surely been treated: some of any class look as if they were.

    Args:
        candidate: a treatment, or what it leads.
        effect: what it does.
    """
    first = pieces(candidate.artefact)[0]
    if candidate.p > CERTAIN or not isinstance(first, Treatment):
        return candidate.p <= CERTAIN
    own = candidate.inside >= PURE * len(candidate.members) and effect >= HIGH
    return explains(candidate, first) and (first.alike >= ALIKE or own)


def _harm(finding: Finding) -> tuple[float | bool | str, ...]:
    """Return what findings are ordered by: the state, the class's nature last, then the effect of what most have."""
    c, e = finding.candidate, finding.effect
    fraction = c.inside / c.group if c.group else 1.0
    return (
        ("used", "not_decided", "not_used").index(finding.state),
        finding.nature,
        -(e.effect * fraction if e is not None and finding.used else 0.0),
        c.artefact.order,
        finding.q_data,
        c.label,
        c.kind,
    )
