"""Feature maps as images: all channels of a layer, one channel over the image, the strongest of every layer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..errors import InputError, explain_error
from ..types import Frame, InputImage
from ..viz.files import save_image
from ..viz.legend import badge
from ..viz.overlay import overlay
from ..viz.scale import on_image, unseen_as_nan
from ..viz.sheet import tile
from .contact_sheet import colored, levels, numbered, shrunk, stacked, titled
from .layer_activations import LayerActivations

Map = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
PAGE = 256  # channels on a sheet: more cannot be looked at
LARGEST = 128  # pixels of one channel on a sheet


def n_pages(layer: LayerActivations, per_row: int = 16) -> int:
    """Return the number of sheets that the channels of a layer fill.

    Args:
        layer: the feature maps.
        per_row: channels in a row.

    Raises:
        InputError: if there is no channel in a row.
    """
    return -(-layer.channels // _per_page(per_row))


def sheet(
    layer: LayerActivations, *, per_row: int = 16, scale: str = "channel", order: str = "index", page: int = 1
) -> Image.Image:
    """Draw the channels of a layer side by side, at most 256 on a sheet.

    Args:
        layer: the feature maps.
        per_row: channels in a row.
        scale: "channel", "layer" or "article"; see `contact_sheet.levels`.
        order: "index", or "magnitude" for the largest first.
        page: which sheet, from 1 to `n_pages(layer)`.

    Returns:
        RGB image in viridis with channel numbers; a dead channel is a gray cross, a saturated one a yellow stroke.

    Raises:
        UnknownName: for an unknown scale or order.
        InputError: for a page that does not exist.
    """
    pages, size = n_pages(layer, per_row), _per_page(per_row)
    if not 1 <= page <= pages:
        raise InputError(explain_error(f"{layer.path!r} fills {pages} sheets.", f"page {page}", "Pages count from 1."))
    numbers = layer.order(order)[(page - 1) * size : page * size]
    images = _drawn(layer, numbers, LARGEST, scale)
    cell = 40 if layer.channels > 64 else 56
    if order == "index":
        drawn = tile(images, per_row=per_row, numbers=[int(n) for n in numbers], cell=cell)
    else:
        drawn = tile(numbered(images, numbers, cell), per_row=per_row, numbers=False)
    part = f"; sheet {page} of {pages}" if pages > 1 else ""
    first = "; largest first" if order == "magnitude" else ""
    return titled(drawn, f"{layer.summary}; normalized by {scale}{first}{part}")


def over_image(layer: LayerActivations, channel: int, image: InputImage, frame: Frame) -> Image.Image:
    """Draw one channel over the image at the image's own size, from its lowest to its highest value.

    Args:
        layer: the feature maps.
        channel: number of the channel, from 0.
        image: the image that they belong to.
        frame: the part of it that the network saw.

    Returns:
        The drawn image.

    Raises:
        InputError: for a channel that does not exist.
    """
    if not 0 <= channel < layer.channels:
        raise InputError(
            explain_error(
                f"A channel of {layer.path!r} must lie between 0 and {layer.channels - 1}.", channel, "Try 0."
            )
        )
    one = layer.values[:, :, channel]
    low, width = float(one.min()), float(np.ptp(one))
    heat = unseen_as_nan(on_image((one - low) / (width or 1.0), frame), frame)
    return overlay(image.pixels, heat, colormap="viridis", alpha=0.6)


def contact_sheet(layers: Iterable[LayerActivations], *, strongest: int = 16, scale: str = "channel") -> Image.Image:
    """Draw the strongest channels of every layer, one row per layer.

    Args:
        layers: the feature maps.
        strongest: number of channels of each layer.
        scale: as in `sheet`.

    Returns:
        The drawn image.
    """
    rows = []
    for layer in layers:
        images = _drawn(layer, layer.order("magnitude")[:strongest], 56, scale)
        rows.append(titled(tile(images, per_row=strongest, numbers=False, cell=56), layer.summary, 12))
    return stacked(rows)


def write_sheets(layers: Iterable[LayerActivations], folder: Path, **drawing: Any) -> list[Path]:
    """Write every sheet of every layer and one contact sheet as PNG files.

    Args:
        layers: the feature maps.
        folder: made if missing.
        **drawing: `per_row`, `scale` and `order` as in `sheet`.

    Returns:
        The paths of the files.
    """
    known, written = tuple(layers), []
    for layer in known:
        pages = n_pages(layer, drawing.get("per_row", 16))
        for page in range(1, pages + 1):
            number = f"_{page}" if pages > 1 else ""
            file = folder / f"{layer.path.replace('/', '.')}{number}.png"
            written.append(save_image(sheet(layer, page=page, **drawing), file))
    return [*written, save_image(contact_sheet(known), folder / "contact_sheet.png")]


def contributions(
    maps: Map, captions: Sequence[str], image: InputImage, frame: Frame, *, title: str, per_row: int
) -> Image.Image:
    """Draw the positive part of some maps over the image, on one common scale.

    Args:
        maps: `(h, w, n)` in one unit.
        captions: one per map.
        image: the image that they belong to.
        frame: the part of it that the network saw.
        title: lines above the sheet.
        per_row: images in a row.

    Returns:
        The drawn image.
    """
    positive = np.maximum(maps, 0.0)
    top = np.float32(float(positive.max()) or 1.0)
    images = []
    for i, caption in enumerate(captions):
        drawn = overlay(image.pixels, unseen_as_nan(on_image(positive[:, :, i] / top, frame), frame))
        drawn.thumbnail((320, 320))
        images.append(np.asarray(badge(drawn, caption)))
    return titled(tile(images, per_row=per_row, numbers=False, gap=4), title)


def _drawn(layer: LayerActivations, numbers: npt.NDArray[np.int64], largest: int, scale: str) -> list[Bytes]:
    # scaled before channels are chosen, so that "layer" means the layer and not the sheet
    level = levels(shrunk(layer.values, largest), scale)[:, :, numbers]
    return colored(level, layer.dead[numbers], layer.saturated[numbers], "viridis")


def _per_page(per_row: int) -> int:
    if per_row < 1:
        raise InputError(explain_error("A row of a sheet must hold at least one channel.", per_row, "16 is usual."))
    return max(PAGE // per_row, 1) * per_row
