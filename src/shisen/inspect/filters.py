"""Generated images of channels, compared with the channels' activations on real photos."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from .._core.writers import write
from ..errors import InputError, explain_error
from ..models.labels import Labels
from ..models.model import Model
from ..targets import to_numpy
from ..types import Classifier
from ..viz.legend import badge
from ..viz.sheet import tile
from .contact_sheet import titled
from .objectives import Diagonal, diagonal

Map = npt.NDArray[np.float32]


@dataclass(frozen=True)
class FilterGrid:
    """Images that were generated to activate channels of one layer.

    Attributes:
        layer: where the channels are.
        channels: channel numbers or objectives, one per image.
        recipe: name of the recipe.
        images: `(n, h, w, 3)` float32 in [0, 1].
        objective: `(steps, n)`, the objective before each step, on the transformed image.
        final: `(n,)`, the objective of the finished images, not transformed; for "article" before its contrast is set.
        gray: `(n,)`, the objective of a flat gray image.
        model: the network.
        ratio: `(n,)`, final ÷ maximum on real photos, after `marked`; else None.
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
        """Which images activate their channel: more than flat gray and, where known, more than any photo."""
        above = (self.final > self.gray) & (self.final != 0)
        return np.asarray(above if self.ratio is None else above & (self.ratio >= 1.0))

    def compare(self, photos: Iterable[Any]) -> Map:
        """Return final ÷ maximum objective on real photos, `(n,)`.

        Args:
            photos: paths, PIL images or arrays, as the model reads them; an array `(n, h, w, 3)` is taken as prepared.

        Returns:
            `(n,)`: above 1, the image activates its channel more than any photo. Infinite where only the generated
            image activates the channel.

        Raises:
            InputError: if there are no photos.
        """
        objective = diagonal(self.channels)
        best = np.full(len(self.channels), -np.inf, np.float32)
        count = 0
        for batch in self._prepared(photos):
            values = to_numpy(self.model.activations(batch, self.layer))
            if isinstance(objective, Diagonal) and values.ndim == 4:
                values = values.mean(axis=(1, 2))  # all that a channel's objective needs
            count += len(batch)
            for row in range(len(batch)):
                # every objective is evaluated for every photo: one repeated row costs no pass
                repeated = values[np.full(len(best), row)]
                best = np.maximum(best, np.asarray(objective.value(repeated), np.float32))
        if not count:
            raise InputError(explain_error("A comparison needs photos.", "none", "Give a list of files."))
        ratio = np.where(self.final > 0, np.inf, 0.0)
        np.divide(self.final, best, out=ratio, where=best > 0)
        return ratio.astype(np.float32)

    def marked(self, ratio: Map) -> FilterGrid:
        """Return the same images, with those marked that activate their channel less than real photos do."""
        return replace(self, ratio=np.asarray(ratio, np.float32))

    def image(self, index: int) -> Image.Image:
        """Return one image."""
        return Image.fromarray(np.rint(self.images[index] * 255).astype(np.uint8))

    def grid(self, *, per_row: int = 8) -> Image.Image:
        """Draw all images with their channel numbers; one that does not activate its channel is dimmed and crossed out.

        Args:
            per_row: images in a row.
        """
        fired = self.fired
        drawn = []
        for i in range(len(self.images)):
            image = self.image(i) if fired[i] else crossed(self.image(i))
            drawn.append(np.asarray(badge(image, self.name(i)) if image.width >= 64 else image))
        silent = int((~fired).sum())
        note = f"; {silent} not activated" if silent else ""
        return titled(tile(drawn, per_row=per_row, numbers=False, gap=3), f"{self.layer}, {self.recipe}{note}")

    def name(self, index: int) -> str:
        """Return what an image was optimized for: a channel's number, a class's name, or an objective's name."""
        one = self.channels[index]
        if not isinstance(one, (int, np.integer)):
            return str(one.name)
        labels = labels_of(self.model)
        return str(labels[int(one)]) if self.layer == "logits" and len(labels) > int(one) else str(int(one))

    def save(self, path: str | Path, *, per_row: int = 8) -> Path:
        """Write the grid, and the facts about every image beside it.

        Args:
            path: ends in .png, .jpg or .webp.
            per_row: images in a row.

        Raises:
            InputError: for another suffix.
        """
        return write(self, path, per_row=per_row)

    @property
    def model_name(self) -> str:
        """Name of the network, empty where it has none."""
        return self.model.name if isinstance(self.model, Model) else ""

    def manifest(self) -> dict[str, Any]:
        """Return the facts about every image."""
        return {
            "layer": self.layer,
            "recipe": self.recipe,
            "size": self.images.shape[1],
            "steps": len(self.objective),
            "filters": [
                {
                    "channel": self.name(i),
                    "final": float(self.final[i]),
                    "gray": float(self.gray[i]),
                    "ratio": None if self.ratio is None else float(self.ratio[i]),
                    "fired": bool(self.fired[i]),
                }
                for i in range(len(self.channels))
            ],
        }

    def _prepared(self, photos: Iterable[Any]) -> Iterable[Map]:
        if isinstance(photos, np.ndarray):
            for first in range(0, len(photos), 16):
                yield photos[first : first + 16]
            return
        if not isinstance(self.model, Model):
            raise InputError(
                explain_error(
                    "Photos can be read for a model from `load` or `wrap`.",
                    type(self.model).__name__,
                    "Give an array (n, h, w, 3) of prepared images.",
                )
            )
        for photo in photos:
            yield self.model.prepare(self.model.read(photo))[0][None]


def labels_of(model: Classifier) -> Labels:
    """Return the names of a network's classes; none for a bare classifier."""
    return model.labels if isinstance(model, Model) else Labels(())


def crossed(image: Image.Image) -> Image.Image:
    """Return a dimmed image with a cross: it does not activate the channel."""
    out = Image.blend(image, Image.new("RGB", image.size, (128, 128, 128)), 0.6)
    draw = ImageDraw.Draw(out)
    thick = max(1, image.width // 40)
    for line in ((0, 0, image.width, image.height), (0, image.height, image.width, 0)):
        draw.line(line, fill=(200, 40, 40), width=thick)
    return out
