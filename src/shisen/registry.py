"""Name → function and claims. A method is one decorated function; everything else follows from this list."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .errors import InputError, unknown
from .types import Array, Classifier, Maps


@dataclass(frozen=True)
class Method:
    """A registered attribution method: its function and what it claims about itself.

    Attributes:
        name: the name people type.
        function: `function(model, images, objective, *, layer=..., **options)` -> array or `Maps`.
        family: "gradient", "cam", "perturbation" or "attention".
        unit: of the raw values, with {score} for the score's own unit.
        signed: whether negative values carry meaning.
        shows: "evidence" or "sensitivity", see `Attribution.shows`.
        complete: whether the values sum to a difference of scores.
        linear: whether values scale linearly with the score.
        passes: number of network passes, in words ("1", "n", "channels").
        single: whether the first and only gradient call sees the unaltered images, so that the class
            can be chosen from the same forward.
        class_specific: False if the map does not depend on the target.
        needs: "gradients", "activations", "relu" (a network made of ReLUs) or "attention" (a transformer).
        paper: reference.
        caution: what a reader of the map must know, such as a sanity check it fails; "" if nothing.
    """

    name: str
    function: Callable[..., Array | Maps]
    family: str
    unit: str
    signed: bool
    shows: str
    complete: bool
    linear: bool
    passes: str
    single: bool
    class_specific: bool
    needs: str
    paper: str
    caution: str = ""

    @property
    def summary(self) -> str:
        """First sentence of the docstring."""
        return inspect.cleandoc(self.function.__doc__ or "").split("\n")[0]

    @property
    def options(self) -> Mapping[str, inspect.Parameter]:
        """The keyword-only options of the function, without the layer."""
        parameters = inspect.signature(self.function).parameters.values()
        return {p.name: p for p in parameters if p.kind is p.KEYWORD_ONLY and p.name != "layer"}

    @property
    def layered(self) -> bool:
        """Whether the method works at a layer."""
        return "layer" in inspect.signature(self.function).parameters

    def check(self, options: Mapping[str, Any]) -> None:
        """Raise if an option is not one of the method's."""
        for name in options:
            if name not in self.options:
                raise unknown(f"option of {self.name!r}", name, self.options)

    def __call__(self, model: Classifier, images: Array, objective: Any, *, layer: Any = None, **options: Any) -> Maps:
        """Run the method and return `Maps`, whatever the function itself returns."""
        self.check(options)
        if self.layered:
            options["layer"] = model.default_layer if layer is None else layer
        elif layer is not None:
            raise InputError(
                f"The method {self.name!r} does not work at a layer. Received: layer={layer!r}. Leave the layer out."
            )
        result = self.function(model, images, objective, **options)
        return result if isinstance(result, Maps) else Maps(result)


METHODS: dict[str, Method] = {}


def method(
    *,
    family: str,
    unit: str,
    passes: str,
    paper: str,
    signed: bool = True,
    shows: str = "evidence",
    complete: bool = False,
    linear: bool = False,
    single: bool = False,
    class_specific: bool = True,
    needs: str = "gradients",
    caution: str = "",
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function under its own name with its claims; see `Method`."""

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        METHODS[function.__name__] = Method(
            function.__name__,
            function,
            family,
            unit,
            signed,
            shows,
            complete,
            linear,
            passes,
            single,
            class_specific,
            needs,
            paper,
            caution,
        )
        return function

    return add


def get(name: str | Method) -> Method:
    """Return the method of this name, or raise with the nearest names; a `Method` is returned as it is."""
    if isinstance(name, Method):
        return name
    key = str(name).lower().replace("-", "_").replace("++", "_pp").replace(" ", "_")
    key = {"gradcam": "grad_cam", "gradcam_pp": "grad_cam_pp", "scorecam": "score_cam"}.get(key, key)
    if key not in METHODS:
        raise unknown("method", name, METHODS, "See `shisen methods`.")
    return METHODS[key]


def suiting(model: Classifier) -> list[str]:
    """Return the names of all methods, without those for transformers where the network has no attention."""
    words = [f"{layer.kind} {layer.path}".lower() for layer in model.layers]
    attends = any("attn" in word or "attent" in word for word in words)  # "att" alone is in "flatten" too
    return [name for name, m in METHODS.items() if attends or m.needs != "attention"]
