"""The result of a repair: what was done, and what the same interventions do before and after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .._core.i18n import N_
from .._core.stats import Interval

Verdict = Literal["removed", "reduced", "not_cured"]

VERDICTS: dict[str, str] = {
    "removed": N_("removed"),
    "reduced": N_("reduced, not removed"),
    "not_cured": N_("not cured"),
}


@dataclass(frozen=True)
class Pair:
    """One measurement before and after, as fractions of images, with 95 % intervals."""

    before: Interval
    after: Interval


@dataclass(frozen=True)
class Form:
    """An artefact in one form.

    Attributes:
        name: "same", "position 1", "size 0.7", "strength 0.6" …
        effect: fraction of images of other classes that turn to the class when they are given it.
        turned: how many turn after the repair.
        n: images that were given it.
    """

    name: str
    effect: Pair
    turned: int
    n: int


@dataclass(frozen=True)
class Cure:
    """What became of one finding.

    Attributes:
        finding: its number in the audit, from 1.
        label: name of its class.
        treated: whether the repair was made for it; others are measured because they must not grow.
        verdict: "removed", "reduced" or "not_cured"; "not_cured" for what was not treated.
        forms: the artefact as in the audit, then in other forms.
        control: the same for the matched control, or None where there is none.
        conflict: accuracy on images of other classes with the artefact.
        without: accuracy on images of the class that do not have it, or None without such images.
        reduction: by how much the effect fell, one image at a time.
        q_removed: adjusted p-value of an effect of 5 points or more being left in any form, or new with the control.
        q_reduced: adjusted p-value of the effect not having fallen.
        reason: why nothing could be done, "" where something was.
    """

    finding: int
    label: str
    treated: bool
    verdict: Verdict
    forms: tuple[Form, ...] = ()
    control: Pair | None = None
    conflict: Pair | None = None
    without: Pair | None = None
    reduction: Interval | None = None
    q_removed: float = 1.0
    q_reduced: float = 1.0
    reason: str = ""


@dataclass(frozen=True)
class Trial:
    """A treatment on the images that choose.

    Attributes:
        treatment: "none", "projection", "refit" or "tuning".
        setting: its strength, in words of its own.
        effect: the largest effect that is left of any finding in any form.
        accuracy: on images as they are.
        conflict: accuracy on copies with the artefacts.
        chosen: whether it was taken.
    """

    treatment: str
    setting: str
    effect: float
    accuracy: float
    conflict: float
    chosen: bool = False


@dataclass(frozen=True)
class Repair:
    """A finished repair.

    Attributes:
        folder: of the repaired model; `shisen.load` reads it where the model came from a run folder.
        report: path of the report, one HTML file; "" for a dry run.
        treatment: "projection", "refit", "tuning", or "none" where nothing did better than the model as it is.
        cures: one a finding that the model uses.
        trials: what was tried on the images that choose, in order.
        accuracy: on audited images that had no part in the repair.
        clean: the same on those of them without an artefact that the model uses.
        calibration: mean |confidence − accuracy| before and after.
        history: what the run folder records of the repair.
        dry: whether nothing was computed or written beyond the plan.
    """

    folder: str
    report: str
    treatment: str
    cures: tuple[Cure, ...]
    trials: tuple[Trial, ...]
    accuracy: Pair | None
    clean: Pair | None
    calibration: tuple[float, float]
    history: Mapping[str, Any]
    dry: bool = False

    @property
    def cured(self) -> bool:
        """Whether every finding that was treated has been removed."""
        return all(cure.verdict == "removed" for cure in self.cures if cure.treated)
