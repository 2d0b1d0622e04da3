"""The last dense layer of a Keras network, cut off and replaced."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

import shisen
from shisen.errors import ModelError
from shisen.repairing.head import Layer, head_of

DRAW = np.random.default_rng(0)
X = DRAW.random((3, 16, 16, 3)).astype(np.float32)


def network(activation: str | None = None) -> shisen.Model:
    """Return a small functional network of three classes."""
    keras.utils.set_random_seed(0)
    given = keras.Input((16, 16, 3))
    y = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(5, 3, activation="relu")(given))
    net = keras.Model(given, keras.layers.Dense(3, activation=activation)(keras.layers.Dropout(0.5)(y)))
    return shisen.wrap(
        net, preprocess=shisen.Preprocess(16, mean=(0.1, 0.2, 0.3), std=(0.5, 0.5, 0.4)), labels=list("abc")
    )


@pytest.mark.parametrize("activation", [None, "softmax"])
def test_features_times_weights_are_the_logits(activation: str | None) -> None:
    model = network(activation)
    head = head_of(model, X)
    made, wanted = head.layer.logits(head.features(X)), np.asarray(model.activations(X))
    made, wanted = (y - y.mean(1, keepdims=True) for y in (made, wanted))
    assert made == pytest.approx(wanted, abs=1e-5)


def test_another_layer_is_saved_and_the_network_stays(tmp_path: Path) -> None:
    model = network()
    head, before = head_of(model, X), np.asarray(model.activations(X))
    layer = Layer(2.0 * head.layer.weight, head.layer.bias + 1.0)
    head.save(tmp_path, layer)
    loaded = keras.models.load_model(tmp_path / "model.keras")
    other = shisen.wrap(loaded, preprocess=model.preprocess, labels=list("abc"))
    expected = 2.0 * before - head.layer.bias + 1.0
    assert np.asarray(other.activations(X)) == pytest.approx(expected, abs=1e-5)
    assert np.asarray(model.activations(X)) == pytest.approx(before)


def test_what_follows_the_last_layer_is_refused() -> None:
    given = keras.Input((16, 16, 3))
    y = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(given))
    net = keras.Model(given, keras.layers.Lambda(lambda t: t * t)(y))
    model = shisen.wrap(net, preprocess=shisen.Preprocess(16), labels=list("abc"))
    with pytest.raises(ModelError, match="last linear layer"):
        head_of(model, X)
