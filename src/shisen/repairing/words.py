"""A repair in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._core.i18n import N_, Translator
from .._core.stats import Interval
from .record import VERDICTS, Cure, Pair, Repair, Trial

TREATMENTS = {
    "none": N_("the model as it is"),
    "projection": N_("projection: the artefacts' directions are taken out of the input of the last layer"),
    "refit": N_("refit: the last layer is fitted again on images with and without the artefacts"),
    "tuning": N_("tuning: the last blocks are trained on images with and without the artefacts"),
}
FORMS = {
    "same": N_("as in the audit"),
    "position": N_("at another position ({which})"),
    "size": N_("at {which} times its size"),
    "strength": N_("at {which} of its strength"),
}
REASONS = {
    "no_way": N_("It cannot be put on images, only inside the network: the images of the class must be changed."),
    "few_images": N_("Too few audited images are left to measure it."),
    "planned": N_("Nothing has been done yet."),
}
SEVERITIES = {"removed": "none", "reduced": "medium", "not_cured": "high"}


def percent(interval: Interval) -> str:
    """Return a fraction with its interval."""
    if interval.n < 2:
        return "–"
    return f"{100 * interval.value:.1f} % ({100 * interval.low:.1f} – {100 * interval.high:.1f})"


def points(interval: Interval) -> str:
    """Return an effect with its interval, in points."""
    if interval.n < 2:
        return "–"
    return f"{100 * interval.value:+.1f} ({100 * interval.low:+.1f} – {100 * interval.high:+.1f})"


def form(name: str, _: Translator) -> str:
    """Return the name of a form in words."""
    kind, _sep, which = name.partition(" ")
    return _(FORMS[kind], which=which) if which else _(FORMS[kind])


def verdict(cures: Sequence[Cure], _: Translator) -> str:
    """Return the headline.

    Args:
        cures: what became of the findings that were treated.
    """
    treated = [c for c in cures if c.treated]
    counts = {v: sum(c.verdict == v for c in treated) for v in VERDICTS}
    if counts["removed"] == len(treated):
        return _.plural("The shortcut was removed.", "All {n} shortcuts were removed.", len(treated))
    return _(
        "Of {n} shortcuts, {removed} were removed, {reduced} reduced but not removed, {left} not cured.",
        n=len(treated),
        removed=counts["removed"],
        reduced=counts["reduced"],
        left=counts["not_cured"],
    )


def severity(cures: Sequence[Cure]) -> str:
    """Return how serious what is left is: "none", "medium" or "high"."""
    worst = [SEVERITIES[c.verdict] for c in cures if c.treated]
    return next((s for s in ("high", "medium") if s in worst), "none")


def overall(result: Repair, _: Translator) -> list[dict[str, str]]:
    """Return the rows of accuracy and calibration, before and after."""
    rows = [
        _row(name, pair)
        for name, pair in (
            (_("Accuracy"), result.accuracy),
            (_("Accuracy on images without any artefact"), result.clean),
        )
        if pair is not None and pair.before.n > 1
    ]
    before, after = (f"{100 * v:.1f}" for v in result.calibration)
    return [*rows, {"name": _("Difference of confidence and accuracy, in points"), "before": before, "after": after}]


def _row(name: str, pair: Pair) -> dict[str, str]:
    return {"name": name, "before": percent(pair.before), "after": percent(pair.after), "n": str(pair.before.n)}


def table(cure: Cure, _: Translator) -> list[dict[str, str]]:
    """Return the rows of a finding: its effect in every form, its control and accuracies.

    Args:
        cure: what became of it.
    """
    rows = [_turns(_("effect, {form}", form=form(f.name, _)), f.effect) for f in cure.forms]
    if cure.control is not None:
        rows.append(_turns(_("effect of the control"), cure.control))
    if cure.conflict is not None:
        rows.append(_row(_("accuracy on other classes with the artefact"), cure.conflict))
    if cure.without is not None:
        rows.append(_row(_("accuracy on “{label}” without it", label=cure.label), cure.without))
    return rows


def _turns(name: str, pair: Pair) -> dict[str, str]:
    return {"name": name, "before": points(pair.before), "after": points(pair.after), "n": str(pair.before.n)}


def lines(cure: Cure, _: Translator) -> list[str]:
    """Return what a card says of a finding.

    Args:
        cure: what became of it.
    """
    if cure.reason:
        return [_(REASONS[cure.reason])]
    first = cure.forms[0].effect
    text = _(
        "Put on images of other classes, it turned {before} points of them to “{label}” before and {after} after.",
        before=points(first.before),
        after=points(first.after),
        label=cure.label,
    )
    return [text]


def trial(one: Trial, _: Translator) -> dict[str, Any]:
    """Return a treatment that was tried, as a row.

    Args:
        one: the treatment.
    """
    name = _(TREATMENTS[one.treatment])
    return {
        "name": f"{name} ({one.setting})" if one.setting else name,
        "effect": f"{100 * one.effect:+.1f}",
        "accuracy": f"{100 * one.accuracy:.1f} %",
        "conflict": f"{100 * one.conflict:.1f} %",
        "chosen": one.chosen,
    }
