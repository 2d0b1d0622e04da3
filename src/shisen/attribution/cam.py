"""Class activation maps that need one gradient at a layer and are linear in it."""

from __future__ import annotations

import math

from array_api_compat import array_namespace

from .._core.image_ops import axes_of
from ..errors import N_, Message, ModelError, explain_error
from ..registry import method
from ..types import Array, Classifier, Objective
from .downstream import is_affine
from .multi_layer import several_layers


def positive(values: Array) -> Array:
    """Return relu(values)."""
    xp = array_namespace(values)
    return xp.maximum(values, xp.zeros_like(values))


def at_channels(weights: Array, a: Array) -> Array:
    """Return one weight a channel, `(n, c)`, in the axes of feature maps `a`, `(n, *positions, c)`.

    Args:
        weights: `(n, c)`.
        a: `(n, *positions, c)`.
    """
    return array_namespace(weights).reshape(weights, (weights.shape[0], *(1,) * (a.ndim - 2), weights.shape[-1]))


@method(
    family="cam",
    unit="{score}",
    signed=True,
    paper="Zhou, Khosla, Lapedriza, Oliva, Torralba: Learning Deep Features for Discriminative Localization, 2016",
)
@several_layers
def cam(model: Classifier, images: Array, objective: Objective, *, layer: str) -> Array:
    """CAM: channels weighted by the last layer's own weights, for networks that end in a mean pool and a linear layer.

    values = Σ_c w_c · A_c, w the weights of the linear layer; read off the gradient as w_c = Σ_hw g_c

    Options:
        layer: the point A is taken from, in front of the pool.

    Returns:
        `(n, h', w')`, signed, in units of the score: the mean over positions, plus the bias, is the score.

    Raises:
        ModelError: if what lies downstream of the layer is not a mean pool and a linear layer.

    Reference:
        Zhou et al. 2016.
    """
    a, g = model.gradients(images, objective, wrt=layer)
    xp = array_namespace(a)
    mean = xp.mean(g, axis=axes_of(g), keepdims=True)
    uneven = float(xp.max(xp.abs(g - mean))) > 1e-4 * float(xp.max(xp.abs(g)))
    if uneven or not is_affine(model, images, layer):
        received = (
            N_("layer {layer}, downstream of which spatial positions have different weights")
            if uneven
            else N_("layer {layer}, downstream of which the network is non-linear")
        )
        raise ModelError(
            explain_error(
                N_("CAM needs a mean pool and a linear layer downstream of the layer, and nothing else."),
                Message(received, layer=repr(layer)),
                N_("Use grad_cam, which equals CAM divided by the number of positions where CAM is possible."),
            )
        )
    positions = math.prod(a.shape[1:-1])
    return xp.sum(mean * a, axis=-1) * positions


@method(family="cam", paper="Selvaraju et al.: Grad-CAM, 2017")
@several_layers
def grad_cam(model: Classifier, images: Array, objective: Objective, *, layer: str) -> Array:
    """Grad-CAM: channels weighted by their mean gradient, positive part.

    values = relu(Σ_c mean_hw(g)_c · A_c)

    Returns:
        `(n, h', w')` at the layer's resolution, ≥ 0, in units of the score. With a mean pool and a linear
        layer downstream, this is the positive part of CAM divided by the number of positions.

    Reference:
        Selvaraju et al. 2017.
    """
    a, g = model.gradients(images, objective, wrt=layer)
    xp = array_namespace(a)
    return positive(xp.sum(xp.mean(g, axis=axes_of(g), keepdims=True) * a, axis=-1))


@method(family="cam", paper="Fu et al.: Axiom-based Grad-CAM, 2020")
@several_layers
def xgrad_cam(model: Classifier, images: Array, objective: Objective, *, layer: str) -> Array:
    """XGrad-CAM: channels weighted by their gradient where they are active.

    values = relu(Σ_c w_c · A_c), w_c = Σ_hw (g · A)_c / Σ_hw A_c, 0 for a channel that sums to zero

    Returns:
        `(n, h', w')`, ≥ 0, in units of the score.

    Reference:
        Fu et al. 2020.
    """
    a, g = model.gradients(images, objective, wrt=layer)
    xp = array_namespace(a)
    total = xp.sum(a, axis=axes_of(a), keepdims=True)
    empty = total == 0
    weights = xp.sum(g * a, axis=axes_of(a), keepdims=True) / xp.where(empty, xp.ones_like(total), total)
    return positive(xp.sum(xp.where(empty, xp.zeros_like(weights), weights) * a, axis=-1))


@method(family="cam", paper="Draelos, Carin: Use HiResCAM instead of Grad-CAM, 2020")
@several_layers
def hires_cam(model: Classifier, images: Array, objective: Objective, *, layer: str) -> Array:
    """HiResCAM: gradient times activation at each spatial position, positive part.

    values = relu(Σ_c g_c · A_c)

    Returns:
        `(n, h', w')`, ≥ 0, in units of the score. If the network is affine downstream of the layer, the sum before the
        positive part is the score without its bias.

    Reference:
        Draelos, Carin 2020.
    """
    a, g = model.gradients(images, objective, wrt=layer)
    return positive(array_namespace(a).sum(g * a, axis=-1))


@method(family="cam", paper="Jiang et al.: LayerCAM, 2021")
@several_layers
def layer_cam(model: Classifier, images: Array, objective: Objective, *, layer: str) -> Array:
    """LayerCAM: positive gradient times activation at each spatial position; made for early layers.

    values = relu(Σ_c relu(g_c) · A_c)

    Returns:
        `(n, h', w')`, ≥ 0, in units of the score.

    Reference:
        Jiang et al. 2021. The article fuses several layers with tanh(2 · map / max); ours takes map / max.
    """
    a, g = model.gradients(images, objective, wrt=layer)
    return positive(array_namespace(a).sum(positive(g) * a, axis=-1))
