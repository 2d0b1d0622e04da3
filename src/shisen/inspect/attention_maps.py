"""Where every head of every layer looks: layers × heads, with the rollout beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from .._core.writers import write
from ..attribution.attention import attention_of, global_attention, on_grid
from ..errors import InputError, explain_error
from ..models.model import Model
from ..targets import to_numpy
from ..types import Attention, Frame, InputImage
from ..viz.overlay import displayable, overlay
from ..viz.scale import place
from ..viz.text import font

Map = npt.NDArray[np.float32]
CELL = 112  # pixels of a head's longer side on the sheet
GAP = 4
INK, SOFT, PAPER = (34, 34, 34), (107, 107, 107), (255, 255, 255)


@dataclass(frozen=True, eq=False)
class Heads:
    """The attention of every head for one image.

    Attributes:
        image: what was shown.
        frame: which part of it the network saw.
        layers: the attention's paths, in forward order.
        values: `(layers, heads, queries, keys)`, rows summing to 1.
        rollout: `(layers, queries, keys)`: attention through all layers up to this one, Abnar and Zuidema 2020.
        grid: `(h, w)` of the keys with a place.
        prefix: number of leading tokens without a place.
        model: the network's name.
    """

    image: InputImage
    frame: Frame
    layers: tuple[str, ...]
    values: Map
    rollout: Map
    grid: tuple[int, int]
    prefix: int
    model: str

    def seen_from(self, rows: Map, query: int | None = None) -> Map:
        """Return what a token takes from each place, `(…, h, w)`.

        Args:
            rows: `(…, queries, keys)`, such as `values` or `rollout`.
            query: number of the token; None for the class token, or the mean of all places where there is none.
        """
        reader = rows[..., 0, :] if self.prefix else rows.mean(axis=-2)
        row = reader if query is None else rows[..., query, :]
        h, w = self.grid
        places: Map = row[..., self.prefix : self.prefix + h * w].reshape(*row.shape[:-1], h, w)
        return places

    def sheet(self, colormap: str = "inferno", alpha: float = 0.65) -> Image.Image:
        """Draw one small image a head, one row a layer; at the right the mean of the heads and the rollout.

        Each map is drawn from 0 to its own largest value, over the part of the image that the network saw.
        """
        heads, mean, rolled = self.seen_from(self.values), self.values.mean(axis=1), self.seen_from(self.rollout)
        rows = [[*heads[i], self.seen_from(mean[i]), rolled[i]] for i in range(len(self.layers))]
        own = [f"head {i + 1}" for i in range(heads.shape[1])]
        return tabled(small(self.image, self.frame), self.layers, rows, own, ["mean", "rollout"], colormap, alpha)

    def save(self, path: str | Path, lang: str = "en") -> Path:
        """Write the sheet with its manifest (.png, .jpg, .webp), or a page with sliders (.html) in English or Japanese.

        Raises:
            InputError: for another suffix or language.
        """
        return write(self, path, lang=lang)

    def manifest(self) -> dict[str, Any]:
        """Return what a reader needs to make the sheet again."""
        return {
            "what": "attention of every head",
            "model": self.model,
            "image": {"source": self.image.source, "sha256": self.image.sha256},
            "layers": list(self.layers),
            "heads": int(self.values.shape[1]),
            "grid": list(self.grid),
            "prefix_tokens": self.prefix,
            "query": "class_token" if self.prefix else "mean",
        }


@dataclass(frozen=True, eq=False)
class WindowHeads:
    """The attention of every head of a network with windows for one image.

    Attributes:
        image: what was shown.
        frame: which part of it the network saw.
        layers: the attention's paths, in forward order.
        maps: one `(heads, h, w)` a layer: what each place receives from the places of its window, 1 on average where
            windows are full; the grid and the number of heads differ from stage to stage.
        values: one `(windows, heads, places, places)` a layer, rows summing to 1.
        places: one `(windows, places)` a layer: where each lies in the flattened grid; −1 for padding.
        model: the network's name.
    """

    image: InputImage
    frame: Frame
    layers: tuple[str, ...]
    maps: tuple[Map, ...]
    values: tuple[Map, ...]
    places: tuple[npt.NDArray[np.int64], ...]
    model: str

    def sheet(self, colormap: str = "inferno", alpha: float = 0.65) -> Image.Image:
        """Draw one small image a head, one row a layer; at the right the mean of the heads.

        Each map is drawn from 0 to its own largest value, over the part of the image that the network saw.
        """
        rows = [[*maps, maps.mean(axis=0)] for maps in self.maps]
        own = [f"head {i + 1}" for i in range(max(len(maps) for maps in self.maps))]
        return tabled(small(self.image, self.frame), self.layers, rows, own, ["mean"], colormap, alpha)

    def save(self, path: str | Path, lang: str = "en") -> Path:
        """Write the sheet with its manifest (.png, .jpg, .webp), or a page with sliders (.html) in English or Japanese.

        Raises:
            InputError: for another suffix or language.
        """
        return write(self, path, lang=lang)

    def manifest(self) -> dict[str, Any]:
        """Return what a reader needs to make the sheet again."""
        return {
            "what": "attention of every head",
            "model": self.model,
            "image": {"source": self.image.source, "sha256": self.image.sha256},
            "layers": list(self.layers),
            "heads": [len(maps) for maps in self.maps],
            "grid": [list(maps.shape[1:]) for maps in self.maps],
            "query": "window",
        }


def _received(layer: Attention) -> Map:
    """Return what each place receives, `(heads, h, w)`: the sum over the queries of its window."""
    places: Map = to_numpy(on_grid(layer.values.sum(-2), layer))[0].astype(np.float32)
    return places


def _in_windows(layer: Attention) -> Map:
    """Return `(windows, heads, queries, keys)` of the first image."""
    values: Map = to_numpy(layer.values)[0].astype(np.float32)
    return values.reshape(layer.windows, -1, *values.shape[1:])


def _cut(layer: Attention) -> npt.NDArray[np.int64]:
    """Return `(windows, keys)`: where each lies; a layer with one window for the whole image has them in order."""
    if layer.places is not None:
        return np.asarray(layer.places, np.int64)
    count = layer.grid[0] * layer.grid[1]
    where = np.full((1, layer.values.shape[-1]), -1, np.int64)
    where[0, layer.prefix : layer.prefix + count] = np.arange(count)
    return where


def small(image: InputImage, frame: Frame) -> npt.NDArray[np.uint8]:
    """Return the part of an image that the network saw, at the size of a cell of the sheet."""
    left, top, right, bottom = (round(v) for v in frame.box)
    cut = Image.fromarray(displayable(image.pixels)).crop((left, top, right, bottom))
    h, w = frame.size
    scale = CELL / max(h, w)
    return np.asarray(cut.resize((max(1, round(w * scale)), max(1, round(h * scale)))).convert("RGB"))


def tabled(
    background: npt.NDArray[np.uint8],
    layers: Sequence[str],
    rows: Sequence[Sequence[Map]],
    heads: Sequence[str],
    beside: Sequence[str],
    colormap: str,
    alpha: float,
) -> Image.Image:
    """Draw maps over an image: one row a layer, one column a head, and the columns `beside` them at the right.

    A layer with fewer heads leaves cells empty; the last maps of its row belong to `beside`.
    """
    names = [path.removesuffix(".attention") or f"layer {i + 1}" for i, path in enumerate(layers)]
    h, w = background.shape[:2]
    left = int(max(font(13).getlength(name) for name in names)) + 16
    top = 34
    columns = [*heads, *beside]
    size = (left + len(columns) * (w + GAP) + 3 * GAP, top + len(rows) * (h + GAP) + GAP)
    canvas = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(canvas)
    starts = [left + j * (w + GAP) + (2 * GAP if j >= len(heads) else 0) for j in range(len(columns))]
    for x, words in zip(starts, columns, strict=True):
        pen.text((x + w / 2, top - 8), words, fill=SOFT, font=font(13), anchor="ms")
    for i, row in enumerate(rows):
        y = top + i * (h + GAP)
        pen.text((left - 8, y + h / 2), names[i], fill=INK, font=font(13), anchor="rm")
        own = len(row) - len(beside)
        for x, values in zip([*starts[:own], *starts[len(heads) :]], row, strict=True):
            canvas.paste(_drawn(background, values, colormap, alpha), (x, y))
    return canvas


def attention(model: Model, image: Any) -> Heads | WindowHeads:
    """Return where every head of every layer looks.

    Args:
        model: a transformer, from `load` or `wrap`.
        image: path, bytes, address, PIL image or array.

    Returns:
        `Heads`: `.sheet()` for an image, `.save("heads.png")` or `.save("heads.html")` for files. `WindowHeads` for a
        network whose attention is within windows: the same, without rollout.

    Raises:
        ModelError: for networks without attention; the message names methods that suit them.
        InputError: if the layers differ in their number of heads.
    """
    opened = model.read(image)
    x, frame = model.prepare(opened)
    found = attention_of(model, x[None])
    if any(layer.windows > 1 for layer in found) and all(layer.grid[0] for layer in found):
        return WindowHeads(
            opened,
            frame,
            tuple(layer.path for layer in found),
            tuple(map(_received, found)),
            tuple(map(_in_windows, found)),
            tuple(_cut(layer) for layer in found),
            model.name,
        )
    layers = global_attention(found)
    values = [to_numpy(layer.values)[0].astype(np.float32) for layer in layers]
    if len({v.shape for v in values}) > 1:
        raise InputError(
            explain_error(
                "All layers must have the same number of heads to be drawn side by side.",
                ", ".join(str(v.shape[0]) for v in values),
                "Ask model.attentions(images) for the raw values.",
            )
        )
    stacked = np.stack(values)
    total = np.eye(stacked.shape[-1], dtype=np.float32)
    rolled = []
    for mean in stacked.mean(axis=1):
        total = (mean + np.eye(len(mean), dtype=np.float32)) / 2 @ total
        rolled.append(total)
    return Heads(
        opened,
        frame,
        tuple(layer.path for layer in layers),
        stacked,
        np.stack(rolled),
        layers[-1].grid,
        layers[-1].prefix,
        model.name,
    )


def _drawn(small: npt.NDArray[np.uint8], values: Map, colormap: str, alpha: float) -> Image.Image:
    h, w = small.shape[:2]
    heat = place(values, Frame((h, w), values.shape, (0.0, 0.0, float(w), float(h))))
    top = float(heat.max())
    return overlay(small, heat / top if top > 0 else heat, "blend", colormap=colormap, alpha=alpha)
