"""What is put on first: pictures near to turning, so that a weak effect is not passed over."""

from __future__ import annotations

import numpy as np

from shisen.audit.interventions import SCREENED, _screened


def test_half_of_the_first_pictures_are_drawn_and_half_are_near_to_turning() -> None:
    draw = np.random.default_rng(0)
    before = draw.dirichlet([0.3, 0.3, 0.3], size=400)
    order = draw.permutation(400)[:160]
    rows = _screened(order, before, 2)
    assert len(rows) == SCREENED == len(set(rows.tolist()))
    half = SCREENED // 2
    assert rows[:half].tolist() == order[:half].tolist()
    near = rows[half:]
    assert (before[near].argmax(1) != 2).all()
    passed_over = np.setdiff1d(order, rows)
    turned = before[passed_over].argmax(1) == 2
    assert before[near, 2].min() >= before[passed_over[~turned], 2].max()


def test_few_pictures_are_all_taken() -> None:
    before = np.full((20, 2), 0.5)
    assert sorted(_screened(np.arange(20), before, 1).tolist()) == list(range(20))
