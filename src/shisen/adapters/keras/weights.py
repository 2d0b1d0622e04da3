"""Weights of a Keras model, permuted from the answer upward in a copy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def permuted_clone(net: Any, up_to: float, rng: np.random.Generator) -> Any:
    """Return a copy of a model whose topmost layers have their weights permuted.

    Args:
        net: the model.
        up_to: fraction of the layers with weights, counted from the answer.
        rng: source of the permutations.
    """
    import keras

    clone = keras.models.clone_model(net)
    clone.set_weights(net.get_weights())
    layers = [x for x in clone._flatten_layers(include_self=False) if x.trainable_weights and not hasattr(x, "layers")]
    for layer in layers[len(layers) - math.ceil(up_to * len(layers)) :]:
        for variable in layer.trainable_weights:
            values = np.asarray(keras.ops.convert_to_numpy(variable))
            variable.assign(rng.permutation(values.reshape(-1)).reshape(values.shape))
    return clone
