"""A patch that changes its place is found with its places; natural images have none."""

from __future__ import annotations

import numpy as np
import pytest

from auditing.test_audit_patches import LABELS, SIDE, natural

pytest.importorskip("scipy")

from shisen.auditing.artefacts.base import Candidate, Evidence
from shisen.auditing.artefacts.fixed_patch import FixedPatch
from shisen.auditing.artefacts.moving_patch import MovingPatch, moved
from shisen.auditing.properties import PROPERTIES


def moving_patch(canvases: np.ndarray, label: int, known: tuple[Candidate, ...] = ()) -> Candidate | None:
    evidence = Evidence(LABELS, canvases, np.arange(len(canvases)), np.zeros((len(canvases), len(PROPERTIES))))
    new = MovingPatch.propose(evidence, label, known)[len(known) :]
    return new[0] if new else None


def test_a_box_that_moves_is_found_where_it_is() -> None:
    canvases = natural(90, 11)
    draw = np.random.default_rng(5)
    places = {}
    for row in range(30, 45):
        y, x = (int(v) for v in draw.integers(2, SIDE - 16, 2))
        canvases[row, y : y + 14, x : x + 14] = (250, 30, 240)
        places[row] = (y, x)
    found = moving_patch(canvases, 1)
    assert found is not None
    assert isinstance(found.artefact, MovingPatch)
    assert len(set(found.members) & set(places)) >= 13
    overlaps = []
    for row in set(found.members) & set(places):
        y, x = places[row]
        truth = np.zeros((SIDE, SIDE), bool)
        truth[y : y + 14, x : x + 14] = True
        mask = found.artefact.mask_in(row)
        overlaps.append((mask & truth).sum() / (mask | truth).sum())
    assert np.median(overlaps) > 0.6
    assert found.artefact.at(0)[1].any(), "an image without it is given it where a member has it"


def test_another_patch_in_the_same_images_does_not_hide_it() -> None:
    canvases = natural(90, 11)
    draw = np.random.default_rng(5)
    canvases[30:60, 50:62, 2:14] = (20, 240, 60)
    for row in range(30, 60):
        y, x = (int(v) for v in draw.integers((2, 18), (34, SIDE - 16)))
        canvases[row, y : y + 14, x : x + 14] = (250, 30, 240)
    alpha = np.zeros((SIDE, SIDE), np.float32)
    alpha[50:62, 2:14] = 1.0
    still = FixedPatch(np.zeros((SIDE, SIDE, 3), np.float32), alpha)
    found = moving_patch(canvases, 1, (Candidate(still, 1, tuple(range(30, 60)), 30, 1e-9),))
    assert found is not None
    color = found.artefact.at(40)[0][found.artefact.mask_in(40)].mean(0)
    assert np.abs(color - (250, 30, 240)).max() < 40, "not the one that is known"


def test_natural_images_have_none() -> None:
    assert all(moving_patch(natural(90, 12), label) is None for label in range(3))


def test_what_is_moved_out_is_gone() -> None:
    values = np.arange(12.0, dtype=np.float32).reshape(3, 4)
    assert moved(values, (1, -2)).tolist() == [[0, 0, 0, 0], [2, 3, 0, 0], [6, 7, 0, 0]]
    assert not moved(values, (3, 0)).any()
