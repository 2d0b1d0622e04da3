"""Transforms: exact adjoints, and what they do to an image, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from shisen.errors import InputError
from shisen.inspect.transforms import RandomTransform, Resampling, jitter, pad, resampling, rotate, scale

RNG = np.random.default_rng(0)
EACH = {
    "nothing": resampling(np.eye(3), (9, 7), (9, 7)),
    "jitter": resampling(jitter(2, -1), (9, 7), (9, 7)),
    "jitter by parts": resampling(jitter(0.3, -1.6), (9, 7), (9, 7)),
    "scale up": resampling(scale(1.3), (9, 7), (9, 7)),
    "scale down": resampling(scale(0.4), (9, 7), (9, 7)),
    "rotate": resampling(rotate(23), (9, 7), (9, 7)),
    "pad": pad((9, 7), 2),
    "all": RandomTransform().draw(np.random.default_rng(3), 16),
}


@pytest.mark.parametrize("move", EACH.values(), ids=EACH)
def test_adjoint(move: Resampling) -> None:
    x = RNG.normal(size=(2, 3, *move.source))
    g = RNG.normal(size=(2, 3, *move.target))
    np.testing.assert_allclose((move.apply(x) * g).sum(), (x * move.adjoint(g)).sum(), rtol=1e-10)


@pytest.mark.parametrize("move", EACH.values(), ids=EACH)
def test_a_flat_image_on_ground_of_its_own_gray_stays_flat(move: Resampling) -> None:
    flat = np.full((1, *move.source), 0.5, np.float32)
    np.testing.assert_allclose(move.apply(flat, 0.5), 0.5, atol=1e-6)


def test_whole_pixels_move_whole() -> None:
    x = np.arange(12.0).reshape(1, 3, 4)
    down = resampling(jitter(1, 2), (3, 4), (3, 4)).apply(x)[0]
    assert down.tolist() == [[0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 4, 5]]
    bordered = pad((3, 4), 1).apply(x, -1.0)[0]
    assert bordered[1:-1, 1:-1].tolist() == x[0].tolist()
    assert (bordered[0] == -1).all()
    assert (bordered[:, -1] == -1).all()


def test_a_quarter_turn_is_counter_clockwise() -> None:
    x = np.arange(9.0).reshape(1, 3, 3)
    np.testing.assert_allclose(resampling(rotate(90), (3, 3), (3, 3)).apply(x)[0], np.rot90(x[0]), atol=1e-6)


def test_enlarging_enlarges() -> None:
    x = np.zeros((1, 5, 5))
    x[0, 2, 2] = 1.0
    np.testing.assert_allclose(resampling(scale(2), (5, 5), (5, 5)).apply(x)[0, 2], [0, 0.5, 1, 0.5, 0])


def test_the_same_seed_draws_the_same_move_and_another_another() -> None:
    one, two = (RandomTransform().draw(np.random.default_rng(s), 32).weight for s in (5, 5))
    assert (one == two).all()
    other = RandomTransform().draw(np.random.default_rng(6), 32)
    assert (other.index != RandomTransform().draw(np.random.default_rng(5), 32).index).any()


def test_no_image_is_refused() -> None:
    with pytest.raises(InputError, match="at least one pixel"):
        resampling(np.eye(3), (0, 4), (4, 4))
