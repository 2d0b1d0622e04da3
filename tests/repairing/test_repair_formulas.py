"""The linear treatments against their definitions, the division of images, and the verdicts against known counts."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy")

from PIL import Image

from shisen.repairing.choosing import Exam, chosen, rated
from shisen.repairing.data import CHOICE, KEPT, divided
from shisen.repairing.head import Layer
from shisen.repairing.linear import Lesson, projected, refitted
from shisen.repairing.proof import Answers, Given, Measured, calibration_error, proven
from shisen.training.data import read_dataset

DRAW = np.random.default_rng(0)
N, D = 400, 6


def lesson() -> tuple[Layer, Lesson]:
    """Return a layer that uses two features of six, one of which an artefact raises by 5; and images."""
    labels = DRAW.integers(0, 2, N)
    plain = DRAW.normal(0, 1, (N, D)).astype(np.float32)
    plain[:, 0] += 3 * labels
    weight = np.zeros((2, D))
    weight[1, :2] = 2.0, 1.5
    copies = plain.copy()
    copies[:, 1] += 5
    return Layer(weight, np.asarray([3.0, 0.0])), Lesson(plain, labels, (copies,))


def test_the_projection_solves_its_normal_equations() -> None:
    layer, given = lesson()
    one = projected(layer, given, 10.0)
    centered = given.plain - given.plain.mean(0, dtype=np.float64)
    moved = (given.copies[0] - given.plain).astype(np.float64)
    sigma, s = centered.T @ centered / N, moved.T @ moved / N
    sigma = sigma + 1e-4 * np.trace(sigma) / D * np.eye(D)
    strength = 10.0 * np.trace(sigma) / np.trace(s)
    # the gradient of E|(W' − W)(f − μ)|² + λE|W'δ|² vanishes
    gradient = (one.weight - layer.weight) @ sigma + strength * one.weight @ s
    assert np.abs(gradient).max() < 1e-2 * np.abs(layer.weight @ sigma).max()
    mean = given.plain.mean(0)
    assert np.allclose(one.logits(mean[None]), layer.logits(mean[None]), atol=1e-5)


def test_a_strong_projection_ignores_the_artefact_and_keeps_the_rest() -> None:
    layer, given = lesson()
    one = projected(layer, given, 1000.0)
    assert np.abs(one.logits(given.copies[0]) - one.logits(given.plain)).max() < 0.05
    assert abs(one.weight[1, 0] - 2.0) < 0.2
    assert projected(layer, given, 0.0).weight == pytest.approx(layer.weight, abs=1e-9)


def test_the_fit_learns_that_copies_keep_their_class_and_stays_near_the_layer() -> None:
    layer, given = lesson()
    before = (layer.logits(given.copies[0]).argmax(1) == given.labels).mean()
    near, far = (refitted(layer, given, penalty) for penalty in (100.0, 0.01))
    assert before < 0.6
    assert (far.logits(given.copies[0]).argmax(1) == given.labels).mean() > 0.9
    assert np.abs(near.weight - layer.weight).max() < np.abs(far.weight - layer.weight).max()


def test_what_leaves_an_effect_gives_way_to_what_leaves_none() -> None:
    layer, given = lesson()
    exam = Exam(given.plain, given.labels, ((1, (given.copies[0],)),))
    first = rated("none", "", layer, exam)
    assert first.trial.effect > 0.5
    dearer: list[str] = []

    def last() -> list:
        dearer.append("computed")
        return []

    groups = [lambda: [rated("projection", "1000", projected(layer, given, 1000.0), exam)], last]
    best, trials = chosen(first, groups)
    assert best.trial.treatment == "projection"
    assert [t.chosen for t in trials] == [False, True]
    assert not dearer, "what is enough is not followed by dearer treatments"
    harmful = rated("projection", "all", Layer(np.zeros((2, D)), np.asarray([1.0, 0.0])), exam)
    assert harmful.trial.effect == 0
    assert chosen(first, [lambda: [harmful]])[0] is not harmful or first.trial.accuracy < 0.6


def answers(before: np.ndarray, after: np.ndarray) -> Answers:
    return Answers(np.eye(2)[before], np.eye(2)[after])


def measured(n: int, turned: int, finding: int = 1, before: float = 0.8, treated: bool = True) -> Measured:
    """Return a finding of class 1 whose copies turned most images before, and so many after."""
    zero, one = np.zeros(n, int), (np.arange(n) < turned).astype(int)
    was = (np.arange(n) < before * n).astype(int)
    given = Given(zero, answers(zero, zero), answers(was, one))
    return Measured(finding, 1, "warm", treated, {"same": given, "position 1": given}, None, None)


@pytest.mark.parametrize(
    ("n", "turned", "verdict"),
    [(240, 2, "removed"), (240, 12, "reduced"), (30, 0, "reduced"), (240, 192, "not_cured"), (240, 200, "not_cured")],
)
def test_no_verdict_goes_beyond_what_was_measured(n: int, turned: int, verdict: str) -> None:
    (cure,) = proven([measured(n, turned)])
    assert cure.verdict == verdict
    assert cure.forms[0].turned == turned
    assert cure.forms[0].effect.after.value == pytest.approx(turned / n)


def test_an_effect_that_never_was_is_not_removed() -> None:
    (cure,) = proven([measured(240, 0, before=0.0)])
    assert cure.verdict == "not_cured"


def test_several_findings_are_judged_together() -> None:
    alone = proven([measured(70, 0)])[0]
    many = proven([measured(70, 0, 1), *(measured(70, 30, n) for n in range(2, 6))])[0]
    assert many.q_removed == pytest.approx(5 * alone.q_removed)


def test_what_was_not_treated_is_measured_and_changes_no_verdict() -> None:
    alone = proven([measured(70, 0)])[0]
    cure, other = proven([measured(70, 0, 1), measured(70, 60, 2, treated=False)])
    assert cure == alone
    assert (other.verdict, other.treated) == ("not_cured", False)
    assert other.forms[0].effect.after.value == pytest.approx(60 / 70)


def test_a_control_that_has_become_effective_is_no_removal() -> None:
    one, other = measured(240, 0), measured(240, 40, before=0.0)
    assert proven([replace(one, control=one.forms["same"])])[0].verdict == "removed"
    new = proven([replace(one, control=other.forms["same"])])[0]
    assert new.verdict == "reduced"
    assert new.control is not None
    assert new.control.after.value == pytest.approx(40 / 240)


def test_one_form_that_is_left_is_enough_to_be_left() -> None:
    one, other = measured(240, 0), measured(240, 30)
    one.forms["size 1.4"] = other.forms["same"]
    assert proven([one])[0].verdict == "reduced"


def test_calibration_is_the_gap_between_confidence_and_accuracy() -> None:
    sure = np.asarray([[0.0, 50.0]] * 10)
    assert calibration_error(sure, np.asarray([1] * 7 + [0] * 3)) == pytest.approx(0.3, abs=1e-6)


def test_images_are_divided_by_the_hash_of_their_files(tmp_path: Path) -> None:
    draw = np.random.default_rng(4)
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        for i in range(60):
            Image.fromarray(draw.integers(0, 256, (9, 9, 3), np.uint8)).save(tmp_path / label / f"{i}.png")
    (tmp_path / "b" / "same.png").write_bytes((tmp_path / "b" / "0.png").read_bytes())
    data = read_dataset(tmp_path)
    digest = [hashlib.sha256(Path(item.path).read_bytes()).hexdigest() for item in data.items]
    values = np.asarray([int(d[:8], 16) % 100 for d in digest])
    parts = divided(data, data.indices(("a", "b")), digest[:30])
    learn, choose = set(parts.learn.tolist()), set(parts.choose.tolist())
    assert not learn & choose
    assert all(values[list(learn)] < CHOICE)
    kept = {i for i in range(30) if values[i] >= KEPT}
    assert kept
    assert not kept & (learn | choose), "audited images with a high hash are for the proof alone"
    assert len(learn | choose | kept) == 120, "an image that is there twice counts once"
