"""A volume or video with its map: a sheet of slices, and all of them one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from .._core.orientation import turns
from ..types import InputImage
from .legend import PAPER
from .overlay import overlay
from .text import font

SLICES, PER_ROW = 12, 4
SIDE = 220
"""Longest side of a slice on the sheet, in pixels."""
ANIMATED_SIDE, MOST_FRAMES, SLICE_MILLISECONDS = 320, 300, 100.0
RADIOLOGICAL = "SPL"
"""Slices from below to above; rows from the front to the back, columns from the right of the body to its left."""
PERCENTILES = (1.0, 99.0)
SAMPLE = 2_000_000


@dataclass(frozen=True)
class Slices:
    """A volume cut along its first axis, and the map in it.

    Attributes:
        pixels: `(D, H, W)` or `(D, H, W, 3)` of any type.
        heat: `(D, H, W)`, NaN where the network did not look.
        levels: the values drawn black and white.
        aspect: height of a voxel as a multiple of its width.
        names: what is written on each slice.
        right: whether the left side of a slice is the right side of the body.
    """

    pixels: npt.NDArray[Any]
    heat: npt.NDArray[Any]
    levels: tuple[float, float]
    aspect: float
    names: Sequence[str]
    right: bool = False

    def drawn(self, chosen: Sequence[int], side: int, **drawing: Any) -> list[Image.Image]:
        """Return slices with their map, all drawn on one scale.

        Args:
            chosen: numbers of the slices.
            side: length of a slice's longer side, in pixels.
            **drawing: style, colormap and alpha, as in `overlay`.
        """
        h, w = self.pixels.shape[1] * self.aspect, float(self.pixels.shape[2])
        wide, high = max(1, round(w * side / max(h, w))), max(1, round(h * side / max(h, w)))
        planes, heats = [], []
        for index in chosen:
            planes.append(
                np.asarray(Image.fromarray(self._plane(index)).resize((wide, high), Image.Resampling.BILINEAR))
            )
            heat = Image.fromarray(self.heat[index].astype(np.float32))
            heats.append(np.asarray(heat.resize((wide, high), Image.Resampling.BILINEAR)))
        strip = overlay(np.concatenate(planes), np.concatenate(heats), drawing.pop("style"), **drawing)
        tiles = [strip.crop((0, i * high, wide, (i + 1) * high)) for i in range(len(chosen))]
        if self.right:
            for one in tiles:
                ImageDraw.Draw(one).text((4, high / 2), "R", font=font(12), fill=(255, 255, 255), anchor="lm")
        return tiles

    def _plane(self, index: int) -> npt.NDArray[np.uint8]:
        """Return one slice without its map, `(H, W, 3)`."""
        low, high = self.levels
        plane = self.pixels[index]
        if plane.dtype != np.uint8 or self.levels != (0.0, 255.0):
            scaled = (plane.astype(np.float32) - low) / ((high - low) or 1.0)
            plane = np.rint(np.clip(scaled, 0, 1) * 255).astype(np.uint8)
        return np.ascontiguousarray(np.repeat(plane[..., None], 3, axis=2) if plane.ndim == 2 else plane)


def cut(image: InputImage, heat: npt.NDArray[Any]) -> Slices:
    """Return the slices of a volume, in the order and direction in which radiologists look at them if that is known.

    Args:
        image: the volume or video.
        heat: `(D, H, W)` of the same size, NaN where the network did not look.
    """
    pixels, levels = _view(image)
    affine = None if image.space is None else image.space.affine
    step, names = np.ones(3), _names(len(heat), image)
    if affine is not None:
        order, flips = turns(affine, RADIOLOGICAL)
        reverse = tuple(axis for axis, flip in enumerate(flips) if flip)
        pixels = np.flip(np.transpose(pixels, (*order, *range(3, pixels.ndim))), axis=reverse)
        heat = np.flip(np.transpose(heat, order), axis=reverse)
        step = np.linalg.norm(affine[:3, list(order)], axis=0)
        names = [str(i) for i in range(len(heat))][:: -1 if flips[0] else 1]  # as the array counts them
    return Slices(pixels, heat, levels, float(step[1] / step[2]), names, affine is not None)


def _names(count: int, image: InputImage) -> list[str]:
    rate = 0.0 if image.space is None else image.space.rate
    if rate:
        return [f"{i} · {i / rate:.2f} s" for i in range(count)]
    return [str(i) for i in range(count)]


def _view(image: InputImage) -> tuple[npt.NDArray[Any], tuple[float, float]]:
    """Return what is drawn of a volume, and the values of black and white: its own units where these are known."""
    shown = image.pixels if image.data is None or image.pixels.dtype == np.uint8 else image.data
    shown = shown if shown.shape[-1] == 3 else shown[..., 0]
    if shown.dtype == np.uint8:
        return shown, (0.0, 255.0)
    step = max(1, shown.size // SAMPLE)
    sample = shown.reshape(-1)[::step]
    if image.data is not None and float(sample.min()) >= 0 and float(sample.max()) <= 1:
        return shown, (0.0, 1.0)
    low, high = (float(v) for v in np.percentile(sample, PERCENTILES))
    return shown, (low, high if high > low else low + 1.0)


def sheet(image: InputImage, heat: npt.NDArray[Any], **drawing: Any) -> Image.Image:
    """Return a sheet of evenly spaced slices, the one with the hottest voxel among them, each with its number.

    Args:
        image: the volume or video.
        heat: `(D, H, W)` of the same size, NaN where the network did not look.
        **drawing: style, colormap and alpha, as in `overlay`.
    """
    slices = cut(image, heat)
    chosen = chosen_slices(slices.heat)
    tiles = slices.drawn(chosen, SIDE, **drawing)
    face, line = font(13), 18
    wide, high = max(t.width for t in tiles) + 4, max(t.height for t in tiles) + line + 4
    columns = min(PER_ROW, len(tiles))
    rows = -(-len(tiles) // columns)
    page = Image.new("RGB", (columns * wide + 4, rows * high + 4), PAPER)
    draw = ImageDraw.Draw(page)
    for cell, (index, one) in enumerate(zip(chosen, tiles, strict=True)):
        x, y = 4 + cell % columns * wide, 4 + cell // columns * high
        draw.text((x + 2, y + line / 2), slices.names[index], font=face, fill=(60, 60, 60), anchor="lm")
        page.paste(one, (x, y + line))
    return page


def chosen_slices(heat: npt.NDArray[Any], count: int = SLICES) -> list[int]:
    """Return numbers of evenly spaced slices, of which the nearest is exchanged for the one with the hottest voxel.

    Args:
        heat: `(D, H, W)`.
        count: how many, at most.
    """
    depth = len(heat)
    chosen = sorted({int(i) for i in (np.arange(min(count, depth)) + 0.5) * depth / min(count, depth)})
    hot = np.nan_to_num(np.abs(heat)).reshape(depth, -1).max(axis=1)
    hottest = int(hot.argmax())
    if hot[hottest] > 0 and hottest not in chosen:
        chosen[int(np.argmin([abs(i - hottest) for i in chosen]))] = hottest
    return sorted(chosen)


def animated(image: InputImage, heat: npt.NDArray[Any], **drawing: Any) -> tuple[list[Image.Image], float]:
    """Return all slices or frames, one after the other, and how long each is shown in milliseconds.

    Args:
        image: the volume or video.
        heat: `(D, H, W)` of the same size, NaN where the network did not look.
        **drawing: style, colormap and alpha, as in `overlay`.
    """
    slices = cut(image, heat)
    step = -(-len(slices.heat) // MOST_FRAMES)
    rate = 0.0 if image.space is None else image.space.rate
    longest = max(slices.pixels.shape[1] * slices.aspect, slices.pixels.shape[2])
    side = int(min(max(longest, ANIMATED_SIDE), 2 * ANIMATED_SIDE))
    chosen = range(0, len(slices.heat), step)
    tiles = slices.drawn(chosen, side, **drawing)
    for index, one in zip(chosen, tiles, strict=True):
        ImageDraw.Draw(one).text((5, 4), slices.names[index], font=font(12), fill=(255, 255, 255))
    return tiles, 1000.0 * step / rate if rate else SLICE_MILLISECONDS
