"""Contour lines drawn over an image."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from .colormap import centered, color

FINEST = 1024  # a map is traced at no more points a side: a smooth map has no finer lines
HALO = (16, 16, 16)


def draw_contours(
    image: Image.Image, heat: npt.NDArray[np.float32], *, colormap: str, levels: tuple[float, ...]
) -> Image.Image:
    """Return the image with lines where the map has a fraction of its hottest value, each with a dark halo.

    Args:
        image: RGB of the map's size.
        heat: `(H, W)` in [0, 1] or [−1, 1]; NaN where there is no map.
        colormap: gives each line the color of its level.
        levels: fractions of the largest value; of both signs for a map that has them and a diverging color map.
    """
    import contourpy  # comes with matplotlib

    height, width = heat.shape
    if height < 2 or width < 2:
        return image
    stride = max(1, -(-max(height, width) // FINEST))
    y, x = _points(height, stride), _points(width, stride)
    coarse = heat[np.ix_(y, x)]
    top = float(np.nanmax(np.abs(coarse), initial=0.0))
    if top == 0.0:
        return image
    tracer = contourpy.contour_generator(x=x + 0.5, y=y + 0.5, z=np.ma.masked_invalid(coarse))
    scale = 1 if max(height, width) > 2400 else 2 if max(height, width) > 1000 else 3
    line = max(1.2, min(height, width) / 160.0) * scale
    out = image.convert("RGB")
    both = [-fraction for fraction in reversed(levels)] + list(levels)
    for fraction in both:
        paths: list[npt.NDArray[np.float64]] = [np.asarray(p) for p in tracer.lines(fraction * top)]
        if not paths:
            continue
        level = centered(np.array([[fraction]], np.float32), colormap)
        ink = tuple(int(v) for v in color(level, colormap)[0, 0])
        out = _stroke(out, paths, line, scale, ink)
    return out


def _points(length: int, stride: int) -> npt.NDArray[np.int64]:
    points = np.arange(0, length, stride)
    return points if points[-1] == length - 1 else np.append(points, length - 1)


def _stroke(
    image: Image.Image, paths: list[npt.NDArray[np.float64]], line: float, scale: int, ink: tuple[int, ...]
) -> Image.Image:
    """Draw halo and line through masks that are `scale` times too large, which makes the edges smooth."""
    points = np.concatenate(paths)
    edge = line / scale * 2.0 + 1.0  # only where there are lines: most of an image has none
    x, y = (max(0, int(v)) for v in points.min(axis=0) - edge)
    right, bottom = (int(v) + 1 for v in points.max(axis=0) + edge)
    size = (min(right, image.width) - x, min(bottom, image.height) - y)
    for wide, shade in ((line * 1.9, HALO), (line, ink)):
        mask = Image.new("L", (size[0] * scale, size[1] * scale))
        draw = ImageDraw.Draw(mask)
        for path in paths:
            draw.line([tuple(p) for p in (path - (x, y)) * scale], fill=255, width=max(1, round(wide)), joint="curve")
        image.paste(shade, (x, y), mask.reduce(scale) if scale > 1 else mask)
    return image
