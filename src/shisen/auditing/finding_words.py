"""A finding in sentences: what it is, what was measured, what decided, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .._core.i18n import Translator
from .artefacts.base import Artefact
from .artefacts.compound import pieces
from .artefacts.feature_group import FeatureGroup
from .findings import TREATMENT, Finding
from .report_sections import percent
from .shared import lowered, lowers_own
from .words import DECIDE, INSIDE, NAMES, PUSHES, PUSHES_OWN, PUT_ON, PUT_ON_IDLE, REASONS, REMOVED, REMOVED_SAME, TODO

PROPERTY = 3
"""Order of properties of the whole image."""


class Sentences(NamedTuple):
    """What a card says.

    Attributes:
        main: what a reader needs.
        more: how it was measured.
        todo: what to do.
    """

    main: list[str]
    more: list[str]
    todo: str


def what(finding: Finding, _: Translator) -> str:
    """Return what was found, in words.

    Args:
        finding: the finding.
    """
    return named(finding.candidate.artefact, _)


def named(artefact: Artefact, _: Translator) -> str:
    """Return the name of an artefact, in words.

    Args:
        artefact: the artefact.
    """
    key, fills = artefact.words()
    # a kind of another package may name itself
    return _(NAMES.get(key, key), **{name: _(NAMES[value]) for name, value in fills.items()})


def headline(labels: Sequence[str], finding: Finding, _: Translator) -> str:
    """Return the class and what was found.

    Args:
        labels: names of the classes.
        finding: the finding.
    """
    return _("“{label}”: {what}", label=labels[finding.candidate.label], what=what(finding, _))


def signed(value: float) -> str:
    """Return a fraction as points with their sign, and none at zero."""
    return f"{100 * value:+.0f}" if abs(value) >= 0.005 else "0"


def sentences(finding: Finding, labels: Sequence[str], _: Translator, others: Sequence[Finding] = ()) -> Sentences:
    """Return what a card says of a finding.

    Args:
        finding: the finding.
        labels: names of the classes.
        others: findings of other classes that are the same thing.
    """
    c, e = finding.candidate, finding.effect
    label = labels[c.label]
    main = [_("{n} images have it; {inside} of them are “{label}”.", n=len(c.members), inside=c.inside, label=label)]
    main += [_too(one, labels, _) for one in others]
    more = []
    names = [named(a, _) for a in pieces(c.artefact)[1:]]
    if names:
        also = "; ".join(dict.fromkeys(names))
        more.append(_("The same images also stand out by: {what}.", what=also))
    if e is None:
        main.append(_(REASONS[finding.reason]))
        return Sentences(main, more, _todo(finding, label, _))
    points = {k: signed(getattr(e, k)) for k in ("effect", "low", "high")}
    fractions = {k: percent(getattr(e, k)) for k in ("before", "after", "control")}
    main.append(_(PUT_ON if finding.used else PUT_ON_IDLE, n=e.tested, label=label, **points, **fractions))
    main += _pushes(finding, labels, _)
    if e.controlled and (finding.used or e.control > e.before):
        control = FeatureGroup.control_words if e.inside else c.artefact.control_words
        more.append(_(NAMES.get(control, control), **fractions))
    if e.inside and not isinstance(c.artefact, FeatureGroup):
        more.append(_(INSIDE))
    if e.witness is not None:
        more.append(_("The same difference, added inside the network: {witness} points.", witness=signed(e.witness)))
    if e.undone_tested:
        kept, undone = percent(e.kept), percent(e.undone)
        taken = REMOVED_SAME if kept == undone else REMOVED
        more.append(_(taken, n=e.undone_tested, label=label, kept=kept, undone=undone))
    if not finding.used:
        likeness = percent(min(max(e.fidelity or 0.0, 0.0), 1.0))
        decided, upper = REASONS[finding.reason or finding.state], f"{100 * e.upper:.1f}"
        main.append(_(decided, fidelity=likeness, upper=upper, **fractions))
    return Sentences(main, more, _todo(finding, label, _))


def _too(other: Finding, labels: Sequence[str], _: Translator) -> str:
    """Return that another class has the same thing."""
    e, label, n = other.effect, labels[other.candidate.label], other.candidate.inside
    if e is None:
        return _("The same goes with “{label}”: {n} of its images have it.", label=label, n=n)
    return _(
        "The same goes with “{label}”: {n} of its images have it, with an effect of {effect} points.",
        label=label,
        n=n,
        effect=signed(e.effect),
    )


def _pushes(finding: Finding, labels: Sequence[str], _: Translator) -> list[str]:
    """Return which classes it turns images away from."""
    found, e = [], finding.effect
    for s in lowered(finding)[:3]:
        numbers = {k: percent(v / s.n) for k, v in (("before", s.before), ("after", s.after), ("control", s.control))}
        found.append(_(PUSHES, label=labels[s.label], n=s.n, gains=labels[s.gains], **numbers))
    if lowers_own(finding) and e is not None:
        numbers = {"kept": percent(e.kept), "undone": percent(e.undone)}
        found.append(_(PUSHES_OWN, label=labels[finding.candidate.label], n=e.undone_tested, **numbers))
    return found


def away_from(finding: Finding, labels: Sequence[str]) -> list[str]:
    """Return the names of the classes it turns images away from.

    Args:
        finding: the finding.
        labels: names of the classes.
    """
    own = [labels[finding.candidate.label]] if lowers_own(finding) else []
    return [*own, *(labels[s.label] for s in lowered(finding)[:3])]


def _todo(finding: Finding, label: str, _: Translator) -> str:
    """Return what to do: mend what is used, decide what is not decided."""
    if finding.state == "not_decided":
        return _(DECIDE.get(finding.reason, ""), label=label)
    if finding.state == "not_used":
        return _(TODO["pushes" if lowered(finding) or lowers_own(finding) else "not_used"])
    lead = pieces(finding.candidate.artefact)[0]
    whole = lead.order == TREATMENT or lead.order >= PROPERTY
    if finding.nature:
        return _(TODO["nature"], label=label)
    look = lead.kind in ("feature_group", "transplanted_part")
    return _(TODO["look" if look else "treatment" if whole else "patch"], label=label)
