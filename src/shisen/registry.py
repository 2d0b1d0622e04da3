"""Name → function and claims. A method is one decorated function; everything else follows from this list."""

from __future__ import annotations

import importlib
import inspect
import re
import threading
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypedDict, TypeVar, get_args, get_origin, get_type_hints

import numpy as np

from ._core import plugins
from .errors import N_, InputError, Message, ShisenError, Unsuited, explain_error, unknown
from .types import Array, Classifier, Maps

if TYPE_CHECKING:
    from typing_extensions import Unpack

Function = TypeVar("Function", bound=Callable[..., Any])
Kind = TypeVar("Kind", bound="Registered")

ARGUMENTS: Mapping[str, str] = MappingProxyType(
    {
        "model": "the network.",
        "images": "`(n, h, w, c)`, pixels in [0, 1]; signals are `(n, length, c)`, volumes `(n, d, h, w, c)`.",
        "objective": 'the score to explain; "the top class" is the one of the unaltered image.',
        "layer": "the point A is taken from; a sequence of points gives their fused map.",
        "baseline": 'what a removed pixel becomes: a pixel value, "black", "gray", "mean", "network_zero", "blur" or '
        '"inpaint".',
        "seed": "random seed.",
    }
)
"""The arguments that all methods have. A method's docstring describes only its own, under `Options:`."""


@dataclass(frozen=True)
class Registered:
    """A function known by its name, with keyword-only options.

    Attributes:
        name: the name people type.
        function: what it runs.
        family: the group it belongs to.
        unit: of the values it returns.
        paper: reference.
    """

    name: str
    function: Callable[..., Any]
    family: str
    unit: str
    paper: str

    @property
    def summary(self) -> str:
        """First sentence of the docstring."""
        return inspect.cleandoc(self.function.__doc__ or "").split("\n")[0]

    @cached_property
    def options(self) -> Mapping[str, inspect.Parameter]:
        """The keyword-only options of the function, without the layer."""
        parameters = inspect.signature(self.function).parameters.values()
        return {p.name: p for p in parameters if p.kind is p.KEYWORD_ONLY and p.name != "layer"}

    @cached_property
    def choices(self) -> Mapping[str, tuple[Any, ...]]:
        """The values of every option that takes one of a few: its annotation is a `Literal`."""
        hints = get_type_hints(inspect.unwrap(self.function))
        return {name: get_args(hints[name]) for name in self.options if get_origin(hints.get(name)) is Literal}

    def check(self, options: Mapping[str, Any]) -> None:
        """Raise if an option is unknown, or has a value that is none of its choices.

        Args:
            options: name → value.

        Raises:
            UnknownName: for an unknown option.
            InputError: for a value that is not among the option's choices.
        """
        for name, value in options.items():
            if name not in self.options:
                raise unknown(Message("option of {name}", name=repr(self.name)), name, self.options)
            known = self.choices.get(name)
            if known is not None and value not in known:
                words = ", ".join(map(repr, known))
                raise InputError(
                    explain_error(
                        Message("{name} must be one of {words}.", name=name, words=words),
                        repr(value),
                        Message("{value} is the default.", value=repr(known[0])),
                    )
                )


class Registry(MutableMapping[str, Kind]):
    """Functions by their names. The modules that register them, and plugins, are imported when it is first read.

    Args:
        group: of the entry points through which other packages register theirs.
        homes: the modules that register functions when they are imported.
    """

    def __init__(self, group: str, *homes: str) -> None:
        self._found: dict[str, Kind] = {}
        self._group, self._homes, self._lock = group, homes, threading.RLock()

    def _filled(self) -> dict[str, Kind]:
        with self._lock:  # others wait until it is filled; the modules imported may read it meanwhile
            homes, self._homes = self._homes, ()
            for home in homes:
                importlib.import_module(home)
            if homes:
                plugins.load(self._group)
        return self._found

    def __getitem__(self, name: str) -> Kind:
        return self._filled()[name]

    def __setitem__(self, name: str, registered: Kind) -> None:
        self._found[name] = registered

    def __delitem__(self, name: str) -> None:
        del self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._filled())

    def __len__(self) -> int:
        return len(self._filled())


@dataclass(frozen=True)
class Method(Registered):
    """A registered attribution method: its function and what it claims about itself.

    `function(model, images, objective, *, layer=..., **options)` returns an array or `Maps`; the unit has {score} for
    the score's own unit; the family is a key of `FAMILIES`.

    Attributes:
        signed: whether negative values carry meaning.
        shows: "evidence" or "sensitivity", see `Attribution.shows`.
        complete: whether the values sum to a difference of scores.
        linear: whether values scale linearly with the score.
        passes: number of forward passes an image: a number, or an expression of the options, of `channels`, `positions`
            and `windows`, and of `affine`, which means that the network is affine downstream of the layer.
        single: whether the first and only gradient call sees the unaltered images, so that the class
            can be chosen from the same forward.
        class_specific: False if the map does not depend on the target.
        needs: "gradients", "activations", "relu" (a network made of ReLUs) or "attention" (a transformer).
        caution: what a reader of the map must know, such as a sanity check it fails; "" if nothing.
        planar: whether it is for images of two dimensions only, not for signals, volumes and video.
    """

    signed: bool = True
    shows: str = "evidence"
    complete: bool = False
    linear: bool = False
    passes: str = "1"
    single: bool = False
    class_specific: bool = True
    needs: str = "gradients"
    caution: str = ""
    planar: bool = False

    @property
    def layered(self) -> bool:
        """Whether the method works at a layer."""
        return "layer" in inspect.signature(self.function).parameters

    def __call__(self, model: Classifier, images: Array, objective: Any, *, layer: Any = None, **options: Any) -> Maps:
        """Run the method and return `Maps`, whatever the function itself returns.

        Args:
            model: the network.
            images: `(n, h, w, c)`, pixels in [0, 1]; or `(n, *positions, c)`.
            objective: the score to explain.
            layer: for methods that work at one; None for the default layer.
            options: of the method.

        Returns:
            raw values, `(n, *positions)` or `(n, *positions, c)`, and the method's notes.

        Raises:
            UnknownName: for an unknown option.
            InputError: for a value that an option does not take, a layer where the method has none, or a signal or
                volume where the method is for images only.
            Unsuited: for a network that the method is not for, naming methods that run on it.
        """
        self.check(options)
        try:
            return self._run(model, images, objective, layer, options)
        except Unsuited as error:
            raise Unsuited(advised(error, model, images, objective, self)) from error

    def _run(self, model: Classifier, images: Array, objective: Any, layer: Any, options: dict[str, Any]) -> Maps:
        if self.planar and len(images.shape) != 4:
            raise InputError(
                explain_error(
                    f"The method {self.name!r} is for images of two dimensions.",
                    f"an input with {len(images.shape) - 2} axes of positions",
                    "Use grad_cam, integrated_gradients, occlusion or rise.",
                )
            )
        if self.layered:
            options["layer"] = model.default_layer if layer is None else layer
        elif layer is not None:
            raise InputError(
                explain_error(
                    Message("The method {name} does not work at a layer.", name=repr(self.name)),
                    f"layer={layer!r}",
                    N_("Leave the layer out."),
                )
            )
        result = self.function(model, images, objective, **options)
        maps = result if isinstance(result, Maps) else Maps(result)
        if self.layered and len(maps.values.shape) < len(images.shape) - 1:
            raise Unsuited(
                explain_error(
                    N_("This method works at a layer with a spatial feature map."),
                    f"layer={layer!r}, whose map of one input has the shape {tuple(maps.values.shape[1:])}",
                    N_("Use a method without a layer, such as gradient, integrated_gradients, occlusion or rise."),
                )
            )
        return maps


class Claims(TypedDict, total=False):
    """What a method may claim; see `Method`."""

    unit: str
    signed: bool
    shows: str
    complete: bool
    linear: bool
    passes: str
    single: bool
    class_specific: bool
    needs: str
    caution: str
    planar: bool


FAMILIES: Mapping[str, Claims] = MappingProxyType(
    {
        "gradient": Claims(unit="{score} per unit of pixel value", shows="sensitivity", linear=True, single=True),
        "cam": Claims(unit="{score} per spatial position", signed=False, linear=True, single=True),
        "perturbation": Claims(unit="{score}", linear=True, needs="activations"),
        "attention": Claims(unit="{score}", signed=False, linear=True, single=True, needs="attention", planar=True),
    }
)
"""Family → what its methods claim unless they say otherwise."""

METHODS: Registry[Method] = Registry(plugins.METHODS, "shisen.attribution")
"""Filled by every module that decorates functions with `method`."""


def method(*, family: str, paper: str, **claims: Unpack[Claims]) -> Callable[[Function], Function]:
    """Register a function under its own name with its claims.

    The function's docstring describes its own options under `Options:`; those of all methods are put before them.

    Args:
        family: a key of `FAMILIES`, which holds what is claimed by default.
        paper: reference.
        claims: what differs from the family's; see `Method`.

    Returns:
        a decorator that returns the function itself.

    Raises:
        UnknownName: for an unknown family.
    """
    if family not in FAMILIES:
        raise unknown("family of methods", family, FAMILIES)

    def add(function: Function) -> Function:
        complete_docstring(function, ARGUMENTS)
        name = function.__name__
        METHODS[name] = Method(name=name, function=function, family=family, paper=paper, **FAMILIES[family] | claims)
        return function

    return add


def complete_docstring(function: Callable[..., Any], shared: Mapping[str, str]) -> None:
    """Write what is shared about a function's arguments into its docstring, before its own text.

    Args:
        function: its docstring may have a section `Options:`, which becomes the section `Args:`.
        shared: argument → description, for those that the section does not describe.
    """
    prose, *sections = re.split(r"\n\n(?=[A-Z]\w+:\n)", inspect.cleandoc(function.__doc__ or ""))
    options = next((section for section in sections if section.startswith("Options:")), "Options:")
    described = {entry.split(":")[0].strip(): entry for entry in re.split(r"\n(?=    \w)", options)[1:]}
    lines = [
        described.get(name) or f"    {name}: {shared[name]}"
        for name in inspect.signature(function).parameters
        if name in described or name in shared
    ]
    others = [section for section in sections if section is not options]
    function.__doc__ = "\n\n".join([prose, "\n".join(["Args:", *lines]), *others])


def find(name: str, known: Mapping[str, Any], kind: str) -> Any:
    """Return what is registered under a name; case, hyphens and spaces do not matter.

    Args:
        name: what a person typed.
        known: the registry.
        kind: what it holds, for the message and the command that lists them.

    Returns:
        the `Registered` function of this name.

    Raises:
        UnknownName: with the nearest names.
    """
    key = str(name).lower().replace("-", "_").replace("++", "_pp").replace(" ", "_")
    key = {"gradcam": "grad_cam", "gradcam_pp": "grad_cam_pp", "scorecam": "score_cam"}.get(key, key)
    if key not in known:
        raise unknown(kind, name, known, Message("See {command}.", command=f"`shisen {kind}s`"))
    return known[key]


def get(name: str | Method) -> Method:
    """Return the method of this name, or raise with the nearest names; a `Method` is returned as it is."""
    found: Method = name if isinstance(name, Method) else find(name, METHODS, "method")
    return found


ALTERNATIVES: Mapping[str, str] = MappingProxyType(
    {
        "legrad": "legrad",
        "attention_x_gradient": "attention_x_gradient",
        "attention_rollout": "attention_rollout",
        "grad_cam": "grad_cam",
        "integrated_gradients": "gradient",
    }
)
"""Methods to suggest where another does not apply → what is tried on the network first: themselves, or their core."""
UNIVERSAL = ("occlusion", "rise")
"""Methods that need nothing but the answers of a network."""


def advised(error: Unsuited, model: Classifier, images: Array, objective: Any, method: Method | None = None) -> str:
    """Return a refusal's message in which the advice names methods that have been run on the network.

    Args:
        error: the refusal.
        model: the network.
        images: `(n, h, w, c)`, pixels in [0, 1]; the first is used.
        objective: the score to explain, for all of the images.
        method: the refused one; methods that need attention are tried only in place of one of these, or of None.

    Returns:
        The message.
    """
    message = error.message
    if not isinstance(message, Message) or "advice" not in message.values:
        return message
    first = objective.take(np.asarray([0])) if hasattr(objective, "take") else objective
    running = []
    for name, core in ALTERNATIVES.items():
        other = METHODS.get(core)
        if other is None or other is method or (other.needs == "attention" and method and method.needs != "attention"):
            continue
        try:
            other._run(model, images[:1], first, None, {})
        except ShisenError:
            continue
        running.append(name)
    names = ", ".join((*running, *UNIVERSAL))
    advice = Message(N_("Use one of {names}; they run on this network."), names=names)
    return explain_error(message.values["expected"], message.values["received"], advice)


def suiting(model: Classifier) -> list[str]:
    """Return the names of all methods, without those for transformers where the network has no attention."""
    words = [f"{layer.kind} {layer.path}".lower() for layer in model.layers]
    attends = any("attn" in word or "attent" in word for word in words)  # "att" alone is in "flatten" too
    return [name for name, m in METHODS.items() if attends or m.needs != "attention"]
