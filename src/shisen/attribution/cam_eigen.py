"""Maps along the first principal direction of a layer's channels, linear or in the space of a kernel."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import numpy.typing as npt
from array_api_compat import array_namespace

from .._core.image_ops import resize
from ..registry import method
from ..targets import like, to_numpy
from ..types import Array, Classifier, Objective
from .multi_layer import several_layers

MOST_POSITIONS = 1024  # of a matrix of kernel values
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


@method(
    family="cam",
    unit="kernel component",
    signed=True,
    linear=False,
    single=False,
    class_specific=False,
    needs="activations",
    paper="Karmani, Sivakaran, Prasad, Ali, Yang, Tang: KPCA-CAM, 2024",
    caution=CAUTION,
)
@several_layers
def kpca_cam(
    model: Classifier,
    images: Array,
    objective: Objective,
    *,
    layer: str,
    kernel: Literal["sigmoid", "rbf"] = "sigmoid",
    gamma: float | None = None,
) -> Array:
    """KPCA-CAM: activations along their main direction in the space of a kernel; the same map whatever the class.

    values_p = √λ · v_p, λ and v the largest eigenvalue and its eigenvector of the centered matrix of
    k(A_p, A_q) = tanh(gamma · A_p·A_q + 1) or exp(−gamma · |A_p − A_q|²), A less its mean over positions

    A layer of more than 1024 positions is reduced first, in two dimensions to 32 × 32: the matrix has a row for each.

    Options:
        objective: not used: the map does not depend on the class.
        kernel: "sigmoid" or "rbf".
        gamma: of the kernel; by default 1 / number of channels.

    Returns:
        `(n, h', w')`, signed so that Σ map · Σ_c A ≥ 0, without a unit.

    Reference:
        Karmani et al. 2024; the sign, which is arbitrary there, is chosen as in eigen_cam.
    """
    a = model.activations(images, layer)
    sides = tuple(int(size) for size in a.shape[1:-1])
    if math.prod(sides) > MOST_POSITIONS:
        side = int(MOST_POSITIONS ** (1 / len(sides)) + 1e-9)
        a = resize(a, tuple(min(size, side) for size in sides))
        sides = tuple(int(size) for size in a.shape[1:-1])
    rows = to_numpy(a).astype(np.float64).reshape(a.shape[0], math.prod(sides), -1)
    found = [_kernel_component(one, kernel, gamma if gamma is not None else 1.0 / one.shape[1]) for one in rows]
    return like(np.stack(found).reshape(-1, *sides), a)


def _kernel_component(a: npt.NDArray[np.float64], kernel: str, gamma: float) -> npt.NDArray[np.float64]:
    """Return the first kernel principal component of the rows of `(positions, channels)`."""
    m = a - a.mean(axis=0)
    gram = m @ m.T
    if kernel == "sigmoid":
        k = np.tanh(gamma * gram + 1.0)
    else:
        squares = np.diag(gram)
        k = np.exp(-gamma * np.maximum(squares[:, None] + squares[None, :] - 2.0 * gram, 0.0))
    k = k - k.mean(axis=0) - k.mean(axis=1, keepdims=True) + k.mean()
    values, vectors = np.linalg.eigh(k)
    if values[-1] <= 1e-10 * len(k):  # all positions alike
        return np.zeros(len(k))
    found: npt.NDArray[np.float64] = np.sqrt(values[-1]) * vectors[:, -1]
    return -found if found @ a.sum(axis=1) < 0 else found
