"""Preprocessing as other libraries write it down: read by its attributes, or found out by trying it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError, explain_error
from ..targets import to_numpy
from .preprocess import Preprocess

Size = int | tuple[int, int] | None
_PIL_NAMES = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}
_TO_UNIT = ("ToTensor", "MaybeToTensor", "ConvertImageDtype")
_WITHOUT_EFFECT = ("PILToTensor", "MaybePILToTensor", "ToImage", "ToPureTensor", "ToRGB", "RGB", "Identity")


def preprocess_from(given: Any, size: Size = None) -> Preprocess:
    """Return the preprocess that says the same as another library's.

    Args:
        given: a `Preprocess`; its fields as a mapping; timm's data configuration; torchvision's preset of a
            weight entry, or a `Compose` of Resize, CenterCrop, ToTensor and Normalize; an image processor as
            in transformers; or a function of an array `(n, h, w, 3)` of values 0 … 255, as in Keras.
        size: input size in pixels, needed for functions, and where the given one names none.

    Raises:
        InputError: it cannot be written as scaling, cropping and one factor and summand a channel.
    """
    if isinstance(given, Preprocess):
        return given if size is None else given.with_size(size)
    if callable(getattr(given, "transforms", None)) and not hasattr(given, "crop_size"):
        given = given.transforms()  # an entry of torchvision's weights makes its preset
    if isinstance(given, Mapping):
        found = _from_timm(given) if "input_size" in given else _from_fields(given, size)
    elif hasattr(given, "crop_size") and hasattr(given, "resize_size"):
        found = _from_preset(given)
    elif hasattr(given, "image_mean") and hasattr(given, "image_std"):
        return _from_processor(given, size)
    elif _steps(given) is not None:
        found = _from_steps(_steps(given) or [], size)
    elif callable(given):
        return _from_function(given, size)
    else:
        raise _not_understood("an object of another kind: " + type(given).__name__)
    return found if size is None or found.sides == Preprocess(size).sides else found.with_size(size)


def _from_fields(given: Mapping[str, Any], size: Size) -> Preprocess:
    fields = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
    unknown_fields = sorted(set(fields) - set(Preprocess.__dataclass_fields__))
    if unknown_fields or ("size" not in fields and size is None):
        raise InputError(
            explain_error(
                "A mapping must hold the fields of Preprocess: " + ", ".join(Preprocess.__dataclass_fields__) + ".",
                ", ".join(map(str, given)) or "nothing",
                "`size` is the only one that is needed.",
            )
        )
    return Preprocess(**({"size": size} | fields))


def _from_timm(given: Mapping[str, Any]) -> Preprocess:
    """Return timm's: the short side is ⌊size / crop_pct⌋ (both sides for "squash"), then the center."""
    h, w = (int(v) for v in tuple(given["input_size"])[-2:])
    fraction = float(given.get("crop_pct") or 1.0)
    sides = (math.floor(h / fraction), math.floor(w / fraction))
    if given.get("crop_mode", "center") not in ("center", "squash"):
        raise _not_understood(f"crop_mode={given['crop_mode']!r}")
    output_activation = given.get("crop_mode") == "squash" or h != w
    return Preprocess(
        (h, w),
        fit="crop",
        resize=sides if output_activation else sides[0],
        mean=tuple(given.get("mean") or (0.0,)),
        std=tuple(given.get("std") or (1.0,)),
        interpolation=_interpolation(given.get("interpolation", "bilinear")),
    )


def _from_preset(given: Any) -> Preprocess:
    return Preprocess(
        _side(given.crop_size, square=True),
        fit="crop",
        resize=_side(given.resize_size),
        mean=tuple(given.mean),
        std=tuple(given.std),
        interpolation=_interpolation(getattr(given, "interpolation", "bilinear")),
    )


def _steps(given: Any) -> list[Any] | None:
    """Return the steps of a `Compose` or a sequence of transforms, one of them named as in torchvision."""
    steps = getattr(given, "transforms", None)
    if steps is None and isinstance(given, (list, tuple)):
        steps = given
    if steps is None and hasattr(given, "children") and hasattr(given, "__iter__"):
        steps = given
    return list(steps) if steps is not None else None


def _from_steps(steps: list[Any], size: Size) -> Preprocess:
    """Return the meaning of Resize, CenterCrop, a conversion and Normalize, in this order, by class name."""
    resize: Any = None
    crop: Any = None
    interpolation, top, mean, std = "bilinear", 255.0, (0.0,), (1.0,)
    for step in steps:
        name = type(step).__name__
        if name == "Resize" and resize is None and crop is None:
            resize, interpolation = _side(step.size), _interpolation(getattr(step, "interpolation", "bilinear"))
        elif name == "CenterCrop" and crop is None:
            crop = _side(step.size, square=True)
        elif name in _TO_UNIT or (name == "ToDtype" and getattr(step, "scale", False)):
            top = 1.0
        elif name == "Normalize" and mean == (0.0,) and std == (1.0,):
            mean, std = tuple(np.ravel(step.mean).tolist()), tuple(np.ravel(step.std).tolist())
        elif name not in (*_WITHOUT_EFFECT, "ToDtype"):
            raise _not_understood(f"the step {name}")
    numbers: dict[str, Any] = {"mean": mean, "std": std, "range": (0.0, top), "interpolation": interpolation}
    if crop is not None and resize is not None:
        return Preprocess(crop, fit="crop", resize=resize, **numbers)
    if crop is not None:
        raise _not_understood("CenterCrop without Resize, which sees more or less of an image as it is larger")
    stretched = resize if isinstance(resize, tuple) else size
    if stretched is None:
        raise _size_needed("steps without a fixed size")
    return Preprocess(stretched, **numbers)


def _from_processor(given: Any, size: Size) -> Preprocess:
    """Return the meaning of an image processor's attributes."""
    normalizes, rescales = getattr(given, "do_normalize", True), getattr(given, "do_rescale", True)
    top = 255.0 * float(getattr(given, "rescale_factor", 1 / 255)) if rescales else 255.0
    fit, sides, resize = _processor_geometry(given)
    sides = sides or size
    if sides is None:
        raise _size_needed(f"size={getattr(given, 'size', None)}")
    found = Preprocess(
        sides,
        fit=fit,
        resize=resize,
        mean=tuple(given.image_mean) if normalizes else (0.0,),
        std=tuple(given.image_std) if normalizes else (1.0,),
        range=(0.0, round(top, 6)),
        channel_order="bgr" if getattr(given, "do_flip_channel_order", False) else "rgb",
        interpolation=_interpolation(getattr(given, "resample", 2)),
    )
    return found if size is None else found.with_size(size)


def _processor_geometry(given: Any) -> tuple[str, Any, Any]:
    resize = _side(getattr(given, "size", None)) if getattr(given, "do_resize", True) else None
    fraction = getattr(given, "crop_pct", None)
    if getattr(given, "do_center_crop", False):
        crop = _side(getattr(given, "crop_size", None), square=True)
        if resize is None or crop is None:
            raise _not_understood("a center crop without a resize")
        return "crop", crop, resize
    if isinstance(resize, int) and fraction:  # ConvNeXt: below 384 pixels the center, from there on all of it
        return ("crop", resize, int(resize / fraction)) if resize < 384 else ("stretch", resize, None)
    return "stretch", resize if isinstance(resize, tuple) else None, None


def _from_function(function: Callable[[Any], Any], size: Size) -> Preprocess:
    """Return factor, summand and channel order of a function of pixels 0 … 255, and verify them on other pixels."""
    if size is None:
        raise _size_needed("a function, which does not tell")
    black = _try(function, np.zeros((1, 8, 8, 3)))
    answers = [_try(function, np.full((1, 8, 8, 3), 255.0) * np.eye(3)[c]) for c in range(3)]
    shift = black[0, 0, 0]
    # row: channel lit, column: channel that answered
    response = np.stack([(a - black)[0, 0, 0] for a in answers]) / 255.0
    answering = np.abs(response) > 1e-6 * np.abs(response).max(initial=0)
    order = "rgb" if (answering == np.eye(3, dtype=bool)).all() else "bgr"
    expected = np.eye(3, dtype=bool) if order == "rgb" else np.eye(3, dtype=bool)[::-1]
    if not (answering == expected).all():
        raise _not_understood("a function that mixes channels, or whose output ignores some")
    gradient = response.sum(axis=0)
    rng = np.random.default_rng(0)
    for probe in (rng.integers(0, 256, (2, 8, 8, 3)).astype(np.float64), rng.uniform(0, 64, (1, 6, 10, 3))):
        turned = probe if order == "rgb" else probe[..., ::-1]
        wanted = turned * gradient + shift
        tolerance = 1e-4 * (np.abs(gradient).max() * 255 + np.abs(shift).max())
        got = _try(function, probe)
        if got.shape != wanted.shape or np.abs(got - wanted).max() > tolerance:
            raise _not_understood("a function that is not one factor and one summand a channel")
    return _tidy(size, gradient, shift, order)


def _tidy(size: int | tuple[int, int], gradient: npt.NDArray[Any], shift: npt.NDArray[Any], order: str) -> Preprocess:
    """Return value = (pixel − mean)/std with pixels 0 … 255, the numbers rid of rounding noise."""
    std = tuple(float(f"{1 / s:.7g}") for s in gradient)
    mean = tuple(float(f"{-b / s:.7g}") + 0.0 for b, s in zip(shift, gradient, strict=True))
    return Preprocess(size, mean=mean, std=std, range=(0.0, 255.0), channel_order=order)


def _try(function: Callable[[Any], Any], pixels: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the function's answer to a copy (some work in place)."""
    try:
        answer = np.asarray(to_numpy(function(pixels.astype(np.float32))), np.float64)
    except Exception as error:
        raise _not_understood(f"a function that fails on it: {type(error).__name__}: {error}") from error
    if answer.shape != pixels.shape or not np.isfinite(answer).all():
        raise _not_understood(f"a function that answers {pixels.shape} with {answer.shape} or with NaN")
    return answer


def _side(value: Any, square: bool = False) -> Any:
    """Return a side as int, two as tuple, from a number, a sequence, or a mapping as in transformers."""
    if value is None:
        return None
    if isinstance(value, Mapping) or hasattr(value, "get"):
        edge = value.get("shortest_edge")
        value = edge if edge is not None else (value.get("height"), value.get("width"))
    if isinstance(value, (int, np.integer)):
        return (int(value), int(value)) if square else int(value)
    sides = tuple(value)
    if len(sides) == 1:
        return _side(sides[0], square)
    if len(sides) != 2 or not all(isinstance(s, (int, np.integer)) for s in sides):
        raise _not_understood(f"the size {value!r}")
    return int(sides[0]), int(sides[1])


def _interpolation(value: Any) -> str:
    """Return our name from a name, PIL's number or an enumeration's member."""
    value = getattr(value, "value", value)
    if isinstance(value, str) and value != "random":
        return value.lower()
    return _PIL_NAMES.get(int(value), "bilinear") if isinstance(value, (int, np.integer)) else "bilinear"


def _not_understood(received: str) -> InputError:
    return InputError(
        explain_error(
            "A preprocess must be scaling, a center crop, and one factor and summand a channel: a Preprocess, "
            "torchvision's or timm's evaluation transforms, an image processor, or a function of an array "
            "(n, h, w, 3) of values 0 to 255.",
            received,
            "Write it down: shisen.Preprocess(size=224, mean=…, std=…).",
        )
    )


def _size_needed(received: str) -> InputError:
    return InputError(
        explain_error("The input size must be known.", received, "Write shisen.Preprocess.of(…, size=224).")
    )
