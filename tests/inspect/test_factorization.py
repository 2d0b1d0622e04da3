"""Concepts of several images: what they must add up to, and what they are taken for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from torch import nn

import nets
import shisen
from shisen.errors import InputError
from shisen.inspect.factorization import factorize
from shisen.targets import to_numpy


@pytest.fixture(scope="module")
def model() -> shisen.Model:
    return shisen.wrap(nets.Toy(), preprocess=shisen.Preprocess(size=(12, 16)), labels=list("abcde"))


def seen(model: shisen.Model, x: Any) -> Any:
    """The activations of images as the model reads them."""
    return to_numpy(model.activations(np.stack([model.prepare(model.read(one))[0] for one in x]), "act2"))


def test_maps_times_concepts_give_the_activations(model: shisen.Model) -> None:
    x = list(nets.images(3))
    a = seen(model, x)
    whole = factorize(model, x, n_concepts=8)
    assert whole.layer == "act2"
    assert whole.maps.shape == (3, 6, 8, 8)
    assert (whole.maps >= 0).all()
    assert (whole.concepts >= 0).all()
    few = factorize(model, x, n_concepts=3)
    for found in (whole, few):
        left = a - found.maps @ found.concepts - found.offset
        assert found.error == pytest.approx(np.linalg.norm(left) / np.linalg.norm(a), rel=1e-3)
        sums = found.maps.sum(axis=(0, 1, 2))
        assert (np.diff(sums) <= 0).all()
        np.testing.assert_allclose(np.linalg.norm(found.concepts, axis=1), 1.0, atol=1e-5)
    assert whole.error < few.error < 1.0
    np.testing.assert_array_equal(factorize(model, x, n_concepts=3).maps, few.maps)
    assert few.draw(1).size[0] > 100


def test_each_concept_is_named_by_what_the_rest_of_the_network_takes_it_for(model: shisen.Model) -> None:
    x = list(nets.images(2))
    found = factorize(model, x, n_concepts=2)
    net: Any = nets.Toy()
    largest = np.linalg.norm(seen(model, x), axis=-1).max()
    for concept, name, p in zip(found.concepts, found.labels, found.probabilities, strict=True):
        y = net.fc.weight.detach().numpy() @ (largest * concept) + net.fc.bias.detach().numpy()
        chances = np.exp(y - y.max()) / np.exp(y - y.max()).sum()
        assert name == "abcde"[int(chances.argmax())]
        assert p == pytest.approx(chances.max(), abs=1e-4)


def test_negative_activations_and_wrong_numbers(model: shisen.Model) -> None:
    x = list(nets.images(2))
    found = factorize(model, x, layer="conv2", n_concepts=4)
    assert (found.offset < 0).any()
    assert found.error < 0.5
    with pytest.raises(InputError, match="n_concepts must lie between 1 and 8"):
        factorize(model, x, n_concepts=9)
    with pytest.raises(InputError, match="at least one image"):
        factorize(model, [])
    dead = nets.Toy()
    nn.init.zeros_(dead.conv2.weight)
    nn.init.constant_(dead.conv2.bias, -1.0)
    empty = factorize(shisen.wrap(dead, preprocess=shisen.Preprocess(size=(12, 16))), x, n_concepts=2)
    assert empty.error == 0.0
    assert not empty.maps.any()
