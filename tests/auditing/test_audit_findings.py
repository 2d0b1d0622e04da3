"""The three states of a candidate, each by the reason that decides, on effects made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("scipy")

from shisen._core.stats import upper_limit
from shisen.auditing.artefacts.base import Candidate
from shisen.auditing.artefacts.compound import Compound
from shisen.auditing.artefacts.feature_group import FeatureGroup
from shisen.auditing.artefacts.fixed_patch import FixedPatch
from shisen.auditing.artefacts.property import GlobalProperty
from shisen.auditing.artefacts.transform import Treatment
from shisen.auditing.artefacts.transplanted_part import TransplantedPart
from shisen.auditing.findings import Finding, Trial, findings, judged
from shisen.auditing.interventions import Effect

PATCH = Candidate(
    FixedPatch(np.zeros((8, 8, 3), np.float32), np.pad(np.ones((4, 4), np.float32), 2)),
    0,
    tuple(range(20)),
    20,
    1e-6,
    50,
)
DARK = Candidate(GlobalProperty("brightness", -1, -20.0, 90.0), 0, tuple(range(20)), 20, 1e-6, 50)
NOTHING = Effect(
    tested=200, before=0.02, after=0.02, control=0.02, controlled=True, effect=0.0, low=0.0, high=0.0, p=1.0, kept=1.0,
    undone=1.0, undone_tested=20, examples=(), upper=0.015, fidelity=0.95,
)  # fmt: skip


def some(effect: float, **other: float | None) -> Effect:
    made = {
        "after": 0.02 + effect,
        "effect": effect,
        "low": 0.5 * effect,
        "high": 2 * effect,
        "p": 0.0001,
        "upper": 2 * effect,
    }
    return replace(NOTHING, **{**made, **other})  # type: ignore[arg-type]


def only(candidate: Candidate, effect: Effect | None, obstacle: str = "") -> Finding:
    (found,) = findings([Trial(candidate, effect, obstacle)])
    return found


@pytest.mark.parametrize(("candidate", "least"), [(PATCH, 0.05), (DARK, 0.1)])
def test_the_least_effect_that_counts_as_used(candidate: Candidate, least: float) -> None:
    assert only(candidate, some(least + 0.001)).used
    assert not only(candidate, some(least - 0.001)).used
    assert only(candidate, some(0.19)).severity == "medium"
    assert only(candidate, some(0.21)).severity == "high"


def test_half_of_the_least_effect_must_lie_beyond_the_control() -> None:
    assert only(PATCH, some(0.08, control=0.07)).used
    strong = only(PATCH, some(0.08, control=0.08))
    assert (strong.state, strong.reason) == ("not_decided", "strong_control")
    chance = only(PATCH, some(0.08, p=0.2))
    assert (chance.state, chance.reason) == ("not_decided", "strong_control")


def test_of_parts_and_groups_the_greater_part_of_the_effect_must_lie_beyond_the_control() -> None:
    """Other parts of a class make the class too: half of the effect then says nothing about this one."""
    part = replace(PATCH, artefact=TransplantedPart({0: ((0.5, 0.5),)}, {}, 0.1, foreign=True))
    assert only(part, some(0.24, control=0.13)).used
    assert only(part, some(0.24, control=0.15)).reason == "strong_control"
    assert only(part, some(0.15, control=0.08)).reason == "strong_control", "less than the least effect is beyond it"
    assert only(PATCH, some(0.24, control=0.15)).used, "the control of a patch has nothing of the class"


def test_images_of_other_classes_that_have_it_by_themselves_may_contradict() -> None:
    few, many = (replace(PATCH, members=tuple(range(20 + n))) for n in (7, 30))
    found = only(many, some(0.3, elsewhere=30, elsewhere_turned=0))  # at most 9.5 % of these are predicted as the class
    assert (found.state, found.reason) == ("not_decided", "elsewhere")
    assert only(many, some(0.3, elsewhere=30, elsewhere_turned=3)).used
    assert only(many, some(0.14, elsewhere=30, elsewhere_turned=0)).used, (
        "the interval of the effect reaches as far down"
    )
    assert only(few, some(0.6, elsewhere=7, elsewhere_turned=0)).used, "a few may be mistakes of the search"


def test_what_is_added_inside_the_network_is_judged_as_the_group_it_is_taken_from() -> None:
    group = replace(PATCH, artefact=FeatureGroup(tuple(range(20)), 5.0, 0.3))
    both = replace(PATCH, artefact=Compound((replace(PATCH, artefact=Treatment("jpeg", alike=0.1)), group)))
    mixed = replace(both, members=tuple(range(25)))
    assert only(mixed, some(0.34, inside=True)).state == "not_decided"
    assert only(mixed, some(0.36, inside=True)).used, "however little its images look treated"
    assert only(mixed, some(0.36)).reason == "only_alike"


def test_not_used_takes_a_faithful_copy_and_a_bound() -> None:
    assert only(PATCH, NOTHING).state == "not_used"
    reasons = {
        "weak_copy": replace(NOTHING, fidelity=0.2),
        "partial_copy": replace(NOTHING, fidelity=0.5),
        "no_comparison": replace(NOTHING, fidelity=None),
        "wide_interval": replace(NOTHING, upper=0.051),
        "contradiction": replace(NOTHING, undone=0.8),
    }
    for reason, effect in reasons.items():
        found = only(PATCH, effect)
        assert (found.state, found.reason) == ("not_decided", reason)
    assert only(PATCH, replace(NOTHING, upper=0.049, fidelity=0.61, undone=0.86)).state == "not_used"


def test_a_treatment_that_is_unlike_what_the_images_have_shows_nothing() -> None:
    treated = replace(PATCH, artefact=Treatment("quarter_left"))
    assert only(treated, some(0.4, fidelity=0.31)).used
    unlike = only(treated, some(0.4, fidelity=0.29))
    assert (unlike.state, unlike.reason) == ("not_decided", "weak_copy")
    assert only(PATCH, some(0.4, fidelity=0.29)).used, "a patch that turns answers is used, however much of it there is"


def test_a_treatment_is_called_used_only_where_it_surely_goes_with_the_class() -> None:
    treated = replace(PATCH, artefact=Treatment("quarter_left"), p=1e-4)
    assert only(treated, some(0.4)).reason == "only_alike", "some houses lie on their side to a detector"
    assert only(replace(treated, p=1e-6), some(0.4)).used
    faint = replace(treated, artefact=Treatment("quarter_left", alike=0.2), p=1e-6)
    assert only(faint, some(0.4)).used, "only images of the class look treated, though less than copies do"
    assert only(faint, some(0.19)).reason == "only_alike"
    mixed = only(replace(faint, members=tuple(range(25))), some(0.4))
    assert (mixed.state, mixed.reason) == ("not_decided", "only_alike"), "others of other classes look as much so"


def test_a_treatment_must_explain_what_sets_its_images_apart() -> None:
    treated = replace(PATCH, artefact=Treatment("quarter_left", misfit=0.69))
    assert only(treated, some(0.4)).used
    other = replace(treated, artefact=Treatment("quarter_left", misfit=0.71))
    assert only(other, some(0.4)).reason == "only_alike"
    whole = replace(other, members=tuple(range(41)), inside=41)
    assert only(whole, some(0.4)).used, "of nearly all of a class, there is nothing to compare with"
    alike = replace(whole, members=tuple(range(50)))
    assert only(alike, some(0.4)).reason == "only_alike", "other classes look as if they had it, too"


def test_what_cannot_be_put_on_is_not_decided() -> None:
    assert judged(Trial(PATCH, None, "no_way"), 1.0) == ("not_decided", "no_way")
    assert judged(Trial(PATCH, None, "few_images"), 1.0) == ("not_decided", "few_images")
    few = replace(PATCH, members=tuple(range(4)), inside=4)
    assert judged(Trial(few, some(0.5)), 0.001) == ("not_decided", "few_images")


def test_what_is_not_associated_with_the_class_is_no_finding_however_strong() -> None:
    twin = replace(PATCH, p=1.0)
    (left,) = findings([Trial(twin, some(0.6)), Trial(PATCH, NOTHING)])
    assert left.candidate is PATCH


def test_what_most_of_a_class_is_by_nature_must_do_much_to_count() -> None:
    nature = replace(DARK, members=tuple(range(40)), inside=40)
    assert only(nature, some(0.21)).used
    assert not only(nature, some(0.19)).used
    assert only(DARK, some(0.19)).used


def test_harm_comes_first_and_nature_last() -> None:
    nature = replace(DARK, members=tuple(range(40)), inside=40)
    listed = findings(
        [Trial(nature, NOTHING), Trial(nature, some(0.9)), Trial(PATCH, some(0.3)), Trial(DARK, NOTHING),
         Trial(PATCH, replace(NOTHING, fidelity=0.1)), Trial(DARK, some(0.5))]
    )  # fmt: skip
    states = ["used", "used", "used", "not_decided", "not_used", "not_used"]
    assert [f.state for f in listed] == states
    assert [f.nature for f in listed] == [False, False, True, False, False, True]
    assert [f.effect.effect for f in listed[:3] if f.effect] == [0.5, 0.3, 0.9]


def test_what_more_images_of_the_class_have_comes_first() -> None:
    rare = replace(PATCH, members=tuple(range(6)), inside=6)
    common = replace(DARK, p=1e-9)
    assert [f.candidate for f in findings([Trial(rare, some(0.5)), Trial(common, some(0.2))])] == [common, rare]
    assert [f.candidate for f in findings([Trial(rare, some(0.9)), Trial(common, some(0.2))])] == [rare, common]


def test_the_upper_limit_solves_its_equation() -> None:
    from scipy.stats import binom

    for hits, n in ((0, 59), (2, 64), (7, 30)):
        assert binom.cdf(hits, n, upper_limit(hits, n)) == pytest.approx(0.05)
    assert upper_limit(0, 59) < 0.05 < upper_limit(0, 58)
    assert upper_limit(3, 3) == 1.0
