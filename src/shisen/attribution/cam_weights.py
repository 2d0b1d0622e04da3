"""Grad-CAM++ and its noisy sister: channels weighted by higher powers of the gradient."""

from __future__ import annotations

from typing import Any

from array_api_compat import array_namespace

from ..errors import InputError, explain_error
from ..registry import method
from ..types import Array, Classifier, Objective
from .cam import positive
from .multi_layer import several_layers
from .objective import on_device, resolved
from .path_and_noise import Noise


@method(
    family="cam",
    unit="weighted activation",
    signed=False,
    passes="1",
    single=True,
    paper="Chattopadhay, Sarkar, Howlader, Balasubramanian: Grad-CAM++, 2018",
)
@several_layers
def grad_cam_pp(model: Classifier, images: Array, objective: Objective, *, layer: str, variant: str = "paper") -> Array:
    """Grad-CAM++: positive gradients, each weighted so that every instance of an object counts alike.

    values = relu(Σ_c w_c · A_c), w_c = Σ_hw α · relu(g),
    α = g² / (2 g² + S_c g³) = 1 / (2 + S_c g) where g > 0, S_c = Σ_hw A_c

    The short form of α is exact and needs no small constant that would swamp real gradients. The paper's
    factor exp(y), common to all channels of an image, is left out: it overflows and changes no proportion.

    Args:
        model: the network.
        images: `(n, h, w, c)`, pixels in [0, 1].
        objective: the objective.
        layer: the point A is taken from; a sequence of points gives their fused map.
        variant: "paper" as above; "code" divides α by its sum over the places of each channel where g > 0, as
            the authors' code does and the paper does not.

    Returns:
        `(n, h', w')`, ≥ 0. Not linear in the score, since α is not.

    Reference:
        Chattopadhay et al. 2018, equations 9 to 19.
    """
    if variant not in ("paper", "code"):
        raise InputError(explain_error("variant must be 'paper' or 'code'.", repr(variant), "Use 'paper'."))
    a, g = model.gradients(images, objective, wrt=layer)
    xp = array_namespace(a)
    up = g > 0
    alpha = _fraction(xp, 2.0 + g * xp.sum(a, axis=(1, 2), keepdims=True), up)
    if variant == "code":
        total = xp.sum(alpha, axis=(1, 2), keepdims=True)
        alpha = alpha / xp.where(total == 0, xp.ones_like(total), total)
    weights = xp.sum(alpha * positive(g), axis=(1, 2), keepdims=True)
    return positive(xp.sum(weights * a, axis=-1))


def _fraction(xp: Any, below: Array, where: Array) -> Array:
    """Return 1 / below at the places asked for, 0 elsewhere and where `below` is zero."""
    where = where & (below != 0)
    return xp.where(where, 1.0 / xp.where(where, below, xp.ones_like(below)), xp.zeros_like(below))


@method(
    family="cam",
    unit="weighted activation",
    signed=False,
    passes="n_samples + 1",
    paper="Omeiza, Speakman, Cintas, Weldemariam: Smooth Grad-CAM++, 2019",
)
@several_layers
def smooth_grad_cam_pp(
    model: Classifier,
    images: Array,
    objective: Objective,
    *,
    layer: str,
    n_samples: int = 25,
    noise_std: float = 0.1,
    seed: int = 0,
) -> Array:
    """Grad-CAM++ with its three powers of the gradient averaged over noisy copies of the image.

    values = relu(Σ_c w_c · A_c), w_c = Σ_hw α · relu(D₁), α = D₂ / (2 D₂ + S_c D₃), D_k = mean_i gᵢᵏ

    Args:
        model: the network.
        images: `(n, h, w, c)`, pixels in [0, 1].
        objective: the objective; "the top class" is the one of the unaltered image.
        layer: the point A is taken from; a sequence of points gives their fused map.
        n_samples: number of noisy copies.
        noise_std: standard deviation of the noise, as a fraction of each image's range, max x − min x.
        seed: of the noise, which is drawn for one image and shared across the batch.

    Returns:
        `(n, h', w')`, ≥ 0. A and S are those of the unaltered image.

    Reference:
        Omeiza et al. 2019.
    """
    objective = resolved(model, images, objective)
    a = model.activations(images, layer)
    xp = array_namespace(a)
    first: Any = 0.0
    second: Any = 0.0
    third: Any = 0.0
    for g in Noise(n_samples, noise_std, seed).gradients(model, on_device(model, images), objective, layer):
        first = first + xp.sum(g, axis=0) / n_samples
        second = second + xp.sum(g * g, axis=0) / n_samples
        third = third + xp.sum(g * g * g, axis=0) / n_samples
    # divided by D₂ above and below: gradients squared and cubed would leave the range of float32
    up = second > 0
    ratio = xp.where(up, third / xp.where(up, second, xp.ones_like(second)), xp.zeros_like(second))
    alpha = _fraction(xp, 2.0 + ratio * xp.sum(a, axis=(1, 2), keepdims=True), up)
    weights = xp.sum(alpha * positive(first), axis=(1, 2), keepdims=True)
    return positive(xp.sum(weights * a, axis=-1))
