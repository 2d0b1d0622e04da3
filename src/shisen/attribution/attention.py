"""Methods for transformers: from the attention of every layer and head to a map of spatial positions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from array_api_compat import array_namespace

from ..adapters.capabilities import HasAttention
from ..adapters.wrappers import capability
from ..errors import N_, Message, Unsuited, explain_error
from ..registry import method
from ..targets import like, to_numpy
from ..types import Array, Attention, Classifier, Maps, Objective
from .cam import positive

OTHERS = N_("Use grad_cam, hires_cam, layer_cam, integrated_gradients or rise, which suit any network.")


def attention_of(model: Classifier, images: Array, objective: Any = None, **options: Any) -> tuple[Attention, ...]:
    """Return the attention of every layer.

    Args:
        model: the network.
        images: `(n, h, w, c)`, pixels in [0, 1].
        objective: for gradients of the score with respect to attention.
        options: of the adapter.

    Raises:
        Unsuited: for a network without attention, or whose adapter does not know it.
    """
    network = capability(model, HasAttention)
    found = () if network is None else network.attentions(images, objective, **options)
    if not found:
        words = N_("a network of {framework} that has none") if network else N_("a {framework} network")
        received = Message(words, framework=model.framework)
        raise Unsuited(explain_error(N_("This method needs a network with attention."), received, OTHERS))
    return found


def global_attention(layers: Sequence[Attention]) -> list[Attention]:
    """Return the layers in which every token sees every other, all on one grid.

    Raises:
        Unsuited: where there are layers in which they do not.
    """
    whole = [a for a in layers if a.grid[0] > 0 and a.values.shape[-1] == a.values.shape[-2] and a.windows == 1]
    same = [a for a in whole if a.values.shape[-1] == whole[-1].values.shape[-1]]
    if not same or len(same) < len([a for a in layers if a.values.shape[-2] > 1]):
        if any(a.windows > 1 for a in layers):
            need = N_("This method needs attention among all positions in every layer, from the first to the last.")
            size = max(a.values.shape[-1] for a in layers if a.windows > 1)
            received = Message("windows of {n} positions", n=size)
        else:
            need = N_("This method needs attention among all positions of the image in every layer.")
            shapes = sorted({f"{a.values.shape[-2]} × {a.values.shape[-1]}" for a in layers})
            received = Message("attention of {shapes} tokens", shapes=", ".join(shapes))
        raise Unsuited(explain_error(need, received, OTHERS))
    return same


def last_stage(layers: Sequence[Attention]) -> list[Attention]:
    """Return the layers whose tokens lie on the last layer's grid, in windows or not.

    Raises:
        Unsuited: where the positions of the last layer's tokens are unknown, or a layer without windows differs.
    """
    last = layers[-1]
    if not last.grid[0] or not any(a.windows > 1 or a.positions is not None or a.grid != last.grid for a in layers):
        return global_attention(layers)
    return [a for a in layers if a.grid == last.grid and a.gradients is not None]


def on_grid(rows: Array, layer: Attention) -> Array:
    """Return one value per key as a map, `(n, …, h, w)`; keys of windows go where they lie in the image.

    Args:
        rows: `(n, …, keys)`; with windows the axis before the keys holds windows · heads, which become heads.
        layer: whose keys they are; `layer.grid` is not zero.
    """
    xp = array_namespace(rows)
    h, w = layer.grid
    if layer.positions is None:
        return xp.reshape(rows[..., layer.prefix : layer.prefix + h * w], (*rows.shape[:-1], h, w))
    where = np.asarray(layer.positions).reshape(-1)
    known = np.flatnonzero(where >= 0)
    order = np.empty(h * w, np.int64)  # every position lies in one window
    order[where[known]] = known
    apart = xp.reshape(rows, (rows.shape[0], layer.windows, -1, rows.shape[-1]))
    apart = xp.permute_dims(apart, (0, 2, 1, 3))
    flat = xp.reshape(apart, (*apart.shape[:2], -1))
    index = xp.asarray(order, device=getattr(rows, "device", None))
    return xp.reshape(xp.take(flat, index, axis=-1), (*flat.shape[:2], h, w))


def _readout(rows: Array, layer: Attention) -> Array:
    """Return `(n, h, w)`: what the tokens that are read out take from each position; `rows` is `(n, queries, keys)`."""
    xp = array_namespace(rows)
    h, w = layer.grid
    first = layer.prefix
    # the logits are read from the class token, or from the mean of all positions
    row = rows[:, 0] if _reads_class_token(layer) else xp.mean(rows[:, first : first + h * w], axis=1)
    return xp.reshape(row[:, first : first + h * w], (rows.shape[0], h, w))


def _reads_class_token(last: Attention) -> bool:
    """Whether the logits depend on the class token; some networks carry one and average the positions."""
    if not last.prefix or last.gradients is None:
        return bool(last.prefix)
    h, w = last.grid
    influence = np.abs(to_numpy(last.gradients)).sum(axis=(0, 1, 3))  # of each query
    return bool(influence[: last.prefix].sum() * h * w >= influence[last.prefix :].sum())


def _identity(like_this: Array) -> Array:
    return like(np.eye(like_this.shape[-1], dtype=np.float32)[None], like_this)


@method(
    family="attention",
    unit="fraction of attention",
    linear=False,
    single=False,
    class_specific=False,
    paper="Abnar, Zuidema: Quantifying Attention Flow in Transformers, 2020",
)
def attention_rollout(
    model: Classifier, images: Array, objective: Objective, *, heads: Literal["mean", "max", "min"] = "mean"
) -> Array:
    """Attention rollout: how much of each position reaches the class token through all layers.

    Ā_l = (fuse_heads(A_l) + I) / 2, rows summing to 1; values = the class token's row of Ā_L · … · Ā_1

    Options:
        model: a network with attention among all positions.
        objective: used to find which tokens the logits are read from; the map is the same for every class.
        heads: "mean", "max" or "min" over the heads.

    Returns:
        `(n, h', w')` on the grid of the tokens, ≥ 0; with the tokens that have no position, it sums to 1. Where the
        logits are not read from a class token, the mean over all positions is taken.

    Raises:
        Unsuited: for networks without attention, or with windows.

    Reference:
        Abnar, Zuidema 2020.
    """
    layers = global_attention(attention_of(model, images, objective))
    xp = array_namespace(layers[0].values)
    fuse = {"mean": xp.mean, "max": xp.max, "min": xp.min}
    total = _identity(layers[0].values[:, 0])
    for layer in layers:
        mixed = fuse[heads](layer.values, axis=1) + _identity(layer.values[:, 0])
        total = xp.matmul(mixed / xp.sum(mixed, axis=-1, keepdims=True), total)
    return _readout(total, layers[-1])


@method(
    family="attention",
    unit="products of {score}",
    linear=False,
    paper="Chefer, Gur, Wolf: Generic Attention-model Explainability, 2021",
)
def chefer(model: Classifier, images: Array, objective: Objective) -> Array:
    """Gradient-weighted rollout: relevance that flows along attention the class depends on.

    Ā_l = mean_heads relu(∂y/∂A_l · A_l); R ← R + Ā_l · R from R = I; values = the class token's row of R

    Options:
        model: a network with attention among all positions.

    Returns:
        `(n, h', w')` on the grid of the tokens, ≥ 0; sums of products of scores, one factor a layer.

    Raises:
        Unsuited: for networks without attention, or with windows.

    Reference:
        Chefer, Gur, Wolf 2021 (self-attention rule). Where the logits are not read from a class token, the mean
        over all positions is taken, and the identity that R begins with is left out.
    """
    layers = global_attention(attention_of(model, images, objective))
    xp = array_namespace(layers[0].values)
    total = start = _identity(layers[0].values[:, 0])
    for layer in layers:
        total = total + xp.matmul(xp.mean(positive(layer.values * layer.gradients), axis=1), total)
    return _readout(total - start, layers[-1])


@method(
    family="attention",
    passes="2",
    single=False,
    paper="Bousselham et al.: LeGrad, 2024",
)
def legrad(
    model: Classifier, images: Array, objective: Objective, *, reads: Literal["network", "mean"] = "network"
) -> Maps:
    """LeGrad: how strongly each layer's own score reacts to attention paid to each position, over all layers.

    values = mean_l mean_heads mean_queries relu(∂y_l/∂A_l), y_l read by the head from the tokens after block l

    Networks with stages (Swin, MaxViT): the layers of the last stage, whose maps the head can read; attention within
    windows is placed where the windows lie.

    Options:
        model: a network with attention.
        objective: the objective; the same for every layer.
        reads: "network": y_l is read as the network reads its last block, from the class token where it has one: the
            score of the last layer is then the network's own; "mean": from the mean of all tokens, as in the authors'
            code.

    Returns:
        `(n, h', w')` on the grid of the tokens, ≥ 0, in units of the score.

    Raises:
        Unsuited: for networks without attention, or whose tokens' positions are unknown.

    Reference:
        Bousselham, Boggust, Chaybouti, Strobelt, Kuehne 2024. The paper then scales the map to [0, 1]; drawing does.
    """
    layers = last_stage(attention_of(model, images, objective, per_block=True, pooled=reads == "mean"))
    xp = array_namespace(layers[0].values)
    parts = [xp.mean(on_grid(xp.mean(positive(a.gradients), axis=2), a), axis=1) for a in layers]
    return Maps(xp.mean(xp.stack(parts), axis=0), {"layers": len(layers)})


@method(
    family="attention",
    signed=True,
    paper="Barkan et al.: Grad-SAM, 2021",
)
def attention_x_gradient(model: Classifier, images: Array, objective: Objective) -> Array:
    """Attention times its gradient: the first-order contribution to the score of attending to each position.

    values = mean_l Σ_heads Σ_queries A_l · ∂y/∂A_l

    Networks with stages (Swin, MaxViT): the layers of the last stage, placed where their windows lie.

    Options:
        model: a network with attention.

    Returns:
        `(n, h', w')` on the grid of the tokens, signed, in units of the score.

    Raises:
        Unsuited: for networks without attention, or whose tokens' positions are unknown.

    Reference:
        Barkan et al. 2021, without their relu of the gradient, so that evidence against the class stays visible.
    """
    layers = last_stage(attention_of(model, images, objective))
    xp = array_namespace(layers[0].values)
    parts = [xp.sum(on_grid(xp.sum(a.values * a.gradients, axis=2), a), axis=1) for a in layers]
    return xp.mean(xp.stack(parts), axis=0)
