"""Attention maps of all layers and heads over the image, in one figure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from ..types import Frame, InputImage
from ..viz.overlay import displayable, overlay
from ..viz.scale import on_image
from ..viz.text import font

Map = npt.NDArray[np.float32]
CELL = 112  # pixels of a head's longer side on the sheet
GAP = 4
INK, SOFT, PAPER = (34, 34, 34), (107, 107, 107), (255, 255, 255)


def seen_part(image: InputImage, frame: Frame, side: int) -> Image.Image:
    """Return the part of an image that the network saw.

    Args:
        image: the image.
        frame: the part that the network saw.
        side: pixels of the longer side.
    """
    box = tuple(round(v) for v in frame.box)
    cut = Image.fromarray(displayable(image.pixels)).crop((box[0], box[1], box[2], box[3])).convert("RGB")
    h, w = frame.size
    scale = side / max(h, w)
    return cut.resize((max(1, round(w * scale)), max(1, round(h * scale))))


def sheet(
    image: InputImage,
    frame: Frame,
    layers: Sequence[str],
    rows: Sequence[Sequence[Map]],
    *,
    summaries: Sequence[str],
    colormap: str = "inferno",
    alpha: float = 0.65,
) -> Image.Image:
    """Draw maps over an image: one row per layer, one column per head, and summaries of the heads at the right.

    Each map is drawn from 0 to its own maximum, over the part of the image that the network saw. A layer with fewer
    heads leaves cells empty.

    Args:
        image: the image.
        frame: the part of it that the network saw.
        layers: names of the rows.
        rows: `(h, w)` maps of each layer; the last ones belong to `summaries`.
        summaries: names of the columns at the right.
        colormap: any matplotlib name.
        alpha: opacity of the colors, 0 to 1.

    Returns:
        The drawn image.
    """
    background = np.asarray(seen_part(image, frame, CELL))
    names = [path.removesuffix(".attention") or f"layer {i + 1}" for i, path in enumerate(layers)]
    n_heads = max(len(row) for row in rows) - len(summaries)
    h, w = background.shape[:2]
    left, top = int(max(font(13).getlength(name) for name in names)) + 16, 34
    columns = [*(f"head {i + 1}" for i in range(n_heads)), *summaries]
    canvas = Image.new("RGB", (left + len(columns) * (w + GAP) + 3 * GAP, top + len(rows) * (h + GAP) + GAP), PAPER)
    pen = ImageDraw.Draw(canvas)
    starts = [left + j * (w + GAP) + (2 * GAP if j >= n_heads else 0) for j in range(len(columns))]
    for x, column in zip(starts, columns, strict=True):
        pen.text((x + w / 2, top - 8), column, fill=SOFT, font=font(13), anchor="ms")
    for i, row in enumerate(rows):
        y = top + i * (h + GAP)
        pen.text((left - 8, y + h / 2), names[i], fill=INK, font=font(13), anchor="rm")
        own = len(row) - len(summaries)
        for x, values in zip([*starts[:own], *starts[n_heads:]], row, strict=True):
            canvas.paste(_drawn(background, values, colormap, alpha), (x, y))
    return canvas


def _drawn(background: npt.NDArray[np.uint8], values: Map, colormap: str, alpha: float) -> Image.Image:
    h, w = background.shape[:2]
    heat = on_image(values, Frame((h, w), values.shape, (0.0, 0.0, float(w), float(h))))
    top = float(heat.max())
    return overlay(background, heat / top if top > 0 else heat, "blend", colormap=colormap, alpha=alpha)
