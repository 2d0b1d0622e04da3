"""Score functions written with TensorFlow or JAX, for Keras on these backends."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..scores import Scores


class TensorFlowScores(Scores):
    """Evaluates and differentiates score functions with TensorFlow, whose adapter exchanges arrays of NumPy."""

    library = "tensorflow"

    def value(self, y: Any) -> Any:
        import tensorflow as tf

        return np.asarray(self.rows(tf.constant(np.asarray(y))))

    def gradient(self, y: Any) -> Any:
        import tensorflow as tf

        leaf = tf.constant(np.asarray(y))
        with tf.GradientTape() as tape:
            tape.watch(leaf)
            total = tf.reduce_sum(self.rows(leaf))
        gradient = tape.gradient(total, leaf)
        if gradient is None:
            raise self.not_differentiable()
        return np.asarray(tf.convert_to_tensor(gradient))

    def stacked(self, parts: list[Any]) -> Any:
        import tensorflow as tf

        return tf.stack([tf.reshape(tf.cast(p, tf.float32), ()) for p in parts])

    def flat(self, scores: Any) -> Any:
        import tensorflow as tf

        return tf.reshape(scores, (-1,))


class JaxScores(Scores):
    """Evaluates and differentiates score functions with JAX."""

    library = "jax"

    def value(self, y: Any) -> Any:
        import jax.numpy as jnp

        return _as_given(self.rows(jnp.asarray(y)), y)

    def gradient(self, y: Any) -> Any:
        import jax
        import jax.numpy as jnp

        return _as_given(jax.grad(lambda v: self.rows(v).sum())(jnp.asarray(y)), y)

    def stacked(self, parts: list[Any]) -> Any:
        import jax.numpy as jnp

        return jnp.stack([jnp.reshape(jnp.asarray(p), ()) for p in parts])


def _as_given(found: Any, y: Any) -> Any:
    return np.asarray(found) if isinstance(y, np.ndarray) else found
