"""The attention maps of every head of every layer of a transformer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..attribution.attention import attention_of, global_attention, on_grid
from ..errors import InputError, Unsuited, explain_error
from ..models.model import Model
from ..registry import advised
from ..targets import TopKObjective, to_numpy
from ..types import Attention, Frame, InputImage
from .attention_heads import Heads
from .window_attention import WindowHeads

Map = npt.NDArray[np.float32]


def attention(model: Model, image: Any) -> Heads | WindowHeads:
    """Return the attention maps of every head of every layer.

    Args:
        model: a transformer, from `load` or `wrap`.
        image: path, bytes, URL, PIL image or array.

    Returns:
        `Heads`: `.sheet()` for an image, `.save("heads.png")` or `.save("heads.html")` for files. `WindowHeads` for a
        network with windowed attention: the same, without rollout.

    Raises:
        ModelError: for networks without attention; the message names methods that suit them.
        InputError: if the layers differ in their number of heads.
    """
    model.check_rank("attention()")
    opened = model.read(image)
    x, frame = model.prepare(opened)
    try:
        return _heads(model, opened, frame, attention_of(model, x[None]))
    except Unsuited as error:
        raise Unsuited(advised(error, model, x[None], TopKObjective())) from error


def _heads(model: Model, opened: InputImage, frame: Frame, found: Sequence[Attention]) -> Heads | WindowHeads:
    if any(layer.windows > 1 for layer in found) and all(layer.grid[0] for layer in found):
        return WindowHeads(
            opened,
            frame,
            layers=tuple(layer.path for layer in found),
            maps=tuple(map(_received, found)),
            values=tuple(map(_per_window, found)),
            positions=tuple(map(_positions, found)),
            model=model.name,
        )
    layers = global_attention(found)
    values = [to_numpy(layer.values)[0].astype(np.float32) for layer in layers]
    if len({v.shape for v in values}) > 1:
        raise InputError(
            explain_error(
                "All layers must have the same number of heads to be drawn side by side.",
                ", ".join(str(v.shape[0]) for v in values),
                "Use model.attentions(images) for the raw values.",
            )
        )
    stacked = np.stack(values)
    return Heads(
        opened,
        frame,
        layers=tuple(layer.path for layer in layers),
        values=stacked,
        rollout=rollout(stacked),
        grid=(layers[-1].grid[0], layers[-1].grid[1]),
        prefix=layers[-1].prefix,
        model=model.name,
    )


def rollout(values: Map) -> Map:
    """Return the attention through all layers up to each one: products of (mean over heads + identity) / 2.

    Args:
        values: `(layers, heads, queries, keys)`, rows summing to 1.

    Returns:
        `(layers, queries, keys)`.

    Reference: Abnar and Zuidema 2020, Quantifying Attention Flow in Transformers.
    """
    identity = np.eye(values.shape[-1], dtype=np.float32)
    total, rolled = identity, []
    for mean in values.mean(axis=1):
        total = (mean + identity) / 2 @ total
        rolled.append(total)
    return np.stack(rolled)


def _received(layer: Attention) -> Map:
    """Return what each position receives, `(heads, h, w)`: the sum over the queries of its window."""
    received: Map = to_numpy(on_grid(layer.values.sum(-2), layer))[0].astype(np.float32)
    return received


def _per_window(layer: Attention) -> Map:
    """Return `(windows, heads, queries, keys)` of the first image."""
    values: Map = to_numpy(layer.values)[0].astype(np.float32)
    return values.reshape(layer.windows, -1, *values.shape[1:])


def _positions(layer: Attention) -> npt.NDArray[np.int64]:
    """Return the positions of the keys, `(windows, keys)`; a single window for the whole image has them in order."""
    if layer.positions is not None:
        return np.asarray(layer.positions, np.int64)
    count = layer.grid[0] * layer.grid[1]
    where = np.full((1, layer.values.shape[-1]), -1, np.int64)
    where[0, layer.prefix : layer.prefix + count] = np.arange(count)
    return where
