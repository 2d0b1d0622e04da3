"""The attention of every head of a network with windows, such as Swin, for one image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .attention_result import AttentionResult, Map, SliderLayer


@dataclass(frozen=True, eq=False)
class WindowHeads(AttentionResult):
    """The attention of every head of a network with windows for one image.

    Attributes:
        maps: one `(heads, h, w)` per layer: what each position receives from the positions of its window, 1 on average
            where windows are full; the grid and the number of heads differ from stage to stage.
        values: one `(windows, heads, queries, keys)` per layer, rows summing to 1.
        positions: one `(windows, keys)` per layer: positions of the keys in the flattened grid; −1 for padding.
    """

    maps: tuple[Map, ...]
    values: tuple[Map, ...]
    positions: tuple[npt.NDArray[np.int64], ...]
    summaries = ("mean",)

    @property
    def query(self) -> str:
        """Whose attention is shown first: "window", what each position receives within its window."""
        return "window"

    @property
    def rows(self) -> list[list[Map]]:
        return [[*maps, maps.mean(axis=0)] for maps in self.maps]

    @property
    def sizes(self) -> dict[str, Any]:
        return {"heads": [len(maps) for maps in self.maps], "grid": [list(maps.shape[1:]) for maps in self.maps]}

    def slider_layers(self) -> list[SliderLayer]:
        """Return what the page with sliders holds, layer by layer."""
        return [_in_windows(*one) for one in zip(self.maps, self.values, self.positions, strict=True)]


def _in_windows(maps: Map, values: Map, positions: npt.NDArray[np.int64]) -> SliderLayer:
    """Return a layer with windows from what each position receives, its attention, and the positions of the keys."""
    heads, h, w = maps.shape
    window, key = np.nonzero(positions >= 0)
    here = positions[window, key]
    of, at = np.zeros((2, h * w), np.int64)
    of[here], at[here] = window, key  # every position lies in one window
    own = values[of, :, at].swapaxes(0, 1)  # (heads, positions, k)
    own = np.where(positions[of][None] >= 0, own, 0)
    flat = maps.reshape(heads, h * w)
    return SliderLayer(
        grid=(h, w),
        heads=heads,
        first=np.concatenate([flat, flat.mean(axis=0, keepdims=True)]),
        own=np.concatenate([own, own.mean(axis=0, keepdims=True)]),
        members=positions,
        window=of,
    )
