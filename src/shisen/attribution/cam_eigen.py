"""Maps along the first principal direction of a layer's channels."""

from __future__ import annotations

import math

from array_api_compat import array_namespace

from ..registry import method
from ..types import Array, Classifier, Objective
from .multi_layer import several_layers

CAUTION = "stays more than half alike when all weights are shuffled (docs/trust.md)"


@method(
    family="cam",
    unit="activation",
    signed=True,
    linear=False,
    single=False,
    class_specific=False,
    needs="activations",
    paper="Muhammad, Yeasin: Eigen-CAM, 2020",
    caution=CAUTION,
)
@several_layers
def eigen_cam(model: Classifier, images: Array, objective: Objective, *, layer: str) -> Array:
    """Eigen-CAM: activations along their main direction; the same map whatever the class.

    values = A · v₁, v₁ the first right singular vector of A as a matrix (positions, channels)

    Options:
        objective: not used: the map does not depend on the class.

    Returns:
        `(n, h', w')`, signed so that Σ map · Σ_c A ≥ 0, in units of the activation.

    Reference:
        Muhammad, Yeasin 2020: no mean is subtracted first.
    """
    return main_direction(model.activations(images, layer))


@method(
    family="cam",
    signed=True,
    paper="Muhammad, Yeasin: Eigen-CAM, 2020; with gradients as in widespread use",
    caution=CAUTION,
)
@several_layers
def eigen_grad_cam(model: Classifier, images: Array, objective: Objective, *, layer: str) -> Array:
    """Eigen-Grad-CAM: gradient times activation along its main direction.

    values = M · v₁, M = g · A as a matrix (positions, channels), v₁ its first right singular vector

    Returns:
        `(n, h', w')`, signed so that Σ map · Σ_c M ≥ 0, in units of the score.

    Reference:
        Muhammad, Yeasin 2020, applied to g · A.
    """
    a, g = model.gradients(images, objective, wrt=layer)
    return main_direction(g * a)


def main_direction(maps: Array) -> Array:
    """Project maps `(n, *positions, c)` on their first right singular vector; see `eigen_cam` for the sign.

    The vector comes from the smaller of the two Gram matrices, (c, c) or (positions, positions): for u the
    first eigenvector of M Mᵀ, M v₁ = σ₁ u.
    """
    xp = array_namespace(maps)
    n, *sides, c = maps.shape
    count = math.prod(sides)
    top = xp.max(xp.abs(maps), axis=tuple(range(1, maps.ndim)), keepdims=True)
    scale = xp.where(top > 0, top, xp.ones_like(top))  # squares stay within float32
    m = xp.reshape(maps / scale, (n, count, c))
    turned = xp.permute_dims(m, (0, 2, 1))
    if c <= count:
        _, vectors = xp.linalg.eigh(turned @ m)
        found = xp.sum(m * vectors[:, :, -1][:, None, :], axis=-1)
    else:
        values, vectors = xp.linalg.eigh(m @ turned)
        largest = values[:, -1]
        found = vectors[:, :, -1] * xp.sqrt(xp.maximum(largest, xp.zeros_like(largest)))[:, None]
    along = xp.sum(found * xp.sum(m, axis=-1), axis=-1)[:, None]
    found = xp.where(along < 0, -found, found)
    return xp.reshape(found, (n, *sides)) * scale[..., 0]
