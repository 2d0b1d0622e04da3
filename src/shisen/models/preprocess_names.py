"""Preprocessing by name: common recipes, and those of the hubs' models without loading their weights."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import unknown

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
    "torchvision": "shisen.models.hubs:torchvision_preprocess",
    "timm": "shisen.models.hubs:timm_preprocess",
    "hf": "shisen.models.hubs:transformers_preprocess",
    "keras": "shisen.models.keras_presets:application_preprocess",
}


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
