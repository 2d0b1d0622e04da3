"""Methods that are one gradient at the input, of the network as it is or with another rule at its ReLUs."""

from __future__ import annotations

from .._core.image_ops import resize
from ..errors import InputError, explain_error
from ..registry import METHODS, get, method
from ..score_functions import CotangentObjective
from ..types import Array, Classifier, Maps, Objective

CAUTION = "hardly changes when the weights are shuffled (docs/trust.md)"


@method(family="gradient", paper="Simonyan, Vedaldi, Zisserman: Deep Inside Convolutional Networks, 2013")
def gradient(model: Classifier, images: Array, objective: Objective) -> Array:
    """Gradient of the score with respect to every pixel value.

    values = ∂y/∂x

    Returns:
        `(n, h, w, c)`, signed, in units of the score per unit of pixel value.

    Reference:
        Simonyan, Vedaldi, Zisserman 2013. The paper draws the largest magnitude over the channels; so do
        shisen's heatmaps, while the values keep sign and channels.
    """
    return model.gradients(images, objective)[1]


@method(family="gradient", unit="{score}", shows="evidence", paper="Shrikumar et al.: Not Just a Black Box, 2016")
def input_x_gradient(model: Classifier, images: Array, objective: Objective) -> Array:
    """Gradient times pixel value: the first-order contribution of every pixel value to the score.

    values = x · ∂y/∂x

    Options:
        images: `(n, h, w, c)`, pixels in [0, 1]; black counts as absence.

    Returns:
        `(n, h, w, c)`, signed, in units of the score.

    Reference:
        Shrikumar, Greenside, Shcherbina, Kundaje 2016.
    """
    value, g = model.gradients(images, objective)
    return value * g


@method(
    family="gradient",
    needs="relu",
    paper="Springenberg, Dosovitskiy, Brox, Riedmiller: Striving for Simplicity, 2015",
    caution=CAUTION,
)
def guided_backprop(model: Classifier, images: Array, objective: Objective, *, from_layer: str | None = None) -> Array:
    """Gradient in which every ReLU passes back only positive gradients, and only where it was active.

    At each ReLU: g ← relu(g) · [A > 0]; at a ReLU6 also · [A < 6].

    Options:
        model: the network; its activations must be ReLUs.
        from_layer: start from this layer's own values instead of the objective.

    Returns:
        `(n, h, w, c)`, signed, in units of the score per unit of pixel value.

    Raises:
        ModelError: if no ReLU was met on the way; the message names the activations found.

    Reference:
        Springenberg et al. 2015. The positive part is taken of the sum of all gradients that arrive at a ReLU.
    """
    return _projected(model.rewired("guided"), images, objective, from_layer)


@method(
    family="gradient",
    needs="relu",
    paper="Zeiler, Fergus: Visualizing and Understanding Convolutional Networks, 2014",
    caution=CAUTION,
)
def deconvnet(model: Classifier, images: Array, objective: Objective, *, from_layer: str | None = None) -> Array:
    """Gradient in which every ReLU passes back only positive gradients, active or not.

    At each ReLU and ReLU6: g ← relu(g).

    Options:
        model: the network; its activations must be ReLUs.
        from_layer: project this layer's own values back to the pixels, without choosing a class, as the paper
            does; "default" takes the model's default layer.

    Returns:
        `(n, h, w, c)`, signed, in units of the score per unit of pixel value.

    Raises:
        ModelError: if no ReLU was met on the way; the message names the activations found.

    Reference:
        Zeiler, Fergus 2014. Max pools send values back to where the maximum was, as in the paper.
    """
    return _projected(model.rewired("deconvnet"), images, objective, from_layer)


def _identity(value: Array) -> Array:
    return value


def _projected(model: Classifier, images: Array, objective: Objective, layer: str | None) -> Array:
    if layer is None:
        return model.gradients(images, objective)[1]
    at = model.default_layer if layer == "default" else layer
    return model.gradients(images, CotangentObjective(_identity, f"values of {at}"), at=at)[1]


@method(
    family="gradient",
    unit="{score} squared per unit of pixel value",
    passes="2",
    linear=False,
    single=False,
    needs="relu",
    paper="Selvaraju et al.: Grad-CAM, 2017",
)
def guided_grad_cam(
    model: Classifier, images: Array, objective: Objective, *, layer: str, cam: str = "grad_cam"
) -> Maps:
    """Guided backprop where a class activation map sees evidence.

    values = guided backprop · upsampled map, pixel by pixel; neither is rescaled before the product.

    Options:
        model: the network; its activations must be ReLUs.
        layer: the point the map is taken from.
        cam: any method of the CAM family, with its default options.

    Returns:
        `(n, h, w, c)`, signed, in units of the guided gradient times those of the map.

    Raises:
        InputError: if `cam` is not a class activation map.
        ModelError: if no ReLU was met on the way.

    Reference:
        Selvaraju et al. 2017.
    """
    chosen = get(cam)
    if chosen.family != "cam":
        known = ", ".join(name for name, m in METHODS.items() if m.family == "cam")
        raise InputError(explain_error("cam must be a class activation map.", repr(cam), f"Use one of {known}."))
    found = chosen(model, images, objective, layer=layer)
    fine = model.rewired("guided").gradients(images, objective)[1]
    return Maps(fine * resize(found.values, fine.shape[1:-1])[..., None], found.notes)
