"""From a name, a file or a live network to a `Model`."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ..errors import InputError, ModelError, explain_error, require, unknown
from ..types import Classifier
from .labels import Labels, labels_of
from .model import Model
from .preprocess import Preprocess
from .presets import RECIPES


@dataclass(frozen=True)
class Request:
    """What a person asked for besides the name; every loader understands the same words.

    Attributes:
        framework: "torch", "keras" or "" for the loader's own choice.
        device: such as "cpu" or "cuda:1"; "" for the loader's own choice.
        weights: a file with weights.
        preprocess: overrides what the model is known to expect.
        labels: overrides the labels: names, `Labels`, or a file.
        output: which part of a tuple or dict output holds the logits.
        trust: whether files that can execute code may be read.
    """

    framework: str = ""
    device: str = ""
    weights: str | None = None
    preprocess: Any = None
    labels: Any = None
    output: Any = None
    trust: bool = False
    extra: dict[str, Any] = field(default_factory=dict)


Loader = Callable[[str, Request], Model]

# where each kind of name is understood; the modules are imported only when such a name is asked for
PREFIXES: dict[str, str] = {
    "torchvision": "shisen.models.hubs:load_torchvision",
    "timm": "shisen.models.hubs:load_timm",
    "hf": "shisen.models.hubs:load_transformers",
    "keras": "shisen.models.keras_files:load_application",
}
SUFFIXES: dict[str, str] = {
    ".onnx": "shisen.models.onnx_files:load_onnx",
    ".pt": "shisen.models.pickled:load_whole",
    ".pth": "shisen.models.pickled:load_whole",
    ".safetensors": "shisen.models.pickled:load_whole",
    ".keras": "shisen.models.keras_files:load_file",
    ".h5": "shisen.models.keras_files:load_file",
    ".hdf5": "shisen.models.keras_files:load_file",
}


def load(
    name: str | Path = "efficientnet_lite0",
    *,
    framework: str = "",
    device: str = "",
    weights: str | Path | None = None,
    preprocess: Any = None,
    labels: Any = None,
    output: Any = None,
    fast: bool = False,
    trust: bool = False,
) -> Model:
    """Load a classifier by name or file, with the preprocessing and labels it was trained with.

    Args:
        name: built in ("efficientnet_lite0", …), a hub name ("torchvision:resnet50", "timm:…", "keras:VGG16"),
            "package.module:build", a run folder, or a model file.
        framework: "torch" or "keras", where both know the model.
        device: where the network runs, such as "cuda"; by default a GPU if there is one.
        weights: a file of weights for the network (state dict or safetensors; nothing is executed).
        preprocess: a `Preprocess` or a framework's own preprocessing function, instead of the known one.
        labels: class names, or a file with them, instead of the known ones.
        output: key, index or function that selects the logits of a network with several outputs.
        fast: half precision, where the network and the machine are faster with it; see `Model.fast`.
        trust: allow files that execute code when they are read.

    Returns:
        A `Model`.

    Raises:
        UnknownName: for a name that no loader knows, with the nearest ones.
        MissingDependency: if the package that a model needs is not installed.
        ModelError: if the model cannot be loaded.
    """
    text = str(name)
    request = Request(framework, device, None if weights is None else str(weights), preprocess, labels, output, trust)
    loader = _loader(text)
    model = _configured(loader(text, request), request)
    if loader is not load_own and hasattr(model.network, "folds"):
        model.network.folds = True
    return model.fast() if fast else model


def _loader(text: str) -> Loader:
    if text in RECIPES:
        return load_built_in
    prefix, colon, rest = text.partition(":")
    if colon and prefix in PREFIXES:
        return _late(PREFIXES[prefix])
    path = Path(text).expanduser()
    if path.is_dir():
        if (path / "shisen.json").is_file():
            return _late("shisen.training.run:load_run")
        raise ModelError(
            explain_error(
                "A run folder holds a file shisen.json.", f"{text!r} without one", "Give a folder made by finetune."
            )
        )
    if path.suffix.lower() in SUFFIXES:
        if not path.is_file():
            raise ModelError(explain_error("A model file must exist.", repr(text), "Check the path."))
        return _late(SUFFIXES[path.suffix.lower()])
    if colon and all(part.isidentifier() for part in prefix.split(".")) and rest.isidentifier():
        if get_close_matches(prefix, PREFIXES, cutoff=0.8) and not _installed(prefix.split(".")[0]):
            raise unknown("hub", prefix, PREFIXES, "See `shisen models`.")
        return load_own
    raise unknown("model", text, known_names(), "See `shisen models`.")


def _late(where: str) -> Loader:
    module, _, function = where.partition(":")
    loader: Loader = getattr(importlib.import_module(module), function)
    return loader


def known_names() -> list[str]:
    """Return the names of built-in models and the forms that other names take."""
    return [*RECIPES, *(f"{prefix}:…" for prefix in PREFIXES), *(f"file{suffix}" for suffix in SUFFIXES)]


def load_built_in(name: str, request: Request) -> Model:
    """Load one of the embedded networks in torch or Keras."""
    recipe = RECIPES[name]
    framework = request.framework or ("torch" if _installed("torch") or not _installed("keras") else "keras")
    if framework == "keras":
        return _late("shisen.models.keras_files:load_built_in")(name, request)
    if framework != "torch":
        raise unknown("framework", framework, ["torch", "keras"])
    if not _installed("torch"):
        raise require("torch", "torch", f"The model {name!r}")
    from .efficientnet_lite_torch import load_net

    net = to_device(load_net(recipe.variant), request.device)
    return wrap(net, preprocess=recipe.preprocess, labels=recipe.labels(), name=name)


def load_own(name: str, request: Request) -> Model:
    """Call `package.module:build` and wrap what it returns; a directory on the path or the current one is searched."""
    module, _, function = name.partition(":")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as problem:
        raise ModelError(
            explain_error(
                f"{name!r} must name a function that can be imported.", str(problem), "Check the module and the path."
            )
        ) from problem
    made = found() if callable(found) and not hasattr(found, "parameters") else found
    if isinstance(made, Model):
        return made
    if request.weights and hasattr(made, "load_state_dict"):
        from .torch_files import load_weights

        load_weights(made, request.weights, trust=request.trust)
    return wrap(
        to_device(made, request.device) if hasattr(made, "state_dict") else made,
        preprocess=request.preprocess,
        labels=request.labels,
        output=request.output,
        name=name,
    )


def _configured(model: Model, request: Request) -> Model:
    """Put in the labels and the preprocessing that were asked for, where the loader has not."""
    if request.labels is not None:
        model.labels = labels_of(request.labels)
    if request.preprocess is not None and model.preprocess != request.preprocess:
        wanted = Preprocess.of(request.preprocess, _input_size(model.network.net))
        if wanted != model.preprocess:
            return wrap(
                model.network.net,
                preprocess=wanted,
                labels=model.labels,
                output=request.output,
                name=model.name,
            )
    return model


def wrap(
    net: Any,
    *,
    preprocess: Any = None,
    labels: Labels | Sequence[str] | str | Path | None = None,
    output: Any = None,
    head: str | None = None,
    name: str = "",
) -> Model:
    """Make a `Model` of a live network: any `torch.nn.Module` or Keras model.

    Args:
        net: the network; it is never changed.
        preprocess: a `Preprocess`, or a framework's own preprocessing function; None hands arrays in as they are,
            channels last: any size, any number of channels, any range.
        labels: one name a class.
        output: key, index or function that selects the logits of a network with several outputs.
        head: "softmax", "sigmoid" or "none" where it cannot be told from the network.
        name: what the model is called in results.

    Returns:
        A `Model`.

    Raises:
        InputError: for an object of no known framework.
    """
    expected = None if preprocess is None else Preprocess.of(preprocess, _input_size(net))
    network = _adapter(net, expected, output, head)
    return Model(network, expected, None if labels is None else labels_of(labels), name=name or type(net).__name__)


def _adapter(net: Any, preprocess: Preprocess | None, output: Any, head: str | None) -> Classifier:
    scaling = None if preprocess is None else preprocess.scaling()
    size = None if preprocess is None or scaling is None else (*preprocess.sides, len(scaling.scale))
    keras, torch = sys.modules.get("keras"), sys.modules.get("torch")
    if keras is not None and hasattr(keras, "Model") and isinstance(net, keras.Model):
        from ..adapters.keras.adapter import KerasClassifier

        return KerasClassifier(net, scaling, output, size, head)
    if torch is not None and isinstance(net, torch.nn.Module):
        from ..adapters.torch.adapter import TorchClassifier

        return TorchClassifier(net, scaling, output, size, head)
    if isinstance(net, Classifier):
        return net
    raise InputError(
        explain_error(
            "wrap() takes a torch.nn.Module or a Keras 3 model.",
            f"{type(net).__module__}.{type(net).__qualname__}",
            "Load the model with its framework first, or pass a file name to shisen.load().",
        )
    )


def _input_size(net: Any) -> tuple[int, int] | None:
    """Return the `(h, w)` a Keras model was built for, where it says so."""
    shape = getattr(net, "input_shape", None)
    if not isinstance(shape, tuple) or len(shape) != 4:
        return None
    h, w = (shape[1], shape[2]) if shape[-1] in (1, 3, 4) else (shape[2], shape[3])
    return (int(h), int(w)) if h and w else None


def to_device(net: Any, device: str) -> Any:
    """Move a torch module that shisen has made to a device; "" means a GPU if there is one."""
    import torch

    return net.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))


def _installed(package: str) -> bool:
    return package in sys.modules or importlib.util.find_spec(package) is not None


def with_geometry(model: Model, size: Any, fit: str | None) -> Model:
    """Return the model with another input size or geometry, for one call."""
    if size is None and fit is None:
        return model
    if model.preprocess is None:
        raise InputError(
            explain_error(
                "size and fit change a model's preprocessing.",
                "a model without preprocessing",
                "Resize the array yourself, or wrap the network with preprocess=.",
            )
        )
    return model.with_preprocess(model.preprocess.with_size(size, fit))


__all__ = ["Model", "Request", "known_names", "load", "with_geometry", "wrap"]
