"""The attention of every head of every layer for one image, over the whole image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .attention_result import AttentionResult, Map, SliderLayer


@dataclass(frozen=True, eq=False)
class Heads(AttentionResult):
    """The attention of every head for one image.

    Attributes:
        values: `(layers, heads, queries, keys)`, rows summing to 1.
        rollout: `(layers, queries, keys)`: attention through all layers up to this one, Abnar and Zuidema 2020.
        grid: `(h, w)` of the keys with a position in the image.
        prefix: number of leading tokens without a position, such as the class token.
    """

    values: Map
    rollout: Map
    grid: tuple[int, int]
    prefix: int
    summaries = ("mean", "rollout")

    @property
    def query(self) -> str:
        """Whose attention is shown first: "class_token", or "mean" of all positions where there is none."""
        return "class_token" if self.prefix else "mean"

    def seen_from(self, rows: Map, query: int | None = None) -> Map:
        """Return the attention of a token to each position, `(…, h, w)`.

        Args:
            rows: `(…, queries, keys)`, such as `values` or `rollout`.
            query: number of the token; None for the class token, or the mean of all positions where there is none.
        """
        reader = rows[..., 0, :] if self.prefix else rows.mean(axis=-2)
        row = reader if query is None else rows[..., query, :]
        h, w = self.grid
        positions: Map = row[..., self.prefix : self.prefix + h * w].reshape(*row.shape[:-1], h, w)
        return positions

    @property
    def rows(self) -> list[list[Map]]:
        heads, mean = self.seen_from(self.values), self.seen_from(self.values.mean(axis=1))
        return [[*own, m, r] for own, m, r in zip(heads, mean, self.seen_from(self.rollout), strict=True)]

    @property
    def sizes(self) -> dict[str, Any]:
        return {"heads": int(self.values.shape[1]), "grid": list(self.grid), "prefix_tokens": self.prefix}

    def slider_layers(self) -> list[SliderLayer]:
        """Return what the page with sliders holds, layer by layer."""
        mean = self.values.mean(axis=1, keepdims=True)
        every = np.concatenate([self.values, mean, self.rollout[:, None]], axis=1)
        count = self.grid[0] * self.grid[1]
        positions = slice(self.prefix, self.prefix + count)
        everywhere, window = np.arange(count, dtype=np.int64)[None], np.zeros(count, np.int64)
        return [
            SliderLayer(
                grid=self.grid,
                heads=int(self.values.shape[1]),
                first=self.seen_from(layer).reshape(len(layer), count),
                own=layer[:, positions, positions],
                members=everywhere,
                window=window,
            )
            for layer in every
        ]
