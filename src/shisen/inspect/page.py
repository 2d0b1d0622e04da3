"""One self-contained HTML page with every channel of every layer."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from .._core.io import write_file
from ..errors import require
from ..viz.colormap import table
from ..viz.overlay import displayable
from .contact_sheet import colored, levels, shrunk

if TYPE_CHECKING:
    from .activations import ActivationGrids, LayerActivations

LARGEST = 48  # pixels of one channel as it is stored
ACROSS = 1120  # pixels of a row of channels on the screen
GAP = 1
LOSSLESS = 12  # smaller channels are stored exactly: they are a few bytes each and would smear


@dataclass(frozen=True)
class Sprite:
    """All channels of a layer in one image.

    Attributes:
        path: the layer.
        words: what there is.
        address: the image as a data address.
        cell: width and height of a channel and its gap, in stored pixels.
        factor: how much larger it is shown.
        columns: channels a row.
        size: width and height as shown.
        facts: one short text a channel.
    """

    path: str
    words: str
    address: str
    cell: tuple[int, int]
    factor: int
    columns: int
    size: tuple[int, int]
    facts: list[str]


def write(grids: ActivationGrids, path: Path, scale: str = "channel") -> Path:
    """Write the page: one image a layer, decoded when it comes into sight, channel numbers under the pointer.

    Args:
        grids: what to show.
        path: where.
        scale: as in `ActivationGrids.grid`.

    Raises:
        MissingDependency: without jinja2.
    """
    shown = Image.fromarray(displayable(grids.image.pixels))
    shown.thumbnail((360, 360))
    html = render(
        "activations.html",
        title=Path(grids.image.source).name,
        model=getattr(grids.model, "name", ""),
        image=data_address(shown, quality=85),
        sprites=[sprite(layer, scale) for layer in grids.maps.values()],
        channels=sum(layer.channels for layer in grids.maps.values()),
        dead=sum(int(layer.dead.sum()) for layer in grids.maps.values()),
        saturated=sum(int(layer.saturated.sum()) for layer in grids.maps.values()),
        scale=scale,
    )
    write_file(path, html)
    return path


def render(template: str, **values: Any) -> str:
    """Fill a template of this package; everything put in is escaped."""
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as problem:
        raise require("jinja2", "inside", "Writing HTML") from problem
    # names of layers and files are other people's words: they are escaped wherever they stand
    environment = Environment(
        loader=PackageLoader("shisen.inspect"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return str(environment.get_template(template).render(**values))


def sprite(layer: LayerActivations, scale: str) -> Sprite:
    """Return all channels of a layer in one image of about the page's width."""
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
        "dead" if layer.dead[i] else "saturated" if layer.saturated[i] else f"mean size {layer.strength[i]:.3g}"
        for i in range(c)
    ]
    address = data_address(Image.fromarray(sheet), lossless=max(h, w) <= LOSSLESS)
    size = (sheet.shape[1] * factor, sheet.shape[0] * factor)
    return Sprite(layer.path, layer.words(), address, (w + GAP, h + GAP), factor, columns, size, facts)


def data_address(image: Image.Image, *, lossless: bool = False, quality: int = 80) -> str:
    """Return an image as a data address, WebP where one side allows it and PNG otherwise."""
    buffer = io.BytesIO()
    if max(image.size) < 16384:
        image.save(buffer, "WEBP", lossless=lossless, quality=60 if lossless else quality, method=2)
        kind = "webp"
    else:
        image.quantize(palette=_palette("viridis"), dither=Image.Dither.NONE).save(buffer, "PNG")
        kind = "png"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _palette(name: str) -> Image.Image:
    colors: npt.NDArray[np.uint8] = table(name).copy()
    colors[0] = 255  # the gaps; the coldest color falls to its neighbor
    palette = Image.new("P", (1, 1))
    palette.putpalette(colors.tobytes())
    return palette
