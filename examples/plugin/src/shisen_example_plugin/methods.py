"""An attribution method."""

from __future__ import annotations

from array_api_compat import array_namespace

from shisen.registry import method
from shisen.types import Array, Classifier, Objective


@method(
    family="gradient",
    paper="Simonyan, Vedaldi, Zisserman: Deep Inside Convolutional Networks, 2013",
    passes="1",
    signed=False,
)
def gradient_magnitude(model: Classifier, images: Array, objective: Objective) -> Array:
    """Magnitude of the gradient of the score: its Euclidean norm over the channels.

    values = √(Σ_c (∂y/∂x_c)²)

    Returns:
        `(n, h, w)`, not negative, in units of the score per unit of pixel value.
    """
    _, gradient = model.gradients(images, objective)
    xp = array_namespace(gradient)
    return xp.sqrt(xp.sum(gradient * gradient, axis=-1))
