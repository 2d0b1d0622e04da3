"""What is put on first: images near to turning, so that a weak effect is not passed over."""

from __future__ import annotations

import numpy as np

from shisen.auditing.artefacts.base import shrunk
from shisen.auditing.compositing import removed
from shisen.auditing.interventions import SCREENED, _screened


def test_half_of_the_first_images_are_drawn_and_half_are_near_to_turning() -> None:
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


def test_few_images_are_all_taken() -> None:
    before = np.full((20, 2), 0.5)
    assert sorted(_screened(np.arange(20), before, 1).tolist()) == list(range(20))


def test_large_images_are_reduced_and_small_ones_left_alone() -> None:
    draw = np.random.default_rng(0)
    large = draw.integers(0, 256, (300, 1200, 3)).astype(np.uint8)
    assert shrunk(large, 400).shape == (100, 400, 3)
    assert abs(float(shrunk(large, 400).mean()) - float(large.mean())) < 0.5
    assert shrunk(large, 1200) is large


def test_taking_off_touches_the_place_alone_and_fills_it_from_around() -> None:
    image = np.full((120, 160, 3), 90, np.uint8)
    image[:, 80:] = 150
    mask = np.zeros((28, 28), bool)
    mask[3:8, 18:24] = True
    high, wide = slice(13, 34), slice(103, 137)
    image[high, wide] = (255, 0, 255)
    without = removed(image, mask)
    outside = np.ones(image.shape[:2], bool)
    outside[5:45, 95:147] = False
    assert np.array_equal(without[outside], image[outside])
    assert np.abs(without[high, wide].astype(int) - 150).max() <= 3
    assert np.array_equal(removed(image, np.zeros((28, 28), bool)), image)
