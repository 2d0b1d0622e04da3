"""Class activation maps made by altering a layer's values and running what lies downstream of it."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import numpy.typing as npt
from array_api_compat import array_namespace

from .._core.image_ops import axes_of, separable
from ..registry import method
from ..targets import like, to_numpy
from ..types import Array, Classifier, Maps, Objective
from .cam import at_channels, positive
from .downstream import AtLayer
from .multi_layer import several_layers


@method(
    family="cam",
    unit="fraction of the score · activation",
    passes="1 if affine else channels + 1",
    linear=False,
    paper="Desai, Ramaswamy: Ablation-CAM, 2020",
)
@several_layers
def ablation_cam(model: Classifier, images: Array, objective: Objective, *, layer: str) -> Maps:
    """Ablation-CAM: channels weighted by how much of the score is lost without them.

    values = relu(Σ_c w_c · A_c), w_c = (y − y_without_c) / |y|, channel c set to 0

    The denominator is |y|: with y itself, a negative logit would turn every sign. For y = 0 it is 1.
    Where the network is affine downstream of the layer and the score linear in the logits, y − y_without_c =
    Σ_hw (g · A)_c exactly, and one forward serves all channels; otherwise what lies downstream of the layer runs
    once a channel. Channels that are zero everywhere change nothing and are skipped.

    Returns:
        `(n, h', w')`, ≥ 0. The note `run` says whether the closed form was used, and if not, why.

    Reference:
        Desai, Ramaswamy 2020.
    """
    found = AtLayer.of(model, images, objective, layer)
    a, y = found.values, found.objective.value(found.logits)
    xp = array_namespace(a)
    if found.reason:
        lost = xp.stack([like(_lost(found, row, to_numpy(y)[row]), a) for row in range(a.shape[0])])
    else:
        lost = xp.sum(found.gradients * a, axis=axes_of(a))
    magnitude = xp.abs(y)
    weights = lost / xp.where(magnitude > 0, magnitude, xp.ones_like(magnitude))[:, None]
    return Maps(positive(xp.sum(at_channels(weights, a) * a, axis=-1)), {"run": found.note})


def _lost(found: AtLayer, row: int, y: np.float32) -> npt.NDArray[np.float32]:
    """Return what the score of one image loses without each channel, `(c,)`."""
    a = to_numpy(found.values[row, ...])
    active, lost = np.flatnonzero((a != 0).any(axis=tuple(range(a.ndim - 1)))), np.zeros(a.shape[-1], np.float32)
    if active.size:
        ones = (1,) * (a.ndim - 1)
        kept = np.arange(len(lost))
        without = found.scores(row, active, lambda some: (kept != some[:, None]).reshape(-1, *ones, len(lost)))
        lost[active] = y - to_numpy(without)
    return lost


@method(
    family="cam",
    unit="{score}",
    signed=True,
    passes="1 if affine else positions + 2",
    paper="Byun, Lee: ReciproCAM, 2022; ViT-ReciproCAM, 2023",
)
@several_layers
def recipro_cam(
    model: Classifier,
    images: Array,
    objective: Objective,
    *,
    layer: str,
    mask: Literal["position", "gaussian"] = "position",
) -> Maps:
    """ReciproCAM: the score of each spatial position of the layer alone, without any gradient.

    values_p = y(A · m_p) − y(0), m_p = 1 at position p and 0 elsewhere

    In a transformer the class token stays as it is, as in ViT-ReciproCAM. The papers scale the map between its
    smallest and largest value, which makes y(0) drop out; here it is subtracted, so that an empty layer gives a zero
    map. Where the network is affine downstream of the layer and the score linear in the logits, this is
    Σ_q m_p(q) Σ_c (g · A)_q exactly, from one forward; otherwise what lies downstream runs once a position.

    Options:
        layer: the point A is taken from; in a transformer the tokens before the last block.
        mask: "position", the formula above; "gaussian", the papers' second variant: the position with ¼ and its
            neighbors with ⅛ and 1/16, so that a layer sees some of the surroundings.

    Returns:
        `(n, h', w')`, signed, in units of the score. The note `run` says whether the closed form was used.

    Reference:
        Byun, Lee 2022 and 2023.
    """
    found = AtLayer.of(model, images, objective, layer)
    xp = array_namespace(found.values)
    n, *sides, _ = found.values.shape
    weights = [_neighbors(side) if mask == "gaussian" else np.eye(side, dtype=np.float32) for side in sides]
    if not found.reason:
        maps = xp.sum(found.gradients * found.values, axis=-1)
        return Maps(separable(maps, *weights) if mask == "gaussian" else maps, {"run": found.note})

    def masks(numbers: npt.NDArray[np.intp]) -> npt.NDArray[np.float32]:
        """Return `(k, *sides, 1)`; number −1 keeps nothing, the empty layer."""
        kept = (numbers >= 0).astype(np.float32).reshape(-1, *(1 for _ in sides))
        for axis, at in enumerate(np.unravel_index(np.maximum(numbers, 0), tuple(sides))):
            shape = [side if other == axis else 1 for other, side in enumerate(sides)]
            kept = kept * weights[axis][at].reshape(-1, *shape)
        return kept[..., None]

    count = math.prod(sides)
    rows = []
    for row in range(n):
        alone = found.scores(row, np.arange(-1, count), masks)
        rows.append(xp.reshape(alone[1:] - alone[0], tuple(sides)))
    return Maps(xp.stack(rows), {"run": found.note})


def _neighbors(side: int) -> npt.NDArray[np.float32]:
    """Return the `(side, side)` matrix with ½ at each position and ¼ at its neighbors."""
    return 0.5 * np.eye(side, dtype=np.float32) + 0.25 * (np.eye(side, k=1) + np.eye(side, k=-1)).astype(np.float32)
