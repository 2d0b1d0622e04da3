"""Networks with several inputs: which one is the image, and what the others are."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..adapters.frameworks import framework_of
from ..errors import InputError, explain_error
from ..targets import to_numpy

Inputs = Callable[[Any], Any] | Mapping[str, Any]


def with_inputs(net: Any, inputs: Inputs | None) -> Any:
    """Return a network of the image alone: the other arguments are filled in. The network itself is not changed.

    Args:
        net: a torch module or a Keras model.
        inputs: a function from the image, `(n, …)` in the network's axis order, to the arguments: a tuple, a mapping of
            names (which a `forward` of one argument gets as it is), or for a Keras model the structure it takes. Or a
            mapping from names to constant values; the image is then the first argument that it does not name. Arrays
            with a batch axis of 1 are repeated for every image.
            None for a network of one input.

    Returns:
        The network, or one around it with the same layers.

    Raises:
        InputError: for a network of several inputs without `inputs`, and for names it does not have.
    """
    framework = framework_of(net)
    names, required = _arguments(net, framework)
    if inputs is None:
        if len(required) > 1:
            raise InputError(
                explain_error(
                    "A network of several inputs needs to know which one is the image and what the others are.",
                    f"{type(net).__name__} with the inputs {', '.join(required)}",
                    f"Pass inputs={{{required[1]!r}: value, …}}, or a function from the image to all arguments.",
                )
            )
        return net
    if framework not in BUILDERS:
        expected = f"`inputs` needs a network of {' or '.join(BUILDERS)}."
        raise InputError(explain_error(expected, type(net).__name__, "Leave it out."))
    if isinstance(inputs, Mapping):
        unknown = [n for n in inputs if names and n not in names]
        free = [n for n in required if n not in inputs]
        if unknown or len(free) > 1 or not (free or set(names) - set(inputs)):
            raise InputError(
                explain_error(
                    f"`inputs` must name all inputs but the image: {', '.join(names)}.",
                    ", ".join(inputs) or "none",
                    f"Missing: {', '.join(free[1:])}." if len(free) > 1 else "Leave out the name of the image.",
                )
            )
    return BUILDERS[framework](net, inputs, names, required)


def _arguments(net: Any, framework: str) -> tuple[list[str], list[str]]:
    """Return the names of all inputs of a network, and of those without a default value."""
    declared = DECLARED[framework](net) if framework in DECLARED else {}
    if declared:
        return list(declared), list(declared)
    call = getattr(net, "forward", None) or getattr(net, "call", None)
    if call is None:
        return [], []
    try:
        parameters = list(inspect.signature(call).parameters.values())
    except (TypeError, ValueError):  # compiled or scripted: it does not say
        return [], []
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    named = [p for p in parameters if p.kind in kinds and p.name not in ("training", "mask")]
    return [p.name for p in named], [p.name for p in named if p.default is inspect.Parameter.empty]


def _keras_inputs(net: Any) -> dict[str, Any]:
    """Return the declared inputs of a Keras model by name."""
    structure = getattr(net, "_inputs_struct", None)
    if isinstance(structure, Mapping):
        return dict(structure)
    return {str(i.name): i for i in getattr(net, "inputs", None) or ()}


def _arguments_of(inputs: Inputs, image: str, x: Any, fill: Callable[[Any, Any], Any]) -> tuple[tuple[Any, ...], Any]:
    """Return positional and named arguments for a batch of images."""
    if isinstance(inputs, Mapping):
        filled = {name: fill(value, x) for name, value in inputs.items()}
        return ((), {image: x, **filled}) if image else ((x,), filled)
    given = inputs(x)
    if isinstance(given, Mapping):
        return (), dict(given)
    return (tuple(given) if isinstance(given, (tuple, list)) else (given,)), {}


def _torch(net: Any, inputs: Inputs, names: list[str], required: list[str]) -> Any:
    import torch

    given = inputs if isinstance(inputs, Mapping) else {}
    image = next((n for n in (*required, *names) if n not in given), "")

    def fill(value: Any, x: Any) -> Any:
        if not isinstance(value, (np.ndarray, torch.Tensor, list)):
            return value
        tensor = torch.as_tensor(value, device=x.device)
        tensor = tensor.to(x.dtype) if tensor.is_floating_point() else tensor
        return tensor.expand(len(x), *tensor.shape[1:]) if tensor.dim() and len(tensor) == 1 else tensor

    class OneImage(torch.nn.Module):
        """A network of the image alone; its layers are those of the network, under the same names."""

        def __init__(self) -> None:
            super().__init__()
            for name in ("_modules", "_parameters", "_buffers"):
                self.__dict__[name] = net.__dict__[name]
            self.__dict__["whole"] = net
            self.__dict__["training"] = net.training

        def forward(self, x: Any) -> Any:
            positional, named = _arguments_of(inputs, image, x, fill)
            if not isinstance(inputs, Mapping) and named and len(names) == 1 and names[0] not in named:
                positional, named = (named,), {}  # `forward(batch)` of a dict
            whole = self.__dict__["whole"]
            before, whole.training = whole.training, self.training
            try:
                return whole(*positional, **named)
            finally:
                whole.training = before

    made = OneImage()
    for attribute in ("config", "pretrained_cfg", "num_classes"):
        if hasattr(net, attribute):
            made.__dict__[attribute] = getattr(net, attribute)
    return made


def _keras(net: Any, inputs: Inputs, _: list[str], __: list[str]) -> Any:
    import keras
    from keras import ops

    declared = _keras_inputs(net)
    given = inputs if isinstance(inputs, Mapping) else {}
    free = [n for n in declared if n not in given]
    image = next((n for n in free if len(declared[n].shape) == 4), next(iter(free), ""))
    shape = declared[image].shape[1:] if image else (None, None, 3)

    def fill(value: Any, x: Any) -> Any:
        tensor = ops.convert_to_tensor(np.asarray(to_numpy(value)))
        tensor = ops.cast(tensor, "float32") if "float" in str(tensor.dtype) else tensor
        return ops.repeat(tensor, ops.shape(x)[0], axis=0) if len(tensor.shape) and tensor.shape[0] == 1 else tensor

    class Arguments(keras.layers.Layer):
        """Makes the arguments of a model out of the image."""

        def call(self, x: Any) -> Any:
            if not isinstance(inputs, Mapping):
                return inputs(x)
            values = {name: x if name == image else fill(inputs[name], x) for name in declared}
            return values if isinstance(getattr(net, "_inputs_struct", None), Mapping) else list(values.values())

    entry = keras.Input(shape=shape)
    return keras.Model(entry, net(Arguments(name="arguments")(entry)), name=f"{net.name}_of_one_image")


DECLARED: Mapping[str, Callable[[Any], Mapping[str, Any]]] = {"keras": _keras_inputs}
"""Framework → the inputs that a network of it declares by name, where networks do."""

BUILDERS: Mapping[str, Callable[..., Any]] = {"torch": _torch, "keras": _keras}
"""Framework → what makes a network of the image alone."""
