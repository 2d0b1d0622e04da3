"""One self-contained HTML page with a slider for the layer and one for the head."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from .._core.html import data_uri, render
from ..types import Frame, InputImage
from ..viz.colormap import table
from .attention_sheet import seen_part

Map = npt.NDArray[np.float32]
SHOWN = 560  # pixels of the image's longer side
MOST = 24_000_000  # bytes of attention in a page; beyond, only what is shown before a position is chosen


@dataclass(frozen=True)
class SliderLayer:
    """What the page holds of one layer. Columns are the heads, their mean, and the rollout where there is one.

    Attributes:
        grid: `(h, w)`.
        heads: number of heads.
        first: `(columns, h·w)`: what is shown before a position is chosen.
        own: `(columns, h·w, k)`: the attention of each position to the k positions of its window.
        members: `(windows, k)`: these positions in the flattened grid; −1 for none.
        window: `(h·w,)`: the window of each position.
    """

    grid: tuple[int, int]
    heads: int
    first: Map
    own: Map
    members: npt.NDArray[np.int64]
    window: npt.NDArray[np.int64]

    def packed(self, whole: bool) -> dict[str, Any]:
        """Return plain data: maps as bytes, 255 the maximum of each, and these maxima."""
        (first, firsts), (own, owns) = _bytes(self.first), _bytes(self.own if whole else self.own[:, :0])
        arrays: dict[str, npt.NDArray[Any]] = {
            "first": first,
            "firsts": firsts,
            "own": own,
            "owns": owns,
            "members": self.members.astype("<i4"),
            "window": self.window.astype("<i4"),
        }
        plain = {"grid": list(self.grid), "heads": self.heads, "near": int(self.members.shape[1])}
        return {**plain, **{k: base64.b64encode(v.tobytes()).decode() for k, v in arrays.items()}}


class AttentionMaps(Protocol):
    """What the page shows; see `attention_heads.Heads`."""

    @property
    def image(self) -> InputImage: ...
    @property
    def frame(self) -> Frame: ...
    @property
    def layers(self) -> tuple[str, ...]: ...
    @property
    def model(self) -> str: ...
    @property
    def query(self) -> str: ...
    def slider_layers(self) -> Sequence[SliderLayer]: ...


def page(heads: AttentionMaps, lang: str = "en", max_bytes: int | None = None) -> str:
    """Return the page: the image with the attention of one head over it; a click chooses the position that attends.

    Args:
        heads: the attention maps.
        lang: code of the page's language.
        max_bytes: attention above this size is reduced to what is shown before a position is chosen.

    Raises:
        UnknownName: for an unknown language.
        MissingDependency: without jinja2.
    """
    layers = heads.slider_layers()
    whole = sum(layer.own.size for layer in layers) <= (MOST if max_bytes is None else max_bytes)
    image = seen_part(heads.image, heads.frame, SHOWN)
    return render(
        "shisen.inspect",
        "attention.html",
        lang,
        extra="inside",
        title=Path(heads.image.source).name,
        model=heads.model,
        counts=_counts(layers),
        image=data_uri(image, "webp", quality=88, method=2),
        size=list(image.size),
        layers=[layer.removesuffix(".attention") for layer in heads.layers],
        sheets=[layer.packed(whole) for layer in layers],
        query=heads.query,
        selectable=whole,
        colors=base64.b64encode(np.ascontiguousarray(table("inferno")[:, :3]).tobytes()).decode(),
    )


def _bytes(maps: Map) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    top = maps.max(axis=-1) if maps.size else maps.sum(axis=-1)
    return np.rint(maps / np.where(top > 0, top, 1)[..., None] * 255).astype(np.uint8), top.astype("<f4")


def _counts(layers: Sequence[SliderLayer]) -> Mapping[str, Any]:
    fewest, most = min(layer.heads for layer in layers), max(layer.heads for layer in layers)
    grids = dict.fromkeys(f"{layer.grid[0]} × {layer.grid[1]}" for layer in layers)
    return {
        "layers": len(layers),
        "heads": f"{fewest}" if fewest == most else f"{fewest}–{most}",
        "grids": ", ".join(grids),
    }
