"""Class activation maps: weighted sums of a layer's channels."""

from __future__ import annotations

from array_api_compat import array_namespace

from ..registry import method
from ..types import Array, Classifier, Seed


@method(
    family="cam",
    unit="{score} per place",
    signed=False,
    passes="1",
    linear=True,
    single=True,
    paper="Selvaraju et al.: Grad-CAM, 2017",
)
def grad_cam(model: Classifier, images: Array, seed: Seed, *, layer: str) -> Array:
    """Grad-CAM: channels weighted by their mean gradient, positive part.

    values = relu(Σ_c mean_hw(g)_c · A_c)

    Args:
        model: the network.
        images: `(n, h, w, c)`, pixels in [0, 1].
        seed: the objective.
        layer: the point A is taken from.

    Returns:
        `(n, h', w')` at the layer's resolution, ≥ 0, in units of the score. With a mean pool and a linear
        layer behind it, this is CAM divided by the number of places.

    Reference:
        Selvaraju et al. 2017.
    """
    a, g = model.gradients(images, seed, wrt=layer)
    xp = array_namespace(a)
    weights = xp.mean(g, axis=(1, 2), keepdims=True)
    total = xp.sum(weights * a, axis=-1)
    return xp.maximum(total, xp.zeros_like(total))
