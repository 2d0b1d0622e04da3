"""What every layer of a Keras model adds by itself: its bias, with normalization folded in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import ModelError, explain_error
from ...types import Scaling
from ..trace import Trace


def bias_of(layer: Any) -> npt.NDArray[np.float32] | None:
    """Return what a layer gives for an input of zeros, one value a channel; None if it adds nothing.

    Convolution and dense layer: b. Normalization with stored statistics: β − γ μ / √(σ² + ε).

    Raises:
        ModelError: for a bias that is followed by a fused activation, so that its own point cannot be requested.
    """
    import keras

    if isinstance(layer, keras.layers.BatchNormalization):
        shift = -_array(layer.moving_mean) / np.sqrt(_array(layer.moving_variance) + layer.epsilon)
        if layer.scale:
            shift = shift * _array(layer.gamma)
        return np.asarray(shift + _array(layer.beta) if layer.center else shift, np.float32)
    if getattr(layer, "use_bias", False) and getattr(layer, "bias", None) is not None:
        if getattr(layer, "activation", None) not in (None, keras.activations.linear):
            raise ModelError(
                explain_error(
                    "FullGrad needs every bias in front of a layer of its own for the activation.",
                    f"{layer.name!r} with a fused activation",
                    "Use integrated_gradients, which is complete for any network.",
                )
            )
        return _array(layer.bias)
    return None


def _array(variable: Any) -> npt.NDArray[np.float32]:
    import keras

    return np.asarray(keras.ops.convert_to_numpy(variable), np.float32)


def biases(inside: Mapping[str, Any], trace: Trace, scaling: Scaling | None) -> dict[str, npt.NDArray[np.float32]]:
    """Return point → bias `(c,)` of every call that has one, and "input" for the scaling of pixels.

    The entry "input" is in pixel values: a gradient at the input times it is what the shift of the scaling adds.
    The bias in front of a fused final softmax belongs to the point "logits".

    Args:
        inside: layers by their path.
        trace: the traced forward pass.
        scaling: how pixels become the network's input; None if they are not scaled.
    """
    found: dict[str, Any] = {}
    if scaling is not None and any(scaling.shift):
        found["input"] = np.asarray([b / a for a, b in zip(scaling.scale, scaling.shift, strict=True)], np.float32)
    for call in trace.calls:
        layer = inside[call.module]
        fused = bool(trace.output_activation) and call.tensor == trace.calls[-1].tensor
        own = _array(layer.bias) if fused and getattr(layer, "bias", None) is not None else bias_of(layer)
        if own is not None and bool((own != 0).any()):
            found["logits" if fused else call.path] = own
    return found
