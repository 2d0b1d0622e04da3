"""One self-contained HTML page with every channel of every layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from .._core.html import data_uri, render
from .._core.i18n import N_, Message
from ..types import InputImage
from ..viz.colormap import table
from ..viz.overlay import displayable
from .contact_sheet import colored, levels, shrunk
from .layer_activations import LayerActivations

LARGEST = 48  # pixels of one channel as it is stored
ACROSS = 1120  # pixels of a row of channels on the screen
GAP = 1
LOSSLESS = 12  # smaller channels are stored exactly: they are a few bytes each and would smear
WEBP_LIMIT = 16384  # pixels of a side


@dataclass(frozen=True)
class Sprite:
    """All channels of a layer in one image.

    Attributes:
        path: the layer.
        summary: the layer in one line.
        uri: the image as a data URI.
        cell: width and height of a channel with its gap, in stored pixels.
        factor: how much larger it is shown.
        columns: channels in a row.
        size: width and height as shown.
        facts: one short message per channel.
    """

    path: str
    summary: Message
    uri: str
    cell: tuple[int, int]
    factor: int
    columns: int
    size: tuple[int, int]
    facts: list[str]


def page(
    layers: Sequence[LayerActivations], image: InputImage, model: str, *, scale: str = "channel", lang: str = "en"
) -> str:
    """Return the page: one image per layer, decoded when it comes into view, channel numbers under the pointer.

    Args:
        layers: the feature maps.
        image: the image that they belong to.
        model: name of the network.
        scale: "channel", "layer" or "article"; see `contact_sheet.levels`.
        lang: code of the page's language.

    Raises:
        UnknownName: for an unknown scale or language.
        MissingDependency: without jinja2.
    """
    shown = Image.fromarray(displayable(image.pixels))
    shown.thumbnail((360, 360))
    return render(
        "shisen.inspect",
        "activations.html",
        lang,
        extra="inside",
        title=Path(image.source).name,
        model=model,
        image=data_uri(shown, "webp", quality=85, method=2),
        sprites=[sprite(layer, scale) for layer in layers],
        channels=sum(layer.channels for layer in layers),
        dead=sum(int(layer.dead.sum()) for layer in layers),
        saturated=sum(int(layer.saturated.sum()) for layer in layers),
        scale={"channel": N_("channel"), "layer": N_("layer"), "article": N_("mean and standard deviation")}[scale],
    )


def sprite(layer: LayerActivations, scale: str) -> Sprite:
    """Return all channels of a layer in one image of about the page's width.

    Args:
        layer: the feature maps.
        scale: as in `page`.
    """
    small = shrunk(layer.values, LARGEST)
    h, w, c = small.shape
    factor = max(1, round(LARGEST / max(h, w))) if max(h, w) < LARGEST // 2 else 1
    columns = max(1, min(c, ACROSS // ((w + GAP) * factor)))
    rows = -(-c // columns)
    level = levels(small, scale)
    sheet = np.zeros((rows * (h + GAP), columns * (w + GAP), 3), np.uint8)
    sheet[:] = (255, 255, 255)
    for i, one in enumerate(colored(level, layer.dead, layer.saturated, "viridis")):
        top, left = i // columns * (h + GAP), i % columns * (w + GAP)
        sheet[top : top + h, left : left + w] = one
    facts = [
        N_("dead")
        if layer.dead[i]
        else N_("saturated")
        if layer.saturated[i]
        else Message("mean magnitude {value:.3g}", value=float(layer.magnitude[i]))
        for i in range(c)
    ]
    uri = _sheet_uri(Image.fromarray(sheet), lossless=max(h, w) <= LOSSLESS)
    size = (sheet.shape[1] * factor, sheet.shape[0] * factor)
    return Sprite(layer.path, layer.summary, uri, (w + GAP, h + GAP), factor, columns, size, facts)


def _sheet_uri(image: Image.Image, *, lossless: bool) -> str:
    if max(image.size) < WEBP_LIMIT:
        return data_uri(image, "webp", lossless=lossless, quality=60 if lossless else 80, method=2)
    return data_uri(image.quantize(palette=_palette("viridis"), dither=Image.Dither.NONE), "png")


def _palette(name: str) -> Image.Image:
    colors: npt.NDArray[np.uint8] = table(name).copy()
    colors[0] = 255  # the gaps; the coldest color falls to its neighbor
    palette = Image.new("P", (1, 1))
    palette.putpalette(colors.tobytes())
    return palette
