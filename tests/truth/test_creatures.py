"""The drawn creatures: classes differ in parts alone, and a part can be taken away without touching anything else."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from benchmarks.truth.creatures import draw_image, sample
from benchmarks.truth.parts import ORDER, PARTS, classes


def test_any_two_classes_differ_in_three_parts() -> None:
    found = classes(24)
    assert len(found) == 24
    for one, other in combinations(found, 2):
        assert sum(one[slot] != other[slot] for slot in ORDER) >= 3
    with pytest.raises(ValueError, match="count=500"):
        classes(500)


@pytest.mark.parametrize("number", range(8))
def test_taking_a_part_away_changes_only_where_it_was_seen(number: int) -> None:
    creature = sample(classes()[number], np.random.default_rng(number))
    image, masks = draw_image(creature, 96)
    assert set(masks) == set(ORDER)
    assert sum(mask.sum() for mask in masks.values()) == np.any(list(masks.values()), axis=0).sum(), "masks overlap"
    for slot in ORDER:
        less, rest = draw_image(creature.without(slot), 96)
        assert slot not in rest
        changed = (less != image).any(-1)
        rim = np.pad(masks[slot], 1)  # edges are smoothed over the next pixel
        near = sum(np.roll(rim, (dy, dx), (0, 1)) for dy in (-1, 0, 1) for dx in (-1, 0, 1))[1:-1, 1:-1] > 0
        assert (changed & ~near).sum() <= 4, slot  # slivers finer than a pixel of the mask
        if masks[slot].sum() > 30:
            assert changed[masks[slot]].mean() > 0.8, slot


def test_an_exchanged_part_keeps_color_pose_and_background() -> None:
    creature = sample(classes()[0], np.random.default_rng(3))
    image, masks = draw_image(creature, 96)
    other = next(v for v in PARTS["wings"] if v != creature.parts["wings"])
    changed, again = draw_image(creature.exchanged("wings", other), 96)
    untouched = ~(masks["wings"] | again["wings"])
    untouched[1:-1, 1:-1] &= ~(np.roll(masks["wings"] | again["wings"], 1, 0))[1:-1, 1:-1]
    assert (image[masks["head"] & again["head"]] == changed[masks["head"] & again["head"]]).mean() > 0.95
    assert (image == changed).all(-1)[untouched].mean() > 0.98


def test_the_same_seed_draws_the_same_image() -> None:
    first, second = (draw_image(sample(classes()[5], np.random.default_rng(11)))[0] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert (first != draw_image(sample(classes()[5], np.random.default_rng(12)))[0]).any()
