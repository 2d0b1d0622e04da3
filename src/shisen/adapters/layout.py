"""How the axes of a feature map are arranged, and the way to channels last and back, for any array library."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from array_api_compat import array_namespace

EXTRA_TOKENS = 16
"""Most class, distillation and register tokens in front of a grid; more have not been seen."""

Size = tuple[int, int]


@dataclass(frozen=True)
class Layout:
    """The order of the axes of a module's output.

    Attributes:
        kind: "nchw", "nhwc", "tokens" (n, t, c) with a grid, "sequence" (t, n, c) with a grid, "parts" (windows
            of one image along the first axis), or "plain" (anything else).
        grid: `(h, w)` of the tokens.
        prefix: number of leading tokens without a spatial position (class, distillation, registers).
        parts: number of windows an image is cut into.
    """

    kind: str
    grid: Size = (0, 0)
    prefix: int = 0
    parts: int = 1

    @property
    def map(self) -> bool:
        """Whether the value comes back as a map, `(n, h, w, c)`."""
        return self.kind in ("nchw", "nhwc", "tokens", "sequence")

    def last(self, raw: Any, xp: Any = None) -> Any:
        """Return the value channels last.

        Args:
            raw: in the module's own axes.
            xp: where `permute_dims` and `reshape` are looked up; the array's own namespace if None.

        Returns:
            `(n, h, w, c)`, or `(n, ...)` as it is.
        """
        if self.kind in ("nhwc", "plain"):
            return raw
        xp = array_namespace(raw) if xp is None else xp
        if self.kind == "nchw":
            return xp.permute_dims(raw, (0, 2, 3, 1))
        if self.kind == "parts":  # no map: tokens window by window
            return xp.reshape(raw, (raw.shape[0] // self.parts, -1, raw.shape[-1]))
        raw = xp.permute_dims(raw, (1, 0, 2)) if self.kind == "sequence" else raw
        h, w = self.grid
        return xp.reshape(raw[:, self.prefix : self.prefix + h * w], (-1, h, w, raw.shape[-1]))

    def back(self, values: Any, original: Any, xp: Any = None) -> Any:
        """Return `values` in the module's own axes.

        Args:
            values: channels last, of the type of `original`.
            original: what the module returned for one image or for as many as there are values; tokens without a
                spatial position keep its value.
            xp: where `permute_dims`, `reshape`, `concat` and `zeros_like` are looked up; as for `last`.
        """
        if self.kind in ("nhwc", "plain"):
            return values
        xp = array_namespace(values) if xp is None else xp
        if self.kind == "nchw":
            return xp.permute_dims(values, (0, 3, 1, 2))
        if self.kind == "parts":
            return xp.reshape(values, (-1, *original.shape[1:]))
        turned = self.kind == "sequence"
        original = xp.permute_dims(original, (1, 0, 2)) if turned else original
        end = self.prefix + self.grid[0] * self.grid[1]
        tokens = xp.reshape(values, (-1, end - self.prefix, values.shape[-1]))
        rows = xp.zeros_like(tokens[:, :1, :1])  # repeats what one image has beside the grid for many values
        parts = [original[:, : self.prefix], tokens, original[:, end:]]
        whole = xp.concat([p if p is tokens else p + rows for p in parts if p.shape[1]], axis=1)
        return xp.permute_dims(whole, (1, 0, 2)) if turned else whole

    def shape(self, raw_shape: Sequence[int]) -> tuple[int, ...]:
        """Return the shape of one image's value, channels last."""
        if self.kind == "nchw":
            return (raw_shape[2], raw_shape[3], raw_shape[1])
        if self.kind in ("tokens", "sequence"):
            return (*self.grid, raw_shape[-1])
        if self.kind == "parts":
            return (math.prod(raw_shape[:-1]), raw_shape[-1])
        return tuple(raw_shape[1:])


def is_map(cells: Size, maps: Sequence[Size], size: Size) -> bool:
    """Return whether `cells` can be the height and width of a feature map: seen before, or a reduction of one.

    Args:
        cells: two lengths of axes.
        maps: heights and widths of the maps so far.
        size: `(h, w)` of the image.
    """
    if not maps:
        return cells[0] * cells[1] > 1 and abs(cells[1] * size[0] - cells[0] * size[1]) <= max(size)
    return any(cells == (-(-h // k), -(-w // k)) for h, w in set(maps) for k in (1, 2, 4))


def token_layout(tokens: int, maps: Sequence[Size], size: Size) -> Layout:
    """Find the grid of `tokens` tokens: a map seen before or its reduction, else the image's proportions.

    Args:
        tokens: their number.
        maps: heights and widths of the maps so far.
        size: `(h, w)` of the image.

    Returns:
        The layout.
    """
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
