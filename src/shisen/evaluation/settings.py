"""A method with its layer and options, as one thing to evaluate."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .. import registry
from ..errors import InputError, explain_error
from .control_maps import CONTROL_MAPS

Layers = str | tuple[str, ...] | None


@dataclass(frozen=True)
class Setting:
    """What makes a map.

    Attributes:
        method: a registered method or a control map.
        layer: a point, several points that the method fuses, or None for the model's default.
        options: of the method.
        augment: "flip", "scales", "score", "power" and "keep" of `attribution.augmented`: averages over copies of the
            image, another score of the class, a widened map; empty for none.
        label: how the setting is called; composed if empty.
    """

    method: str
    layer: Layers = None
    options: Mapping[str, Any] = field(default_factory=dict)
    augment: Mapping[str, Any] = field(default_factory=dict)
    label: str = ""

    @property
    def name(self) -> str:
        """Such as "grad_cam" or "grad_cam@blocks.5 (variant=code)"."""
        if self.label:
            return self.label
        layer = self.layer if self.layer is None or isinstance(self.layer, str) else "+".join(self.layer)
        words = ", ".join(f"{k}={v}" for k, v in self.options.items())
        if self.augment:
            words = ", ".join([*([words] if words else []), *self._copies()])
        return self.method + (f"@{layer}" if layer else "") + (f" ({words})" if words else "")

    def _copies(self) -> list[str]:
        own = self.augment
        scales = tuple(own.get("scales", (1.0,)))
        flipped = own.get("flip", True)
        words = ["flipped"] if flipped else []
        words += [f"×{', '.join(f'{x:g}' for x in scales)}"] if flipped or scales != (1.0,) else []
        words += [str(own["score"]).replace("_", " ")] if own.get("score") else []
        words += [f"power {own['power']:g}"] if own.get("power", 1.0) != 1.0 else []
        return words + ([f"keeping {own['keep']:g}"] if own.get("keep") else [])

    @property
    def is_control(self) -> bool:
        """Whether it is a control map, which does not depend on the network."""
        return self.method in CONTROL_MAPS

    @property
    def shows(self) -> str:
        """ "evidence" or "sensitivity"."""
        return "evidence" if self.is_control else registry.get(self.method).shows

    def key(self, default_layer: str | None = None) -> str:
        """Return what distinguishes two settings, as text."""
        layer = self.layer
        if not self.is_control and layer is None and registry.get(self.method).layered:
            layer = default_layer
        parts = [self.method, layer, dict(sorted(self.options.items())), dict(sorted(self.augment.items()))]
        return json.dumps(parts, default=str)

    @property
    def run(self) -> registry.Method:
        """The method that makes the maps."""
        if not self.augment:
            return registry.get(self.method)
        import importlib

        # imported late: only settings of copies need it
        augmented = importlib.import_module("shisen.attribution.test_time_augmentation").augmented
        made: registry.Method = augmented(self.method, **self.augment)
        return made

    def to_dict(self) -> dict[str, Any]:
        """Return the setting as plain data."""
        layer = list(self.layer) if isinstance(self.layer, tuple) else self.layer
        return {"method": self.method, "layer": layer, "options": dict(self.options), "augment": dict(self.augment)}


def setting_of(item: Any, layer: Any = None, options: Mapping[str, Mapping[str, Any]] | None = None) -> Setting:
    """Return a setting given as one, as "grad_cam" or as "grad_cam@layer" ("grad_cam@one+other" fuses two).

    Args:
        item: a `Setting` or a name.
        layer: for names without one, if the method works at a layer.
        options: method name → its options.

    Raises:
        UnknownName: for a method or option that there is not.
    """
    if isinstance(item, Setting):
        return item
    text, _, where = str(item).partition("@")
    if text in CONTROL_MAPS:
        if where:
            raise InputError(explain_error("A control map has no layer.", repr(item), "Leave the layer out."))
        return Setting(text)
    spec = registry.get(text)
    own = dict((options or {}).get(spec.name, {}))
    spec.check(own)
    points: Any = where or (layer if spec.layered else None)
    if isinstance(points, str) and "+" in points:
        points = tuple(points.split("+"))
    if where and not spec.layered:
        raise InputError(explain_error(f"{spec.name} does not work at a layer.", repr(item), "Leave the layer out."))
    return Setting(spec.name, tuple(points) if isinstance(points, list) else points, own)
