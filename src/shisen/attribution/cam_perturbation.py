"""Class activation maps made by altering a layer's values and running what lies downstream of it."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from array_api_compat import array_namespace

from .._core.image_ops import axes_of
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
    paper="Byun, Lee: ReciproCAM, 2022",
)
@several_layers
def recipro_cam(model: Classifier, images: Array, objective: Objective, *, layer: str) -> Maps:
    """ReciproCAM: the score of each spatial position of the layer alone, without any gradient.

    values_p = y(A at position p, 0 elsewhere) − y(0)

    The paper scales the map between its smallest and largest value, which makes y(0) drop out; here it is
    subtracted, so that an empty layer gives a zero map. The mask is a single position, not the smoothed one
    of the paper's second variant. Where the network is affine downstream of the layer and the score linear in the
    logits, this is Σ_c (g · A)_p exactly, from one forward; otherwise what lies downstream runs once a position.

    Returns:
        `(n, h', w')`, signed, in units of the score. The note `run` says whether the closed form was used.

    Reference:
        Byun, Lee 2022.
    """
    found = AtLayer.of(model, images, objective, layer)
    xp = array_namespace(found.values)
    if not found.reason:
        return Maps(xp.sum(found.gradients * found.values, axis=-1), {"run": found.note})
    n, *sides, _ = found.values.shape
    count = math.prod(sides)
    positions = np.arange(count)
    rows = []
    for row in range(n):
        # number −1 keeps nothing: the empty layer
        alone = found.scores(row, np.arange(-1, count), lambda p: (positions == p[:, None]).reshape(-1, *sides, 1))
        rows.append(xp.reshape(alone[1:] - alone[0], tuple(sides)))
    return Maps(xp.stack(rows), {"run": found.note})
