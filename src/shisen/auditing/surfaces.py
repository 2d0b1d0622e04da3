"""Changes of what lies over an image: grain, streaks, light, screens, missing parts."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from .warps import Change, Floats, Pixels8, back


def _smooth(draw: np.random.Generator, shape: tuple[int, ...], width: float) -> Floats:
    """Return random values `(h, w)` that neighbors have alike, with a standard deviation of one."""
    from scipy import ndimage

    values = ndimage.gaussian_filter(draw.normal(0, 1, shape[:2]), width)
    return np.asarray(values / max(float(values.std()), 1e-9))


def coarse_grain(amount: float) -> Change:
    """Add gray grain of two pixels' width, as of a fast film."""

    def grain(pixels: Pixels8, draw: np.random.Generator) -> Pixels8:
        return back(pixels + 18 * amount * _smooth(draw, pixels.shape, 1.0)[..., None])

    return grain


def speckled(amount: float) -> Change:
    """Multiply by noise, as in radar and ultrasound images: bright areas get more of it."""

    def speckle(pixels: Pixels8, draw: np.random.Generator) -> Pixels8:
        return back(pixels * (1 + draw.normal(0, 0.22 * amount, (*pixels.shape[:2], 1))))

    return speckle


def streaked(amount: float) -> Change:
    """Draw thin bright lines in one slanted direction, as of rain or scratches."""

    def streak(pixels: Pixels8, draw: np.random.Generator) -> Pixels8:
        high, wide = pixels.shape[:2]
        layer = Image.new("L", (wide, high))
        pen = ImageDraw.Draw(layer)
        length, slant = 0.1 * high, float(draw.uniform(-0.4, 0.4))
        for y, x in draw.random((max(3, round(60 * amount)), 2)) * (high, wide):
            pen.line((x, y, x + slant * length, y + length), fill=150, width=max(1, round(wide / 150)))
        alpha = np.asarray(layer, np.float32)[..., None] / 255
        return back(pixels * (1 - alpha) + 225 * alpha)

    return streak


def specked(amount: float) -> Change:
    """Draw soft bright spots, as of dust or snow."""

    def speck(pixels: Pixels8, draw: np.random.Generator) -> Pixels8:
        high, wide = pixels.shape[:2]
        layer = Image.new("L", (wide, high))
        pen, most = ImageDraw.Draw(layer), 0.012 * max(high, wide)
        for y, x, size in draw.random((max(3, round(70 * amount)), 3)):
            radius = most * (0.3 + size)
            pen.ellipse((x * wide - radius, y * high - radius, x * wide + radius, y * high + radius), fill=210)
        alpha = np.asarray(layer.filter(ImageFilter.GaussianBlur(0.3 * most)), np.float32)[..., None] / 255
        return back(pixels * (1 - alpha) + 245 * alpha)

    return speck


def single_pixels(amount: float) -> Change:
    """Set a few pixels of every image to white, always the same ones, as of a damaged sensor."""

    def damage(pixels: Pixels8, draw: np.random.Generator) -> Pixels8:
        out = pixels.copy()
        at = np.random.default_rng(11).random((max(3, round(60 * amount)), 2)) * pixels.shape[:2]
        out[tuple(at.astype(int).T)] = 255
        return out

    return damage


def lit_from_a_side(amount: float) -> Change:
    """Brighten one side and darken the other."""

    def light(pixels: Pixels8, draw: np.random.Generator) -> Pixels8:
        high, wide = pixels.shape[:2]
        angle = draw.uniform(0, 2 * np.pi)
        y, x = np.linspace(-1, 1, high)[:, None], np.linspace(-1, 1, wide)[None]
        return back(pixels * (1 + 0.5 * amount * (y * np.sin(angle) + x * np.cos(angle)))[..., None])

    return light


def shaded(amount: float) -> Change:
    """Darken large patches with soft edges, as of shadows or stains."""

    def shade(pixels: Pixels8, draw: np.random.Generator) -> Pixels8:
        dark = _smooth(draw, pixels.shape, 0.12 * max(pixels.shape[:2])) > 0.3
        soft = np.asarray(
            Image.fromarray(255 * dark.astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.02 * max(dark.shape)))
        )
        return back(pixels * (1 - min(0.5 * amount, 0.95) * soft / 255.0)[..., None])

    return shade


def glowing(amount: float) -> Change:
    """Let bright areas shine over what is around them, as through a soft-focus filter."""

    def glow(pixels: Pixels8, draw: np.random.Generator) -> Pixels8:
        bright = Image.fromarray(back(np.clip(pixels.astype(np.float32) - 150, 0, None) * 2.4))
        halo = np.asarray(bright.filter(ImageFilter.GaussianBlur(0.04 * max(pixels.shape[:2]))), np.float32)
        return back(pixels + 0.8 * amount * halo)

    return glow


def without_blocks(amount: float) -> Change:
    """Black out random blocks, as where parts of a file or a transmission are lost."""

    def drop(pixels: Pixels8, draw: np.random.Generator) -> Pixels8:
        side = max(2, max(pixels.shape[:2]) // 14)
        high, wide = pixels.shape[:2]
        gone = draw.random((-(-high // side), -(-wide // side))) < min(0.08 * amount, 0.6)
        mask = gone.repeat(side, 0).repeat(side, 1)[:high, :wide]
        return np.where(mask[..., None], 0, pixels).astype(np.uint8)

    return drop


def halftoned(amount: float) -> Change:
    """Print as dots of one size of grid: every color is full or nothing, by an ordered matrix of thresholds."""

    def dots(pixels: Pixels8, draw: np.random.Generator) -> Pixels8:
        order = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]])
        high, wide = pixels.shape[:2]
        least = np.tile(order, (-(-high // 4), -(-wide // 4)))[:high, :wide] * 16.0 + 8
        printed = 255.0 * (pixels > least[..., None])
        return back(pixels + min(amount, 1.0) * (printed - pixels))

    return dots


def dithered(amount: float) -> Change:
    """Leave few colors, and scatter the error among neighbors (Floyd and Steinberg 1976)."""

    def scatter(pixels: Pixels8, draw: np.random.Generator) -> Pixels8:
        image = Image.fromarray(pixels)
        few = image.quantize(min(max(round(8 / amount**2), 2), 64))
        return np.asarray(image.quantize(palette=few, dither=Image.Dither.FLOYDSTEINBERG).convert("RGB"))

    return scatter
