"""What a torch network consists of: every module call of one forward, its shape and how its axes lie."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..errors import ModelError, unknown
from ..types import Layer

POOLS = ("Pool",)
PLACELESS = ("Pool", "Dropout", "Flatten", "Identity", "Upsample", "DropPath")


@dataclass(frozen=True)
class Layout:
    """How the axes of a module's output lie, and the way to channels last and back.

    Attributes:
        kind: "nchw", "nhwc", "tokens" (n, t, c) with a grid, or "plain" (anything else).
        grid: `(h, w)` of the tokens.
        prefix: number of leading tokens without a place (class, distillation, registers).
    """

    kind: str
    grid: tuple[int, int] = (0, 0)
    prefix: int = 0

    def last(self, raw: Any) -> Any:
        """Return the value channels last: `(n, h, w, c)`, or `(n, ...)` as it is."""
        if self.kind == "nchw":
            return raw.permute(0, 2, 3, 1)
        if self.kind == "tokens":
            h, w = self.grid
            return raw[:, self.prefix : self.prefix + h * w].reshape(raw.shape[0], h, w, raw.shape[-1])
        return raw

    def back(self, values: Any, original: Any) -> Any:
        """Return `values` (channels last) in the module's own axes; tokens without a place keep their value."""
        import torch

        values = values.to(original.dtype)
        if self.kind == "nchw":
            return values.permute(0, 3, 1, 2)
        if self.kind == "tokens":
            n, (h, w) = values.shape[0], self.grid
            tokens = values.reshape(n, h * w, values.shape[-1])
            head, tail = original[:, : self.prefix], original[:, self.prefix + h * w :]
            return torch.cat([_rows(head, n), tokens, _rows(tail, n)], dim=1)
        return values

    def shape(self, raw_shape: Sequence[int]) -> tuple[int, ...]:
        """Return the shape of one picture's value, channels last."""
        if self.kind == "nchw":
            return (raw_shape[2], raw_shape[3], raw_shape[1])
        if self.kind == "tokens":
            return (*self.grid, raw_shape[-1])
        return tuple(raw_shape[1:])


def _rows(part: Any, n: int) -> Any:
    return part.repeat(n // part.shape[0], *([1] * (part.dim() - 1)))


@dataclass(frozen=True)
class Call:
    """One call of one module during a forward: the module's path, which call of it, and what came out."""

    path: str
    module: str
    index: int
    kind: str
    shape: tuple[int, ...]
    layout: Layout
    parameters: int
    tensor: int


def first_tensor(output: Any) -> Any:
    """Return the first tensor in a module's output, or None."""
    import torch

    if isinstance(output, torch.Tensor):
        return output
    parts: Iterator[Any] = iter(())
    if isinstance(output, dict):
        parts = iter(output.values())
    elif isinstance(output, (tuple, list)):
        parts = iter(output)
    for part in parts:
        found = first_tensor(part)
        if found is not None:
            return found
    return None


def with_first(output: Any, tensor: Any) -> Any:
    """Return a module's output with its first tensor exchanged; the output itself is left as it is."""
    import copy

    import torch

    if isinstance(output, torch.Tensor):
        return tensor
    if isinstance(output, dict):
        changed = copy.copy(output)
        for key, part in output.items():
            if first_tensor(part) is not None:
                changed[key] = with_first(part, tensor)
                return changed
    items = list(output)
    for i, part in enumerate(items):
        if first_tensor(part) is not None:
            items[i] = with_first(part, tensor)
            break
    if isinstance(output, tuple):
        return type(output)(*items) if hasattr(output, "_fields") else tuple(items)
    return items


def layout_of(kind: str, shape: Sequence[int], maps: Sequence[tuple[int, int]], size: tuple[int, int]) -> Layout:
    """Tell how the axes of an output lie from the kind of module, its shape and the maps seen before it."""
    if len(shape) == 4:
        channels_last = any(word in kind for word in ("LayerNorm", "Linear", "Permute")) and "2d" not in kind
        if channels_last or (shape[1] == shape[2] != shape[3] and (shape[1], shape[2]) in maps):
            return Layout("nhwc")
        return Layout("nchw")
    if len(shape) == 3 and shape[1] > 1:
        return token_layout(shape[1], maps, size)
    return Layout("plain")


def token_layout(tokens: int, maps: Sequence[tuple[int, int]], size: tuple[int, int]) -> Layout:
    """Find the grid of `tokens` tokens: a map seen earlier, else the grid with the picture's proportions."""
    for h, w in reversed(maps):
        if h * w > 1 and 0 <= tokens - h * w <= 16:
            return Layout("tokens", (h, w), tokens - h * w)
    for prefix in (0, 1, 2):
        count = tokens - prefix
        h = round(math.sqrt(count * size[0] / size[1])) if count > 1 else 0
        if h > 1 and count % h == 0 and abs(count // h * size[0] - h * size[1]) <= max(size):
            return Layout("tokens", (h, count // h), prefix)
    return Layout("plain")


def default_call(calls: Sequence[Call], output: int) -> tuple[Call | None, str]:
    """Choose the point that methods use unless told otherwise: the last map before pooling, and say why."""
    pooled = {c.tensor for c in calls if any(word in c.kind for word in POOLS)}
    chosen: Call | None = None
    for call in calls:
        h, w = (*call.layout.shape(call.shape), 0, 0)[:2]
        spatial = call.layout.kind != "plain" and h * w > 1 and call.layout.shape(call.shape)[-1] > 1
        if not spatial or call.tensor in pooled or call.tensor == output:
            continue
        if any(word in call.kind for word in PLACELESS):
            continue
        chosen = call
    if chosen is None:
        return None, "no layer of this network keeps places apart"
    h, w, c = chosen.layout.shape(chosen.shape)
    return chosen, f"last feature map before pooling: {h} × {w} places, {c} channels"


def name_calls(calls: Sequence[Call]) -> tuple[Call, ...]:
    """Give every call a path of its own: a module called several times becomes `relu#1`, `relu#2`, …"""
    counts: dict[str, int] = {}
    for call in calls:
        counts[call.module] = max(counts.get(call.module, 0), call.index)
    return tuple(replace(c, path=c.module if counts[c.module] == 1 else f"{c.module}#{c.index}") for c in calls)


def as_layers(calls: Sequence[Call], default: Call | None, reason: str) -> tuple[Layer, ...]:
    """Return the public records of the calls."""
    return tuple(
        Layer(c.path, c.kind, c.layout.shape(c.shape), c.parameters, c is default, reason if c is default else "")
        for c in calls
    )


def find_call(calls: Sequence[Call], path: str) -> Call:
    """Return the call of this name; a bare module name means its last call."""
    for call in reversed(calls):
        if path in (call.path, call.module):
            return call
    wanted = path.replace("/", ".")
    for call in reversed(calls):
        if wanted in (call.path, call.module):
            return call
    if not calls:
        raise ModelError("This network has no layers that can be named.")
    raise unknown("layer", path, [c.path for c in calls], "See `shisen layers` or model.layers.")
