"""What an audit spares: nothing goes through the network twice, is decoded twice or is tested in vain."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")

from auditing import toy
from shisen._core.progress import silent
from shisen.adapters.wrappers import Passes, Watched
from shisen.auditing import middle as middle_module
from shisen.auditing import testing
from shisen.auditing.artefacts.base import Candidate, Evidence, Images
from shisen.auditing.artefacts.feature_group import Transfer
from shisen.auditing.artefacts.fixed_patch import FixedPatch
from shisen.auditing.artefacts.transform import Treatment
from shisen.auditing.budget import Budget
from shisen.auditing.interventions import UNDONE, Effect, answers, intervene
from shisen.auditing.middle import Middle
from shisen.auditing.properties import PROPERTIES

EACH = 40


class Counted:
    """Images of the toy, with a model that counts what goes through it and what is read."""

    def __init__(self, home: Path) -> None:
        self.passes, self.reads = Passes(), list[str]()
        folder = toy.folder(home / "images", each=EACH, planted=1.0)
        plain = toy.model(True)
        self.model = plain.around(Watched(plain.model, self.passes))
        read = self.model.read
        self.model.read = lambda path, **own: (self.reads.append(path), read(path, **own))[1]  # type: ignore[method-assign]
        paths = [str(p) for p in sorted(folder.glob("*/*.png"))]
        labels = np.repeat([0, 1], EACH)
        canvases = np.zeros((1, 8, 8, 3), np.uint8)
        blank = Images(self.model, paths, labels, np.zeros((2 * EACH, 2)), canvases, np.array([0]), lambda rows: None)  # type: ignore[arg-type, return-value]
        known = answers(blank, range(2 * EACH), None)
        self.images = replace(blank, probabilities=known.probabilities, pooled=lambda rows: known.pooled[list(rows)])
        self.start()

    def start(self) -> None:
        """Count from 0."""
        self.passes.rows.clear()
        self.reads.clear()


@pytest.fixture
def counted(tmp_path: Path) -> Counted:
    return Counted(tmp_path)


def stamp() -> Candidate:
    """Return the stamp that all warm images have."""
    alpha = np.zeros((toy.SIDE, toy.SIDE), np.float32)
    alpha[26:36, 4:14] = 1.0
    template = np.broadcast_to(np.asarray((255, 0, 255), np.float32), (toy.SIDE, toy.SIDE, 3))
    return Candidate(FixedPatch(template, alpha), 1, tuple(range(EACH, 2 * EACH)), EACH, 1e-9, EACH)


def test_maps_of_the_middle_are_computed_once(counted: Counted) -> None:
    rows = [3, 1, 50, 7]
    fresh = Middle(counted.model, "1", counted.images.paths).class_maps(rows)
    assert counted.passes.rows == {"activations": 4}
    middle = Middle(counted.model, "1", counted.images.paths)
    counted.start()
    middle.pooled(range(2 * EACH))
    assert counted.passes.rows == {"activations": 2 * EACH}
    counted.start()
    np.testing.assert_allclose(middle.class_maps(rows), fresh, atol=1e-6)
    assert counted.passes.rows == {}
    same = Transfer(np.float32(1.0), np.float32(0.0))  # type: ignore[arg-type]
    np.testing.assert_allclose(same.answers(middle, rows), counted.images.probabilities[rows], atol=1e-5)
    assert counted.passes.rows == {"replaced": 4}, "only what lies downstream runs"


def test_no_more_maps_are_kept_than_there_is_room_for(counted: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middle_module, "KEPT", 34 * toy.SIDE * toy.SIDE * 4 * 4)
    middle = Middle(counted.model, "1", counted.images.paths)
    middle.pooled(range(2 * EACH))
    assert sorted(middle.kept) == list(range(34))
    counted.start()
    mixed = middle.class_maps([0, 60, 33, 34])
    assert counted.passes.rows == {"activations": 2}
    assert sorted(middle.kept) == list(range(34)), "what is kept does not depend on what was asked for"
    plain = Middle(counted.model, "1", counted.images.paths).class_maps([0, 60, 33, 34])
    np.testing.assert_allclose(mixed, plain, atol=1e-6)


def test_the_hottest_positions_take_one_pass_with_a_gradient(counted: Counted) -> None:
    Middle(counted.model, "1", counted.images.paths).hottest(range(5), 1, 2)
    assert counted.passes.rows == {"gradients": 5}


def test_images_are_decoded_once_and_handed_out_as_copies(counted: Counted) -> None:
    images = counted.images
    first = images.read(4)
    first[:] = 0
    assert images.read(4).any()
    assert images.read(4, 20).shape == (20, 20, 3)
    assert images.read(4, 20).shape == (20, 20, 3)
    assert counted.reads == [images.paths[4]] * 2, "as it is, and reduced"


def test_what_is_taken_off_goes_through_the_network_once(counted: Counted) -> None:
    effect = intervene(stamp(), counted.images)
    assert isinstance(effect, Effect)
    assert effect.undone_tested == UNDONE
    assert effect.fidelity == pytest.approx(1.0, abs=0.2), "compared with images it was taken off and put on again"
    given, taken, again = EACH, UNDONE, UNDONE
    control = EACH if effect.controlled else 0
    assert counted.passes.total == given + control + taken + again


def test_what_does_not_go_with_a_class_is_not_tested(
    counted: Counted, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tried: list[Candidate] = []

    def recorded(candidate: Candidate, images: Images) -> str:
        tried.append(candidate)
        return "no_way"

    monkeypatch.setattr(testing, "intervene", recorded)
    chance = replace(stamp(), p=0.9)
    scan: Any = type("Scan", (), {"usable": counted.images.labels, "rows": type("Rows", (), {"folder": tmp_path})})
    found = testing.tested(scan, counted.images, [chance, stamp()], silent, Budget())
    assert [c.p for c in tried] == [1e-9]
    assert [f.candidate.p for f in found] == [1e-9]


def test_no_detector_is_trained_for_classes_of_two_images() -> None:
    labels = np.repeat(np.arange(40), 2)
    evidence = Evidence(
        labels=labels,
        canvases=np.zeros((80, 8, 8, 3), np.uint8),
        sampled=np.arange(80),
        properties=np.zeros((80, len(PROPERTIES))),
        read=lambda row: np.full((8, 8, 3), row, np.uint8),
        embed=lambda images: pytest.fail("two images say nothing about a class"),
    )
    assert Treatment.propose(evidence, 0, []) == []
