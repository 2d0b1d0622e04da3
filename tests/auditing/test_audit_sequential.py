"""On how many images a candidate is tested: as many as it takes until its state is the same all over the interval."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("scipy")

from auditing.test_audit_findings import PATCH, some
from auditing.test_audit_search import Plain
from shisen.auditing import interventions
from shisen.auditing.artefacts.base import Candidate, Images, Intervention
from shisen.auditing.findings import Trial, judged
from shisen.auditing.interventions import Effect, _undecided, intervene
from shisen.auditing.shifts import Shift

FREE, HAVE, REST = 300, 20, 20
DARK, LIGHT = 50, 200


@dataclass(frozen=True)
class Lightened:
    """Makes some images light, which the model takes for the class; `turned` of every hundred rows."""

    turned: int
    least_effect: float = 0.1
    controlled: int = 0
    order: int = 0
    kind: str = "lightened"
    direction: int = 0

    def intervention(self, candidate: Candidate, images: Images) -> Intervention:
        def given(percent: int) -> Any:
            return lambda pixels, row: np.full_like(pixels, LIGHT if 37 * row % 100 < percent else DARK)

        return Intervention(apply=given(self.turned), control=given(self.controlled))


def outcome(artefact: Lightened) -> tuple[Effect, int]:
    """Return what was measured, and how many images went through the network for it."""
    levels = [DARK] * FREE + [LIGHT] * (HAVE + REST)
    model = Plain([np.full((4, 4, 3), level, np.uint8) for level in levels])
    labels = np.repeat([0, 1], [FREE, HAVE + REST])
    known = np.eye(2)[labels]
    none = np.zeros((0, 8, 8, 3), np.uint8)
    paths = [str(i) for i in range(len(levels))]
    images = Images(model, paths, labels, known, none, np.zeros(0), lambda rows: np.zeros((len(rows), 2), np.float32))  # type: ignore[arg-type]
    candidate = Candidate(artefact, 1, tuple(range(FREE, FREE + HAVE)), HAVE, 1e-6, HAVE + REST)  # type: ignore[arg-type]
    effect = intervene(candidate, images)
    assert isinstance(effect, Effect)
    return effect, sum(shape[0] for shape in model.batches)


@pytest.fixture(params=[1.0])
def _copies(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interventions, "fidelity", lambda *_: request.param)


@pytest.mark.usefixtures("_copies")
@pytest.mark.parametrize(
    ("artefact", "images", "passes"),
    [
        (Lightened(0), 64, 64),  # bounded below 5 points
        (Lightened(60), 144, 288),  # used whatever the interval's end, and controlled
        (Lightened(60, controlled=60), 144, 288),
        (Lightened(10), 240, None),  # least effect inside the interval
        (Lightened(10, least_effect=0.35), 64, 64),  # far from what counts of its kind
    ],
)
def test_a_candidate_is_tested_until_its_state_is_decided(artefact: Lightened, images: int, passes: int | None) -> None:
    effect, count = outcome(artefact)
    assert effect.tested == images
    assert effect.effect == pytest.approx(artefact.turned / 100, abs=0.06)
    assert passes in (count, None)
    if artefact.turned == 60:
        assert effect.controlled
        assert effect.control == pytest.approx(artefact.controlled / 100, abs=0.06)


@pytest.mark.usefixtures("_copies")
@pytest.mark.parametrize("_copies", [0.1], indirect=True)
def test_a_copy_that_is_no_good_is_not_put_on_more_images_in_vain() -> None:
    effect, count = outcome(Lightened(2))
    assert 0 < effect.effect < 0.05
    assert (effect.tested, count) == (64, 64)


def test_no_control_is_measured_where_it_cannot_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interventions, "fidelity", lambda *_: 1.0)
    monkeypatch.setattr(interventions, "judged", lambda *_: ("not_decided", "only_alike"))
    effect, count = outcome(Lightened(12))
    assert not effect.controlled
    assert effect.p == 1.0
    assert count == effect.tested == 64


@pytest.mark.parametrize(
    ("effect", "wanted"),
    [
        (some(0.8, low=0.7, high=0.9, upper=0.9), False),  # used at both ends
        (some(0.1, low=0.04, high=0.16, upper=0.16), True),  # used, or not decided
        (some(0.02, low=0.0, high=0.04, upper=0.04), False),  # not used at both ends
        (some(0.02, low=0.0, high=0.04, upper=0.055), True),  # not used, or not decided
        (some(0.02, low=0.0, high=0.04, upper=0.045, fidelity=0.2), False),  # a weak copy at both ends
    ],
)
def test_the_state_at_both_ends_of_the_interval(effect: Effect, wanted: bool) -> None:
    assert _undecided(PATCH, effect, Intervention(apply=lambda pixels, row: pixels), screened=False) is wanted


def test_the_likeliest_images_alone_do_not_decide_that_it_is_used() -> None:
    strong = some(0.8, low=0.7, high=0.9, upper=0.9)
    how = Intervention(apply=lambda pixels, row: pixels)
    assert _undecided(PATCH, strong, how, screened=True)
    assert judged(Trial(PATCH, strong), 0.0)[0] == "used"


def test_a_class_that_nearly_counts_as_lowered_is_given_more_images() -> None:
    how = Intervention(apply=lambda pixels, row: pixels)
    none = some(0.0, low=0.0, high=0.0, upper=0.01)
    lost = Shift(2, 29, 28, 23, 28, 3, 0.03)
    assert not lost.lowers
    assert lost.may_lower
    assert not _undecided(PATCH, none, how, screened=False)
    assert _undecided(PATCH, replace(none, shifts=(lost,)), how, screened=False)
    assert not lost._replace(p=0.2).may_lower
    assert not lost._replace(after=27).may_lower
    sure = lost._replace(p=0.005)
    assert sure.lowers
    assert not _undecided(PATCH, replace(none, shifts=(sure,)), how, screened=False)
    assert _undecided(PATCH, replace(none, shifts=(sure,)), how, screened=True), "other classes may be lowered too"
