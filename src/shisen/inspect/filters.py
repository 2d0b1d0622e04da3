"""Images that channels like, beside what the channels answer to real photographs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from ..errors import InputError, explain_error
from ..targets import to_numpy
from ..types import Classifier
from ..viz.files import save_image
from ..viz.legend import badge
from ..viz.sheet import tile
from .contact_sheet import titled
from .objectives import Diagonal, diagonal

Map = npt.NDArray[np.float32]


@dataclass(frozen=True)
class FilterGrid:
    """Images that were made to excite channels of one layer.

    Attributes:
        layer: where the channels are.
        channels: channel numbers or objectives, one an image.
        recipe: how they were made.
        images: `(n, h, w, 3)` float32 in [0, 1].
        objective: `(steps, n)`, each step's objective before it, on the moved image.
        final: `(n,)`, the objective of the finished images, not moved; for "article" before its image transform.
        gray: `(n,)`, the objective of a flat gray image.
        model: the network.
        ratio: `(n,)`, final ÷ highest on real photographs, once `marked` has put it in; else None.
    """

    layer: str
    channels: tuple[Any, ...]
    recipe: str
    images: Map
    objective: Map
    final: Map
    gray: Map
    model: Classifier
    ratio: Map | None = None

    @property
    def fired(self) -> npt.NDArray[np.bool_]:
        """Which images excite their channel: more than flat gray and, where known, more than any photograph."""
        above = (self.final > self.gray) & (self.final != 0)
        return np.asarray(above if self.ratio is None else above & (self.ratio >= 1.0))

    def compare(self, photos: Iterable[Any]) -> Map:
        """Return final ÷ highest objective on real photographs, `(n,)`.

        Args:
            photos: paths, PIL images or arrays, as the model reads them; an array `(n, h, w, 3)` is taken as prepared.

        Returns:
            `(n,)`: above 1 the image excites its channel more than any photograph. Infinite where no photograph
            excites a channel at all that the image does excite.

        Raises:
            InputError: if there are no photographs.
        """
        objective = diagonal(self.channels)
        best = np.full(len(self.channels), -np.inf, np.float32)
        count = 0
        for batch in self._prepared(photos):
            values = to_numpy(self.model.activations(batch, self.layer))
            if isinstance(objective, Diagonal) and values.ndim == 4:
                values = values.mean(axis=(1, 2))  # all that a channel's objective asks for
            count += len(batch)
            for row in range(len(batch)):
                # every objective is asked about every photograph: one row repeated costs no pass
                repeated = values[np.full(len(best), row)]
                best = np.maximum(best, np.asarray(objective.value(repeated), np.float32))
        if not count:
            raise InputError(explain_error("Comparing needs photographs.", "none", "Give a list of files."))
        ratio = np.where(self.final > 0, np.inf, 0.0)
        np.divide(self.final, best, out=ratio, where=best > 0)
        return ratio.astype(np.float32)

    def marked(self, ratio: Map) -> FilterGrid:
        """Return the same images, with those marked that excite their channel less than real photographs do."""
        return replace(self, ratio=np.asarray(ratio, np.float32))

    def image(self, place: int) -> Image.Image:
        """Return one image."""
        return Image.fromarray(np.rint(self.images[place] * 255).astype(np.uint8))

    def grid(self, *, per_row: int = 8) -> Image.Image:
        """Draw all images with their channel numbers; one that did not fire is dimmed and crossed out.

        Args:
            per_row: images a row.
        """
        fired = self.fired
        drawn = []
        for i in range(len(self.images)):
            image = self.image(i) if fired[i] else crossed(self.image(i))
            drawn.append(np.asarray(badge(image, self.words(i)) if image.width >= 64 else image))
        silent = int((~fired).sum())
        note = f"; {silent} did not fire" if silent else ""
        return titled(tile(drawn, per_row=per_row, numbers=False, gap=3), f"{self.layer}, {self.recipe}{note}")

    def words(self, place: int) -> str:
        """Return what was asked for: a channel's number, a class's name, an objective in words."""
        one = self.channels[place]
        if not isinstance(one, (int, np.integer)):
            return str(one.name)
        labels = getattr(self.model, "labels", ())
        return str(labels[int(one)]) if self.layer == "logits" and len(labels) > int(one) else str(int(one))

    def save(self, path: str | Path, *, per_row: int = 8) -> Path:
        """Write the grid, and beside it what there is to know about every image.

        Args:
            path: ends in .png, .jpg or .webp.
            per_row: images a row.
        """
        record = {
            "layer": self.layer,
            "recipe": self.recipe,
            "size": self.images.shape[1],
            "steps": len(self.objective),
            "filters": [
                {
                    "channel": self.words(i),
                    "final": float(self.final[i]),
                    "gray": float(self.gray[i]),
                    "ratio": None if self.ratio is None else float(self.ratio[i]),
                    "fired": bool(self.fired[i]),
                }
                for i in range(len(self.channels))
            ],
        }
        return save_image(self.grid(per_row=per_row), path, record)

    def _prepared(self, photos: Iterable[Any]) -> Iterable[Map]:
        if isinstance(photos, np.ndarray):
            for first in range(0, len(photos), 16):
                yield photos[first : first + 16]
            return
        model: Any = self.model
        for photo in photos:
            yield model.prepare(model.read(photo))[0][None]


def crossed(image: Image.Image) -> Image.Image:
    """Return a dimmed image with a cross: what is drawn in it does not excite the channel."""
    out = Image.blend(image, Image.new("RGB", image.size, (128, 128, 128)), 0.6)
    draw = ImageDraw.Draw(out)
    thick = max(1, image.width // 40)
    for line in ((0, 0, image.width, image.height), (0, image.height, image.width, 0)):
        draw.line(line, fill=(200, 40, 40), width=thick)
    return out
