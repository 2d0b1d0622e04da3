"""The library of transforms: how images are made, whatever they show. Adding one is one entry."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter, ImageOps, features

from . import surfaces, warps
from .properties import LUMA
from .warps import Change, Grade, Pixels8, back

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Transform:
    """A way of treating whole images.

    Attributes:
        name: key of its words, after `transform_`.
        apply: from pixels `(h, w, 3)` and random draws that belong to the image to treated pixels.
        remove: takes it off again; None where it cannot be undone.
        control: a change as large that is something else; None for the image as it is.
        grade: the same change, so many times as strong; None where there is no more or less of it.
    """

    name: str
    apply: Change
    remove: Change | None = None
    control: Change | None = None
    grade: Grade | None = None

    def at(self, amount: float) -> Change:
        """Return the change, so many times as strong."""
        return self.apply if amount == 1 or self.grade is None else self.grade(amount)


def _graded(name: str, grade: Grade, control: Change | None = None) -> Transform:
    return Transform(name, grade(1.0), control=control, grade=grade)


def _turned(quarters: int) -> Change:
    return lambda pixels, draw: np.ascontiguousarray(np.rot90(pixels, quarters))


def _aside(pixels: Pixels8, draw: np.random.Generator) -> Pixels8:
    """Turn by a quarter to either side."""
    return np.ascontiguousarray(np.rot90(pixels, 1 if draw.random() < 0.5 else -1))


def _pillow(change: Callable[[Image.Image], Image.Image]) -> Change:
    return lambda pixels, draw: np.asarray(change(Image.fromarray(pixels)).convert("RGB"))


def _toned(change: Callable[[Floats], npt.NDArray[np.floating]]) -> Change:
    """Return a change of values in [0, 1]."""
    return lambda pixels, draw: back(255 * change(np.asarray(pixels / 255, np.float32)))


def _tilted(amount: float) -> Change:
    """Turn by 12 degrees, and crop so that no corner is empty."""
    amount = min(amount, 2.0)

    def tilt(pixels: Pixels8, draw: np.random.Generator) -> Pixels8:
        turned = Image.fromarray(pixels).rotate(12 * amount, Image.Resampling.BICUBIC)
        return _cropped(1 - 0.26 * amount)(np.asarray(turned), draw)

    return tilt


def _faded(change: Change) -> Grade:
    """Return a change that is mixed with the image as it is, up to all of it."""

    def grade(amount: float) -> Change:
        if amount >= 1:
            return change
        return lambda pixels, draw: back(pixels + amount * (change(pixels, draw).astype(np.float32) - pixels))

    return grade


def _cropped(keep: float) -> Change:
    def crop(pixels: Pixels8, draw: np.random.Generator) -> Pixels8:
        high, wide = pixels.shape[:2]
        y, x = round(high * (1 - keep) / 2), round(wide * (1 - keep) / 2)
        inner = Image.fromarray(pixels[y : high - y, x : wide - x])
        return np.asarray(inner.resize((wide, high), Image.Resampling.BICUBIC))

    return crop


def _squeezed(amount: float) -> Change:
    """Squeeze the middle of the image's width to three fifths, as when a wide image was forced into a square."""

    def squeeze(pixels: Pixels8, draw: np.random.Generator) -> Pixels8:
        high, wide = pixels.shape[:2]
        y = round(min(0.2 * amount, 0.4) * high)
        return np.asarray(Image.fromarray(pixels[y : high - y]).resize((wide, high), Image.Resampling.BICUBIC))

    return squeeze


def _noisy(deviation: float, *, colored: bool) -> Change:
    def noise(pixels: Pixels8, draw: np.random.Generator) -> Pixels8:
        return back(pixels + draw.normal(0, deviation, pixels.shape if colored else (*pixels.shape[:2], 1)))

    return noise


def _salted(fraction: float) -> Change:
    def salt(pixels: Pixels8, draw: np.random.Generator) -> Pixels8:
        chosen = draw.random(pixels.shape[:2])
        out = pixels.copy()
        out[chosen < fraction], out[chosen > 1 - fraction] = 0, 255
        return out

    return salt


def _vignetted(amount: float) -> Change:
    def darken(pixels: Pixels8, draw: np.random.Generator) -> Pixels8:
        high, wide = pixels.shape[:2]
        y, x = np.linspace(-1, 1, high)[:, None], np.linspace(-1, 1, wide)[None]
        return back(pixels * np.clip(1.15 - 0.5 * amount * (y**2 + x**2), 0, 1)[..., None])

    return darken


def _sepia(values: Floats) -> npt.NDArray[np.floating]:
    return (values @ LUMA)[..., None] * np.array([1.07, 0.95, 0.75], np.float32)


def _hue(amount: float) -> Change:
    def turn(pixels: Pixels8, draw: np.random.Generator) -> Pixels8:
        hsv = np.array(Image.fromarray(pixels).convert("HSV"))
        hsv[..., 0] += round(64 * amount) % 256  # 64: a quarter of the circle; uint8 wraps
        return np.asarray(Image.fromarray(hsv, "HSV").convert("RGB"))

    return turn


def _moved(amount: float) -> Change:
    """Blur along a line, by one twentieth of the width."""

    def blur(pixels: Pixels8, draw: np.random.Generator) -> Pixels8:
        from scipy import ndimage

        length = max(3, int(pixels.shape[1] * amount / 20))
        return back(ndimage.uniform_filter1d(pixels.astype(np.float32), length, axis=1))

    return blur


def _pixelated(side: int) -> Change:
    def coarsen(pixels: Pixels8, draw: np.random.Generator) -> Pixels8:
        image = Image.fromarray(pixels)
        small = image.resize((max(1, image.width // side), max(1, image.height // side)), Image.Resampling.BOX)
        return np.asarray(small.resize(image.size, Image.Resampling.NEAREST))

    return coarsen


def _coded(kind: str, quality: float) -> Change:
    def code(pixels: Pixels8, draw: np.random.Generator) -> Pixels8:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, kind, quality=min(max(round(quality), 2), 95))
        return np.asarray(Image.open(buffer).convert("RGB"))

    return code


def _lined(*axes: int) -> Grade:
    def grade(amount: float) -> Change:
        def line(pixels: Pixels8, draw: np.random.Generator) -> Pixels8:
            out = pixels.astype(np.float32)
            for axis in axes:
                lines = np.moveaxis(out, axis, 0)
                lines[::3] *= max(1 - 0.45 * amount, 0)
            return back(out)

        return line

    return grade


def _interlaced(amount: float) -> Change:
    """Move every second line to the side, as where two half images of a moving camera are woven together."""

    def weave(pixels: Pixels8, draw: np.random.Generator) -> Pixels8:
        out = pixels.copy()
        out[1::2] = np.roll(pixels[1::2], max(1, int(pixels.shape[1] * amount / 50)), axis=1)
        return out

    return weave


def _fringed(amount: float) -> Change:
    def fringe(pixels: Pixels8, draw: np.random.Generator) -> Pixels8:
        shift = max(1, int(pixels.shape[1] * amount / 75))
        return np.stack([np.roll(pixels[..., 0], shift, 1), pixels[..., 1], np.roll(pixels[..., 2], -shift, 1)], -1)

    return fringe


def _few(most: float) -> int:
    """Return a number of tones or colors, at least two."""
    return min(max(round(most), 2), 256)


def _without(channel: int) -> Change:
    def drop(pixels: Pixels8, draw: np.random.Generator) -> Pixels8:
        out = pixels.copy()
        out[..., channel] = 0
        return out

    return drop


TRANSFORMS: Mapping[str, Transform] = {
    t.name: t
    for t in (
        Transform("upside_down", _turned(2), _turned(2)),
        Transform("quarter_left", _turned(1), _turned(-1), _turned(2)),
        Transform("quarter_right", _turned(-1), _turned(1), _turned(2)),
        Transform("on_its_side", _aside, control=_turned(2)),
        _graded("tilted", _tilted, control=_cropped(0.74)),
        _graded("zoomed", lambda a: _cropped(max(0.5**a, 0.2))),
        _graded("squeezed", _squeezed),
        _graded("noise", lambda a: _noisy(22 * a, colored=True)),
        _graded("gray_noise", lambda a: _noisy(18 * a, colored=False)),
        _graded("salt_and_pepper", lambda a: _salted(0.02 * a)),
        _graded("gamma_dark", lambda a: _toned(lambda v: v ** (1.9**a))),
        _graded("gamma_light", lambda a: _toned(lambda v: v ** (0.5**a))),
        _graded("haze", lambda a: _toned(lambda v: (1 - 0.5 * min(a, 1.8)) * v + 0.42 * min(a, 1.8))),
        _graded("hard_contrast", lambda a: _toned(lambda v: 0.5 + (1 + 0.8 * a) * (v - 0.5))),
        _graded("equalized", _faded(_pillow(ImageOps.equalize))),
        _graded("grayscale", _faded(_pillow(lambda image: image.convert("L")))),
        _graded("sepia", _faded(_toned(_sepia))),
        _graded("hue", _hue),
        Transform("negative", _toned(lambda v: 1 - v), _toned(lambda v: 1 - v)),
        _graded("posterized", lambda a: _pillow(lambda image: ImageOps.posterize(image, min(max(round(2 / a), 1), 8)))),
        _graded("palette", lambda a: _pillow(lambda image: image.quantize(_few(12 / a**2)))),
        _graded("no_blue", _faded(_without(2))),
        _graded("blur", lambda a: _pillow(lambda i: i.filter(ImageFilter.GaussianBlur(0.012 * a * max(i.size))))),
        _graded("motion_blur", _moved),
        _graded(
            "median", lambda a: _pillow(lambda i: i.filter(ImageFilter.MedianFilter(2 * max(round(2 * a), 1) + 1)))
        ),
        _graded("pixelated", lambda a: _pixelated(max(round(4 * a), 2))),
        _graded("jpeg", lambda a: _coded("JPEG", 12 / a**1.5)),
        _graded("sharpened", lambda a: _pillow(lambda i: i.filter(ImageFilter.UnsharpMask(2, round(250 * a), 0)))),
        _graded("vignette", _vignetted),
        _graded("scan_lines", _lined(0)),
        _graded("screen_door", _lined(0, 1)),
        _graded("interlaced", _interlaced),
        _graded("color_fringes", _fringed),
        _graded("solarized", _faded(_pillow(lambda image: ImageOps.solarize(image, 128)))),
        _graded("channels_swapped", _faded(lambda pixels, draw: np.ascontiguousarray(pixels[..., ::-1]))),
        *([_graded("webp", lambda a: _coded("WEBP", 8 / a**1.5))] if features.check("webp") else []),
        _graded("eroded", lambda a: _pillow(lambda i: i.filter(ImageFilter.MinFilter(2 * max(round(a), 1) + 1)))),
        _graded("dilated", lambda a: _pillow(lambda i: i.filter(ImageFilter.MaxFilter(2 * max(round(a), 1) + 1)))),
        _graded("wavy", warps.wavy),
        _graded("elastic", warps.elastic),
        _graded("glass", warps.glass),
        _graded("bulging", warps.bulging),
        _graded("keystone", warps.keystone),
        _graded("stretched", warps.stretched),
        _graded("ghost", warps.ghost),
        _graded("zoom_blur", warps.zoom_blur),
        _graded("coarse_grain", surfaces.coarse_grain),
        _graded("speckled", surfaces.speckled),
        _graded("streaked", surfaces.streaked),
        _graded("specked", surfaces.specked),
        _graded("single_pixels", surfaces.single_pixels),
        _graded("lit_from_a_side", surfaces.lit_from_a_side),
        _graded("shaded", surfaces.shaded),
        _graded("glowing", surfaces.glowing),
        _graded("without_blocks", surfaces.without_blocks),
        _graded("halftoned", surfaces.halftoned),
        _graded("dithered", surfaces.dithered),
    )
}
