"""Kinds of artefact that change the whole image: geometry, tone, color, noise, blur, compression, masks, optics.

Each entry of `TRANSFORMS` draws its settings once for a case and returns a `Plant` (see `plants.py`): from an RGB image
and random draws for that image to the changed image and the mask of what was changed, None for all of it.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageOps
from plants import Draw, Plant
from scipy import ndimage
from skimage import color, exposure, transform, util

Pixels = np.ndarray
"""`(h, w, 3)` float32 in [0, 1]."""


def _whole(change: Callable[[Pixels, Draw], Pixels]) -> Plant:
    """Return a plant from a change of float pixels."""

    def plant(image: Image.Image, draw: Draw):
        pixels = np.asarray(image.convert("RGB"), np.float32) / 255.0
        changed = np.clip(np.asarray(change(pixels, draw), np.float32), 0.0, 1.0)
        return Image.fromarray(np.round(255.0 * changed).astype(np.uint8)), None

    return plant


def _pillow(change: Callable[[Image.Image], Image.Image]) -> Plant:
    return lambda image, draw: (change(image.convert("RGB")).convert("RGB").resize(image.size), None)


def _grid(pixels: Pixels) -> tuple[Pixels, Pixels]:
    """Return the row and column of every pixel in [-1, 1]."""
    h, w = pixels.shape[:2]
    return np.meshgrid(np.linspace(-1, 1, h), np.linspace(-1, 1, w), indexing="ij")


def _masked(outside: Callable[[Pixels, Pixels], Pixels], level: float) -> Plant:
    """Return a plant that sets a region, given by row and column in [-1, 1], to one level."""

    def plant(image: Image.Image, draw: Draw):
        pixels = np.array(image.convert("RGB"))
        region = outside(*_grid(pixels))
        pixels[region] = round(255 * level)
        return Image.fromarray(pixels), region

    return plant


# ---- geometry


def on_its_side(case: Draw) -> Plant:
    turn = (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_270)[int(case.integers(2))]
    return _pillow(lambda image: image.transpose(turn))


def upside_down(case: Draw) -> Plant:
    return _pillow(lambda image: image.transpose(Image.Transpose.ROTATE_180))


def tilted(case: Draw) -> Plant:
    angle = float(case.uniform(12, 25)) * (1 if case.integers(2) else -1)
    return _whole(lambda x, draw: transform.rotate(x, angle, mode="reflect"))


def zoomed_in(case: Draw) -> Plant:
    keep = float(case.uniform(0.35, 0.5))

    def change(image: Image.Image) -> Image.Image:
        w, h = image.size
        dx, dy = round(w * (1 - keep) / 2), round(h * (1 - keep) / 2)
        return image.crop((dx, dy, w - dx, h - dy))

    return _pillow(change)


def squeezed(case: Draw) -> Plant:
    factor = float(case.uniform(0.55, 0.7))

    def change(x: Pixels, draw: Draw) -> Pixels:
        h, w = x.shape[:2]
        narrow = transform.resize(x, (h, round(w * factor)), anti_aliasing=True)
        side = w - narrow.shape[1]
        return np.pad(narrow, ((0, 0), (side // 2, side - side // 2), (0, 0)), mode="reflect")

    return _whole(change)


def fisheye(case: Draw) -> Plant:
    strength = float(case.uniform(0.35, 0.6))

    def change(x: Pixels, draw: Draw) -> Pixels:
        row, column = _grid(x)
        scale = 1 - strength * (1 - np.clip(row**2 + column**2, 0, 1))
        h, w = x.shape[:2]
        at = np.stack([(row * scale + 1) / 2 * (h - 1), (column * scale + 1) / 2 * (w - 1)])
        return np.stack([ndimage.map_coordinates(x[..., k], at, order=1, mode="reflect") for k in range(3)], -1)

    return _whole(change)


def wavy(case: Draw) -> Plant:
    height, length = float(case.uniform(0.015, 0.03)), float(case.uniform(0.08, 0.15))

    def change(x: Pixels, draw: Draw) -> Pixels:
        h, w = x.shape[:2]
        shift = np.round(height * w * np.sin(2 * np.pi * np.arange(h) / (length * h))).astype(int)
        return np.stack([np.roll(line, s, axis=0) for line, s in zip(x, shift, strict=True)])

    return _whole(change)


# ---- tone and color


def gamma(case: Draw) -> Plant:
    power = float(case.uniform(1.8, 2.4)) if case.integers(2) else 1 / float(case.uniform(1.8, 2.4))
    return _whole(lambda x, draw: x**power)


def grayscale(case: Draw) -> Plant:
    return _pillow(ImageOps.grayscale)


def sepia(case: Draw) -> Plant:
    tone = np.array([1.08, 0.9, 0.65], np.float32) + case.uniform(-0.05, 0.05, 3)
    return _whole(lambda x, draw: x.mean(-1, keepdims=True) * tone)


def hue(case: Draw) -> Plant:
    turn = float(case.uniform(0.1, 0.25)) * (1 if case.integers(2) else -1)

    def change(x: Pixels, draw: Draw) -> Pixels:
        hsv = color.rgb2hsv(x)
        hsv[..., 0] = (hsv[..., 0] + turn) % 1.0
        return color.hsv2rgb(hsv)

    return _whole(change)


def vivid(case: Draw) -> Plant:
    factor = float(case.uniform(1.8, 2.6))
    return _whole(lambda x, draw: x.mean(-1, keepdims=True) + factor * (x - x.mean(-1, keepdims=True)))


def channels_swapped(case: Draw) -> Plant:
    order = ((2, 1, 0), (1, 0, 2), (0, 2, 1))[int(case.integers(3))]
    return _whole(lambda x, draw: x[..., order])


def negative(case: Draw) -> Plant:
    return _pillow(ImageOps.invert)


def haze(case: Draw) -> Plant:
    amount = float(case.uniform(0.3, 0.5))
    return _whole(lambda x, draw: (1 - amount) * x + amount * 0.9)


def harsh(case: Draw) -> Plant:
    factor = float(case.uniform(1.7, 2.4))
    return _whole(lambda x, draw: 0.5 + factor * (x - 0.5))


def posterized(case: Draw) -> Plant:
    bits = int(case.integers(2, 4))
    return _pillow(lambda image: ImageOps.posterize(image, bits))


def solarized(case: Draw) -> Plant:
    level = int(case.integers(120, 190))
    return _pillow(lambda image: ImageOps.solarize(image, level))


def equalized(case: Draw) -> Plant:
    clip = float(case.uniform(0.02, 0.05))
    return _whole(lambda x, draw: exposure.equalize_adapthist(x, clip_limit=clip))


def gradient_light(case: Draw) -> Plant:
    way, amount = case.normal(0, 1, 2), float(case.uniform(0.5, 0.8))
    way = way / np.linalg.norm(way)

    def change(x: Pixels, draw: Draw) -> Pixels:
        row, column = _grid(x)
        return x * (1 + amount * (way[0] * row + way[1] * column) / 1.4)[..., None]

    return _whole(change)


def palette(case: Draw) -> Plant:
    count = int(case.integers(8, 20))
    return _pillow(lambda image: image.quantize(count, dither=Image.Dither.FLOYDSTEINBERG))


# ---- noise and dropout


def white_noise(case: Draw) -> Plant:
    std = float(case.uniform(0.06, 0.12))
    return _whole(lambda x, draw: x + draw.normal(0, std, x.shape))


def salt_and_pepper(case: Draw) -> Plant:
    amount = float(case.uniform(0.02, 0.05))

    def change(x: Pixels, draw: Draw) -> Pixels:
        u = draw.random(x.shape[:2])[..., None]
        return np.where(u < amount / 2, 0.0, np.where(u > 1 - amount / 2, 1.0, x))

    return _whole(change)


def speckle(case: Draw) -> Plant:
    std = float(case.uniform(0.2, 0.35))
    return _whole(lambda x, draw: x * (1 + draw.normal(0, std, (*x.shape[:2], 1))))


def film_grain(case: Draw) -> Plant:
    std, width = float(case.uniform(0.06, 0.1)), float(case.uniform(0.8, 1.4))

    def change(x: Pixels, draw: Draw) -> Pixels:
        grain = ndimage.gaussian_filter(draw.normal(0, 1, x.shape[:2]), width)
        return x + std * (grain / grain.std())[..., None]

    return _whole(change)


def dead_pixels(case: Draw) -> Plant:
    count, place = int(case.integers(40, 90)), case.random((90, 2))

    def change(x: Pixels, draw: Draw) -> Pixels:
        x = x.copy()
        at = (place[:count] * x.shape[:2]).astype(int)
        x[at[:, 0], at[:, 1]] = 1.0
        return x

    return _whole(change)


def block_dropout(case: Draw) -> Plant:
    side, amount = int(case.integers(4, 8)), float(case.uniform(0.03, 0.07))

    def change(x: Pixels, draw: Draw) -> Pixels:
        h, w = x.shape[:2]
        gone = draw.random((-(-h // side), -(-w // side))) < amount
        return np.where(np.kron(gone, np.ones((side, side), bool))[:h, :w, None], 0.0, x)

    return _whole(change)


# ---- blur and sharpness


def motion_blur(case: Draw) -> Plant:
    length, axis = int(case.integers(9, 15)), int(case.integers(2))
    return _whole(lambda x, draw: ndimage.uniform_filter1d(x, length, axis=axis, mode="reflect"))


def defocus(case: Draw) -> Plant:
    radius = int(case.integers(3, 5))
    row, column = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disk = (row**2 + column**2 <= radius**2).astype(np.float32)
    disk /= disk.sum()
    return _whole(lambda x, draw: np.stack([ndimage.convolve(x[..., k], disk, mode="reflect") for k in range(3)], -1))


def pixelated(case: Draw) -> Plant:
    factor = int(case.integers(3, 6))

    def change(image: Image.Image) -> Image.Image:
        small = image.resize((max(1, image.width // factor), max(1, image.height // factor)), Image.Resampling.BOX)
        return small.resize(image.size, Image.Resampling.NEAREST)

    return _pillow(change)


def oversharpened(case: Draw) -> Plant:
    amount = int(case.integers(250, 450))
    return _pillow(lambda image: image.filter(ImageFilter.UnsharpMask(2, amount, 0)))


def median_smoothed(case: Draw) -> Plant:
    size = int(case.integers(2, 4)) * 2 + 1
    return _pillow(lambda image: image.filter(ImageFilter.MedianFilter(size)))


def bloom(case: Draw) -> Plant:
    sigma, amount = float(case.uniform(4, 8)), float(case.uniform(0.5, 0.9))

    def change(x: Pixels, draw: Draw) -> Pixels:
        glow = ndimage.gaussian_filter(np.where(x > 0.6, x, 0.0), (sigma, sigma, 0))
        return 1 - (1 - x) * (1 - amount * glow)

    return _whole(change)


# ---- compression and sampling


def _coded(kind: str, **options: int) -> Plant:
    def change(image: Image.Image) -> Image.Image:
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        return Image.open(io.BytesIO(buffer.getvalue()))

    return _pillow(change)


def webp(case: Draw) -> Plant:
    return _coded("WEBP", quality=int(case.integers(1, 6)))


def interlaced(case: Draw) -> Plant:
    shift = int(case.integers(2, 5))

    def change(x: Pixels, draw: Draw) -> Pixels:
        x = x.copy()
        x[1::2] = np.roll(x[1::2], shift, axis=1)
        return x

    return _whole(change)


def scan_lines(case: Draw) -> Plant:
    dim, period = float(case.uniform(0.5, 0.7)), int(case.integers(2, 4))

    def change(x: Pixels, draw: Draw) -> Pixels:
        x = x.copy()
        x[::period] *= dim
        return x

    return _whole(change)


def screen_door(case: Draw) -> Plant:
    period, dim = int(case.integers(4, 7)), float(case.uniform(0.3, 0.6))

    def change(x: Pixels, draw: Draw) -> Pixels:
        x = x.copy()
        x[::period] *= dim
        x[:, ::period] *= dim
        return x

    return _whole(change)


def halftone(case: Draw) -> Plant:
    period = int(case.integers(4, 7))

    def change(x: Pixels, draw: Draw) -> Pixels:
        row, column = np.indices(x.shape[:2])
        wave = 0.5 + 0.25 * (np.cos(2 * np.pi * row / period) + np.cos(2 * np.pi * column / period))
        return 0.5 * x + 0.5 * (x > wave[..., None])

    return _whole(change)


# ---- optics and masks


def vignette(case: Draw) -> Plant:
    amount = float(case.uniform(0.6, 0.9))

    def change(x: Pixels, draw: Draw) -> Pixels:
        row, column = _grid(x)
        return x * (1 - amount * np.clip((row**2 + column**2) / 2, 0, 1))[..., None]

    return _whole(change)


def color_fringe(case: Draw) -> Plant:
    shift = int(case.integers(2, 4))

    def change(x: Pixels, draw: Draw) -> Pixels:
        return np.stack([np.roll(x[..., 0], shift, 1), x[..., 1], np.roll(x[..., 2], -shift, 1)], -1)

    return _whole(change)


def round_view(case: Draw) -> Plant:
    radius = float(case.uniform(0.92, 1.05))
    return _masked(lambda row, column: row**2 + column**2 > radius**2, 0.0)


def letterbox(case: Draw) -> Plant:
    height = float(case.uniform(0.78, 0.88))
    return _masked(lambda row, column: np.abs(row) > height, 0.0)


def pillarbox(case: Draw) -> Plant:
    width = float(case.uniform(0.78, 0.88))
    return _masked(lambda row, column: np.abs(column) > width, 0.0)


def rounded_corners(case: Draw) -> Plant:
    radius = float(case.uniform(0.3, 0.45))

    def outside(row: Pixels, column: Pixels) -> Pixels:
        dr, dc = (np.clip(np.abs(v) - (1 - radius), 0, None) for v in (row, column))
        return dr**2 + dc**2 > radius**2

    return _masked(outside, 1.0)


def cut_corner(case: Draw) -> Plant:
    sign, reach = case.choice([-1, 1], 2), float(case.uniform(1.45, 1.6))
    return _masked(lambda row, column: sign[0] * row + sign[1] * column > reach, 1.0)


def lens_flare(case: Draw) -> Plant:
    def change(x: Pixels, draw: Draw) -> Pixels:
        row, column = _grid(x)
        center = draw.uniform(-0.7, 0.7, 2)
        glow = np.exp(-((row - center[0]) ** 2 + (column - center[1]) ** 2) / 0.08)
        return 1 - (1 - x) * (1 - 0.9 * glow[..., None])

    return _whole(change)


def rain(case: Draw) -> Plant:
    count, lean = int(case.integers(60, 120)), int(case.integers(-6, 7))

    def plant(image: Image.Image, draw: Draw):
        layer = Image.new("L", image.size, 0)
        pen = ImageDraw.Draw(layer)
        for x, y in (draw.random((count, 2)) * image.size).astype(int):
            pen.line((int(x), int(y), int(x) + lean, int(y) + image.height // 12), fill=190)
        white = Image.new("RGB", image.size, (235, 235, 245))
        return Image.composite(white, image, layer), np.asarray(layer) > 0

    return plant


def jpeg_twice_shifted(case: Draw) -> Plant:
    first = _coded("JPEG", quality=int(case.integers(10, 18)))

    def plant(image: Image.Image, draw: Draw):
        moved = Image.fromarray(np.roll(np.asarray(image), (4, 4), (0, 1)))
        return Image.fromarray(np.roll(np.asarray(first(moved, draw)[0]), (-4, -4), (0, 1))), None

    return plant


def dithered(case: Draw) -> Plant:
    levels = int(case.integers(2, 4))

    def change(x: Pixels, draw: Draw) -> Pixels:
        noise = util.random_noise(np.zeros(x.shape[:2]), mode="gaussian", var=0.02, rng=draw, clip=False)
        return np.round((x + noise[..., None]) * levels) / levels

    return _whole(change)


TRANSFORMS: dict[str, Callable[[Draw], Plant]] = {
    f.__name__: f
    for f in (
        on_its_side, upside_down, tilted, zoomed_in, squeezed, fisheye, wavy,
        gamma, grayscale, sepia, hue, vivid, channels_swapped, negative, haze, harsh, posterized, solarized,
        equalized, gradient_light, palette,
        white_noise, salt_and_pepper, speckle, film_grain, dead_pixels, block_dropout,
        motion_blur, defocus, pixelated, oversharpened, median_smoothed, bloom,
        webp, jpeg_twice_shifted, interlaced, scan_lines, screen_door, halftone, dithered,
        vignette, color_fringe, round_view, letterbox, pillarbox, rounded_corners, cut_corner, lens_flare, rain,
    )
}  # fmt: skip
