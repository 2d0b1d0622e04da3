"""A signal with its map: every channel as a line in the colors of the map, and the map below on an axis of its own."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from .colormap import is_diverging
from .legend import number
from .text import families

MOST_CHANNELS = 16
WIDTH, HEIGHT, DPI = 10.0, 0.9, 120
"""Inches of the figure, and of each channel; dots per inch."""
POINTS = 4000
"""Points of a line; of longer signals every so manieth is drawn."""


def draw_signal(
    values: npt.NDArray[Any],
    heat: npt.NDArray[Any],
    raw: npt.NDArray[Any],
    *,
    colormap: str,
    alpha: float,
    unit: str,
    rate: float,
) -> Image.Image:
    """Return a signal colored by its map, and the map itself below it.

    Args:
        values: `(length, c)`, the signal.
        heat: `(length,)` in [0, 1], or in [−1, 1] for a diverging color map; NaN where the network did not look.
        raw: `(length,)`, the map in its unit.
        colormap: any matplotlib name.
        alpha: opacity of the background that shows the map too, 0 to 1.
        unit: of the map.
        rate: samples per second; 0 draws numbers of samples.

    Returns:
        RGB image.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.collections import LineCollection
    from matplotlib.figure import Figure

    step = max(1, len(values) // POINTS)
    at = np.arange(len(values)) / (rate or 1.0)
    drawn, x = values[::step, :MOST_CHANNELS], at[::step]
    low = -1.0 if is_diverging(colormap) else 0.0
    with matplotlib.rc_context({"font.family": list(families()), "font.size": 8}):
        rows = drawn.shape[1]
        figure = Figure(figsize=(WIDTH, HEIGHT * (rows + 2)), dpi=DPI, layout="constrained")
        canvas = FigureCanvasAgg(figure)
        axes = figure.subplots(rows + 1, 1, sharex=True, squeeze=False, height_ratios=[1.0] * rows + [1.2])[:, 0]
        for channel, (axis, line) in enumerate(zip(axes, drawn.T, strict=False)):
            span = float(np.ptp(line)) or 1.0
            bottom, top = float(line.min()) - 0.08 * span, float(line.max()) + 0.08 * span
            extent = (float(at[0]), float(at[-1]) or 1.0, bottom, top)
            axis.imshow(heat[None], aspect="auto", extent=extent, cmap=colormap, vmin=low, vmax=1.0, alpha=0.6 * alpha)
            points = np.stack([x, line], axis=1)
            segments = np.stack([points[:-1], points[1:]], axis=1)
            colors = np.nan_to_num(heat[::step][:-1])
            lines = LineCollection(list(segments), array=colors, cmap=colormap, linewidths=1.6)
            lines.set_clim(low, 1.0)
            axis.plot(x, line, color="0.25", linewidth=2.6)  # so that light colors are seen on a white ground
            axis.add_collection(lines)
            axis.set_xlim(extent[0], extent[1])
            axis.set_ylim(bottom, top)
            axis.text(0.004, 0.9, f"channel {channel}", transform=axis.transAxes, va="top", fontsize=7)
        below = axes[-1]
        below.fill_between(at[::step], raw[::step], color="0.75")
        below.plot(at[::step], raw[::step], color="0.2", linewidth=1.0)
        below.axhline(0.0, color="0.5", linewidth=0.6)
        below.set_ylabel(unit.replace(" per ", "\nper "))
        below.yaxis.set_major_formatter(lambda value, _: number(value))
        below.set_xlabel("seconds" if rate else "sample")
        canvas.draw()
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=DPI)
    return Image.open(buffer).convert("RGB")
