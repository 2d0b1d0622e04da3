"""From a live network to a `Model`, and what a caller may override."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..adapters.frameworks import adapter_class
from ..errors import InputError, explain_error
from ..types import Classifier
from .declared import declared_classes, declared_input, takes_integers
from .inputs import Inputs, with_inputs
from .label_files import labels_of
from .labels import Labels
from .model import Model, wrong_labels
from .preprocess import Preprocess
from .preprocess_names import named
from .torch_programs import is_opaque, one_piece

PLAIN: dict[str, Any] = {"range": (0.0, 1.0), "mean": (0.0,), "std": (1.0,), "channel_order": "rgb"}
"""Defaults of a preset."""


LEAST_STEPS = 16
"""How many values from black to white a network of whole numbers must be given at least."""


VALUES = {"base", "range", "mean", "std", "data_range", "window", "zscore"}
"""Fields of `Preprocess` that say which values pixels take; the others say where they lie."""


@dataclass(frozen=True)
class Request:
    """What a caller requested besides the name; every loader understands the same fields.

    Attributes:
        framework: "torch", "keras" or "" for the loader's own choice.
        device: such as "cpu" or "cuda:1"; "" for the loader's own choice.
        weights: a file with weights.
        preprocess: replaces what the model is known to expect; a mapping replaces the fields it names.
        labels: overrides the labels: names, `Labels`, or a file.
        output: which part of a tuple or dict output holds the logits.
        inputs: the inputs beside the image; see `inputs.with_inputs`.
        head: "softmax", "sigmoid" or "none"; None if it is to be read from the network.
        top: whether a network of keras.applications keeps its classifier.
        trust: whether files that can execute code may be read.
    """

    framework: str = ""
    device: str = ""
    weights: str | None = None
    preprocess: Any = None
    labels: Any = None
    output: Any = None
    inputs: Inputs | None = None
    head: str | None = None
    top: bool = True
    trust: bool = False


def wrap(
    net: Any,
    *,
    preprocess: Any = None,
    labels: Labels | Sequence[str] | str | Path | None = None,
    output: Any = None,
    inputs: Inputs | None = None,
    input_shape: Sequence[int] | None = None,
    head: str | None = None,
    name: str = "",
) -> Model:
    """Make a `Model` of a live network: any `torch.nn.Module` or Keras model.

    Args:
        net: the network; it is never changed.
        preprocess: a `Preprocess`, a mapping of its fields, a name such as "imagenet" or "torchvision:resnet50", or the
            preprocessing object of another library. None hands arrays in as they are, channels last: any size, any
            number of channels, any range. Signals are `(length, c)`, volumes and video `(d, h, w, c)`.
        labels: one name a class.
        output: key, index or function that selects the logits of a network with several outputs.
        inputs: for a network with several inputs: a mapping from names to constant values, where the image is the one
            that is not named; or a function from the image to all arguments. See `models.inputs.with_inputs`.
        input_shape: `(h, w, c)` of an input, `(length, c)` of a signal or `(d, h, w, c)` of a volume or video, for a
            network that declares none and whose layers are requested before the first image, or whose first layer does
            not tell what it takes.
        head: "softmax", "sigmoid" or "none" where it cannot be read from the network.
        name: what the model is called in results.

    Returns:
        A `Model`.

    Raises:
        InputError: for an object of no known framework, and for labels of another number than the classes.
    """
    request = Request(preprocess=preprocess, labels=labels, output=output, inputs=inputs, head=head)
    return assemble(net, request, name=name or type(net).__name__, input_shape=input_shape)


def assemble(
    net: Any,
    request: Request,
    *,
    preprocess: Preprocess | None = None,
    labels: Labels | None = None,
    name: str = "",
    source: str = "",
    input_shape: Sequence[int] | None = None,
) -> Model:
    """Return the `Model` of a network, with what the request overrides.

    Args:
        net: a live network.
        request: what the caller requested.
        preprocess: what the network is known to expect.
        labels: the names its classes are known by.
        name: what the model is called in results.
        source: where the weights come from.
        input_shape: `(h, w, c)` of an input.

    Returns:
        A `Model`.

    Raises:
        InputError: for an object of no known framework, and for labels of another number than the classes.
    """
    net = with_inputs(net, request.inputs)
    if "torch" in sys.modules and is_opaque(net):
        net = one_piece(net)
    declared = declared_input(net)
    shape = _checked_shape(input_shape, len(declared) - 1)
    expected = merged(preprocess, request.preprocess, net, shape)
    check_integers(net, expected)
    network = adapter(net, request, expected, shape)
    if request.labels is not None:
        labels = labels_of(request.labels)
        classes = None if request.output is not None else declared_classes(net)
        if classes is not None and classes != len(labels) and not (classes == 1 and len(labels) == 2):
            raise wrong_labels(len(labels), classes)
    known = shape or declared
    model = Model(network, expected, labels, name=name, source=source, channels=known[-1], rank=len(known) - 1)
    geometry = isinstance(request.preprocess, Mapping) and not VALUES & set(request.preprocess)
    model.values_assumed = preprocess is None and geometry and not takes_integers(net)
    return model


def merged(known: Preprocess | None, given: Any, net: Any, shape: tuple[int, ...] | None = None) -> Any:
    """Return the preprocess of a network: the known one, what was given, or the known one with the given fields.

    Args:
        known: what the network is known to expect, or None.
        given: None, a `Preprocess`, a mapping of some of its fields, a name, or another library's object.
        net: the network, which may declare its input size and channels.
        shape: `(*positions, c)` where it is known from elsewhere.

    Returns:
        A `Preprocess`, or None where nothing is known.
    """
    if given is None:
        return known
    *sides, c = shape or declared_input(net)
    size = tuple(int(side or 0) for side in sides) if all(sides) else None
    if isinstance(given, str):
        given = {"base": given}
    if isinstance(given, Preprocess):
        return given  # a size that was stated outweighs the one a network was configured with first
    if not isinstance(given, Mapping) or "input_size" in given:
        return Preprocess.of(given, size or (known.sides if known is not None else None))
    fields = dict(given)
    if len(sides) != 2 and isinstance(fields.get("size"), int):  # the same for all sides
        fields["size"] = (fields["size"],) * len(sides)
    base = named(fields.pop("base")) if "base" in fields else None
    if isinstance(base, Mapping):  # a preset: all numbers, and whatever geometry there is
        fields = PLAIN | dict(base) | fields
    elif base is not None:
        known = base if size is None else base.with_size(size)
    if known is not None:
        return known.updated(**fields)
    defaults: dict[str, Any] = {} if size is None else {"size": size}
    if takes_integers(net):
        defaults["range"] = (0.0, 255.0)
    if c and "channels" not in fields and not any(_count(fields.get(k)) > 1 for k in ("mean", "std", "bands")):
        defaults["channels"] = c
    return Preprocess.of(defaults | fields)


def check_integers(net: Any, preprocess: Preprocess | None) -> None:
    """Raise where a network of whole numbers would be given values that are all rounded to a few.

    Args:
        net: a live network, or an ONNX model.
        preprocess: what the network is to be given.

    Raises:
        InputError: for a preprocessing to small values.
    """
    if preprocess is None or not takes_integers(net):
        return
    step = min(abs(s) for s in preprocess.scaling().scale)
    if step < LEAST_STEPS:
        raise InputError(
            explain_error(
                "The network takes whole numbers, 0 to 255.",
                f"a preprocessing from black to white in a range of {step:.3g}",
                "Pass preprocess={'range': (0, 255)} (--range 0,255); mean and std belong to the network here.",
            )
        )


def adapter(net: Any, request: Request, preprocess: Preprocess | None, shape: tuple[int, ...] | None) -> Any:
    """Return the adapter for a live network.

    Args:
        net: a torch module, a Keras model, or an object that already is a classifier.
        request: `output` and `head`.
        preprocess: scaling and size, or None for arrays as they are.
        shape: `(*positions, c)` of an input without preprocessing, or None.

    Returns:
        A `Classifier`.

    Raises:
        InputError: for an object of no known framework.
    """
    scaling = None if preprocess is None else preprocess.scaling()
    size = shape if preprocess is None else (*preprocess.sides, preprocess.channels)
    own: Any = adapter_class(net)
    if own is not None:
        return own(net, scaling, request.output, size, request.head)
    if isinstance(net, Classifier):
        return net
    raise InputError(
        explain_error(
            "wrap() takes a torch.nn.Module or a Keras 3 model.",
            f"{type(net).__module__}.{type(net).__qualname__}",
            not_a_network(net),
        )
    )


def not_a_network(net: Any) -> str:
    """Return advice by what was given instead of a network."""
    kind = type(net).__name__
    if hasattr(net, "items") and hasattr(net, "keys"):
        return (
            "This is a state dict, weights without a network: build the network, call net.load_state_dict(…), and wrap "
            "it; or load('torchvision:NAME', weights=FILE)."
        )
    if isinstance(net, type):
        return f"This is a class: wrap an instance, {net.__name__}(…)."
    if hasattr(net, "add_weight") and hasattr(net, "call"):
        return "This is a layer: wrap keras.Sequential([keras.Input(shape), layer])."
    if kind == "ExportedProgram":
        return "Wrap program.module(), or load the .pt2 file."
    if "tensorflow" in type(net).__module__:
        return "Load a SavedModel folder with shisen.load(FOLDER)."
    return "Load the model with its framework first, or pass a file name to shisen.load()."


def _checked_shape(shape: Sequence[int] | None, rank: int = 2) -> tuple[int, ...] | None:
    """Return `(h, w, c)`, `(length, c)` for a network of signals or `(d, h, w, c)` of a volume."""
    if shape is None:
        return None
    sides = tuple(int(s) for s in shape)
    if len(sides) == 2 and rank != 1:
        sides = (*sides, 3)
    if len(sides) not in (2, 3, 4) or min(sides) < 1:
        raise InputError(
            explain_error(
                "input_shape must be (h, w, c), in pixels, (length, c) of a signal or (d, h, w, c) of a volume.",
                repr(shape),
                "Write input_shape=(28, 28, 1).",
            )
        )
    return sides


def _count(value: Any) -> int:
    return len(value) if hasattr(value, "__len__") else 1


def to_device(net: Any, device: str) -> Any:
    """Move a torch module that shisen has made to a device; "" means a GPU if there is one. Others stay where they are.

    Args:
        net: the network.
        device: name of the device, such as "cpu" or "cuda:0".

    Returns:
        The module.

    Raises:
        InputError: if there is no such device.
    """
    if not hasattr(net, "state_dict"):
        return net
    import torch

    try:
        return net.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    except (RuntimeError, AssertionError) as problem:
        raise InputError(
            explain_error("The device must exist on this machine.", f"{device!r} ({problem})", "Try device='cpu'.")
        ) from problem


def installed(package: str) -> bool:
    """Tell whether a package can be imported, without importing it."""
    return package in sys.modules or importlib.util.find_spec(package) is not None
