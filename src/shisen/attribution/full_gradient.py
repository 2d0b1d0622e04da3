"""FullGrad: the score as a sum over the pixels and every bias of the network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from .._core.image_ops import resize, spread
from ..errors import InputError, ModelError, explain_error
from ..registry import method
from ..types import Array, Classifier, Maps, Objective
from .objective import resolved_for

CLIPPED = {"ReLU6": 6.0}
"""Activations that add a constant above a bound, and that bound."""


@method(
    family="gradient",
    unit="{score}",
    passes="1",
    complete=True,
    linear=True,
    paper="Srinivas, Fleuret: Full-Gradient Representation for Neural Network Visualization, 2019",
)
def full_grad(model: Classifier, images: Array, objective: Objective, *, variant: str = "complete") -> Maps:
    """FullGrad: input times gradient, and bias times gradient of every layer.

    y(x) = Σ x · ∂y/∂x + Σ_l Σ b_l · ∂y/∂b_l, exact for networks of ReLUs; b_l with normalization folded in, and
    6 · [A ≥ 6] for a ReLU6

    Args:
        model: the network; its adapter must know its biases (PyTorch).
        images: `(n, h, w, c)`, pixels in [0, 1].
        objective: the objective.
        variant: "complete" adds all shares with their sign, each layer's spread over the pixels it covers, so that
            the map sums to the score; "paper" adds up |shares|, each layer scaled to [0, 1] first, as the
            authors do.

    Returns:
        `(n, h, w)`, signed, in units of the score ("paper": ≥ 0, without unit). Notes, one entry an image:
        `without_place` is the fraction of layers behind the pool, `difference` is y − without_place, which the map
        sums to, `gap` is what it misses of that: activations other than ReLU.

    Raises:
        ModelError: for a network whose biases are not known.

    Reference:
        Srinivas, Fleuret 2019.
    """
    if variant not in ("complete", "paper"):
        raise InputError(explain_error("variant must be 'complete' or 'paper'.", repr(variant), "Use 'complete'."))
    tells = getattr(model, "biases", None)
    if tells is None:
        raise ModelError(
            explain_error(
                "FullGrad needs the biases of every layer.",
                f"a {model.framework} network, whose adapter does not tell them",
                "Use integrated_gradients, which is complete for any network.",
            )
        )
    logits = model.activations(images)
    objective = resolved_for(objective, logits)
    known: Mapping[str, Any] = tells(images)
    clipped = {layer.path: CLIPPED[layer.kind] for layer in model.layers if layer.kind in CLIPPED}
    points = ["input", *dict.fromkeys([*(p for p in known if p != "input"), *clipped])]
    values, gradients = model.gradients(images, objective, wrt=points)
    xp = array_namespace(gradients[0])
    size = tuple(gradients[0].shape[1:3])
    total: Any = 0.0
    placeless = xp.zeros_like(gradients[0][:, 0, 0, 0])
    for point, a, g in zip(points, values, gradients, strict=True):
        added = _added(point, a, known, clipped)
        if g.ndim == 4:
            total = total + _as_map(g * added, size, variant)
        else:
            placeless = placeless + xp.sum(xp.reshape(g * added, (g.shape[0], -1)), axis=-1)
    difference = objective.value(logits) - placeless
    notes = {"without_place": placeless}
    if variant == "complete":
        notes |= {"difference": difference, "gap": difference - xp.sum(total, axis=(1, 2))}
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


def _as_map(fraction: Array, size: tuple[int, int], variant: str) -> Array:
    xp = array_namespace(fraction)
    if variant == "complete":
        return spread(xp.sum(fraction, axis=-1), size)
    fraction = xp.abs(fraction)
    low = xp.min(fraction, axis=(1, 2, 3), keepdims=True)
    span = xp.max(fraction, axis=(1, 2, 3), keepdims=True) - low
    scaled = (fraction - low) / xp.where(span > 0, span, xp.ones_like(span))
    return xp.sum(resize(scaled, size), axis=-1)
