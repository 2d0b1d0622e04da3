"""From an image to the pixels a network expects, with the geometry kept so that maps find their way back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..errors import ImageError, InputError, explain_error, unknown
from ..types import Frame, InputImage, Scaling

FITS = ("stretch", "crop", "pad")
INTERPOLATIONS = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
GRAY = (128, 128, 128)
MOST_INTERMEDIATE = 32_000_000
"""Pixels that a resized image may have before it is cropped; beyond it only the part in the crop is computed."""


@dataclass(frozen=True)
class Preprocess:
    """What a network expects of its input.

    The network's value of a pixel p in [0, 1] is (lo + p·(hi − lo) − mean) / std, channel by channel in the
    network's own order.

    Attributes:
        size: height and width of the input, in pixels; one number for a square.
        fit: "stretch" the whole image to the size; "crop" its center; "pad" it with mid-gray.
        resize: for "crop", the short side to which the image is scaled first, or `(h, w)` to which it is
            stretched first; None scales it so that the crop is as large as possible.
        mean: subtracted, one a channel in the network's order, in units of `range`.
        std: divided by, likewise.
        range: the values (lo, hi) that black and white take before mean and std.
        channel_order: "rgb" or "bgr".
        interpolation: "nearest", "box", "bilinear", "hamming", "bicubic" or "lanczos", always antialiased.
    """

    size: int | tuple[int, int]
    fit: str = "stretch"
    resize: int | tuple[int, int] | None = None
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    range: tuple[float, float] = (0.0, 1.0)
    channel_order: str = "rgb"
    interpolation: str = "bilinear"

    def __post_init__(self) -> None:
        for name in ("mean", "std"):
            object.__setattr__(self, name, _three(name, getattr(self, name)))
        object.__setattr__(self, "size", _pair("size", self.size))
        object.__setattr__(self, "range", (float(self.range[0]), float(self.range[1])))
        if self.resize is not None:
            sides = _pair("resize", self.resize)
            object.__setattr__(self, "resize", sides[0] if isinstance(self.resize, (int, np.integer)) else sides)
        for what, value, known in (
            ("fit", self.fit, FITS),
            ("channel order", self.channel_order, ("rgb", "bgr")),
            ("interpolation", self.interpolation, tuple(INTERPOLATIONS)),
        ):
            if value not in known:
                raise unknown(what, value, known)
        if self.resize is not None and self.fit != "crop":
            raise InputError(
                explain_error("`resize` belongs to fit='crop'.", f"fit={self.fit!r}", "Leave `resize` out.")
            )
        if 0.0 in self.std or self.range[0] == self.range[1]:
            raise InputError(
                explain_error(
                    "`std` must not hold zeros, and `range` must have an extent.",
                    f"std={self.std}, range={self.range}",
                    "For no normalization use std=(1, 1, 1), range=(0, 1).",
                )
            )

    @staticmethod
    def of(given: Any, size: int | tuple[int, int] | None = None) -> Preprocess:
        """Return a preprocess from a record, a mapping or a framework's own function; see `preprocess_from`."""
        from .preprocess_converters import preprocess_from

        return preprocess_from(given, size)

    @property
    def sides(self) -> tuple[int, int]:
        """`(h, w)` of the network's input."""
        return _pair("size", self.size)

    def scaling(self) -> Scaling:
        """Return scale = (hi − lo)/std and shift = (lo − mean)/std, in the order red, green, blue."""
        lo, hi = self.range
        scale = tuple((hi - lo) / s for s in self.std)
        shift = tuple((lo - m) / s for m, s in zip(self.mean, self.std, strict=True))
        reverse = self.channel_order == "bgr"
        return Scaling(scale[::-1], shift[::-1], True) if reverse else Scaling(scale, shift)

    def with_size(self, size: int | tuple[int, int] | None = None, fit: str | None = None) -> Preprocess:
        """Return the same preprocess with another input size or fit; the fraction that is cropped away stays.

        Args:
            size: height and width in pixels, or None for the present ones.
            fit: "stretch", "crop" or "pad", or None for the present one.
        """
        fit = self.fit if fit is None else fit
        new = self.sides if size is None else _pair("size", size)
        resize = self.resize if fit == "crop" else None
        if isinstance(resize, int):
            resize = max(1, round(resize * min(new) / min(self.sides)))
        elif resize is not None:
            h, w = (max(1, round(r * n / o)) for r, n, o in zip(resize, new, self.sides, strict=True))
            resize = (h, w)
        return replace(self, size=new, fit=fit, resize=resize)

    def frame(self, image: tuple[int, int]) -> Frame:
        """Return which part of an image of `(H, W)` pixels the network sees.

        The box is that of the pixels computed: it follows the whole-number size to which the image is scaled.
        """
        (rh, rw), (top, left) = self._placed(image)
        (H, W), (h, w) = image, self.sides
        box = (left * W / rw, top * H / rh, (left + w) * W / rw, (top + h) * H / rh)
        return Frame((int(H), int(W)), (h, w), box)

    def pixels(self, image: InputImage) -> tuple[npt.NDArray[np.float32], Frame]:
        """Return `(h, w, 3)` pixels in [0, 1] at the network's size, and the frame they come from.

        Scaling, rounding and crop agree with torchvision's Resize and CenterCrop on PIL images.

        Args:
            image: `(H, W, 3)` uint8.

        Raises:
            ImageError: the image is an array of another kind.
        """
        array = image.pixels
        if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
            raise ImageError(
                explain_error(
                    "Preprocessing takes images of uint8 pixels with three channels.",
                    f"{array.dtype} of shape {array.shape}",
                    "Open it with `open_image`, or wrap the network without preprocess.",
                )
            )
        resized, (top, left) = self._placed(image.size)
        h, w = self.sides
        pil = Image.fromarray(np.ascontiguousarray(array))
        seen = (max(left, 0), max(top, 0), min(left + w, resized[1]), min(top + h, resized[0]))
        part = _scaled(pil, resized, seen, INTERPOLATIONS[self.interpolation])
        if part.size != (w, h):
            canvas = Image.new("RGB", (w, h), GRAY)
            canvas.paste(part, (seen[0] - left, seen[1] - top))
            part = canvas
        return np.asarray(part, np.float32) / np.float32(255), self.frame(image.size)

    def _placed(self, image: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the size to which the image is scaled, and where in it the input's top left corner lies."""
        (H, W), (h, w) = image, self.sides
        if self.fit == "stretch":
            return (h, w), (0, 0)
        if self.fit == "pad":
            scale = min(h / H, w / W)
            rh, rw = min(h, max(1, round(H * scale))), min(w, max(1, round(W * scale)))
            return (rh, rw), (-((h - rh) // 2), -((w - rw) // 2))
        if self.resize is None:
            scale = max(h / H, w / W)
            rh, rw = max(h, round(H * scale)), max(w, round(W * scale))
        elif isinstance(self.resize, tuple):
            rh, rw = self.resize
        elif W <= H:  # the long side is cut to a whole number, as torchvision does
            rh, rw = int(self.resize * H / W), self.resize
        else:
            rh, rw = self.resize, int(self.resize * W / H)
        return (rh, rw), (round((rh - h) / 2.0), round((rw - w) / 2.0))


def _scaled(
    image: Image.Image, size: tuple[int, int], seen: tuple[int, int, int, int], method: Image.Resampling
) -> Image.Image:
    """Return the part `seen` (left, top, right, bottom) of the image scaled to `size` (height, width)."""
    (W, H), (rh, rw) = image.size, size
    left, top, right, bottom = seen
    w, h = right - left, bottom - top
    if max(rh, H) * rw <= MOST_INTERMEDIATE:
        whole = image.resize((rw, rh), method)
        return whole if seen == (0, 0, rw, rh) else whole.crop(seen)
    # An extreme shape: one axis after the other, the one that shrinks first, and only what is seen.
    columns = (left * W / rw, right * W / rw)
    rows = (top * H / rh, bottom * H / rh)
    if h * W <= w * H:
        narrow = image.resize((W, h), method, box=(0, rows[0], W, rows[1]))
        return narrow.resize((w, h), method, box=(columns[0], 0, columns[1], h))
    narrow = image.resize((w, H), method, box=(columns[0], 0, columns[1], H))
    return narrow.resize((w, h), method, box=(0, rows[0], w, rows[1]))


def _pair(name: str, value: Any) -> tuple[int, int]:
    """Return height and width from one number or two."""
    sides = (value, value) if isinstance(value, (int, np.integer)) else tuple(value) if _listed(value) else ()
    whole = all(isinstance(s, (int, np.integer)) and not isinstance(s, bool) and s > 0 for s in sides)
    if len(sides) != 2 or not whole:
        raise InputError(
            explain_error(
                f"`{name}` must be one or two positive whole numbers, (height, width), in pixels.",
                repr(value),
                f"Write {name}=224 or {name}=(224, 320).",
            )
        )
    return int(sides[0]), int(sides[1])


def _three(name: str, value: Any) -> tuple[float, ...]:
    """Return one number a channel, from one number or three."""
    numbers = list(value) if _listed(value) else [value]
    numbers = numbers * 3 if len(numbers) == 1 else numbers
    try:
        result = tuple(float(n) for n in numbers)
    except (TypeError, ValueError):
        result = ()
    if len(result) != 3 or not all(math.isfinite(n) for n in result):
        raise InputError(
            explain_error(
                f"`{name}` must be one finite number or one a channel, three.",
                repr(value),
                "Without `preprocess`, arrays of other channels go in as they are.",
            )
        )
    return result


def _listed(value: Any) -> bool:
    return isinstance(value, (Sequence, np.ndarray)) and not isinstance(value, str)
