"""Grad-CAM++ and Smooth Grad-CAM++: channels weighted by higher powers of the gradient."""

from __future__ import annotations

from typing import Any, Literal

from array_api_compat import array_namespace

from .._core.image_ops import axes_of
from ..registry import method
from ..types import Array, Classifier, Maps, Objective
from .cam import positive
from .downstream import AtLayer
from .multi_layer import several_layers
from .objective import on_device
from .path_and_noise import Noise


@method(
    family="cam",
    unit="weighted activation",
    linear=False,
    paper="Chattopadhay, Sarkar, Howlader, Balasubramanian: Grad-CAM++, 2018",
)
@several_layers
def grad_cam_pp(
    model: Classifier, images: Array, objective: Objective, *, layer: str, variant: Literal["paper", "code"] = "paper"
) -> Array:
    """Grad-CAM++: positive gradients, each weighted so that every instance of an object counts alike.

    values = relu(Σ_c w_c · A_c), w_c = Σ_hw α · relu(g),
    α = g² / (2 g² + S_c g³) = 1 / (2 + S_c g) where g > 0, S_c = Σ_hw A_c

    The short form of α is exact and needs no small constant that would swamp real gradients. The paper's factor exp(y),
    common to all channels of an image, is left out: it overflows and changes no proportion.

    Options:
        variant: "paper" as above; "code" divides α by its sum over the positions of each channel where g > 0, as
            the authors' code does and the paper does not.

    Returns:
        `(n, h', w')`, ≥ 0. Not linear in the score, since α is not.

    Reference:
        Chattopadhay et al. 2018, equations 9 to 19.
    """
    a, g = model.gradients(images, objective, wrt=layer)
    xp = array_namespace(a)
    alpha = _reciprocal(xp, 2.0 + g * xp.sum(a, axis=axes_of(a), keepdims=True), g > 0)
    if variant == "code":
        total = xp.sum(alpha, axis=axes_of(a), keepdims=True)
        alpha = alpha / xp.where(total == 0, xp.ones_like(total), total)
    weights = xp.sum(alpha * positive(g), axis=axes_of(a), keepdims=True)
    return positive(xp.sum(weights * a, axis=-1))


def _reciprocal(xp: Any, values: Array, where: Array) -> Array:
    """Return 1 / values at the positions `where`, 0 elsewhere and where the value is zero."""
    where = where & (values != 0)
    return xp.where(where, 1.0 / xp.where(where, values, xp.ones_like(values)), xp.zeros_like(values))


@method(
    family="cam",
    unit="weighted activation",
    passes="1 if affine else n_samples + 1",
    linear=False,
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
) -> Maps:
    """Grad-CAM++ with its three powers of the gradient averaged over noisy copies of the image.

    values = relu(Σ_c w_c · A_c), w_c = Σ_hw α · relu(D₁), α = D₂ / (2 D₂ + S_c D₃), D_k = mean_i gᵢᵏ

    Where the network is affine downstream of the layer and the score linear in the logits, the gradient at the layer
    is the same for every image: no noisy copy is evaluated, and the map is that of grad_cam_pp.

    Options:
        n_samples: number of noisy copies.
        noise_std: standard deviation of the noise, as a fraction of each image's range, max x − min x.
        seed: random seed of the noise, which is drawn for one image and shared across the batch.

    Returns:
        `(n, h', w')`, ≥ 0. A and S are those of the unaltered image. The note `run` says how many noisy copies were
        evaluated, and why none was.

    Reference:
        Omeiza et al. 2019.
    """
    found = AtLayer.of(model, images, objective, layer)
    a = found.values
    xp = array_namespace(a)
    if found.reason:
        run = f"{n_samples} noisy copies, since {found.reason}"
        copies = Noise(n_samples, noise_std, seed).gradients(model, on_device(model, images), found.objective, layer)
    else:
        run = "no noisy copies, since the gradient at the layer does not depend on the image"
        n_samples, copies = 1, iter([found.gradients[None, ...]])
    nothing: Any = 0.0
    first, second, third = nothing, nothing, nothing
    for g in copies:
        first = first + xp.sum(g, axis=0) / n_samples
        second = second + xp.sum(g * g, axis=0) / n_samples
        third = third + xp.sum(g * g * g, axis=0) / n_samples
    # divided by D₂ above and below: gradients squared and cubed would leave the range of float32
    active = second > 0
    ratio = xp.where(active, third / xp.where(active, second, xp.ones_like(second)), xp.zeros_like(second))
    alpha = _reciprocal(xp, 2.0 + ratio * xp.sum(a, axis=axes_of(a), keepdims=True), active)
    weights = xp.sum(alpha * positive(first), axis=axes_of(a), keepdims=True)
    return Maps(positive(xp.sum(weights * a, axis=-1)), {"run": run})
