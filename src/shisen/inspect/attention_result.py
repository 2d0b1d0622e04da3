"""What is common to the attention over a whole image and to that within windows."""

from __future__ import annotations

import base64
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from .._core.writers import write
from ..types import Frame, InputImage
from .attention_sheet import sheet

Map = npt.NDArray[np.float32]


@dataclass(frozen=True)
class SliderLayer:
    """What the page holds of one layer. Columns are the heads, their mean, and the rollout where there is one.

    Attributes:
        grid: `(h, w)`.
        heads: number of heads.
        first: `(columns, h·w)`: what is shown before a position is chosen.
        own: `(columns, h·w, k)`: the attention of each position to the k positions of its window.
        members: `(windows, k)`: these positions in the flattened grid; −1 for none.
        window: `(h·w,)`: the window of each position.
    """

    grid: tuple[int, int]
    heads: int
    first: Map
    own: Map
    members: npt.NDArray[np.int64]
    window: npt.NDArray[np.int64]

    def packed(self, whole: bool) -> dict[str, Any]:
        """Return plain data: maps as bytes, 255 the maximum of each, and these maxima."""
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


@dataclass(frozen=True, eq=False)
class AttentionResult(ABC):
    """The attention of every head of every layer for one image, as a sheet, a page and a record.

    Attributes:
        image: the image.
        frame: the part of it that the network saw.
        layers: the paths of the attention layers, in forward order.
        model: the network's name.
    """

    image: InputImage
    frame: Frame
    layers: tuple[str, ...]
    model: str
    summaries: ClassVar[tuple[str, ...]]
    """Names of the maps of the sheet at the right of the heads."""

    @property
    @abstractmethod
    def query(self) -> str:
        """Whose attention is shown first."""

    @property
    @abstractmethod
    def rows(self) -> list[list[Map]]:
        """The maps of the sheet, layer by layer: of every head, and the summaries."""

    @property
    @abstractmethod
    def sizes(self) -> dict[str, Any]:
        """Numbers of heads and positions, for the record."""

    @abstractmethod
    def slider_layers(self) -> Sequence[SliderLayer]:
        """Return what the page with sliders holds, layer by layer."""

    def sheet(self, colormap: str = "inferno", alpha: float = 0.65) -> Image.Image:
        """Draw one small image per head, one row per layer; the mean of the heads, and any rollout, at the right.

        Args:
            colormap: any matplotlib name.
            alpha: opacity of the colors, 0 to 1.

        Returns:
            The drawn image.
        """
        names = list(self.summaries)
        return sheet(self.image, self.frame, self.layers, self.rows, summaries=names, colormap=colormap, alpha=alpha)

    def save(self, path: str | Path, lang: str = "en") -> Path:
        """Write the sheet with its manifest (.png, .jpg, .webp), or a page with sliders (.html).

        Args:
            path: of the file.
            lang: code of the page's language.

        Returns:
            The path.

        Raises:
            InputError: for another suffix or language.
        """
        return write(self, path, lang=lang)

    def manifest(self) -> dict[str, Any]:
        """Return what is needed to make the sheet again."""
        return {
            "what": "attention of every head",
            "model": self.model,
            "image": {"source": self.image.source, "sha256": self.image.sha256},
            "layers": list(self.layers),
            **self.sizes,
            "query": self.query,
        }


def _bytes(maps: Map) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    top = maps.max(axis=-1) if maps.size else maps.sum(axis=-1)
    return np.rint(maps / np.where(top > 0, top, 1)[..., None] * 255).astype(np.uint8), top.astype("<f4")
