"""A Keras model that cuts its graph is told apart from one without evidence, on every backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

import shisen
from shisen.errors import ModelError

METHODS = [("gradient", None), ("grad_cam", "first"), ("guided_backprop", None)]


def in_numpy(x: Any) -> Any:
    """Return tanh(x), computed by NumPy in the way that a backend offers for it."""
    backend = keras.config.backend()
    if backend == "torch":
        import torch

        return torch.as_tensor(np.tanh(x.detach().numpy()))
    if backend == "tensorflow":
        import tensorflow as tf

        y = tf.numpy_function(lambda a: np.tanh(a).astype(np.float32), [x], tf.float32)
        y.set_shape(x.shape)
        return y
    import jax

    return jax.pure_callback(lambda a: np.tanh(np.asarray(a)), jax.ShapeDtypeStruct(x.shape, x.dtype), x)


def in_eager_numpy(x: Any) -> Any:
    """Return tanh(x) by `tf.py_function`, whose gradient TensorFlow takes for a single zero."""
    if keras.config.backend() != "tensorflow":
        return in_numpy(x)
    import tensorflow as tf

    y = tf.py_function(lambda a: np.tanh(a.numpy()), [x], tf.float32)
    y.set_shape(x.shape)
    return y


CUTS: dict[str, Callable[[Any], Any]] = {
    "stop_gradient": ops.stop_gradient,
    "argmax": lambda x: ops.one_hot(ops.argmax(x, -1), 6),
    "threshold": lambda x: ops.cast(x > 0.2, "float32"),
    "round": lambda x: ops.round(10 * x),
    "sign": lambda x: ops.sign(x - 0.2),
    "numpy": in_numpy,
    "eager numpy": in_eager_numpy,
}


class Cut(layers.Layer):
    def __init__(self, cut: Callable[[Any], Any]) -> None:
        super().__init__()
        self.cut = cut

    def call(self, x: Any) -> Any:
        return self.cut(x)

    def compute_output_spec(self, x: Any) -> Any:
        return keras.KerasTensor(x.shape, x.dtype)


def network(cut: Callable[[Any], Any] | None = None) -> Any:
    keras.utils.set_random_seed(0)
    image = keras.Input((12, 12, 3))
    x = layers.Conv2D(6, 3, activation="relu", name="first")(image)
    x = Cut(cut)(x) if cut else x
    x = layers.Conv2D(8, 3, activation="relu", name="second")(x)
    return keras.Model(image, layers.Dense(4)(layers.GlobalAveragePooling2D()(x)))


X = np.random.default_rng(0).random((12, 12, 3), dtype=np.float32)


@pytest.mark.parametrize("name", CUTS)
def test_the_score_does_not_depend_on_what_lies_before_the_cut(name: str) -> None:
    model = shisen.wrap(network(CUTS[name]))
    for method, layer in METHODS:
        with pytest.raises(ModelError, match=r"does not depend on this layer|runs forward only"):
            shisen.explain(model, X, method, target=1, layer=layer)
    assert shisen.explain(model, X, "occlusion", target=1).values.any()
    assert shisen.explain(model, X, "grad_cam", target=1).values.any()


def test_after_the_cut_everything_is_as_ever() -> None:
    found, want = (
        shisen.explain(shisen.wrap(network(cut)), X, "grad_cam", target=1, layer="second").values
        for cut in (ops.stop_gradient, None)
    )
    np.testing.assert_allclose(found, want, rtol=1e-5)


def test_a_score_that_is_constant_has_no_evidence_but_no_cut_either() -> None:
    net = network()
    second = net.get_layer("second")
    second.set_weights([np.zeros_like(w) - (w.ndim == 1) for w in second.get_weights()])
    assert not shisen.explain(shisen.wrap(net), X, "gradient", target=1).values.any()
