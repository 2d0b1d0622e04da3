"""What a torch network consists of: every module call of one forward, its shape and how its axes lie."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..errors import ModelError, unknown
from ..types import Layer

POOLS = ("Pool",)
PLACELESS = ("Pool", "Dropout", "Flatten", "Identity", "Upsample", "DropPath", "Permute", "SwapAxes")
EXTRA_TOKENS = 16  # class, distillation and register tokens: more than these have not been seen in front of a grid

Size = tuple[int, int]


@dataclass(frozen=True)
class Layout:
    """How the axes of a module's output lie, and the way to channels last and back.

    Attributes:
        kind: "nchw", "nhwc", "tokens" (n, t, c) with a grid, "sequence" (t, n, c) with a grid, "parts" (windows
            of one image along the first axis), or "plain" (anything else).
        grid: `(h, w)` of the tokens.
        prefix: number of leading tokens without a place (class, distillation, registers).
        parts: number of windows an image is cut into.
    """

    kind: str
    grid: tuple[int, int] = (0, 0)
    prefix: int = 0
    parts: int = 1

    @property
    def map(self) -> bool:
        """Whether the value comes back as a map, `(n, h, w, c)`."""
        return self.kind in ("nchw", "nhwc", "tokens", "sequence")

    def last(self, raw: Any) -> Any:
        """Return the value channels last: `(n, h, w, c)`, or `(n, ...)` as it is."""
        if self.kind == "nchw":
            return raw.permute(0, 2, 3, 1)
        if self.kind == "sequence":
            raw = raw.transpose(0, 1)
        if self.kind in ("tokens", "sequence"):
            h, w = self.grid
            return raw[:, self.prefix : self.prefix + h * w].reshape(raw.shape[0], h, w, raw.shape[-1])
        if self.kind == "parts":
            return raw.reshape(raw.shape[0] // self.parts, -1, raw.shape[-1])  # no map: places window by window
        return raw

    def back(self, values: Any, original: Any) -> Any:
        """Return `values` (channels last) in the module's own axes; tokens without a place keep their value."""
        import torch

        values = values.to(original.dtype)
        if self.kind == "nchw":
            return values.permute(0, 3, 1, 2)
        if self.kind == "sequence":
            turned = replace(self, kind="tokens").back(values, original.transpose(0, 1))
            return turned.transpose(0, 1)
        if self.kind == "tokens":
            n, (h, w) = values.shape[0], self.grid
            tokens = values.reshape(n, h * w, values.shape[-1])
            head, tail = original[:, : self.prefix], original[:, self.prefix + h * w :]
            return torch.cat([_rows(head, n), tokens, _rows(tail, n)], dim=1)
        if self.kind == "parts":
            return values.reshape(-1, *original.shape[1:])
        return values

    def shape(self, raw_shape: Sequence[int]) -> tuple[int, ...]:
        """Return the shape of one image's value, channels last."""
        if self.kind == "nchw":
            return (raw_shape[2], raw_shape[3], raw_shape[1])
        if self.kind in ("tokens", "sequence"):
            return (*self.grid, raw_shape[-1])
        if self.kind == "parts":
            return (math.prod(raw_shape[:-1]), raw_shape[-1])
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
    bundled: bool = False  # the output holds more than this tensor, and the network may read the rest


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


def is_map(cells: Size, maps: Sequence[Size], size: Size) -> bool:
    """Tell whether `cells` can be the height and width of a feature map: seen before, or a reduction of one."""
    if not maps:
        return cells[0] * cells[1] > 1 and abs(cells[1] * size[0] - cells[0] * size[1]) <= max(size)
    return any(cells == (-(-h // k), -(-w // k)) for h, w in set(maps) for k in (1, 2, 4))


def token_layout(tokens: int, maps: Sequence[Size], size: Size) -> Layout:
    """Find the grid of `tokens` tokens: a map seen before or its reduction, else the image's proportions."""
    for k in (1, 2, 4):
        for h, w in reversed(maps):
            grid = (-(-h // k), -(-w // k))
            extra = tokens - grid[0] * grid[1]
            if grid[0] * grid[1] > max(1, extra) and 0 <= extra <= (EXTRA_TOKENS if k == 1 else 0):
                return Layout("tokens", grid, extra)
    if maps:
        return Layout("plain")
    fitting = []
    for prefix in (0, 1, 2, 5):
        count = tokens - prefix
        h = round(math.sqrt(count * size[0] / size[1])) if count > 1 else 0
        if h > 1 and count % h == 0:
            skew = abs(count // h * size[0] - h * size[1])
            fitting.append((skew, prefix, (h, count // h)))
    if not fitting or min(fitting)[0] > max(size):
        return Layout("plain")
    _, prefix, grid = min(fitting)
    return Layout("tokens", grid, prefix)


def default_call(calls: Sequence[Call], output: int) -> tuple[Call | None, str]:
    """Choose the point that methods use unless told otherwise: the last map before pooling, and say why."""
    candidates = default_candidates(calls, output)
    if not candidates:
        return None, "no layer of this network keeps places apart"
    h, w, c = candidates[-1].layout.shape(candidates[-1].shape)
    return candidates[-1], f"last feature map before pooling: {h} × {w} places, {c} channels"


def default_candidates(calls: Sequence[Call], output: int) -> list[Call]:
    """Return the calls that could be the default point, in forward order."""
    pooled = {c.tensor for c in calls if any(word in c.kind for word in POOLS)}
    found = []
    for call in calls:
        h, w = (*call.layout.shape(call.shape), 0, 0)[:2]
        spatial = call.layout.map and not call.bundled and h * w > 1 and call.layout.shape(call.shape)[-1] > 1
        if not spatial or call.tensor in pooled or call.tensor == output:
            continue
        if not any(word in call.kind for word in PLACELESS):
            found.append(call)
    return found


def token_candidates(calls: Sequence[Call]) -> list[Call]:
    """Return the candidates of a token network that are as wide as its last: no queries, keys or hidden layers."""
    plain = [c for c in calls if "Linear" not in c.kind]
    return [c for c in plain if c.shape[-1] == plain[-1].shape[-1]]


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
