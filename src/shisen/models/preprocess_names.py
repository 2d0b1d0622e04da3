"""Preprocessing by name: common recipes, and those of the hubs' models without loading their weights."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from ..errors import InputError, explain_error, unknown

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "imagenet": {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
    "clip": {"mean": (0.48145466, 0.4578275, 0.40821073), "std": (0.26862954, 0.26130258, 0.27577711)},
    "zero-to-one": {"mean": (0.0,), "std": (1.0,)},
    "minus-one-to-one": {"mean": (0.5,), "std": (0.5,)},
    "0-255": {"range": (0.0, 255.0)},
    "caffe": {"mean": (103.939, 116.779, 123.68), "range": (0.0, 255.0), "channel_order": "bgr"},
    "mnist": {"mean": (0.1307,), "std": (0.3081,), "channels": 1},
    "cifar10": {"mean": (0.4914, 0.4822, 0.4465), "std": (0.247, 0.2435, 0.2616)},
}
"""Fields of `Preprocess` by name; the size comes from the network or from the caller."""

RECIPES: Mapping[str, str] = {
    "torchvision": "shisen.models.hubs.torchvision:preprocess",
    "timm": "shisen.models.hubs.timm:preprocess",
    "hf": "shisen.models.hubs.transformers:preprocess",
    "keras": "shisen.models.keras_presets:application_preprocess",
}

OPTIONS = (
    *("preprocess", "size", "fit", "scale", "range_", "mean", "std", "bgr", "interpolation"),
    *("input_channels", "bands", "data_range", "rgb", "window", "zscore", "orientation"),
)
"""Options of the command line that name fields of `Preprocess`."""


def fields_of_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of `Preprocess` that options of the command line name.

    Args:
        options: text by option, as in `OPTIONS`; what is None or False is left out.

    Returns:
        Fields, and under "base" the name of a preprocessing that they change.

    Raises:
        InputError: for text that is not a number, or not as many numbers as the option needs.
    """
    fields: dict[str, Any] = {}
    for name, text in options.items():
        if text is None or text is False:
            continue
        if name == "preprocess":
            fields["base"] = text
        elif name == "bgr":
            fields["channel_order"] = "bgr"
        elif name in ("fit", "interpolation", "input_channels", "zscore", "orientation"):
            fields[name.removeprefix("input_")] = text
        elif name == "scale":
            fields["range"] = (0.0, 255.0 * _numbers(name, text, (1,))[0])
        elif name == "size":
            sides = _numbers(name, str(text).lower().replace("×", "x").replace("x", ","), (1, 2, 3))
            fields["size"] = int(sides[0]) if len(sides) == 1 else tuple(map(int, sides))
        else:
            counts = {"range_": (2,), "data_range": (2,), "rgb": (3,), "window": (2,)}.get(name, ())
            numbers = _numbers(name, text, counts)
            fields[name.removesuffix("_")] = tuple(map(int, numbers)) if name in ("bands", "rgb") else numbers
    return fields


def _numbers(name: str, text: Any, counts: tuple[int, ...]) -> tuple[float, ...]:
    """Read comma-separated numbers or fractions."""
    try:
        numbers = tuple(float(Fraction(part.strip())) for part in str(text).split(","))
    except (ValueError, ZeroDivisionError):
        numbers = ()
    if not numbers or (counts and len(numbers) not in counts):
        wanted = " or ".join(map(str, counts)) + " " if counts else ""
        examples = {"scale": "1/255", "size": "224, 300x200 or 64x128x128", "window": "40,400"}.get(
            name, "0.5 or 0.485,0.456,0.406"
        )
        option = name.removesuffix("_").replace("_", "-")
        expected = f"--{option} must be {wanted}comma-separated number{'' if counts == (1,) else 's'}."
        raise InputError(explain_error(expected, repr(text), f"Try {examples}."))
    return numbers


def named(name: str) -> Any:
    """Return what a name stands for: fields of `Preprocess`, or a `Preprocess`.

    Args:
        name: one of `PRESETS`, a built-in model, or a model of a hub such as "torchvision:resnet50" or "keras:VGG16".

    Raises:
        UnknownName: for any other name, with the nearest ones.
    """
    key = name.strip()
    hub, colon, model = key.partition(":")
    if colon and hub in RECIPES:
        module, _, function = RECIPES[hub].partition(":")
        recipe: Callable[[str], Any] = getattr(importlib.import_module(module), function)
        return recipe(model)
    fields = PRESETS.get(key.lower().replace("_", "-"))
    if fields is not None:
        return dict(fields)
    built_in = importlib.import_module("shisen.models.presets").RECIPES
    if key in built_in:
        return built_in[key].preprocess
    raise unknown("preprocessing", name, [*PRESETS, *built_in, *(f"{hub}:…" for hub in RECIPES)])
