"""What every channel of every layer answers to one image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..errors import InputError, explain_error, unknown
from ..models.loading import with_geometry
from ..models.model import Model
from ..targets import to_numpy
from ..types import Classifier, Frame, InputImage
from ..viz.files import save_image
from ..viz.overlay import overlay
from ..viz.scale import place, unseen_as_nan
from ..viz.sheet import tile
from .contact_sheet import colored, levels, numbered, shrunk, stacked, titled
from .ranking import Ranking, rank

PAGE = 256  # channels a sheet: more cannot be looked at
LARGEST = 128  # pixels of one channel on a sheet
ORDERS = ("index", "strength")


@dataclass(frozen=True)
class LayerActivations:
    """The feature maps of one layer for one image.

    Attributes:
        path: the layer.
        values: `(h, w, c)` float32, raw, in the layer's own unit.
    """

    path: str
    values: npt.NDArray[np.float32]

    @property
    def channels(self) -> int:
        """How many channels there are."""
        return int(self.values.shape[2])

    @cached_property
    def dead(self) -> npt.NDArray[np.bool_]:
        """Which channels are zero everywhere, `(c,)`."""
        return np.asarray(~self.values.any(axis=(0, 1)))

    @cached_property
    def saturated(self) -> npt.NDArray[np.bool_]:
        """Which channels stand everywhere at the layer's highest value, such as the 6 of a ReLU6, `(c,)`.

        A layer with only one position, or with one value in all, has no saturated channels.
        """
        if self.values.shape[0] * self.values.shape[1] < 2 or self.values.min() == self.values.max():
            return np.zeros(self.channels, bool)
        return np.asarray((self.values == self.values.max()).all(axis=(0, 1)) & ~self.dead)

    @cached_property
    def strength(self) -> npt.NDArray[np.float32]:
        """Mean size of each channel: mean over places of |v|, `(c,)`, in the layer's unit."""
        return np.asarray(np.abs(self.values).mean(axis=(0, 1)))

    def order(self, by: str = "index") -> npt.NDArray[np.int64]:
        """Return the channel numbers in order: as they are, or the strongest first."""
        if by not in ORDERS:
            raise unknown("order", by, ORDERS)
        return np.argsort(-self.strength, kind="stable") if by == "strength" else np.arange(self.channels)

    def words(self) -> str:
        """Say in one line what there is."""
        h, w, c = self.values.shape
        return (
            f"{self.path}: {c} channels, {h} × {w}; {int(self.dead.sum())} dead, {int(self.saturated.sum())} saturated"
        )


@dataclass(frozen=True)
class ActivationGrids(Mapping[str, LayerActivations]):
    """All channels of some layers for one image: a mapping from layer path to `LayerActivations`.

    Attributes:
        image: what was shown.
        frame: which part of it the network saw.
        pixels: `(h, w, c)`, what the network was shown.
        maps: layer path → activations, in forward order.
        model: the network, for `ranked`.
    """

    image: InputImage
    frame: Frame
    pixels: npt.NDArray[np.float32]
    maps: Mapping[str, LayerActivations]
    model: Classifier

    @property
    def layers(self) -> tuple[str, ...]:
        """The layer paths, in forward order."""
        return tuple(self.maps)

    def __getitem__(self, path: str) -> LayerActivations:
        if path not in self.maps:
            raise unknown("layer among these", path, self.maps)
        return self.maps[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self.maps)

    def __len__(self) -> int:
        return len(self.maps)

    def pages(self, path: str, per_row: int = 16) -> int:
        """Return how many sheets the channels of a layer fill."""
        return -(-self[path].channels // _per_page(per_row))

    def grid(
        self, path: str, *, per_row: int = 16, scale: str = "channel", order: str = "index", page: int = 1
    ) -> Image.Image:
        """Draw the channels of a layer side by side, at most 256 on a sheet.

        Args:
            path: the layer.
            per_row: channels a row.
            scale: "channel", "layer" or "article"; see `tiles.levels`.
            order: "index", or "strength" for the strongest first.
            page: which sheet, from 1 to `pages(path)`.

        Returns:
            RGB image, viridis; channel numbers at the left, a dead channel is a gray cross, a saturated one yellow.

        Raises:
            UnknownName: for a layer, scale or order that there is not.
            InputError: for a page that there is not.
        """
        layer, pages = self[path], self.pages(path, per_row)
        if not 1 <= page <= pages:
            raise InputError(explain_error(f"{path!r} fills {pages} sheets.", f"page {page}", "Pages count from 1."))
        size = _per_page(per_row)
        numbers = layer.order(order)[(page - 1) * size : page * size]
        # scaled before channels are chosen, so that "layer" means the layer and not the sheet
        level = levels(shrunk(layer.values, LARGEST), scale)[:, :, numbers]
        images = colored(level, layer.dead[numbers], layer.saturated[numbers], "viridis")
        cell = 40 if layer.channels > 64 else 56
        if order == "index":
            sheet = tile(images, per_row=per_row, numbers=[int(n) for n in numbers], cell=cell)
        else:
            sheet = tile(numbered(images, numbers, cell), per_row=per_row, numbers=False)
        part = f"; sheet {page} of {pages}" if pages > 1 else ""
        first = "; strongest first" if order == "strength" else ""
        return titled(sheet, f"{layer.words()}; scale by {scale}{first}{part}")

    def channel(self, path: str, channel: int) -> Image.Image:
        """Draw one channel over the image at the image's own size: its own lowest to highest value.

        Args:
            path: the layer.
            channel: from 0.

        Raises:
            InputError: for a channel that there is not.
        """
        layer = self[path]
        if not 0 <= channel < layer.channels:
            raise InputError(
                explain_error(f"A channel of {path!r} must lie between 0 and {layer.channels - 1}.", channel, "Try 0.")
            )
        one = layer.values[:, :, channel]
        low, width = float(one.min()), float(np.ptp(one))
        heat = unseen_as_nan(place((one - low) / (width or 1.0), self.frame), self.frame)
        return overlay(self.image.pixels, heat, colormap="viridis", alpha=0.6)

    def contact_sheet(self, *, strongest: int = 16, scale: str = "channel") -> Image.Image:
        """Draw the strongest channels of every layer, one row a layer.

        Args:
            strongest: how many channels of each layer.
            scale: as in `grid`.
        """
        rows = []
        for layer in self.maps.values():
            numbers = layer.order("strength")[:strongest]
            level = levels(shrunk(layer.values, 56), scale)[:, :, numbers]
            images = colored(level, layer.dead[numbers], layer.saturated[numbers], "viridis")
            rows.append(titled(tile(images, per_row=strongest, numbers=False, cell=56), layer.words(), 12))
        return stacked(rows)

    def save(self, folder: str | Path, **drawing: Any) -> list[Path]:
        """Write every sheet of every layer and one contact sheet as PNG, and return the paths.

        Args:
            folder: made if missing.
            **drawing: `per_row`, `scale` and `order` as in `grid`.
        """
        written = []
        for path in self.maps:
            pages = self.pages(path, drawing.get("per_row", 16))
            for page in range(1, pages + 1):
                number = f"_{page}" if pages > 1 else ""
                file = Path(folder) / f"{path.replace('/', '.')}{number}.png"
                written.append(save_image(self.grid(path, page=page, **drawing), file))
        written.append(save_image(self.contact_sheet(), Path(folder) / "contact_sheet.png"))
        return written

    def html(self, path: str | Path, *, scale: str = "channel") -> Path:
        """Write one page with every channel of every layer, which needs no other file; see `page.write`."""
        from .page import write

        return write(self, Path(path), scale)

    def ranked(self, target: Any = None, path: str | None = None) -> Ranking:
        """Order the channels of a layer by what they contribute to a class; see `ranking.rank`.

        Args:
            target: as in `shisen.explain`; None for the top class.
            path: the layer; the last one if left out.
        """
        return rank(self, target, path or self.layers[-1])


def activations(model: Model, image: Any, layers: Any = None, *, size: Any = None) -> ActivationGrids:
    """Show what every channel of a network answers to an image; all layers come from one forward.

    Args:
        model: from `load` or `wrap`.
        image: path, bytes, address, PIL image or array.
        layers: a layer path, a pattern such as "block3*", or a list of such; None for every layer that keeps places.
        size: another input size than the recipe's.

    Returns:
        `ActivationGrids`, a mapping from layer path to `LayerActivations`.

    Raises:
        UnknownName: for a path or pattern that fits no layer.
        ImageError: for an image that cannot be read.
    """
    shown = with_geometry(model, size, None)
    opened = shown.read(image)
    x, frame = shown.prepare(opened)
    paths = chosen(shown, shown.layer_path(layers))
    values = shown.activations(x[None], paths)
    maps = {p: LayerActivations(p, _as_map(to_numpy(v)[0], p)) for p, v in zip(paths, values, strict=True)}
    return ActivationGrids(opened, frame, x, maps, shown)


def chosen(model: Classifier, layers: str | Sequence[str] | None) -> list[str]:
    """Return the layer paths that paths and patterns stand for, in forward order."""
    known = [layer.path for layer in model.layers]
    if layers is None:
        return [layer.path for layer in model.layers if layer.spatial]
    spatial = {layer.path for layer in model.layers if layer.spatial}
    found: set[str] = set()
    for pattern in [layers] if isinstance(layers, str) else layers:
        fit = {pattern} & set(known) or {p for p in spatial if fnmatchcase(p, pattern)}
        if not fit:
            raise unknown("layer", pattern, known, "See `shisen layers`; a pattern such as 'block3*' is allowed.")
        found |= fit
    return [p for p in known if p in found]


def _as_map(values: npt.NDArray[Any], path: str) -> npt.NDArray[np.float32]:
    if values.ndim not in (1, 3):
        raise InputError(
            explain_error(f"{path!r} must hold a map (h, w, c) or a vector.", values.shape, "Choose another layer.")
        )
    return np.array(values.reshape((1, 1, -1)) if values.ndim == 1 else values, np.float32)


def _per_page(per_row: int) -> int:
    if per_row < 1:
        raise InputError(explain_error("A sheet needs at least one channel a row.", per_row, "16 is usual."))
    return max(PAGE // per_row, 1) * per_row
