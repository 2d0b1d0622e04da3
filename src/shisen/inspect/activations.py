"""The activation of every channel of every layer for one image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from .._core.writers import write
from ..errors import InputError, explain_error, unknown
from ..models.loading import with_geometry
from ..models.model import Model
from ..targets import to_numpy
from ..types import Classifier, Frame, InputImage
from . import activation_sheets as sheets
from .layer_activations import LayerActivations
from .ranking import Ranking, rank


@dataclass(frozen=True)
class ActivationGrids(Mapping[str, LayerActivations]):
    """All channels of some layers for one image: a mapping from layer path to `LayerActivations`.

    Attributes:
        image: the image.
        frame: the part of it that the network saw.
        pixels: `(h, w, c)`, the network's input.
        maps: layer path → activations, in forward order.
        model: the network, for `ranked`.
    """

    image: InputImage
    frame: Frame
    pixels: npt.NDArray[np.float32]
    maps: Mapping[str, LayerActivations]
    model: Model

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
        """Return the number of sheets that the channels of a layer fill.

        Args:
            path: path of the layer.
            per_row: images in a row.
        """
        return sheets.n_pages(self[path], per_row)

    def grid(self, path: str, **drawing: Any) -> Image.Image:
        """Draw the channels of a layer side by side.

        Args:
            path: the layer.
            **drawing: `per_row`, `scale`, `order` and `page`, as in `activation_sheets.sheet`.

        Returns:
            The drawn image.

        Raises:
            UnknownName: for an unknown layer, scale or order.
            InputError: for a page that does not exist.
        """
        return sheets.sheet(self[path], **drawing)

    def channel(self, path: str, channel: int) -> Image.Image:
        """Draw one channel over the image at the image's own size, from its lowest to its highest value.

        Args:
            path: the layer.
            channel: from 0.

        Returns:
            The drawn image.

        Raises:
            InputError: for a channel that does not exist.
        """
        return sheets.over_image(self[path], channel, self.image, self.frame)

    def contact_sheet(self, *, strongest: int = 16, scale: str = "channel") -> Image.Image:
        """Draw the strongest channels of every layer, one row per layer; see `activation_sheets.contact_sheet`.

        Args:
            strongest: number of channels of each layer.
            scale: as in `sheet`.

        Returns:
            The drawn image.
        """
        return sheets.contact_sheet(self.maps.values(), strongest=strongest, scale=scale)

    def save(self, folder: str | Path, **drawing: Any) -> list[Path]:
        """Write every sheet of every layer and one contact sheet as PNG files.

        Args:
            folder: made if missing.
            **drawing: `per_row`, `scale` and `order` as in `grid`.

        Returns:
            The paths of the files.
        """
        return sheets.write_sheets(self.maps.values(), Path(folder), **drawing)

    def html(self, path: str | Path, *, scale: str = "channel", lang: str = "en") -> Path:
        """Write one self-contained page with every channel of every layer.

        Args:
            path: of the page.
            scale: as in `grid`.
            lang: code of the page's language.

        Returns:
            The path.

        Raises:
            UnknownName: for an unknown scale or language.
            MissingDependency: without jinja2.
        """
        return write(self, path, suffix=".html", scale=scale, lang=lang)

    def ranked(self, target: Any = None, path: str | None = None) -> Ranking:
        """Order the channels of a layer by what they contribute to a class; see `ranking.rank`.

        Args:
            target: as in `shisen.explain`; None for the top class.
            path: the layer; the last one if omitted.

        Returns:
            The channels, the largest contribution first.
        """
        at = path or self.layers[-1]
        _ = self[at]  # raises for an unknown layer
        return rank(self.model, self.pixels, target, at, self.image, self.frame)


def activations(model: Model, image: Any, layers: Any = None, *, size: Any = None) -> ActivationGrids:
    """Compute the activation of every channel of a network for an image, all layers in one forward pass.

    Args:
        model: from `load` or `wrap`.
        image: path, bytes, URL, PIL image or array.
        layers: a layer path, a pattern such as "block3*", or a list of these; None for every layer with a spatial
            feature map.
        size: another input size than that of the model's preprocessing.

    Returns:
        `ActivationGrids`, a mapping from layer path to `LayerActivations`.

    Raises:
        UnknownName: for a path or pattern that fits no layer.
        ImageError: for an image that cannot be read.
    """
    model.check_rank("activations()")
    shown = with_geometry(model, size, None)
    opened = shown.read(image)
    x, frame = shown.prepare(opened)
    paths = chosen(shown, shown.layer_path(layers))
    values = shown.activations(x[None], paths)
    maps = {p: LayerActivations(p, _as_map(to_numpy(v)[0], p)) for p, v in zip(paths, values, strict=True)}
    return ActivationGrids(opened, frame, x, maps, shown)


def chosen(model: Classifier, layers: str | Sequence[str] | None) -> list[str]:
    """Return the layer paths that paths and patterns stand for, in forward order.

    Args:
        model: the network.
        layers: as in `activations`.

    Raises:
        UnknownName: for a path or pattern that fits no layer.
    """
    known = [layer.path for layer in model.layers]
    spatial = {layer.path for layer in model.layers if layer.spatial}
    if layers is None:
        return [p for p in known if p in spatial]
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
