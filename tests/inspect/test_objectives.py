"""Objectives: values by hand, gradients against finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from shisen.errors import InputError
from shisen.inspect.objectives import Diagonal, Excitement, diagonal, likeness, mixture, opposite
from shisen.targets import neuron

Y = np.random.default_rng(0).normal(size=(3, 2, 2, 4))


@pytest.mark.parametrize("objective", [Diagonal((2, 0, 3)), Excitement(), mixture({1: 2.0, 3: -1.0}), opposite(2)])
def test_the_cotangent_is_the_slope_of_the_value(objective: Any) -> None:
    gradient = objective(Y)
    for place in np.ndindex(*Y.shape):
        step = np.zeros_like(Y)
        step[place] = 1e-5
        slow = (objective.value(Y + step).sum() - objective.value(Y - step).sum()) / 2e-5
        assert gradient[place] == pytest.approx(slow, abs=1e-6)


def test_values_by_hand() -> None:
    np.testing.assert_allclose(Diagonal((2, 0, 3)).value(Y), [Y[i, :, :, c].mean() for i, c in enumerate((2, 0, 3))])
    np.testing.assert_allclose(mixture({1: 2, 3: -1}).value(Y), 2 * Y[..., 1].mean((1, 2)) - Y[..., 3].mean((1, 2)))
    np.testing.assert_allclose(opposite(1).value(Y), -Y[..., 1].mean((1, 2)))
    np.testing.assert_allclose(Excitement().value(Y), 0.5 * (Y**2).mean((1, 2, 3)))


def test_a_row_knows_its_channel_in_any_part_of_the_batch() -> None:
    objective = Diagonal((2, 0, 3))
    part = objective.take(np.array([1, 2]))
    np.testing.assert_allclose(part(Y[1:]), objective(Y)[1:])
    logits = Y[:, 0, 0]
    np.testing.assert_allclose(objective.value(logits), [logits[0, 2], logits[1, 0], logits[2, 3]])


def test_numbers_and_objectives_mix() -> None:
    objective = diagonal([1, neuron(2, 0, 1), opposite(3)])
    np.testing.assert_allclose(objective.value(Y), [Y[0, :, :, 1].mean(), Y[1, 0, 1, 2], -Y[2, :, :, 3].mean()])


def test_a_channel_that_there_is_not() -> None:
    with pytest.raises(InputError, match="between 0 and 3"):
        Diagonal((1, 4))(Y)


def test_likeness_by_hand_and_its_slope() -> None:
    groups = np.array([7, 1, 7])
    value, gradient = likeness(Y, groups)
    grams = [f.T @ f for f in Y.reshape(3, 4, 4)]
    cosine = (grams[0] * grams[2]).sum() / np.linalg.norm(grams[0]) / np.linalg.norm(grams[2])
    np.testing.assert_allclose(value, [cosine, 0, cosine])
    for place in np.ndindex(*Y.shape):
        step = np.zeros_like(Y)
        step[place] = 1e-6
        slow = (likeness(Y + step, groups)[0].sum() - likeness(Y - step, groups)[0].sum()) / 2e-6
        assert gradient[place] == pytest.approx(slow, abs=1e-6)
