"""The result of explaining one picture: raw values, and ways to look at them and keep them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .types import Attribution, Frame, Picture, Prediction, Target

Map = npt.NDArray[Any]


@dataclass(frozen=True)
class Failure:
    """A picture that could not be explained, and why. False in a condition."""

    source: str
    error: str

    def __bool__(self) -> bool:
        return False


@dataclass(frozen=True, eq=False)
class Explanation:
    """Where a network looked in one picture.

    Attributes:
        attribution: the raw map with its unit and provenance.
        picture: the picture at its own size.
        frame: which part of the picture the network saw.
        predictions: the network's answer, most probable class first; empty if it was not asked for.
        model: the model's name.
        seconds: time of the method for this picture (its share of a batch).
        facts: what else belongs in the manifest: digests, settings.
    """

    attribution: Attribution
    picture: Picture
    frame: Frame
    predictions: tuple[Prediction, ...] = ()
    model: str = ""
    seconds: float = float("nan")
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def values(self) -> Map:
        """Raw map, float32, `(h, w)` or `(h, w, c)`, in the method's unit, at native resolution."""
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
        from .render.scale import says_nothing

        return says_nothing(self.values, self.attribution.shows)

    @cached_property
    def heatmap(self) -> Map:
        """Float32 `(H, W)` in [0, 1] at the picture's own size, for looking at; a zero map stays zero."""
        from .render.scale import heatmap

        return heatmap(self.attribution, self.frame)

    @cached_property
    def signed(self) -> Map:
        """Float32 `(H, W)` in [-1, 1] at the picture's own size: for and against; zero stays zero."""
        from .render.scale import signed

        return signed(self.attribution, self.frame)

    def overlay(
        self, style: str = "blend", colormap: str = "jet", alpha: float = 0.4, *, colour_bar: bool = False
    ) -> Any:
        """Draw the map over the picture, at the picture's own size.

        Args:
            style: "blend" (colour map over the picture), "mask" (the picture lit by the map), "heatmap" (the map
                alone) or "contour".
            colormap: any matplotlib name; a diverging one shows evidence for and against, centred on zero.
            alpha: strength of the colours in "blend", 0 to 1.
            colour_bar: draw a bar with the unit beside the picture.

        Returns:
            A PIL image.
        """
        from .render.colours import is_diverging
        from .render.legend import colour_bar as with_bar
        from .render.overlay import overlay
        from .render.scale import limits, unseen_as_nan

        diverging = is_diverging(colormap)
        heat = unseen_as_nan(self.signed if diverging else self.heatmap, self.frame)
        image = overlay(self.picture.pixels, heat, style, colormap=colormap, alpha=alpha)
        if colour_bar:
            ends = limits(self.attribution, self.frame, diverging=diverging)
            image = with_bar(image, colormap=colormap, unit=self.unit, limits=ends)
        return image

    @property
    def unit(self) -> str:
        """Unit of the raw values."""
        return self.attribution.unit

    def save(
        self,
        path: str | Path,
        *,
        style: str = "blend",
        colormap: str = "jet",
        alpha: float = 0.4,
        colour_bar: bool = False,
    ) -> Path:
        """Write the picture, and beside it a JSON file that says how it was made.

        Args:
            path: `.png`, `.jpg`, `.webp`, or `.npy` for the raw values.
            style, colormap, alpha, colour_bar: as in `overlay`.

        Returns:
            The path of the picture.
        """
        from .render.files import save_picture

        drawing = {"style": style, "colormap": colormap, "alpha": alpha}
        file = Path(path)
        image = self.values if file.suffix == ".npy" else self.overlay(style, colormap, alpha, colour_bar=colour_bar)
        return save_picture(image, file, self.manifest(drawing))

    def manifest(self, drawing: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return what the JSON file says: method, options, target, layer, scores, digests, versions."""
        from .render.files import manifest

        return manifest(
            self.attribution,
            picture=self.picture,
            model={"name": self.model, **self.facts},
            scores=self.predictions,
            more={"frame": self.frame, "seconds": self.seconds, "drawing": drawing, "warning": self.warning},
        )

    def _repr_png_(self) -> bytes:
        from .render.png import encode

        return encode(np.asarray(self.overlay()))

    def __repr__(self) -> str:
        top = f", {self.predictions[0].label} {self.predictions[0].strength}" if self.predictions else ""
        shape = " × ".join(str(s) for s in self.values.shape)
        return f"<shisen.Explanation {self.method} of {self.target.name!r} ({shape}{top})>"
