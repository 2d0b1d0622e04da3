"""Maps made by altering a layer's values and asking what lies behind it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from array_api_compat import array_namespace

from ..adapters.wrappers import downstream_batch
from ..registry import method
from ..targets import like, to_numpy
from ..types import Array, Classifier, Maps, Objective
from .cam import positive
from .downstream import how_run, scores, why_not_closed
from .multi_layer import several_layers
from .objective import gradients_and_logits, resolved_for


@method(
    family="cam",
    unit="fraction of the score · activation",
    signed=False,
    passes="1, or 1 per channel behind the layer",
    single=True,
    paper="Desai, Ramaswamy: Ablation-CAM, 2020",
)
@several_layers
def ablation_cam(model: Classifier, images: Array, objective: Objective, *, layer: str) -> Maps:
    """Ablation-CAM: channels weighted by how much of the score is lost without them.

    values = relu(Σ_c w_c · A_c), w_c = (y − y_without_c) / |y|, channel c set to 0

    The denominator is |y|: with y itself, a negative logit would turn every sign. For y = 0 it is 1.
    Where the network is affine behind the layer and the score linear in the logits, y − y_without_c =
    Σ_hw (g · A)_c exactly, and one forward serves all channels; otherwise only what lies behind the layer runs,
    once a channel. Channels that are zero everywhere change nothing and are skipped.

    Args:
        model: the network.
        images: `(n, h, w, c)`, pixels in [0, 1].
        objective: the objective.
        layer: the point A is taken from; a sequence of points gives their fused map.

    Returns:
        `(n, h', w')`, ≥ 0. The note `run` says whether the closed form was used, and if not, why.

    Reference:
        Desai, Ramaswamy 2020.
    """
    a, g, logits = gradients_and_logits(model, images, objective, layer)
    objective = resolved_for(objective, logits)
    xp = array_namespace(a)
    y = objective.value(logits)
    reason = why_not_closed(model, images, layer, objective, logits)
    if not reason:
        lost = xp.sum(g * a, axis=(1, 2))
        note = "closed form"
    else:
        rows = [_lost(model, images[i : i + 1], a[i, ...], (objective, y, i), layer) for i in range(a.shape[0])]
        lost = xp.stack(rows)
        note = f"{how_run(model, images, layer)}, since {reason}"
    size = xp.abs(y)
    weights = lost / xp.where(size > 0, size, xp.ones_like(size))[:, None]
    return Maps(positive(xp.sum(weights[:, None, None, :] * a, axis=-1)), {"run": note})


def _lost(model: Classifier, image: Array, a: Array, asked: tuple[Objective, Array, int], layer: str) -> Array:
    """Return what the score loses without each channel, `(c,)`, for one image."""
    objective, y, row = asked
    xp = array_namespace(a)
    active = np.flatnonzero(to_numpy(xp.any(a != 0, axis=(0, 1))))
    if not active.size:
        return xp.zeros_like(a[0, 0, :])

    step = downstream_batch(a, model.batch_size)

    def without() -> Iterator[Array]:
        for start in range(0, active.size, step):
            mask = np.ones((min(step, active.size - start), a.shape[-1]), np.float32)
            mask[np.arange(len(mask)), active[start : start + len(mask)]] = 0.0
            yield a[None, ...] * like(mask, a)[:, None, None, :]

    found = scores(model, image, without(), layer, objective.take(np.asarray([row])))
    lost = np.zeros(a.shape[-1], np.float32)
    lost[active] = to_numpy(y[row] - found)
    return like(lost, a)


@method(
    family="cam",
    unit="{score}",
    passes="1, or 1 per place behind the layer",
    single=True,
    linear=True,
    paper="Byun, Lee: ReciproCAM, 2022",
)
@several_layers
def recipro_cam(model: Classifier, images: Array, objective: Objective, *, layer: str) -> Maps:
    """ReciproCAM: what each place of the layer says alone, without any gradient.

    values_p = y(A at place p, 0 elsewhere) − y(0)

    The paper scales the map between its smallest and largest value, which makes y(0) drop out; here it is
    subtracted, so that an empty layer gives a zero map. The mask is a single place, not the smoothed one
    of the paper's second variant. Where the network is affine behind the layer and the score linear in the logits,
    this is Σ_c (g · A)_p exactly, from one forward; otherwise only what lies behind the layer runs, once a place.

    Args:
        model: the network.
        images: `(n, h, w, c)`, pixels in [0, 1].
        objective: the objective.
        layer: the point A is taken from; a sequence of points gives their fused map.

    Returns:
        `(n, h', w')`, signed, in units of the score. The note `run` says whether the closed form was used.

    Reference:
        Byun, Lee 2022.
    """
    a, g, logits = gradients_and_logits(model, images, objective, layer)
    objective = resolved_for(objective, logits)
    xp = array_namespace(a)
    reason = why_not_closed(model, images, layer, objective, logits)
    if not reason:
        return Maps(xp.sum(g * a, axis=-1), {"run": "closed form"})
    rows = []
    for i in range(a.shape[0]):
        image, step = images[i : i + 1], downstream_batch(a[i, ...], model.batch_size)
        found = scores(model, image, _alone(a[i, ...], step), layer, objective.take(np.asarray([i])))
        rows.append(xp.reshape(found[1:] - found[0], tuple(a.shape[1:3])))
    return Maps(xp.stack(rows), {"run": f"{how_run(model, images, layer)}, since {reason}"})


def _alone(a: Array, step: int) -> Iterator[Array]:
    """Yield the empty layer and then copies of `a` with one place each, in portions."""
    h, w = a.shape[:2]
    for start in range(-1, h * w, step):
        places = np.arange(start, min(start + step, h * w))
        mask = (np.arange(h * w)[None, :] == places[:, None]).astype(np.float32).reshape(-1, h, w, 1)
        yield a[None, ...] * like(mask, a)
