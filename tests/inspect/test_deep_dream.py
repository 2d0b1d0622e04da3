"""Deep dream raises the whole layer, and only by pixels that stay pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import shisen
from shisen.errors import InputError
from shisen.inspect.deep_dream import dream, resized
from shisen.inspect.objectives import Excitement
from shisen.targets import channel


@pytest.fixture
def model() -> shisen.Model:
    torch.manual_seed(1)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(4, 2)
    )
    return shisen.wrap(net.eval(), preprocess=shisen.Preprocess(size=48))


def test_a_dream_excites_the_layer_and_can_be_dreamt_again(model: shisen.Model) -> None:
    photo = np.random.default_rng(0).integers(60, 200, (48, 48, 3), dtype=np.uint8)
    image = np.asarray(dream(model, photo, "0", n_steps=5, n_octaves=2))
    score = Excitement().value(np.asarray(model.activations(np.stack([photo, image]) / np.float32(255), "0")))
    assert score[1] > 1.1 * score[0]
    assert (image == np.asarray(dream(model, photo, "0", n_steps=5, n_octaves=2))).all()
    assert (image != np.asarray(dream(model, photo, "0", n_steps=5, n_octaves=2, seed=1))).any()


def test_another_objective(model: shisen.Model) -> None:
    photo = np.full((48, 48, 3), 128, np.uint8)
    image = np.asarray(dream(model, photo, "0", objective=channel(2), n_steps=5, n_octaves=1))
    before, after = channel(2).value(np.asarray(model.activations(np.stack([photo, image]) / np.float32(255), "0")))
    assert after > before


def test_resizing_keeps_flat_images_and_corners() -> None:
    np.testing.assert_allclose(resized(np.full((5, 7, 2), 0.3, np.float32), (9, 4)), 0.3, atol=1e-6)
    ramp = np.linspace(0, 1, 5, dtype=np.float32)[:, None, None] * np.ones((1, 3, 1), np.float32)
    np.testing.assert_allclose(resized(ramp, (9, 3))[:, 0, 0], np.linspace(0, 1, 9), atol=1e-6)


def test_no_steps(model: shisen.Model) -> None:
    with pytest.raises(InputError, match="one step"):
        dream(model, np.zeros((8, 8, 3), np.uint8), "0", n_steps=0)
