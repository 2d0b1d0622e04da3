"""Several layers in one map, for every class activation map."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from array_api_compat import array_namespace

from .._core.image_ops import resize
from ..adapters.points import by
from ..adapters.wrappers import Shared, Wrapper
from ..errors import InputError, explain_error
from ..types import Array, Classifier, Maps


def several_layers(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a method that works at one layer take a sequence of layers.

    fused = mean over layers of map / max |map|, each resized to the largest of them

    Maps of different layers have different units, so each is divided by its own largest magnitude; a map
    that is zero everywhere stays zero. One layer alone keeps its unit.
    """

    @wraps(function)
    def run(model: Classifier, images: Array, objective: Any, *, layer: Any, **options: Any) -> Maps:
        if isinstance(layer, str):
            result = function(model, images, objective, layer=layer, **options)
            return result if isinstance(result, Maps) else Maps(result)
        layers = list(layer)
        if not layers:
            raise InputError(explain_error("A list of layers must name at least one.", layer, "See model.layers."))
        joint = model if isinstance(model, Shared) else JointGradients(model, images, objective, layers)
        parts = [run(joint, images, objective, layer=one, **options) for one in layers]
        if len(parts) == 1:
            return parts[0]
        sizes = [tuple(p.values.shape[1:]) for p in parts]
        if len({len(s) for s in sizes}) > 1:
            shapes = ", ".join(f"{one}: {by(s)}" for one, s in zip(layers, sizes, strict=True))
            raise InputError(
                explain_error(
                    "Layers whose maps are fused must have as many axes of positions.", shapes, "Choose others."
                )
            )
        size = max(sizes, key=math.prod)
        total: Any = 0.0
        for part in parts:
            total = total + resize(normalized(part.values), size)
        notes = {f"{one}: {k}": v for one, part in zip(layers, parts, strict=True) for k, v in part.notes.items()}
        return Maps(total / len(parts), {**notes, "fused": "mean of maps, each a fraction of its largest value"})

    return run


class JointGradients(Wrapper):
    """Compute the gradients at several layers in one pass.

    Args:
        model: the network.
        images: the batch; calls with other images go to the network.
        objective: the score to explain.
        layers: where the gradients will be requested, one after the other.
    """

    def __init__(self, model: Classifier, images: Array, objective: Any, layers: Sequence[str]) -> None:
        super().__init__(model)
        self._images, self._objective, self._layers = images, objective, tuple(layers)
        self._found: dict[str, tuple[Any, Any]] = {}

    def _like(self, model: Classifier) -> Classifier:
        return JointGradients(model, self._images, self._objective, self._layers)

    def gradients(
        self, images: Array, objective: Any, at: str = "logits", wrt: str | Sequence[str] = "input"
    ) -> tuple[Any, Any]:
        if images is not self._images or objective is not self._objective or at != "logits" or wrt not in self._layers:
            return self.model.gradients(images, objective, at, wrt)
        if not self._found:
            values, gradients = self.model.gradients(images, objective, at, self._layers)
            self._found = {one: (v, g) for one, v, g in zip(self._layers, values, gradients, strict=True)}
        return self._found[str(wrt)]


def normalized(maps: Array) -> Array:
    """Return maps divided by their largest magnitude, image by image; zero stays zero."""
    xp = array_namespace(maps)
    top = xp.max(xp.abs(maps), axis=tuple(range(1, maps.ndim)), keepdims=True)
    return maps / xp.where(top > 0, top, xp.ones_like(top))
