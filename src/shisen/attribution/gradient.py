"""Methods that are one gradient at the input."""

from __future__ import annotations

from ..registry import method
from ..types import Array, Classifier, Seed


@method(
    family="gradient",
    unit="{score} per unit of pixel value",
    shows="sensitivity",
    passes="1",
    linear=True,
    single=True,
    paper="Simonyan, Vedaldi, Zisserman: Deep Inside Convolutional Networks, 2013",
)
def gradient(model: Classifier, images: Array, seed: Seed) -> Array:
    """Gradient of the score by every pixel value.

    values = ∂y/∂x

    Args:
        model: the network.
        images: `(n, h, w, c)`, pixels in [0, 1].
        seed: the objective.

    Returns:
        `(n, h, w, c)`, signed, in units of the score per unit of pixel value.

    Reference:
        Simonyan, Vedaldi, Zisserman 2013. The paper draws the largest magnitude over the channels; so do
        shisen's heatmaps, while the values keep sign and channels.
    """
    return model.gradients(images, seed)[1]


@method(
    family="gradient",
    unit="{score}",
    passes="1",
    linear=True,
    single=True,
    paper="Shrikumar et al.: Not Just a Black Box, 2016",
)
def input_x_gradient(model: Classifier, images: Array, seed: Seed) -> Array:
    """Gradient times pixel value: the first-order share of every pixel value in the score.

    values = x · ∂y/∂x

    Args:
        model: the network.
        images: `(n, h, w, c)`, pixels in [0, 1]; black counts as absence.
        seed: the objective.

    Returns:
        `(n, h, w, c)`, signed, in units of the score.

    Reference:
        Shrikumar, Greenside, Shcherbina, Kundaje 2016.
    """
    value, slope = model.gradients(images, seed)
    return value * slope
