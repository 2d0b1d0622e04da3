"""FullGrad: the score as a sum over the pixels and every bias of the network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from array_api_compat import array_namespace

from .._core.image_ops import distribute, resize
from ..adapters.capabilities import HasBiases
from ..adapters.wrappers import capability
from ..errors import N_, Message, ModelError, explain_error
from ..registry import method
from ..types import Array, Classifier, Maps, Objective
from .objective import gradients_and_logits, resolved_for

CLIPPED = {"ReLU6": 6.0}
"""Activations that add a constant above a bound, and that bound."""


@method(
    family="gradient",
    unit="{score}",
    shows="evidence",
    complete=True,
    paper="Srinivas, Fleuret: Full-Gradient Representation for Neural Network Visualization, 2019",
)
def full_grad(
    model: Classifier, images: Array, objective: Objective, *, variant: Literal["complete", "paper"] = "complete"
) -> Maps:
    """FullGrad: input times gradient, and bias times gradient of every layer.

    y(x) = Σ x · ∂y/∂x + Σ_l Σ b_l · ∂y/∂b_l, exact for networks of ReLUs; b_l with normalization folded in, and
    6 · [A ≥ 6] for a ReLU6

    Options:
        model: the network; its adapter must know its biases (PyTorch).
        variant: "complete" adds all terms with their sign, each layer's distributed over the pixels it covers, so that
            the map sums to the score; "paper" adds up their magnitudes, each layer scaled to [0, 1] first, as the
            authors do.

    Returns:
        `(n, h, w)`, signed, in units of the score ("paper": ≥ 0, without unit). Notes, one entry an image:
        `non_spatial` is the sum of the terms of layers downstream of the pool, `difference` is y − non_spatial, which
        the map sums to, `gap` is what it misses of that: activations other than ReLU.

    Raises:
        ModelError: for a network whose biases are not known.

    Reference:
        Srinivas, Fleuret 2019.
    """
    network = capability(model, HasBiases)
    if network is None:
        raise ModelError(
            explain_error(
                N_("FullGrad needs the biases of every layer."),
                Message("a {framework} network, whose adapter does not know them", framework=model.framework),
                "Use integrated_gradients, which is complete for any network.",
            )
        )
    known: Mapping[str, Any] = network.biases(images)
    clipped = {layer.path: CLIPPED[layer.kind] for layer in model.layers if layer.kind in CLIPPED}
    points = ["input", *dict.fromkeys([*(p for p in known if p != "input"), *clipped])]
    values, gradients, logits = gradients_and_logits(model, images, objective, points)
    xp = array_namespace(gradients[0])
    size = tuple(gradients[0].shape[1:-1])
    total: Any = 0.0
    non_spatial = xp.zeros_like(xp.reshape(gradients[0], (gradients[0].shape[0], -1))[:, 0])
    for point, a, g in zip(points, values, gradients, strict=True):
        added = _fitting(point, _added(point, a, known, clipped), g)
        if g.ndim == len(size) + 2:
            total = total + _as_map(g * added, size, variant)
        else:
            non_spatial = non_spatial + xp.sum(xp.reshape(g * added, (g.shape[0], -1)), axis=-1)
    difference = resolved_for(objective, logits).value(logits) - non_spatial
    notes = {"non_spatial": non_spatial}
    if variant == "complete":
        notes |= {"difference": difference, "gap": difference - xp.sum(total, axis=tuple(range(1, total.ndim)))}
    return Maps(total, notes)


def _added(point: str, a: Array, known: Mapping[str, Any], clipped: Mapping[str, float]) -> Array:
    """Return what is multiplied by the gradient at a point: the image, a bias, the constant of a clipped unit."""
    xp = array_namespace(a)
    if point == "input":
        return a + known[point] if point in known else a
    added = known[point] if point in known else xp.zeros_like(a)
    if point in clipped:
        added = added + xp.where(a >= np.float32(clipped[point]), a, xp.zeros_like(a))
    return added


def _fitting(point: str, added: Array, gradient: Array) -> Array:
    """Return what is added at a point; refuse what does not fit the gradient there."""
    if added.shape[-1] != gradient.shape[-1]:
        raise ModelError(
            explain_error(
                N_("FullGrad needs a bias for each channel of every layer."),
                Message("the layer {layer}, whose bias does not fit its output", layer=point),
                "Use integrated_gradients, which is complete for any network.",
            )
        )
    return added


def _as_map(terms: Array, size: tuple[int, ...], variant: str) -> Array:
    xp = array_namespace(terms)
    if variant == "complete":
        return distribute(xp.sum(terms, axis=-1), size)
    terms = xp.abs(terms)
    every = tuple(range(1, terms.ndim))
    low = xp.min(terms, axis=every, keepdims=True)
    span = xp.max(terms, axis=every, keepdims=True) - low
    scaled = (terms - low) / xp.where(span > 0, span, xp.ones_like(span))
    return xp.sum(resize(scaled, size), axis=-1)
