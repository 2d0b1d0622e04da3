"""Compositions of preprocessing steps (torchvision, albumentations, Keras layers), read by class name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import InputError, explain_error
from ..targets import to_numpy

Size = int | tuple[int, ...] | None
Fields = dict[str, Any]
_PIL_NAMES = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}
_CV2_NAMES = {0: "nearest", 1: "bilinear", 2: "bicubic", 3: "box", 4: "lanczos"}
_TO_UNIT = ("ToTensor", "MaybeToTensor", "ConvertImageDtype")
_WITHOUT_EFFECT = (
    *("PILToTensor", "MaybePILToTensor", "ToImage", "ToPureTensor", "ToRGB", "RGB", "Identity", "ToDtype"),
    *("ToTensorV2", "InputLayer", "Permute"),
)


def steps_of(given: Any) -> list[Any] | None:
    """Return the steps of a composition, of a sequence of transforms, or of a lone Keras layer; None for others."""
    if type(given).__name__ in ("Rescaling", "Normalization", "Resizing", "Normalize", "ToFloat"):
        return [given]
    steps = getattr(given, "transforms", None)
    if steps is None and type(given).__name__ == "Sequential" and hasattr(given, "layers"):
        steps = given.layers
    if steps is None and (
        isinstance(given, (list, tuple)) or (hasattr(given, "children") and hasattr(given, "__iter__"))
    ):
        steps = given
    return list(steps) if steps is not None else None


def fields_of_steps(steps: list[Any], size: Size) -> Fields:
    """Return the meaning of resizing, cropping, conversion and normalization, in this order, by class name.

    Args:
        steps: transforms of torchvision or albumentations, or Keras layers.
        size: input size where no step names one.

    Returns:
        Keyword arguments of `Preprocess`.

    Raises:
        InputError: for any other step or order.
    """
    fields: Fields = {"range": (0.0, 255.0)}
    resize: Any = None
    crop: Any = None
    for step in steps:
        name = type(step).__name__
        if name in ("Resize", "Resizing", "SmallestMaxSize") and resize is None and crop is None:
            resize = _resized(step, name, fields)
        elif name == "CenterCrop" and crop is None:
            crop = side_of(getattr(step, "size", None) or (step.height, step.width), square=True)
        elif name == "Grayscale" and getattr(step, "num_output_channels", 1) == 1:
            fields["channels"] = 1
        elif name in _TO_UNIT or (name == "ToDtype" and getattr(step, "scale", False)):
            fields["range"] = (0.0, 1.0)
        elif name == "ToFloat":  # albumentations: None takes the largest value of the type
            fields["range"] = (0.0, 255.0 / float(getattr(step, "max_value", None) or 255.0))
        elif name == "Rescaling" and "mean" not in fields:
            lo, hi = fields["range"]
            scale, offset = float(step.scale), float(step.offset)
            fields["range"] = (lo * scale + offset, hi * scale + offset)
        elif name in ("Normalize", "Normalization") and "mean" not in fields:
            _normalized(step, name, fields)
        elif name not in _WITHOUT_EFFECT:
            raise not_understood(f"the step {name}")
    fit = fields.pop("fit", "stretch")
    if crop is not None and resize is not None:
        return fields | {"size": crop, "fit": "crop", "resize": resize}
    if crop is not None:
        raise not_understood("CenterCrop without Resize, which sees more or less of an image as it is larger")
    stretched = resize if isinstance(resize, tuple) else size
    if stretched is None:
        raise size_needed("steps without a fixed size")
    return fields | {"size": stretched, "fit": fit}


def _resized(step: Any, name: str, fields: Fields) -> Any:
    """Return the size of a resizing step; its interpolation and fit go into `fields`."""
    value = getattr(step, "interpolation", "bilinear")
    if name == "Resize" and not hasattr(step, "height"):
        fields["interpolation"] = interpolation_of(value)
        return side_of(step.size)
    fields["interpolation"] = _CV2_NAMES.get(value, "bilinear") if isinstance(value, int) else interpolation_of(value)
    if name == "SmallestMaxSize":
        return side_of(step.max_size)
    if getattr(step, "crop_to_aspect_ratio", False):
        fields["fit"] = "crop"
    elif getattr(step, "pad_to_aspect_ratio", False):
        raise not_understood("Resizing with pad_to_aspect_ratio, which pads with another color than gray")
    return int(step.height), int(step.width)


def _normalized(step: Any, name: str, fields: Fields) -> None:
    """Put mean and std of a normalizing step into `fields`."""
    if name == "Normalization":  # a Keras layer: mean and variance
        mean, variance = (  # the layer's own once it is built, those it was given before
            next((v for v in (getattr(step, n, None), getattr(step, f"input_{n}", None)) if v is not None), None)
            for n in ("mean", "variance")
        )
        if getattr(step, "invert", False) or mean is None or variance is None:
            raise not_understood("a Normalization layer that is inverted or has not been adapted")
        fields["mean"] = tuple(np.ravel(to_numpy(mean)).tolist())
        fields["std"] = tuple(np.sqrt(np.ravel(to_numpy(variance))).tolist())
        return
    if hasattr(step, "max_pixel_value"):  # albumentations: mean and std are fractions of it
        if getattr(step, "normalization", "standard") != "standard":
            raise not_understood(f"Normalize(normalization={step.normalization!r})")
        lo, hi = fields["range"]
        top = float(step.max_pixel_value or 255.0)
        fields["range"] = (lo / top, hi / top)
    fields["mean"] = tuple(np.ravel(step.mean).tolist())
    fields["std"] = tuple(np.ravel(step.std).tolist())


def side_of(value: Any, square: bool = False) -> Any:
    """Return a side as int, two as tuple, from a number, a sequence, or a mapping as in transformers.

    Args:
        value: the size as another library writes it.
        square: whether a size with two values must be square.

    Raises:
        InputError: if the size is not understood.
    """
    if value is None:
        return None
    if isinstance(value, Mapping) or hasattr(value, "get"):
        edge = value.get("shortest_edge")
        value = edge if edge is not None else (value.get("height"), value.get("width"))
    if isinstance(value, (int, np.integer)):
        return (int(value), int(value)) if square else int(value)
    sides = tuple(value)
    if len(sides) == 1:
        return side_of(sides[0], square)
    if len(sides) != 2 or not all(isinstance(s, (int, np.integer)) for s in sides):
        raise not_understood(f"the size {value!r}")
    return int(sides[0]), int(sides[1])


def interpolation_of(value: Any) -> str:
    """Return our name from a name, PIL's number or an enumeration's member."""
    value = getattr(value, "value", value)
    if isinstance(value, str) and value != "random":
        return value.lower()
    return _PIL_NAMES.get(int(value), "bilinear") if isinstance(value, (int, np.integer)) else "bilinear"


def not_understood(received: str) -> InputError:
    """Return the error for preprocessing that has no equivalent `Preprocess`."""
    return InputError(
        explain_error(
            "A preprocess must be scaling, a center crop, and one factor and summand per channel: a Preprocess, a "
            "name, evaluation transforms of torchvision, timm or albumentations, an image processor, Keras layers, or "
            "a function of an array (n, h, w, 3) of values 0 to 255.",
            received,
            "Write it as shisen.Preprocess(size=224, mean=…, std=…).",
        )
    )


def size_needed(received: str) -> InputError:
    """Return the error for preprocessing without an input size."""
    return InputError(
        explain_error("The input size must be known.", received, "Write shisen.Preprocess.of(…, size=224).")
    )
