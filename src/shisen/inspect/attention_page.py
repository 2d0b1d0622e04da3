"""One self-contained HTML page with a slider for the layer and one for the head."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .._core.html import data_uri, render
from ..viz.colormap import table
from .attention_result import AttentionResult, SliderLayer
from .attention_sheet import seen_part

SHOWN = 560  # pixels of the image's longer side
MOST = 24_000_000  # bytes of attention in a page; beyond, only what is shown before a position is chosen


def page(heads: AttentionResult, lang: str = "en", max_bytes: int | None = None) -> str:
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


def _counts(layers: Sequence[SliderLayer]) -> Mapping[str, Any]:
    fewest, most = min(layer.heads for layer in layers), max(layer.heads for layer in layers)
    grids = dict.fromkeys(f"{layer.grid[0]} × {layer.grid[1]}" for layer in layers)
    return {
        "layers": len(layers),
        "heads": f"{fewest}" if fewest == most else f"{fewest}–{most}",
        "grids": ", ".join(grids),
    }
