"""Tell how the axes of a module's output lie: from the module, from outputs of the same shape, from the maps so far."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..layout import Layout, Size, is_map, token_layout
from ..points import Call


def layout_of(module: Any, shape: Sequence[int], seen: Sequence[Call], size: Size) -> Layout:
    """Return how the axes of an output lie.

    Args:
        module: whose output it is.
        shape: of the output for one image.
        seen: the calls before this one.
        size: positions of the image: `(h, w)`, `(d, h, w)` or `(length,)`.
    """
    rank, shape = len(size), tuple(shape)

    def maps() -> list[Size]:  # looked for only where the module does not tell: there are many calls
        shapes = [c.layout.shape(c.shape) for c in seen if c.layout.map]
        return [s[:-1] for s in shapes if len(s) == rank + 1]

    if shape[0] == 1 and len(shape) == rank + 2 and _channel_axis(module, rank) == 1:
        return Layout("channels_first")
    alike = next((c.layout for c in reversed(seen) if c.shape == shape), None)
    if shape[0] != 1:
        folded = _folded(module, shape, seen, size) if rank == 3 and len(shape) > 2 else None
        if folded is not None:
            return folded
        if len(shape) == 3 and shape[1] == 1 and not (alike and alike.kind == "parts"):
            tokens = token_layout(shape[0], maps(), size)
            if tokens.kind == "tokens":
                return Layout("sequence", tokens.grid, tokens.prefix)
        return Layout("parts", parts=shape[0])
    if len(shape) == rank + 2:
        return _of_rank(module, shape, alike, maps(), size)
    if rank != 2 and _convolves(module) == len(shape) - 2:  # such as a spectrogram inside a network of signals
        return Layout("channels_first")
    if rank != 2 and len(shape) > 3:
        return alike or Layout("plain")
    if len(shape) == 3 and rank > 1 and shape[1] > 1:
        return token_layout(shape[1], maps(), size)
    return Layout("plain")


def _of_rank(module: Any, shape: Sequence[int], alike: Layout | None, maps: Sequence[Size], size: Size) -> Layout:
    """Return how an output lies that has as many axes as the input."""
    first, last = tuple(shape[2:]), tuple(shape[1:-1])
    if _channel_axis(module, len(size)) == -1:
        # the same modules also work on windows and on attention heads, which are no maps
        return Layout("channels_last") if is_map(last, maps, size) else Layout("plain")
    if alike is not None:
        return alike
    if is_map(first, maps, size):
        return Layout("channels_first")
    if is_map(last, maps, size):
        return Layout("channels_last")
    inner = any(word in type(module).__name__ for word in ("Dropout", "Softmax", "Identity"))
    return Layout("plain") if inner and maps else Layout("channels_first")


def _folded(module: Any, shape: Sequence[int], seen: Sequence[Call], size: Size) -> Layout | None:
    """Return the layout of frames or views that lie along the batch, None for anything else."""
    counts = {size[0], *(c.layout.shape(c.shape)[0] for c in seen if c.layout.map)}
    if shape[0] not in counts:
        return None
    inside = [
        replace(c, shape=(1, *c.shape[1:]), layout=replace(c.layout, frames=0))
        for c in seen
        if c.layout.frames == shape[0]
    ]
    each = layout_of(module, (1, *shape[1:]), inside, size[1:])
    known = len(shape) == 4 and (_channel_axis(module, 2) is not None or inside)
    return replace(each, frames=shape[0]) if each.map and (known or each.kind == "tokens") else None


def _channel_axis(module: Any, rank: int) -> int | None:
    """Return 1 or −1 where the kind of module settles on which axis the channels lie, else None."""
    kind = type(module).__name__
    if kind == "Permute":
        order = tuple(getattr(module, "dims", ()))
        return {(0, *range(2, rank + 2), 1): -1, (0, rank + 1, *range(1, rank + 1)): 1}.get(order)
    if f"{rank}d" in kind or "GroupNorm" in kind:
        return 1
    if "Linear" in kind or "LayerNorm" in kind:
        return -1
    if rank == 1 and kind in ("LSTM", "GRU", "RNN", "Embedding", "MultiheadAttention", "TransformerEncoderLayer"):
        return -1
    return None


def _convolves(module: Any) -> int | None:
    """Return the number of axes of positions that the kind of module names, such as 2 for `Conv2d`."""
    named = re.search(r"([123])d$", type(module).__name__)
    return int(named[1]) if named else None
