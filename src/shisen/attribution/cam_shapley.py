"""ShapleyCAM: channels weighted by gradient and curvature, where the curvature follows from the score alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from array_api_compat import array_namespace

from .._core.image_ops import axes_of
from ..errors import N_, Message, ModelError, explain_error
from ..registry import method
from ..targets import like, to_numpy
from ..types import Array, Classifier, Objective
from .cam import positive
from .downstream import is_affine
from .multi_layer import several_layers
from .objective import as_score, gradients_and_logits, resolved_for

STEP = 1e-5  # of central differences in float64: errors of rounding and of the third derivative are below 1e-6


@method(
    family="cam",
    passes="3",
    single=False,
    paper="Cai: CAMs as Shapley Value-based Explainers, 2025",
)
@several_layers
def shapley_cam(
    model: Classifier,
    images: Array,
    objective: Objective,
    *,
    layer: str,
    utility: Literal["rest", "score"] = "rest",
) -> Array:
    """ShapleyCAM: channels weighted by mean gradient less half the curvature, a second-order Shapley value.

    values = relu(Σ_c w_c · A_c), w_c = mean_hw(g − ½ H·A)_c, g = ∂u/∂A, H = ∂²u/∂A²

    Where the network is affine downstream of the layer, H = Jᵀ (∂²u/∂z²) J with J = ∂z/∂A and logits z, so that
    H·A = Jᵀ (∂²u/∂z²) (z − z(A = 0)), exactly and without a second derivative of the network.

    Options:
        layer: the point A is taken from, in front of a pool and a linear layer.
        utility: u: "rest", the logit plus the log-probability, as in the article, for targets that are classes;
            "score", the score itself, which gives Grad-CAM for a logit.

    Returns:
        `(n, h', w')`, ≥ 0, in units of the score.

    Raises:
        ModelError: if the network is not affine downstream of the layer.

    Reference:
        Cai 2025, who differentiates the network twice, which frameworks other than torch do not offer at a layer.
    """
    if not is_affine(model, images, layer):
        raise ModelError(
            explain_error(
                N_(
                    "ShapleyCAM needs an affine network downstream of the layer, as a mean pool and a linear layer are."
                ),
                Message("layer {layer}, downstream of which the network is non-linear", layer=repr(layer)),
                N_("Use the last feature map, or grad_cam, which leaves the curvature out."),
            )
        )
    a, _, logits = gradients_and_logits(model, images, objective, layer)
    empty = model.replaced(images, array_namespace(a).zeros_like(a), layer)
    u = _utility(resolved_for(objective, logits), utility if model.head != "none" else "score")
    z, way = (to_numpy(values).astype(np.float64) for values in (logits, logits - empty))
    curvature = (u(z + STEP * way) - u(z - STEP * way)) / (2.0 * STEP)
    _, g = model.gradients(images, FixedCotangent(u(z) - 0.5 * curvature), wrt=layer)
    xp = array_namespace(a)
    return positive(xp.sum(xp.mean(g, axis=axes_of(g), keepdims=True) * a, axis=-1))


def _utility(objective: Any, utility: str) -> Any:
    """Return the cotangent of the utility as a function of the logits."""
    if utility == "rest" and hasattr(objective, "take"):
        parts = as_score(objective, "logit"), as_score(objective, "log_probability")
        if parts[0] != parts[1]:  # a class, or one an image
            return lambda z: np.asarray(parts[0](z) + parts[1](z))
    return lambda z: np.asarray(objective(z))


@dataclass(frozen=True, eq=False)
class FixedCotangent:
    """An objective whose gradient by the logits is given: score = Σ_k cotangent_k · z_k.

    Attributes:
        cotangent: `(n, classes)`.
    """

    cotangent: npt.NDArray[Any]
    name: str = "given gradient"

    def __call__(self, y: Array) -> Array:
        """Return the cotangent, row i that of image i mod n."""
        return like(self.cotangent[np.arange(y.shape[0]) % len(self.cotangent)].reshape(tuple(y.shape)), y)

    def value(self, y: Array) -> Array:
        """Return the score of each row, `(rows,)`."""
        xp = array_namespace(y)
        return xp.sum(xp.reshape(self(y) * y, (y.shape[0], -1)), axis=-1)

    def take(self, rows: npt.NDArray[np.int64]) -> FixedCotangent:
        """Return the objective for these rows of the batch."""
        return FixedCotangent(self.cotangent[np.asarray(rows) % len(self.cotangent)])
