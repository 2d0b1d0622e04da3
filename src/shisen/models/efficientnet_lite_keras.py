"""EfficientNet-Lite in Keras, its ImageNet weights read without torch. Import it late: it loads Keras."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import layers

from ..errors import ModelError, explain_error
from .efficientnet_lite import (
    CLASSES,
    HEAD,
    NORM_EPSILON,
    STEM,
    Architecture,
    architecture,
    published_names,
    weights_path,
)
from .torch_archive import read_tensors

Weights = Mapping[str, npt.NDArray[Any]]

# our layer's weights, in Keras's order → their names in the published file
_PUBLISHED = {
    "Conv2D": ("weight",),
    "DepthwiseConv2D": ("weight",),
    "BatchNormalization": ("weight", "bias", "running_mean", "running_var"),
    "Dense": ("weight", "bias"),
}


def build(table: Architecture, classes: int = CLASSES) -> Any:
    """Return the network as a functional model from `(n, h, w, 3)`, already normalized, to logits.

    Layers carry the torch module's paths with `_` for the dot; where a torch module ends in an activation or a
    normalization, that layer carries the module's own path: `head` is the last feature map, `blocks_3_1_expand` an
    activation. Convolutions are zero until weights are put in, since drawing random ones can take JAX half a minute.

    Args:
        table: the variant.
        classes: number of logits.
    """

    def conv_norm(x: Any, conv: Any, path: str, linear: bool = False) -> Any:
        x = conv(x)
        x = layers.BatchNormalization(epsilon=NORM_EPSILON, momentum=0.99, name=f"{path}_norm")(x)
        return x if linear else layers.ReLU(6.0, name=path)(x)

    def pointwise(channels: int, path: str) -> Any:
        return layers.Conv2D(channels, 1, use_bias=False, kernel_initializer="zeros", name=f"{path}_conv")

    images = keras.Input((None, None, 3), name="images")
    stem = layers.Conv2D(
        STEM, 3, strides=2, padding="same", use_bias=False, kernel_initializer="zeros", name="stem_conv"
    )
    x = conv_norm(images, stem, "stem")
    for s, stage in enumerate(table.stages):
        for b, block in enumerate(stage):
            path, before = f"blocks_{s}_{b}", x
            if block.expands:
                x = conv_norm(x, pointwise(block.hidden, f"{path}_expand"), f"{path}_expand")
            depthwise = layers.DepthwiseConv2D(
                block.kernel,
                strides=block.stride,
                padding="same",
                use_bias=False,
                depthwise_initializer="zeros",
                name=f"{path}_depthwise_conv",
            )
            x = conv_norm(x, depthwise, f"{path}_depthwise")
            x = conv_norm(x, pointwise(block.outputs, f"{path}_project"), f"{path}_project", linear=True)
            if block.residual:
                x = layers.Add(name=path)([before, x])
    x = conv_norm(x, pointwise(HEAD, "head"), "head")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dropout(table.dropout, name="dropout")(x)
    return keras.Model(images, layers.Dense(classes, name="classifier")(x), name=table.name)


def load_net(variant: int) -> Any:
    """Return the network with its published ImageNet weights.

    Args:
        variant: 0, 1 or 2.

    Raises:
        MissingDependency: the package with the weights is not installed.
        ModelError: the file does not hold exactly the weights of this network.
    """
    table = architecture(variant)
    net = build(table)
    put_weights(net, read_tensors(weights_path(variant)), table)
    return net


def put_weights(net: Any, published: Weights, table: Architecture) -> None:
    """Put the published weights into the network, every one accounted for.

    Args:
        net: the network.
        published: the published weights by name.
        table: the architecture.

    Raises:
        ModelError: weights are missing, left over or of another shape; they are listed.
    """
    names = {ours.replace(".", "_"): theirs for ours, theirs in published_names(table).items()}
    left = {name for name in published if not name.endswith(".num_batches_tracked")}
    wrong = []
    for layer in net.layers:
        kind = type(layer).__name__
        if kind not in _PUBLISHED:
            continue
        sources = [f"{names[layer.name]}.{weight}" for weight in _PUBLISHED[kind]]
        missing = [s for s in sources if s not in published]
        if missing:
            wrong += [f"missing {s}" for s in missing]
            continue
        left -= set(sources)
        values = [_turned(kind, published[s]) for s in sources]
        shapes = [tuple(int(n) for n in w.shape) for w in layer.weights]
        if [v.shape for v in values] != shapes:
            wrong.append(f"{layer.name} {[v.shape for v in values]} instead of {shapes}")
            continue
        layer.set_weights(values)
    if wrong or left:
        raise ModelError(
            explain_error(
                f"The weight file must hold exactly the weights of {table.name}.",
                "; ".join((wrong + [f"unexpected {name}" for name in sorted(left)])[:8]),
                "Reinstall the package with the weights, and check that it belongs to this variant.",
            )
        )


def _turned(kind: str, weight: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return a torch weight with its axes as Keras lays them."""
    if kind == "Conv2D":  # out, in, h, w
        weight = weight.transpose(2, 3, 1, 0)
    elif kind == "DepthwiseConv2D":  # channels, 1, h, w
        weight = weight.transpose(2, 3, 0, 1)
    elif weight.ndim == 2:
        weight = weight.T
    return np.ascontiguousarray(weight, dtype=np.float32)
