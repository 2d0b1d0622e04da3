"""How the axes of a feature map are arranged, and the way to channels last and back, for any array library."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from array_api_compat import array_namespace

EXTRA_TOKENS = 16
"""Most class, distillation and register tokens in front of a grid; more have not been seen."""

Size = tuple[int, ...]
"""Lengths of the axes of positions: (h, w) of an image, (d, h, w) of a volume or video, (length,) of a signal."""


@dataclass(frozen=True)
class Layout:
    """The order of the axes of a module's output, for one, two or three axes of positions.

    Attributes:
        kind: "channels_first" (n, c, *positions), "channels_last" (n, *positions, c), "tokens" (n, t, c) with a grid,
            "sequence" (t, n, c) with a grid, "parts" (windows of one image along the first axis), or "plain" (anything
            else).
        grid: positions of the tokens, such as `(h, w)`.
        prefix: number of leading tokens without a spatial position (class, distillation, registers).
        parts: number of windows an image is cut into.
        frames: number of frames or views of one input that are folded into the batch, (n·frames, …) of the kind above;
            0 for none.
        outer: whether the frames come first, (frames·n, …): all inputs' first frames, then all second ones.
    """

    kind: str
    grid: Size = (0, 0)
    prefix: int = 0
    parts: int = 1
    frames: int = 0
    outer: bool = False

    @property
    def map(self) -> bool:
        """Whether the value comes back as a map, `(n, *positions, c)`."""
        return self.kind in ("channels_first", "channels_last", "tokens", "sequence")

    def last(self, raw: Any, xp: Any = None) -> Any:
        """Return the value channels last.

        Args:
            raw: in the module's own axes.
            xp: where `permute_dims` and `reshape` are looked up; the array's own namespace if None.

        Returns:
            `(n, *positions, c)`, or `(n, ...)` as it is.
        """
        if self.frames:
            xp = array_namespace(raw) if xp is None else xp
            each = replace(self, frames=0).last(raw, xp)
            if self.outer:
                return _swapped(xp, xp.reshape(each, (self.frames, -1, *each.shape[1:])))
            return xp.reshape(each, (-1, self.frames, *each.shape[1:]))
        if self.kind in ("channels_last", "plain"):
            return raw
        xp = array_namespace(raw) if xp is None else xp
        if self.kind == "channels_first":
            return xp.permute_dims(raw, (0, *range(2, len(raw.shape)), 1))
        if self.kind == "parts":  # no map: tokens window by window
            return xp.reshape(raw, (raw.shape[0] // self.parts, -1, raw.shape[-1]))
        raw = xp.permute_dims(raw, (1, 0, 2)) if self.kind == "sequence" else raw
        tokens = raw[:, self.prefix : self.prefix + math.prod(self.grid)]
        return xp.reshape(tokens, (-1, *self.grid, raw.shape[-1]))

    def back(self, values: Any, original: Any, xp: Any = None) -> Any:
        """Return `values` in the module's own axes.

        Args:
            values: channels last, of the type of `original`.
            original: what the module returned for one image or for as many as there are values; tokens without a
                spatial position keep its value.
            xp: where `permute_dims`, `reshape`, `concat` and `zeros_like` are looked up; as for `last`.
        """
        if self.frames:
            xp = array_namespace(values) if xp is None else xp
            count = values.shape[0] if isinstance(values.shape[0], int) else 1
            if self.prefix and original.shape[0] == self.frames < count * self.frames:  # of one input for many values
                original = xp.concat([original] * count, axis=0)
            each = _swapped(xp, values) if self.outer else values
            return replace(self, frames=0).back(xp.reshape(each, (-1, *values.shape[2:])), original, xp)
        if self.kind in ("channels_last", "plain"):
            return values
        xp = array_namespace(values) if xp is None else xp
        if self.kind == "channels_first":
            rank = len(values.shape) - 2
            return xp.permute_dims(values, (0, rank + 1, *range(1, rank + 1)))
        if self.kind == "parts":
            return xp.reshape(values, (-1, *original.shape[1:]))
        turned = self.kind == "sequence"
        original = xp.permute_dims(original, (1, 0, 2)) if turned else original
        end = self.prefix + math.prod(self.grid)
        tokens = xp.reshape(values, (-1, end - self.prefix, values.shape[-1]))
        rows = xp.zeros_like(tokens[:, :1, :1])  # repeats what one image has beside the grid for many values
        parts = [original[:, : self.prefix], tokens, original[:, end:]]
        whole = xp.concat([p if p is tokens else p + rows for p in parts if p.shape[1]], axis=1)
        return xp.permute_dims(whole, (1, 0, 2)) if turned else whole

    def shape(self, raw_shape: Sequence[int]) -> tuple[int, ...]:
        """Return the shape of one image's value, channels last."""
        if self.frames:
            return (self.frames, *replace(self, frames=0).shape(raw_shape))
        if self.kind == "channels_first":
            return (*raw_shape[2:], raw_shape[1])
        if self.kind in ("tokens", "sequence"):
            return (*self.grid, raw_shape[-1])
        if self.kind == "parts":
            return (math.prod(raw_shape[:-1]), raw_shape[-1])
        return tuple(raw_shape[1:])


def _swapped(xp: Any, values: Any) -> Any:
    """Return the values with their first two axes exchanged."""
    return xp.permute_dims(values, (1, 0, *range(2, len(values.shape))))


def is_map(cells: Size, maps: Sequence[Size], size: Size) -> bool:
    """Return whether `cells` can be the positions of a feature map: seen before, or a reduction of one.

    Args:
        cells: lengths of axes.
        maps: positions of the maps so far.
        size: `(h, w)` of the image, or as many axes as the input has.
    """
    if not maps:
        if len(size) != 2 or len(cells) != 2:  # time and depth are often reduced otherwise than height and width
            return (
                len(cells) == len(size)
                and math.prod(cells) > 1
                and all(c <= s for c, s in zip(cells, size, strict=True))
            )
        return cells[0] * cells[1] > 1 and abs(cells[1] * size[0] - cells[0] * size[1]) <= max(size)
    if len(size) != 2:
        seen = {m for m in maps if len(m) == len(cells)}
        return any(all(any(c == -(-s // k) for k in (1, 2, 4)) for c, s in zip(cells, m, strict=True)) for m in seen)
    return any(cells == (-(-h // k), -(-w // k)) for h, w in set(maps) for k in (1, 2, 4))


def token_layout(tokens: int, maps: Sequence[Size], size: Size) -> Layout:
    """Find the grid of `tokens` tokens: a map seen before or its reduction, else the image's proportions.

    Args:
        tokens: their number.
        maps: positions of the maps so far.
        size: `(h, w)` of the image, or as many axes as the input has.

    Returns:
        The layout.
    """
    for k in (1, 2, 4):
        for positions in reversed(maps):
            grid = tuple(-(-side // k) for side in positions)
            count = math.prod(grid)
            extra = tokens - count
            if count > max(1, extra) and 0 <= extra <= (EXTRA_TOKENS if k == 1 else 0):
                return Layout("tokens", grid, extra)
    if maps:
        return Layout("plain")
    fitting = []
    for prefix in (0, 1, 2, 5):
        grid = _proportional(tokens - prefix, size)
        if grid:
            fitting.append((abs(grid[1] * size[0] - grid[0] * size[1]) if len(grid) == 2 else 0, prefix, grid))
    if not fitting or min(fitting)[0] > max(size):
        return Layout("plain")
    _, prefix, grid = min(fitting)
    return Layout("tokens", grid, prefix)


def _proportional(count: int, size: Size) -> Size:
    """Return the grid of `count` patches that has nearly the proportions of the input; empty if there is none."""
    if len(size) == 1:
        return (count,) if count > 1 and size[0] % count == 0 else ()
    if len(size) == 2:
        h = round(math.sqrt(count * size[0] / size[1])) if count > 1 else 0
        return (h, count // h) if h > 1 and count % h == 0 else ()
    for depth in sorted((d for d in range(1, size[0] + 1) if size[0] % d == 0 and count % d == 0), reverse=True):
        plane = _proportional(count // depth, size[1:])
        if plane and all(side % cells == 0 for side, cells in zip(size[1:], plane, strict=True)):
            return (depth, *plane)
    return ()
