"""Maps from statistics of a layer's channels: where channels are unusually active."""

from __future__ import annotations

from typing import Literal

from array_api_compat import array_namespace

from .._core.image_ops import axes_of
from ..errors import InputError, explain_error
from ..registry import method
from ..types import Array, Classifier, Objective
from .cam_eigen import CAUTION
from .multi_layer import several_layers


@method(
    family="cam",
    unit="activation",
    signed=True,
    linear=False,
    single=False,
    class_specific=False,
    needs="activations",
    paper="Fuad et al.: Features Understanding in 3D CNNs for Actions Recognition in Video, 2020",
    caution=CAUTION,
)
@several_layers
def fem(
    model: Classifier,
    images: Array,
    objective: Objective,
    *,
    layer: str,
    sigmas: float = 2.0,
    weighted: Literal["mask", "activation"] = "mask",
) -> Array:
    """FEM: where channels are far above their mean over the image; the same map whatever the class.

    values = Σ_c mean_hw(A_c) · B_c, B_c = [A_c > mean_hw(A_c) + sigmas · std_hw(A_c)]

    Options:
        objective: not used: the map does not depend on the class.
        sigmas: how many standard deviations above its mean a channel counts as active.
        weighted: "mask", the formula above; "activation" is Σ_c mean_hw(B_c) · A_c, as in the package grad-cam.

    Returns:
        `(n, h', w')`, in units of the activation; negative only where a channel's mean is.

    Raises:
        InputError: for a number of standard deviations that is not positive.

    Reference:
        Fuad et al. 2020, for one image instead of a video.
    """
    if not sigmas > 0:
        raise InputError(explain_error("sigmas must be positive.", sigmas, "Try 2."))
    a = model.activations(images, layer)
    xp = array_namespace(a)
    mean, deviation = (f(a, axis=axes_of(a), keepdims=True) for f in (xp.mean, xp.std))
    varies = deviation > 1e-6 * xp.abs(mean)  # rounding puts constant channels above their mean
    mask = xp.astype((a > mean + sigmas * deviation) & varies, a.dtype)
    if weighted == "mask":
        return xp.sum(mean * mask, axis=-1)
    return xp.sum(xp.mean(mask, axis=axes_of(a), keepdims=True) * a, axis=-1)
