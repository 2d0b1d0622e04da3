"""Preprocessing as other libraries write it down: read by its attributes, or found out by trying it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..targets import to_numpy
from .transform_steps import (
    Fields,
    Size,
    fields_of_steps,
    interpolation_of,
    not_understood,
    side_of,
    size_needed,
    steps_of,
)


def fields_of(given: Any, size: Size = None) -> Fields:
    """Return the fields of the `Preprocess` that is equivalent to another library's object.

    Args:
        given: its fields as a mapping; timm's data configuration; torchvision's preset of a weight entry, or a
            `Compose` of Resize, CenterCrop, Grayscale, ToTensor and Normalize; albumentations' `Compose` of Resize,
            SmallestMaxSize, CenterCrop, Normalize, ToFloat and ToTensorV2; an image processor as in transformers;
            Keras' Rescaling, Normalization, Resizing and CenterCrop layers, alone or in a Sequential; or a function of
            an array `(n, h, w, 3)` of values 0 to 255, such as Keras' `preprocess_input`.
        size: input size in pixels, needed for functions, and where the given one names none.

    Returns:
        Keyword arguments of `Preprocess`.

    Raises:
        InputError: it cannot be written as scaling, cropping and one factor and summand per channel.
    """
    if callable(getattr(given, "transforms", None)) and not hasattr(given, "crop_size"):
        given = given.transforms()  # an entry of torchvision's weights makes its preset
    if isinstance(given, Mapping):
        if "input_size" in given:
            return _from_timm(given)
        fields = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
        return fields if size is None else {"size": size} | fields
    if hasattr(given, "crop_size") and hasattr(given, "resize_size"):
        return _from_preset(given)
    if hasattr(given, "image_mean") and hasattr(given, "image_std"):
        return _from_processor(given, size)
    steps = steps_of(given)
    if steps is not None:
        return fields_of_steps(steps, size)
    if callable(given):
        return _from_function(given, size)
    raise not_understood("an object of another kind: " + type(given).__name__)


def _from_timm(given: Mapping[str, Any]) -> Fields:
    """Return timm's: the short side is ⌊size / crop_pct⌋ (both sides for "squash"), then the center."""
    channels, h, w = (int(v) for v in (3, *given["input_size"])[-3:])
    fraction = float(given.get("crop_pct") or 1.0)
    sides = (math.floor(h / fraction), math.floor(w / fraction))
    if given.get("crop_mode", "center") not in ("center", "squash"):
        raise not_understood(f"crop_mode={given['crop_mode']!r}")
    both = given.get("crop_mode") == "squash" or h != w
    mean, std = (_per_channel(given.get(k) or (v,), channels) for k, v in (("mean", 0.0), ("std", 1.0)))
    return {
        "size": (h, w),
        "fit": "crop",
        "resize": sides if both else sides[0],
        "mean": mean,
        "std": std,
        "channels": channels,
        "interpolation": interpolation_of(given.get("interpolation", "bilinear")),
    }


def _per_channel(values: Any, channels: int) -> tuple[float, ...]:
    """Return timm's statistics for another number of channels: the mean of those for RGB."""
    values = tuple(float(v) for v in values)
    return values if len(values) in (1, channels) else (sum(values) / len(values),)


def _from_preset(given: Any) -> Fields:
    return {
        "size": side_of(given.crop_size, square=True),
        "fit": "crop",
        "resize": side_of(given.resize_size),
        "mean": tuple(given.mean),
        "std": tuple(given.std),
        "interpolation": interpolation_of(getattr(given, "interpolation", "bilinear")),
    }


def _from_processor(given: Any, size: Size) -> Fields:
    """Return the meaning of an image processor's attributes."""
    normalizes, rescales = getattr(given, "do_normalize", True), getattr(given, "do_rescale", True)
    top = 255.0 * float(getattr(given, "rescale_factor", 1 / 255)) if rescales else 255.0
    fit, sides, resize = _processor_geometry(given)
    sides = sides or size
    if sides is None:
        raise size_needed(f"size={getattr(given, 'size', None)}")
    return {
        "size": sides,
        "fit": fit,
        "resize": resize,
        "mean": tuple(given.image_mean) if normalizes else (0.0,),
        "std": tuple(given.image_std) if normalizes else (1.0,),
        "range": (0.0, round(top, 6)),
        "channel_order": "bgr" if getattr(given, "do_flip_channel_order", False) else "rgb",
        "interpolation": interpolation_of(getattr(given, "resample", 2)),
    }


def _processor_geometry(given: Any) -> tuple[str, Any, Any]:
    resize = side_of(getattr(given, "size", None)) if getattr(given, "do_resize", True) else None
    fraction = getattr(given, "crop_pct", None)
    if getattr(given, "do_center_crop", False):
        crop = side_of(getattr(given, "crop_size", None), square=True)
        if resize is None or crop is None:
            raise not_understood("a center crop without a resize")
        return "crop", crop, resize
    if isinstance(resize, int) and fraction:  # ConvNeXt: below 384 pixels the center, from there on all of it
        return ("crop", resize, int(resize / fraction)) if resize < 384 else ("stretch", resize, None)
    return "stretch", resize if isinstance(resize, tuple) else None, None


def _from_function(function: Callable[[Any], Any], size: Size) -> Fields:
    """Return factor, summand and channel order of a function of pixels 0 … 255, and verify them on other pixels."""
    if size is None:
        raise size_needed("a function, which does not reveal it")
    black = _try(function, np.zeros((1, 8, 8, 3)))
    outputs = [_try(function, np.full((1, 8, 8, 3), 255.0) * np.eye(3)[c]) for c in range(3)]
    shift = black[0, 0, 0]
    # row: channel lit, column: channel that answered
    response = np.stack([(a - black)[0, 0, 0] for a in outputs]) / 255.0
    lit = np.abs(response) > 1e-6 * np.abs(response).max(initial=0)
    order = "rgb" if (lit == np.eye(3, dtype=bool)).all() else "bgr"
    expected = np.eye(3, dtype=bool) if order == "rgb" else np.eye(3, dtype=bool)[::-1]
    if not (lit == expected).all():
        raise not_understood("a function that mixes channels, or whose output ignores some")
    gradient = response.sum(axis=0)
    rng = np.random.default_rng(0)
    for probe in (rng.integers(0, 256, (2, 8, 8, 3)).astype(np.float64), rng.uniform(0, 64, (1, 6, 10, 3))):
        turned = probe if order == "rgb" else probe[..., ::-1]
        wanted = turned * gradient + shift
        tolerance = 1e-4 * (np.abs(gradient).max() * 255 + np.abs(shift).max())
        got = _try(function, probe)
        if got.shape != wanted.shape or np.abs(got - wanted).max() > tolerance:
            raise not_understood("a function that is not one factor and one summand per channel")
    return _tidy(size, gradient, shift, order)


def _tidy(size: int | tuple[int, ...], gradient: npt.NDArray[Any], shift: npt.NDArray[Any], order: str) -> Fields:
    """Return value = (pixel − mean)/std with pixels 0 … 255, the numbers rid of rounding noise."""
    std = tuple(float(f"{1 / s:.7g}") for s in gradient)
    mean = tuple(float(f"{-b / s:.7g}") + 0.0 for b, s in zip(shift, gradient, strict=True))
    return {"size": size, "mean": mean, "std": std, "range": (0.0, 255.0), "channel_order": order}


def _try(function: Callable[[Any], Any], pixels: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the function's output for a copy (some alter their argument)."""
    try:
        output = np.asarray(to_numpy(function(pixels.astype(np.float32))), np.float64)
    except Exception as error:
        raise not_understood(f"a function that fails on it: {type(error).__name__}: {error}") from error
    if output.shape != pixels.shape or not np.isfinite(output).all():
        raise not_understood(f"a function that returns {output.shape}, or NaN, for {pixels.shape}")
    return output
