"""An explanation as an image: its map over the image that was explained, and the files it is kept in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy.typing as npt

from .._core.writers import writer
from ..types import Attribution, Frame, InputImage
from .colormap import is_diverging
from .files import save_image
from .legend import color_bar as with_bar
from .overlay import overlay
from .scale import limits, on_image, reduce_channels, unseen_as_nan
from .signal import draw_signal
from .volume import sheet


class Explained(Protocol):
    """What is drawn of an explanation; see `shisen.Explanation`."""

    @property
    def attribution(self) -> Attribution: ...
    @property
    def image(self) -> InputImage: ...
    @property
    def frame(self) -> Frame: ...
    @property
    def heatmap(self) -> npt.NDArray[Any]: ...
    @property
    def signed(self) -> npt.NDArray[Any]: ...
    def manifest(self, drawing: Mapping[str, Any] | None = None) -> dict[str, Any]: ...


def draw(
    seen: Explained, *, style: str = "blend", colormap: str = "jet", alpha: float = 0.4, color_bar: bool = False
) -> Any:
    """Draw the map over the image, at the image's own size; a signal as lines, a volume or video as a sheet of slices.

    Args:
        seen: the explanation.
        style: "blend" (color map over the image), "mask" (the image lit by the map), "heatmap" (the map alone) or
            "contour".
        colormap: any matplotlib name; a diverging one shows positive and negative evidence, centered on zero.
        alpha: opacity of the colors in "blend", 0 to 1.
        color_bar: draw a bar with the unit beside the image.

    Returns:
        A PIL image.

    Raises:
        UnknownName: for an unknown style or color map.
    """
    heat = heat_of(seen, colormap)
    if heat.ndim == 1:
        return _signal(seen, heat, colormap, alpha)
    if heat.ndim == 3:
        image = sheet(seen.image, heat, style=style, colormap=colormap, alpha=alpha)
    else:
        image = overlay(seen.image.pixels, heat, style, colormap=colormap, alpha=alpha)
    if not color_bar:
        return image
    ends = limits(seen.attribution, seen.frame, diverging=is_diverging(colormap))
    return with_bar(image, colormap=colormap, unit=seen.attribution.unit, limits=ends)


def heat_of(seen: Explained, colormap: str) -> npt.NDArray[Any]:
    """Return the map as it is drawn: in [−1, 1] for a diverging color map, else in [0, 1]; NaN where nothing was seen.

    Args:
        seen: the explanation.
        colormap: any matplotlib name.
    """
    return unseen_as_nan(seen.signed if is_diverging(colormap) else seen.heatmap, seen.frame)


def _signal(seen: Explained, heat: npt.NDArray[Any], colormap: str, alpha: float) -> Any:
    own = seen.attribution
    raw = on_image(reduce_channels(own.values, own.shows, own.rank), seen.frame)
    rate = 0.0 if seen.image.space is None else seen.image.space.rate
    return draw_signal(seen.image.pixels, heat, raw, colormap=colormap, alpha=alpha, unit=own.unit, rate=rate)


@writer("Explanation", ".png", ".jpg", ".jpeg", ".webp")
def write_image(seen: Explained, path: Path, *, color_bar: bool = False, **drawing: Any) -> Path:
    """Write the drawn map, and beside it a JSON file that says how it was made.

    Args:
        color_bar: draw a bar with the unit beside the image.
        **drawing: style, colormap and alpha, as in `draw`.
    """
    image = draw(seen, color_bar=color_bar, **drawing)
    return save_image(image, path, seen.manifest(drawing))


@writer("Explanation", ".npy")
def write_values(seen: Explained, path: Path, **drawing: Any) -> Path:
    """Write the raw values, and beside them a JSON file that says how they were made; drawing options are recorded.

    Args:
        **drawing: ignored but for the record.
    """
    drawing.pop("color_bar", None)
    return save_image(seen.attribution.values, path, seen.manifest(drawing))
