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
from .channels import with_channels

FITS = ("stretch", "crop", "pad")
INTERPOLATIONS = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
GRAY = 128
MOST_INTERMEDIATE = 32_000_000
"""Pixels that a resized image may have before it is cropped; beyond it only the part in the crop is computed."""


@dataclass(frozen=True)
class Preprocess:
    """What a network expects of its input.

    The network's value of a pixel p in [0, 1] is (lo + p·(hi − lo) − mean) / std, channel by channel in the
    network's own order.

    Attributes:
        size: height and width of the input, in pixels; one number for a square. `(length,)` of a signal,
            `(depth, height, width)` of a volume or video.
        fit: "stretch" the whole image to the size; "crop" its center; "pad" it with mid-gray.
        resize: for "crop", the short side to which the image is scaled first, or `(h, w)` to which it is
            stretched first; None scales it so that the crop is as large as possible.
        mean: subtracted, one number or one per channel in the network's order, in units of `range`.
        std: divided by, likewise.
        range: the values (lo, hi) that black and white take before mean and std.
        channel_order: "rgb" or "bgr"; of four channels the last stays last.
        interpolation: "nearest", "box", "bilinear", "hamming", "bicubic" or "lanczos", always antialiased.
        channels: of the input: 1 gray (luminance of a color image), 3 RGB, 4 RGBA or RGB and another band, or any other
            number. By default as many as `mean` or `std` have, else 3.
        bands: which channels of the data go in, in the network's order, such as `(3, 2, 1)`; None takes all.
        data_range: the values (black, white) of data that are not 8-bit, such as `(0, 4095)` or `(0, 10000)`; None
            reads them from the type: 65535 for 16 bits (4095 where no value is larger), 1 for floats.
        rgb: the three channels of the input that are drawn as red, green and blue; None draws the first three.
        window: center and width of the values between black and white, such as `(40, 400)` for soft tissue in a CT;
            what lies outside is cut off.
        zscore: whether each channel of each input is standardized: its own mean subtracted, divided by its own standard
            deviation; before `range`, `mean` and `std`.
        orientation: order and direction of the axes of a volume with a known position, such as "RAS" (axes to the
            right, to the front, up) or "SAR" (slices first); "" takes them as they are stored.
    """

    size: int | tuple[int, ...]
    fit: str = "stretch"
    resize: int | tuple[int, ...] | None = None
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    range: tuple[float, float] = (0.0, 1.0)
    channel_order: str = "rgb"
    interpolation: str = "bilinear"
    channels: int = 0
    bands: tuple[int, ...] | None = None
    data_range: tuple[float, float] | None = None
    rgb: tuple[int, int, int] | None = None
    window: tuple[float, float] | None = None
    zscore: bool = False
    orientation: str = ""

    def __post_init__(self) -> None:
        mean, std = _numbers("mean", self.mean), _numbers("std", self.std)
        bands = None if self.bands is None else tuple(int(b) for b in self.bands)
        channels = int(self.channels) or max(len(mean), len(std), len(bands or ()))
        channels = channels if channels > 1 or self.channels else 3
        for name, values in (("mean", mean), ("std", std)):
            if len(values) not in (1, channels):
                raise _other_number(name, values, channels)
            object.__setattr__(self, name, values * channels if len(values) == 1 else values)
        if bands is not None and len(bands) != channels:
            raise _other_number("bands", bands, channels)
        object.__setattr__(self, "channels", channels)
        object.__setattr__(self, "bands", bands)
        object.__setattr__(self, "size", _sides("size", self.size))
        object.__setattr__(self, "range", _interval("range", self.range))
        if self.data_range is not None:
            object.__setattr__(self, "data_range", _interval("data_range", self.data_range))
        if self.resize is not None:
            sides = _sides("resize", self.resize, len(self.sides))
            object.__setattr__(self, "resize", sides[0] if isinstance(self.resize, (int, np.integer)) else sides)
        for what, value, known in (
            ("fit", self.fit, FITS),
            ("channel order", self.channel_order, ("rgb", "bgr") if channels in (3, 4) else ("rgb",)),
            ("interpolation", self.interpolation, tuple(INTERPOLATIONS)),
        ):
            if value not in known:
                raise unknown(what, value, known)
        if self.resize is not None and self.fit != "crop":
            raise InputError(
                explain_error("`resize` belongs to fit='crop'.", f"fit={self.fit!r}", "Leave `resize` out.")
            )
        if self.window is not None:
            object.__setattr__(self, "window", _interval("window", self.window))
            if self.window[1] <= 0 or self.data_range is not None:
                text = "`window` must be (center, width) with a positive width, and excludes `data_range`."
                received = f"window={self.window}, data_range={self.data_range}"
                raise InputError(explain_error(text, received, "For soft tissue in a CT write window=(40, 400)."))
        if 0.0 in self.std:
            raise InputError(
                explain_error("`std` must not hold zeros.", f"std={self.std}", "For no normalization use std=1.")
            )
        if self.rgb is not None:
            object.__setattr__(self, "rgb", tuple(int(b) for b in self.rgb))
            if len(self.rgb) != 3 or not all(0 <= b < channels for b in self.rgb):
                raise InputError(
                    explain_error(
                        f"`rgb` must name three channels from 0 to {channels - 1}.",
                        self.rgb,
                        "Leave it out for 0, 1, 2.",
                    )
                )

    @staticmethod
    def of(given: Any, size: int | tuple[int, ...] | None = None) -> Preprocess:
        """Return the preprocess that a name, a mapping or an object of another library stands for.

        Args:
            given: a `Preprocess`; its fields as a mapping; a name of `PRESETS` or of a model, such as
                "torchvision:resnet50"; or what `preprocess_converters.fields_of` reads.
            size: input size in pixels, needed where the given one has none; otherwise it replaces that one.

        Returns:
            A `Preprocess`.

        Raises:
            InputError: it cannot be written as scaling, cropping and one factor and summand per channel.
        """
        from .preprocess_converters import fields_of
        from .preprocess_names import named

        if isinstance(given, str):
            given = named(given)
        if not isinstance(given, Preprocess):
            fields = fields_of(given, size)
            extra = sorted(set(fields) - set(Preprocess.__dataclass_fields__))
            if extra or "size" not in fields:
                raise InputError(
                    explain_error(
                        "A mapping must hold the fields of Preprocess: "
                        + ", ".join(Preprocess.__dataclass_fields__)
                        + ".",
                        ", ".join(map(str, given)) or "nothing",
                        "`size` is the only one that is needed.",
                    )
                )
            given = Preprocess(**fields)
        found: Preprocess = given
        return found if size is None or found.sides == _sides("size", size) else found.with_size(size)

    @property
    def plain(self) -> bool:
        """Whether the input is an ordinary RGB image of 8 bits."""
        own = self.bands is not None or self.data_range is not None or self.rgb is not None
        return self.channels == 3 and len(self.sides) == 2 and not (own or self.window is not None or self.zscore)

    @property
    def sides(self) -> tuple[int, ...]:
        """`(h, w)` of the network's input; `(length,)` of a signal, `(d, h, w)` of a volume or video."""
        return _sides("size", self.size)

    def scaling(self) -> Scaling:
        """Return scale = (hi − lo)/std and shift = (lo − mean)/std, in the order of the channels of `pixels`."""
        lo, hi = self.range
        scale = tuple((hi - lo) / s for s in self.std)
        shift = tuple((lo - m) / s for m, s in zip(self.mean, self.std, strict=True))
        reverse = self.channel_order == "bgr" and self.channels == 3  # with four channels `pixels` reorders them
        return Scaling(scale[::-1], shift[::-1], True) if reverse else Scaling(scale, shift)

    def with_size(self, size: int | tuple[int, ...] | None = None, fit: str | None = None) -> Preprocess:
        """Return the same preprocess with another input size or fit; the fraction that is cropped away stays.

        Args:
            size: height and width in pixels, or None for the present ones.
            fit: "stretch", "crop" or "pad", or None for the present one.
        """
        fit = self.fit if fit is None else fit
        new = self.sides if size is None else _sides("size", size, len(self.sides))
        resize = self.resize if fit == "crop" else None
        if isinstance(resize, int):
            resize = max(1, round(resize * min(new) / min(self.sides)))
        elif resize is not None:
            resize = tuple(max(1, round(r * n / o)) for r, n, o in zip(resize, new, self.sides, strict=True))
        return replace(self, size=new, fit=fit, resize=resize)

    def frame(self, image: tuple[int, ...]) -> Frame:
        """Return which part of an image of `(H, W)` pixels, or of as many sides as it has, the network sees.

        The box is that of the pixels computed: it follows the whole-number size to which the image is scaled.
        """
        scaled, starts = self.placed(image)
        axes = list(zip(image, scaled, starts, self.sides, strict=True))[::-1]
        box = (*(o * N / r for N, r, o, _ in axes), *((o + n) * N / r for N, r, o, n in axes))
        return Frame(tuple(int(side) for side in image), self.sides, box)

    def updated(self, **fields: Any) -> Preprocess:
        """Return the same preprocess with some fields replaced; the others keep their meaning.

        Another `size` or `fit` keeps the fraction that is cropped away. Another `range` alone keeps the normalization:
        mean and std are converted to its units.

        Args:
            **fields: fields of `Preprocess`.

        Returns:
            A new `Preprocess`.

        Raises:
            InputError: for a field or a value that is not known.
        """
        new = (
            self.with_size(fields.pop("size", None), fields.pop("fit", None))
            if fields.keys() & {"size", "fit"}
            else self
        )
        normalizes = any(self.mean) or any(s != 1.0 for s in self.std)
        if "range" in fields and normalizes:
            (lo, hi), (new_lo, new_hi) = self.range, _interval("range", fields["range"])
            factor = (new_hi - new_lo) / (hi - lo)
            fields.setdefault("mean", tuple(new_lo + (m - lo) * factor for m in self.mean))
            fields.setdefault("std", tuple(s * factor for s in self.std))
        if "channels" in fields and int(fields["channels"]) != self.channels:
            fields.setdefault("mean", (sum(self.mean) / len(self.mean),))
            fields.setdefault("std", (sum(self.std) / len(self.std),))
        extra = sorted(set(fields) - set(Preprocess.__dataclass_fields__))
        if extra:
            raise unknown("field of Preprocess", extra[0], list(Preprocess.__dataclass_fields__))
        return replace(new, **fields)

    def pixels(self, image: InputImage) -> tuple[npt.NDArray[np.float32], Frame]:
        """Return `(h, w, channels)` pixels in [0, 1] at the network's size, and the frame they come from.

        Scaling, rounding and crop agree with torchvision's Resize and CenterCrop on PIL images. Of
        signals and volumes see `volume_pixels.at_size`.

        Args:
            image: `(H, W, 3)` uint8, or with `data` of the network's channels.

        Raises:
            ImageError: the image is an array of another kind.
        """
        if len(self.sides) != 2 or len(image.size) != 2:
            from .volume_pixels import at_size

            return at_size(image, self)
        (rh, rw), (top, left) = self.placed(image.size)
        resized = (rh, rw)
        h, w = self.sides
        seen = (max(left, 0), max(top, 0), min(left + w, resized[1]), min(top + h, resized[0]))
        planes = []
        for plane in self._planes(image):
            part = _scaled(plane, resized, seen, INTERPOLATIONS[self.interpolation])
            if part.size != (w, h):
                gray: Any = {"RGB": (GRAY,) * 3, "L": GRAY, "F": GRAY / 255}[part.mode]
                canvas = Image.new(part.mode, (w, h), gray)
                canvas.paste(part, (seen[0] - left, seen[1] - top))
                part = canvas
            values = np.asarray(part, np.float32)
            planes.append(values if part.mode == "F" else values / np.float32(255))
        whole = planes[0] if planes[0].ndim == 3 else np.stack(planes, axis=-1)
        if self.channel_order == "bgr" and self.channels == 4:
            whole = whole[..., (2, 1, 0, 3)]
        return whole, self.frame(image.size)

    def _planes(self, image: InputImage) -> list[Image.Image]:
        """Return the image as one RGB image, or one image per channel."""
        array = image.data if image.data is not None else image.pixels
        if image.data is None and (array.dtype != np.uint8 or array.shape[2:] != (3,)):
            raise ImageError(
                explain_error(
                    "Preprocessing takes images of uint8 pixels with three channels, or with `data` in units.",
                    f"{array.dtype} of shape {array.shape}",
                    "Open it with Model.read, or wrap the network without preprocess.",
                )
            )
        if self.channels == 3 and array.dtype == np.uint8 and array.ndim == 3 and array.shape[2] == 3:
            return [Image.fromarray(np.ascontiguousarray(array))]
        if self.channels == 1 and array.shape[2:] == (3,) and array.dtype == np.uint8:
            return [Image.fromarray(np.ascontiguousarray(array)).convert("L")]
        array = with_channels(array, self.channels, image.source, opaque=self.bands is None and self.rgb is None)
        kind = np.uint8 if array.dtype == np.uint8 else np.float32
        return [Image.fromarray(np.ascontiguousarray(array[:, :, c], kind)) for c in range(self.channels)]

    def placed(self, image: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the size to which an image is scaled, and where in it the input begins: its top left corner."""
        pairs = list(zip(image, self.sides, strict=True))
        if self.fit == "stretch":
            return self.sides, (0,) * len(pairs)
        if self.fit == "pad":
            scale = min(n / N for N, n in pairs)
            scaled = tuple(min(n, max(1, round(N * scale))) for N, n in pairs)
            return scaled, tuple(-((n - r) // 2) for r, n in zip(scaled, self.sides, strict=True))
        if self.resize is None:
            scale = max(n / N for N, n in pairs)
            scaled = tuple(max(n, round(N * scale)) for N, n in pairs)
        elif isinstance(self.resize, tuple):
            scaled = self.resize
        else:  # the longer sides are cut to whole numbers, as torchvision does
            short = min(range(len(image)), key=lambda axis: (image[axis], -axis))
            scaled = tuple(
                self.resize if axis == short else int(self.resize * N / image[short]) for axis, N in enumerate(image)
            )
        return scaled, tuple(round((r - n) / 2.0) for r, n in zip(scaled, self.sides, strict=True))


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


def _sides(name: str, value: Any, rank: int = 0) -> tuple[int, ...]:
    """Return height and width from one number or two; `rank` numbers from one or as many, one to three if it is 0."""
    sides = (value,) * (rank or 2) if isinstance(value, (int, np.integer)) else tuple(value) if _listed(value) else ()
    whole = all(isinstance(s, (int, np.integer)) and not isinstance(s, bool) and s > 0 for s in sides)
    if len(sides) not in ((rank,) if rank else (1, 2, 3)) or not whole:
        raise InputError(
            explain_error(
                f"`{name}` must be one or two positive whole numbers, (height, width), in pixels; (length,) "
                "of a signal, (depth, height, width) of a volume.",
                repr(value),
                f"Write {name}=224, {name}=(224, 320), {name}=(5000,) or {name}=(64, 128, 128).",
            )
        )
    return tuple(int(side) for side in sides)


def _numbers(name: str, value: Any) -> tuple[float, ...]:
    """Return one finite number per channel, or one for all."""
    try:
        result = tuple(float(n) for n in (value if _listed(value) else [value]))
    except (TypeError, ValueError):
        result = ()
    if not result or not all(math.isfinite(n) for n in result):
        raise InputError(
            explain_error(
                f"`{name}` must be one finite number, or one per channel.",
                repr(value),
                f"Write {name}=0.5 or {name}=(0.485, 0.456, 0.406).",
            )
        )
    return result


def _interval(name: str, value: Any) -> tuple[float, float]:
    """Return two different finite numbers."""
    numbers = _numbers(name, value)
    if len(numbers) != 2 or numbers[0] == numbers[1]:
        raise InputError(
            explain_error(
                f"`{name}` must be two different numbers, (black, white).", repr(value), f"Write {name}=(0, 1)."
            )
        )
    return numbers[0], numbers[1]


def _other_number(name: str, values: Sequence[float], channels: int) -> InputError:
    return InputError(
        explain_error(
            f"`{name}` must have one number per channel, {channels}.",
            f"{len(values)}: {tuple(values)}",
            "Pass channels= with the number of channels of the network's input.",
        )
    )


def _listed(value: Any) -> bool:
    return isinstance(value, (Sequence, np.ndarray)) and not isinstance(value, str)
