"""Tell how the axes of a module's output lie: from the module, from outputs of the same shape, from the maps so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..layout import Layout, Size, is_map, token_layout
from ..points import Call


def layout_of(module: Any, shape: Sequence[int], seen: Sequence[Call], size: Size) -> Layout:
    """Return how the axes of an output lie.

    Args:
        module: whose output it is.
        shape: of the output for one image.
        seen: the calls before this one.
        size: `(h, w)` of the image.
    """
    shapes = [c.layout.shape(c.shape) for c in seen if c.layout.map]
    maps = [(s[0], s[1]) for s in shapes]
    alike = next((c.layout for c in reversed(seen) if c.shape == tuple(shape)), None)
    if shape[0] != 1:
        if len(shape) == 3 and shape[1] == 1 and not (alike and alike.kind == "parts"):
            tokens = token_layout(shape[0], maps, size)
            if tokens.kind == "tokens":
                return Layout("sequence", tokens.grid, tokens.prefix)
        return Layout("parts", parts=shape[0])
    if len(shape) == 4:
        return _of_four(module, shape, alike, maps, size)
    if len(shape) == 3 and shape[1] > 1:
        return token_layout(shape[1], maps, size)
    return Layout("plain")


def _of_four(module: Any, shape: Sequence[int], alike: Layout | None, maps: Sequence[Size], size: Size) -> Layout:
    where = _channel_axis(module)
    if where == 1:
        return Layout("nchw")
    if where == -1:
        # the same modules also work on windows and on attention heads, which are no maps
        return Layout("nhwc") if is_map((shape[1], shape[2]), maps, size) else Layout("plain")
    if alike is not None:
        return alike
    if is_map((shape[2], shape[3]), maps, size):
        return Layout("nchw")
    if is_map((shape[1], shape[2]), maps, size):
        return Layout("nhwc")
    inner = any(word in type(module).__name__ for word in ("Dropout", "Softmax", "Identity"))
    return Layout("plain") if inner and maps else Layout("nchw")


def _channel_axis(module: Any) -> int | None:
    """Return 1 or −1 where the kind of module settles on which axis the channels lie, else None."""
    kind = type(module).__name__
    if kind == "Permute":
        order = tuple(getattr(module, "dims", ()))
        return {(0, 2, 3, 1): -1, (0, 3, 1, 2): 1}.get(order)
    if "2d" in kind or "GroupNorm" in kind:
        return 1
    if "Linear" in kind or "LayerNorm" in kind:
        return -1
    return None
