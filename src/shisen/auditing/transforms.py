"""The library of transforms: how images are made, whatever they show. Adding one is one entry."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter, ImageOps

from .properties import LUMA

Pixels8 = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Change = Callable[[Pixels8, np.random.Generator], Pixels8]


@dataclass(frozen=True)
class Transform:
    """A way of treating whole images.

    Attributes:
        name: key of its words, after `transform_`.
        apply: from pixels `(h, w, 3)` and random draws that belong to the image to treated pixels.
        remove: takes it off again; None where it cannot be undone.
        control: a change as large that is something else; None for the image as it is.
    """

    name: str
    apply: Change
    remove: Change | None = None
    control: Change | None = None


def _back(values: npt.NDArray[np.floating]) -> Pixels8:
    return np.asarray(np.rint(np.clip(values, 0, 255)), dtype=np.uint8)


def _turned(quarters: int) -> Change:
    return lambda pixels, draw: np.ascontiguousarray(np.rot90(pixels, quarters))


def _aside(pixels: Pixels8, draw: np.random.Generator) -> Pixels8:
    """Turn by a quarter to either side."""
    return np.ascontiguousarray(np.rot90(pixels, 1 if draw.random() < 0.5 else -1))


def _pillow(change: Callable[[Image.Image], Image.Image]) -> Change:
    return lambda pixels, draw: np.asarray(change(Image.fromarray(pixels)).convert("RGB"))


def _toned(change: Callable[[Floats], npt.NDArray[np.floating]]) -> Change:
    """Return a change of values in [0, 1]."""
    return lambda pixels, draw: _back(255 * change(np.asarray(pixels / 255, np.float32)))


def _tilted(pixels: Pixels8, draw: np.random.Generator) -> Pixels8:
    """Turn by 12 degrees, and crop so that no corner is empty."""
    turned = Image.fromarray(pixels).rotate(12, Image.Resampling.BICUBIC)
    return _cropped(0.74)(np.asarray(turned), draw)


def _cropped(keep: float) -> Change:
    def crop(pixels: Pixels8, draw: np.random.Generator) -> Pixels8:
        high, wide = pixels.shape[:2]
        y, x = round(high * (1 - keep) / 2), round(wide * (1 - keep) / 2)
        inner = Image.fromarray(pixels[y : high - y, x : wide - x])
        return np.asarray(inner.resize((wide, high), Image.Resampling.BICUBIC))

    return crop


def _squeezed(pixels: Pixels8, draw: np.random.Generator) -> Pixels8:
    """Squeeze the middle of the image's width to three fifths, as when a wide image was forced into a square."""
    high, wide = pixels.shape[:2]
    y = round(0.2 * high)
    return np.asarray(Image.fromarray(pixels[y : high - y]).resize((wide, high), Image.Resampling.BICUBIC))


def _noisy(pixels: Pixels8, draw: np.random.Generator) -> Pixels8:
    return _back(pixels + draw.normal(0, 22, pixels.shape))


def _grainy(pixels: Pixels8, draw: np.random.Generator) -> Pixels8:
    return _back(pixels + draw.normal(0, 18, (*pixels.shape[:2], 1)))


def _salted(pixels: Pixels8, draw: np.random.Generator) -> Pixels8:
    chosen = draw.random(pixels.shape[:2])
    out = pixels.copy()
    out[chosen < 0.02], out[chosen > 0.98] = 0, 255
    return out


def _hazy(values: Floats) -> npt.NDArray[np.floating]:
    return 0.5 * values + 0.42


def _vignetted(pixels: Pixels8, draw: np.random.Generator) -> Pixels8:
    high, wide = pixels.shape[:2]
    y, x = np.linspace(-1, 1, high)[:, None], np.linspace(-1, 1, wide)[None]
    return _back(pixels * np.clip(1.15 - 0.5 * (y**2 + x**2), 0, 1)[..., None])


def _sepia(values: Floats) -> npt.NDArray[np.floating]:
    return (values @ LUMA)[..., None] * np.array([1.07, 0.95, 0.75], np.float32)


def _hue(pixels: Pixels8, draw: np.random.Generator) -> Pixels8:
    hsv = np.array(Image.fromarray(pixels).convert("HSV"))
    hsv[..., 0] += 64  # a quarter of the circle; uint8 wraps
    return np.asarray(Image.fromarray(hsv, "HSV").convert("RGB"))


def _moved(pixels: Pixels8, draw: np.random.Generator) -> Pixels8:
    """Blur along a line, by one twentieth of the width."""
    from scipy import ndimage

    return _back(ndimage.uniform_filter1d(pixels.astype(np.float32), max(3, pixels.shape[1] // 20), axis=1))


def _pixelated(pixels: Pixels8, draw: np.random.Generator) -> Pixels8:
    image = Image.fromarray(pixels)
    small = image.resize((max(1, image.width // 4), max(1, image.height // 4)), Image.Resampling.BOX)
    return np.asarray(small.resize(image.size, Image.Resampling.NEAREST))


def _jpeg(pixels: Pixels8, draw: np.random.Generator) -> Pixels8:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=12)
    return np.asarray(Image.open(buffer).convert("RGB"))


def _lined(axes: tuple[int, ...]) -> Change:
    def line(pixels: Pixels8, draw: np.random.Generator) -> Pixels8:
        out = pixels.astype(np.float32)
        for axis in axes:
            lines = np.moveaxis(out, axis, 0)
            lines[::3] *= 0.55
        return _back(out)

    return line


def _interlaced(pixels: Pixels8, draw: np.random.Generator) -> Pixels8:
    """Move every second line to the side, as where two half images of a moving camera are woven together."""
    out = pixels.copy()
    out[1::2] = np.roll(pixels[1::2], max(1, pixels.shape[1] // 50), axis=1)
    return out


def _fringed(pixels: Pixels8, draw: np.random.Generator) -> Pixels8:
    shift = max(1, pixels.shape[1] // 75)
    return np.stack([np.roll(pixels[..., 0], shift, 1), pixels[..., 1], np.roll(pixels[..., 2], -shift, 1)], -1)


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
        Transform("tilted", _tilted, control=_cropped(0.74)),
        Transform("zoomed", _cropped(0.5)),
        Transform("squeezed", _squeezed),
        Transform("noise", _noisy),
        Transform("gray_noise", _grainy),
        Transform("salt_and_pepper", _salted),
        Transform("gamma_dark", _toned(lambda v: v**1.9)),
        Transform("gamma_light", _toned(lambda v: v**0.5)),
        Transform("haze", _toned(_hazy)),
        Transform("hard_contrast", _toned(lambda v: 0.5 + 1.8 * (v - 0.5))),
        Transform("equalized", _pillow(ImageOps.equalize)),
        Transform("grayscale", _pillow(lambda image: image.convert("L"))),
        Transform("sepia", _toned(_sepia)),
        Transform("hue", _hue),
        Transform("negative", _toned(lambda v: 1 - v), _toned(lambda v: 1 - v)),
        Transform("posterized", _pillow(lambda image: ImageOps.posterize(image, 2))),
        Transform("palette", _pillow(lambda image: image.quantize(12))),
        Transform("no_blue", _without(2)),
        Transform("blur", _pillow(lambda image: image.filter(ImageFilter.GaussianBlur(0.012 * max(image.size))))),
        Transform("motion_blur", _moved),
        Transform("median", _pillow(lambda image: image.filter(ImageFilter.MedianFilter(5)))),
        Transform("pixelated", _pixelated),
        Transform("jpeg", _jpeg),
        Transform("sharpened", _pillow(lambda image: image.filter(ImageFilter.UnsharpMask(2, 250, 0)))),
        Transform("vignette", _vignetted),
        Transform("scan_lines", _lined((0,))),
        Transform("screen_door", _lined((0, 1))),
        Transform("interlaced", _interlaced),
        Transform("color_fringes", _fringed),
    )
}
