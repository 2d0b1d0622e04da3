"""One self-contained HTML page with a slider for the layer and one for the head."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..render.colours import table
from ..render.files import write_atomically
from ..render.overlay import displayable
from .page import data_address, render

if TYPE_CHECKING:
    from .heads import Heads

SHOWN = 560  # pixels of the picture's longer side
MOST = 24_000_000  # bytes of attention that a page carries; beyond, only what the answer is read from


def write(heads: Heads, path: Path) -> Path:
    """Write the page: the picture with the attention of one head over it; a click on a place asks from there.

    Args:
        heads: what to show.
        path: where.

    Raises:
        MissingDependency: without jinja2.
    """
    left, top, right, bottom = (round(v) for v in heads.frame.box)
    picture = Image.fromarray(displayable(heads.picture.pixels)).crop((left, top, right, bottom)).convert("RGB")
    h, w = heads.frame.size
    scale = SHOWN / max(h, w)
    maps, strongest = _packed(heads)
    html = render(
        "heads.html",
        title=Path(heads.picture.source).name,
        model=heads.model,
        picture=data_address(picture.resize((round(w * scale), round(h * scale))), quality=88),
        size=[round(w * scale), round(h * scale)],
        layers=[layer.removesuffix(".attention") for layer in heads.layers],
        heads=int(heads.values.shape[1]),
        grid=list(heads.grid),
        queries=int(maps.shape[2]),
        reader="the class token" if heads.prefix else "the mean of all places",
        data=base64.b64encode(maps.tobytes()).decode(),
        tops=base64.b64encode(strongest.tobytes()).decode(),
        colours=base64.b64encode(np.ascontiguousarray(table("inferno")[:, :3]).tobytes()).decode(),
    )
    write_atomically(path, html.encode())
    return path


def _packed(heads: Heads) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Return `(layers, heads + 2, queries, places)` bytes, 255 the largest of each map, and those largest values.

    Behind the heads come their mean and the rollout. The first query is what the answer is read from.
    """
    every = np.concatenate([heads.values, heads.values.mean(axis=1, keepdims=True), heads.rollout[:, None]], axis=1)
    count = heads.grid[0] * heads.grid[1]
    whole = every.shape[0] * every.shape[1] * (count + 1) * count <= MOST
    queries = [heads.seen_from(every)]
    if whole:
        queries += [heads.seen_from(every, heads.prefix + q) for q in range(count)]
    stacked = np.stack(queries, axis=2).reshape(*every.shape[:2], len(queries), count)
    top = stacked.max(axis=-1)
    scaled = np.rint(stacked / np.where(top > 0, top, 1)[..., None] * 255).astype(np.uint8)
    return scaled, top.astype("<f4")
