"""Guided backprop and deconvnet on every style of model, against published values and a twin in NumPy."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from nets_keras import CAPS, SIDES, Twin, flat, images, nested, own, published, published_image
from shisen.adapters.keras.adapter import KerasClassifier
from shisen.errors import InputError, ModelError, ShisenWarning
from shisen.targets import ClassObjective, to_numpy

RULES = ("guided", "deconvnet")
SEED = ClassObjective("class 1", ((1.0, (1,)),))
STYLES: dict[str, tuple[Callable[..., Any], str]] = {
    **{f"flat {kind}": (flat, kind) for kind in ("layers", "activation", "fused", "ops", "relu6", "ops6", "capped")},
    **{f"nested {kind}": (nested, kind) for kind in ("layers", "fused", "ops", "relu6")},
    "nested three deep": (lambda kind: nested(kind, depth=3), "layers"),
    "subclassed": (own, ""),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("style", STYLES)
def test_every_style_equals_the_twin_and_differs_from_the_gradient(style: str, rule: str) -> None:
    make, kind = STYLES[style]
    model, x = KerasClassifier(make(kind)), images()
    twin = Twin(CAPS.get(kind, np.inf))
    values = twin.forward(x)
    cotangent = np.eye(3)[[1, 1]]
    want = twin.backward(values, cotangent, rule)["input"]
    plain = twin.backward(values, cotangent)["input"]
    got = to_numpy(model.rewired(rule).gradients(x, SEED)[1])
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5 * np.abs(want).max())
    np.testing.assert_allclose(to_numpy(model.gradients(x, SEED)[1]), plain, rtol=1e-4, atol=1e-5 * np.abs(plain).max())
    assert np.abs(want - plain).max() > 0.1 * np.abs(plain).max()


@pytest.mark.parametrize(
    ("rule", "want"),
    [
        ("guided", [[0, 1, 1, 1], [1, 3, 3, 2], [1, 3, 3, 2], [1, 2, 2, 1]]),
        ("deconvnet", [[2, 3, 3, 1], [3, 5, 5, 2], [3, 5, 5, 2], [1, 2, 2, 1]]),
    ],
)
def test_published_values(rule: str, want: list[list[int]]) -> None:
    objective = ClassObjective("class 0", ((1.0, (0,)),))
    got = KerasClassifier(published()).rewired(rule).gradients(published_image(), objective)[1]
    np.testing.assert_allclose(to_numpy(got)[0, ..., 0], want, atol=1e-5)


@pytest.mark.parametrize("rule", RULES)
def test_a_compiled_predict_neither_freezes_the_rule_nor_keeps_it(rule: str, backend: str) -> None:
    net, x = nested("fused", head="softmax"), images()
    net.compile(loss="categorical_crossentropy")
    before = net.predict(x, verbose=0)
    model = KerasClassifier(net)
    plain = to_numpy(model.gradients(x, SEED)[1])
    rewired = to_numpy(model.rewired(rule).gradients(x, SEED)[1])
    assert np.abs(plain - rewired).max() > 0.1 * np.abs(plain).max()
    np.testing.assert_array_equal(net.predict(x, verbose=0), before)
    np.testing.assert_array_equal(to_numpy(model.gradients(x, SEED)[1]), plain)
    fresh = nested("fused", head="softmax")
    np.testing.assert_allclose(_own_gradient(net, x, backend), _own_gradient(fresh, x, backend))


def _own_gradient(net: Any, x: Any, backend: str) -> Any:
    """Differentiate with the framework itself, as a person would after shisen has been used."""
    if backend == "tensorflow":
        import tensorflow as tf

        t = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(t)
            y = tf.reduce_sum(net(t)[:, 1])
        return tape.gradient(y, t).numpy()
    if backend == "jax":
        import jax

        return np.asarray(jax.grad(lambda t: net(t)[:, 1].sum())(jax.numpy.asarray(x)))
    import torch

    t = torch.tensor(x, requires_grad=True)
    net(t)[:, 1].sum().backward()
    return t.grad.numpy()


@pytest.mark.parametrize("activation", ["gelu", "silu", "elu"])
def test_a_network_without_relus_is_refused_by_name(activation: str) -> None:
    image = keras.Input((*SIDES, 3))
    x = layers.Conv2D(2, 3, activation=activation)(image)
    model = KerasClassifier(keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(x))))
    name = {"gelu": "GELU", "silu": "SiLU", "elu": "ELU"}[activation]
    with pytest.raises(ModelError, match=rf"needs ReLU.*1 × {name}.*grad_cam"):
        model.rewired("guided").gradients(images(), SEED)


def test_relus_that_the_gradient_does_not_pass_do_not_count() -> None:
    model = KerasClassifier(flat("layers"))
    with pytest.raises(ModelError, match="no ReLU on the way"):
        model.rewired("guided").gradients(images(), SEED, wrt="pool")


def test_a_mixed_network_warns() -> None:
    image = keras.Input((*SIDES, 3))
    x = layers.Conv2D(2, 2, activation="gelu")(layers.Conv2D(4, 3, activation="relu")(image))
    model = KerasClassifier(keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(x))))
    with pytest.warns(ShisenWarning, match="1 × GELU keep the plain gradient"):
        model.rewired("guided").gradients(images(), SEED)


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(InputError, match="guided, deconvnet"):
        KerasClassifier(flat()).rewired("lrp")


def test_the_framework_is_as_it_was_after_an_error(backend: str) -> None:
    from shisen.adapters.keras.rewire import framework_of

    names = ("relu", "relu6", "softmax", "sigmoid", "log_softmax")
    before = {name: getattr(framework_of(backend), name) for name in names}
    model = KerasClassifier(flat("ops", head="softmax")).rewired("guided")
    with pytest.raises(InputError, match="class index"), warnings.catch_warnings():
        model.gradients(images(), ClassObjective("no such class", ((1.0, (9,)),)))
    assert {name: getattr(framework_of(backend), name) for name in names} == before
