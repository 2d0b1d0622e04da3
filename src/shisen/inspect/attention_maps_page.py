"""One self-contained HTML page with a slider for the layer and one for the head."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from .._core.io import write_file
from .._core.writers import writer
from ..errors import unknown
from ..viz.colormap import table
from ..viz.files import save_image
from ..viz.overlay import displayable
from .attention_maps_words import WORDS
from .page import data_address, render

if TYPE_CHECKING:
    from .attention_maps import Heads, WindowHeads

Map = npt.NDArray[np.float32]
SHOWN = 560  # pixels of the image's longer side
MOST = 24_000_000  # bytes of attention that a page carries; beyond, only what is shown before a place is asked from


@dataclass(frozen=True)
class Sheet:
    """What the page holds of one layer. Columns are the heads, their mean, and the rollout where there is one.

    Attributes:
        grid: `(h, w)`.
        heads: how many.
        first: `(columns, h·w)`: what is shown before a place is asked from.
        own: `(columns, h·w, k)`: what each place takes from the k places of its window.
        members: `(windows, k)`: where those lie; −1 for none.
        window: `(h·w,)`: the window of each place.
    """

    grid: tuple[int, int]
    heads: int
    first: Map
    own: Map
    members: npt.NDArray[np.int64]
    window: npt.NDArray[np.int64]

    def packed(self, whole: bool) -> dict[str, Any]:
        """Return plain data: maps as bytes, 255 the largest of each, and those largest values."""
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


@writer("Heads", ".png", ".jpg", ".jpeg", ".webp")
@writer("WindowHeads", ".png", ".jpg", ".jpeg", ".webp")
def write_sheet(heads: Heads | WindowHeads, path: Path, lang: str = "en") -> Path:
    """Write the sheet with its manifest; it holds no words, so that `lang` changes nothing."""
    return save_image(heads.sheet(), path, heads.manifest())


@writer("Heads", ".html")
@writer("WindowHeads", ".html")
def write(heads: Heads | WindowHeads, path: Path, lang: str = "en") -> Path:
    """Write the page: the image with the attention of one head over it; a click on a place asks from there.

    Args:
        heads: what to show.
        path: where.
        lang: "en" or "ja".

    Raises:
        InputError: for another language.
        MissingDependency: without jinja2.
    """
    write_file(path, page(heads, lang))
    return path


def page(heads: Heads | WindowHeads, lang: str = "en", most: int | None = None) -> str:
    """Return what `write` writes; with more than `most` bytes of attention, only what is shown first."""
    if lang not in WORDS:
        raise unknown("language", lang, WORDS)
    left, top, right, bottom = (round(v) for v in heads.frame.box)
    image = Image.fromarray(displayable(heads.image.pixels)).crop((left, top, right, bottom)).convert("RGB")
    h, w = heads.frame.size
    scale = SHOWN / max(h, w)
    sheets = sheets_of(heads)
    whole = sum(sheet.own.size for sheet in sheets) <= (MOST if most is None else most)
    words = WORDS[lang]
    return render(
        "heads.html",
        lang=lang,
        words=words,
        title=Path(heads.image.source).name,
        about=words["about"].format(model=heads.model, **_counts(sheets)),
        image=data_address(image.resize((round(w * scale), round(h * scale))), quality=88),
        size=[round(w * scale), round(h * scale)],
        layers=[layer.removesuffix(".attention") for layer in heads.layers],
        sheets=[sheet.packed(whole) for sheet in sheets],
        kind=_kind(heads),
        asks=whole,
        colors=base64.b64encode(np.ascontiguousarray(table("inferno")[:, :3]).tobytes()).decode(),
    )


def sheets_of(heads: Heads | WindowHeads) -> list[Sheet]:
    """Return what the page holds, layer by layer."""
    from .attention_maps import WindowHeads

    if isinstance(heads, WindowHeads):
        return [_windowed(*one) for one in zip(heads.maps, heads.values, heads.places, strict=True)]
    every = np.concatenate([heads.values, heads.values.mean(axis=1, keepdims=True), heads.rollout[:, None]], axis=1)
    count = heads.grid[0] * heads.grid[1]
    places = slice(heads.prefix, heads.prefix + count)
    everywhere = np.arange(count, dtype=np.int64)[None]
    return [
        Sheet(
            heads.grid,
            int(heads.values.shape[1]),
            heads.seen_from(layer).reshape(len(layer), count),
            layer[:, places, places],
            everywhere,
            np.zeros(count, np.int64),
        )
        for layer in every
    ]


def _windowed(maps: Map, values: Map, places: npt.NDArray[np.int64]) -> Sheet:
    """Return a layer with windows from what each place receives, what it takes, and where it lies."""
    heads, h, w = maps.shape
    window, key = np.nonzero(places >= 0)
    here = places[window, key]
    of, at = np.zeros((2, h * w), np.int64)
    of[here], at[here] = window, key  # every place lies in one window
    own = values[of, :, at].swapaxes(0, 1)  # (heads, places, k)
    own = np.where(places[of][None] >= 0, own, 0)
    flat = maps.reshape(heads, h * w)
    return Sheet(
        (h, w),
        heads,
        np.concatenate([flat, flat.mean(axis=0, keepdims=True)]),
        np.concatenate([own, own.mean(axis=0, keepdims=True)]),
        places,
        of,
    )


def _bytes(maps: Map) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    top = maps.max(axis=-1) if maps.size else maps.sum(axis=-1)
    return np.rint(maps / np.where(top > 0, top, 1)[..., None] * 255).astype(np.uint8), top.astype("<f4")


def _kind(heads: Heads | WindowHeads) -> str:
    return {"class_token": "class", "mean": "mean", "window": "places"}[heads.manifest()["query"]]


def _counts(sheets: list[Sheet]) -> Mapping[str, Any]:
    fewest, most = min(s.heads for s in sheets), max(s.heads for s in sheets)
    grids = list(dict.fromkeys(f"{s.grid[0]} × {s.grid[1]}" for s in sheets))
    heads = f"{fewest}" if fewest == most else f"{fewest}–{most}"
    return {"layers": len(sheets), "heads": heads, "grids": ", ".join(grids)}
