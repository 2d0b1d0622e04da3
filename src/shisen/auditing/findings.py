"""From a candidate and its effect to a finding: in the data, used by the model, how much, which images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .._core.stats import benjamini_hochberg
from .artefacts.base import Candidate
from .interventions import Effect

LEVEL = 0.05
HIGH = 0.20


@dataclass(frozen=True)
class Finding:
    """One thing that goes with a class, and whether the model uses it.

    Attributes:
        candidate: what was found.
        effect: what interventions did, or None where none was possible.
        in_data: whether it is associated with the label, at a false-discovery rate of 5 %.
        used: whether putting it on other images changes predictions, likewise, and by enough.
        q_data, q_used: adjusted p-values.
        severity: "high", "medium" or "low".
    """

    candidate: Candidate
    effect: Effect | None
    in_data: bool
    used: bool
    q_data: float
    q_used: float
    severity: str


def findings(pairs: Sequence[tuple[Candidate, Effect | None]]) -> list[Finding]:
    """Judge all candidates together, and put the most serious first.

    Used: the adjusted p-value, that of doing more than the control, is at most 0.05; the whole interval of the effect
    is above zero; the effect is at least the kind's `least_effect`, and half of that beyond the control.
    """
    data = benjamini_hochberg([c.p for c, _ in pairs])
    tested = [e.p for _, e in pairs if e is not None]
    adjusted = iter(benjamini_hochberg(tested))
    found = []
    for (candidate, effect), q_data in zip(pairs, data, strict=True):
        q_used = 1.0 if effect is None else float(next(adjusted))
        used = effect is not None and q_used <= LEVEL and _large(effect, candidate.artefact.least_effect)
        in_data = bool(q_data <= LEVEL)
        if not (in_data or used):
            continue
        size = effect.effect if effect is not None else 0.0
        severity = "low" if not used else "high" if size >= HIGH else "medium"
        found.append(Finding(candidate, effect, in_data, used, float(q_data), q_used, severity))
    rank = {"high": 0, "medium": 1, "low": 2}
    found.sort(
        key=lambda f: (
            rank[f.severity],
            -(f.effect.effect if f.effect and f.used else 0.0),
            f.candidate.artefact.direction != 0,
            f.q_data,
            f.candidate.label,
            f.candidate.kind,
        )
    )
    return found


def _large(effect: Effect, least: float) -> bool:
    return effect.low > 0 and effect.effect >= least and effect.after - effect.control >= least / 2
