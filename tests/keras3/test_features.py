"""Looking inside Keras models: the same images from the same start as torch with the same weights, where both are."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import shisen
from shisen.inspect.feature_visualization import filters

RNG = np.random.default_rng(0)
ONE, TWO = RNG.normal(0, 0.3, (3, 3, 3, 6)).astype(np.float32), RNG.normal(0, 0.3, (3, 3, 6, 5)).astype(np.float32)
LEVEL = RNG.normal(0, 0.1, 6).astype(np.float32)


@pytest.fixture
def model() -> shisen.Model:
    inputs = keras.Input((32, 32, 3))
    x = layers.Conv2D(6, 3, padding="same", activation="relu", name="one")(inputs)
    x = layers.Conv2D(5, 3, padding="same", name="two")(x)
    x = layers.Dense(3, name="out")(layers.GlobalAveragePooling2D()(x))
    net = keras.Model(inputs, x)
    net.get_layer("one").set_weights([ONE, LEVEL])
    net.get_layer("two").set_weights([TWO, np.zeros(5, np.float32)])
    return shisen.wrap(net)


def slow_article(torch: Any, channel: int) -> Any:
    """The article's recipe written out in torch, for the same weights."""

    def conv(x: Any, kernel: Any, bias: Any) -> Any:
        return torch.nn.functional.conv2d(x, torch.tensor(kernel).permute(3, 2, 0, 1), bias, padding=1)

    x = torch.tensor(np.random.default_rng([0, 0]).random((1, 32, 32, 3)) * 20 + 128, dtype=torch.float32)
    for _ in range(40):
        x.requires_grad_()
        y = conv(torch.relu(conv((x / 255).permute(0, 3, 1, 2), ONE, torch.tensor(LEVEL))), TWO, None)
        (gradient,) = torch.autograd.grad(y[:, channel].mean(), x)
        x = (x + gradient / gradient.square().mean().sqrt()).detach()
    y = x[0].numpy()
    return np.clip((y - y.mean()) / (y.std() + 1e-5) * 0.1 + 0.5, 0, 1)


def test_the_article_makes_the_same_images_as_torch(model: shisen.Model) -> None:
    torch = pytest.importorskip("torch")
    made = filters(model, "two", range(5), recipe="article", size=32)
    for c in range(5):
        np.testing.assert_allclose(made.images[c], slow_article(torch, c), atol=1e-3)
    assert made.fired.all()


@pytest.mark.parametrize("recipe", ["modern", "maco"])
def test_a_network_of_one_size_gets_images_of_that_size_alone(model: shisen.Model, recipe: str) -> None:
    made = filters(model, "two", range(3), recipe=recipe, size=32, n_steps=30)
    assert (made.objective[-3:].mean(axis=0) > made.objective[:3].mean(axis=0)).all()
    with pytest.raises(shisen.ShisenError, match="size 48"):
        filters(model, "two", range(3), recipe=recipe, size=48, n_steps=8)


def test_activations_and_ranking(model: shisen.Model) -> None:
    image = RNG.random((32, 32, 3)).astype(np.float32)
    found = shisen.activations(model, image)
    assert {"one", "two"} <= set(found.layers)
    assert (found["one"].values >= 0).all()
    logit = np.asarray(model.activations(image[None]))[0, 1]
    bias = np.asarray(model.network.net.get_layer("out").bias)[1]
    np.testing.assert_allclose(found.ranked(1, "two").contribution.sum(), logit - bias, rtol=1e-3, atol=1e-5)
