"""The result of explaining one image: raw values, and ways to look at them and keep them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ._core.writers import write
from .types import Attribution, Frame, InputImage, Prediction, Target

Map = npt.NDArray[Any]
DRAWING: dict[str, Any] = {"style": "blend", "colormap": "jet", "alpha": 0.4}


@dataclass(frozen=True)
class Failure:
    """An image that could not be explained, and why. False in a condition."""

    source: str
    error: str

    def __bool__(self) -> bool:
        return False


@dataclass(frozen=True, eq=False)
class Explanation:
    """Where a network looked in one image.

    Attributes:
        attribution: the raw map with its unit and provenance.
        image: the image at its own size.
        frame: which part of the image the network saw.
        predictions: the network's predictions, most probable class first; empty if they were not requested.
        model: the model's name.
        seconds: time of the method for this image (its fraction of a batch).
        facts: what else belongs in the manifest: digests, settings.
    """

    attribution: Attribution
    image: InputImage
    frame: Frame
    predictions: tuple[Prediction, ...] = ()
    model: str = ""
    seconds: float = float("nan")
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def values(self) -> Map:
        """Raw map, float32, in the method's unit, at native resolution.

        `(h, w)` or `(h, w, c)`; of a signal `(length,)`, of a volume `(d, h, w)`, each with or without channels.
        """
        return self.attribution.values

    @property
    def method(self) -> str:
        """Name of the method."""
        return self.attribution.method

    @property
    def layer(self) -> str | None:
        """The point the method worked at, or None."""
        return self.attribution.layer

    @property
    def target(self) -> Target:
        """What was explained."""
        return self.attribution.target

    @property
    def warning(self) -> str | None:
        """In words, why the map shows no evidence; None for a map that shows some."""
        from .viz.scale import says_nothing

        return says_nothing(self.values, self.attribution.shows, self.attribution.rank)

    @cached_property
    def heatmap(self) -> Map:
        """Float32 in [0, 1] at the image's own size, `(H, W)`, for looking at; a zero map stays zero."""
        from .viz.scale import heatmap

        return heatmap(self.attribution, self.frame)

    @cached_property
    def signed(self) -> Map:
        """Float32 `(H, W)` in [-1, 1] at the image's own size: negative and positive evidence; zero stays zero."""
        from .viz.scale import signed

        return signed(self.attribution, self.frame)

    def overlay(
        self, style: str = "blend", colormap: str = "jet", alpha: float = 0.4, *, color_bar: bool = False
    ) -> Any:
        """Draw the map over the image, at the image's own size; a signal as lines, a volume as a sheet of its slices.

        Args:
            style: "blend" (color map over the image), "mask" (the image lit by the map), "heatmap" (the map
                alone) or "contour".
            colormap: any matplotlib name; a diverging one shows positive and negative evidence, centered on zero.
            alpha: opacity of the colors in "blend", 0 to 1.
            color_bar: draw a bar with the unit beside the image.

        Returns:
            A PIL image.
        """
        from .viz.drawing import draw

        return draw(self, style=style, colormap=colormap, alpha=alpha, color_bar=color_bar)

    @property
    def unit(self) -> str:
        """Unit of the raw values."""
        return self.attribution.unit

    def save(self, path: str | Path, **drawing: Any) -> Path:
        """Write the map over the image, and beside it a JSON file that says how it was made.

        Args:
            path: `.png`, `.jpg`, `.webp`, or `.npy` for the raw values; of a volume or video also `.gif`, which runs
                through its slices, and `.nii.gz`, the values where the volume lies.
            **drawing: style, colormap, alpha and color_bar, as in `overlay`.

        Returns:
            The path of the file.

        Raises:
            InputError: for another suffix.
        """
        return write(self, path, **DRAWING | drawing)

    def manifest(self, drawing: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return what the JSON file says: method, options, target, layer, scores, digests, versions."""
        from .viz.files import manifest

        return manifest(
            self.attribution,
            image=self.image,
            model={"name": self.model, **self.facts},
            scores=self.predictions,
            more={"frame": self.frame, "seconds": self.seconds, "drawing": drawing, "warning": self.warning},
        )

    def _repr_png_(self) -> bytes:
        from .viz.png import encode

        return encode(np.asarray(self.overlay()))

    def __repr__(self) -> str:
        top = f", {self.predictions[0].label} {self.predictions[0].confidence}" if self.predictions else ""
        shape = " × ".join(str(s) for s in self.values.shape)
        return f"<shisen.Explanation {self.method} of {self.target.name!r} ({shape}{top})>"
