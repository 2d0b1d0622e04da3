"""From a name, a file or a live network to a `Model`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ..adapters.capabilities import FoldsNormalization
from ..adapters.wrappers import capability
from ..errors import InputError, Message, ModelError, ShisenError, explain_error, unknown
from .built_in import load_built_in
from .inputs import Inputs
from .model import Model
from .presets import RECIPES
from .sources import missing_file
from .weight_files import load_weights
from .wrapping import Request, assemble, installed, to_device, wrap

Loader = Callable[[str, Request], Model]

# where each kind of name is understood; the modules are imported only when such a name is loaded
PREFIXES: dict[str, str] = {
    "torchvision": "shisen.models.hubs.torchvision:load",
    "timm": "shisen.models.hubs.timm:load",
    "hf": "shisen.models.hubs.transformers:load",
    "keras": "shisen.models.keras_files:load_application",
}
SUFFIXES: dict[str, str] = {
    ".onnx": "shisen.models.onnx_files:load_onnx",
    ".pt": "shisen.models.pickled:load_whole",
    ".pt2": "shisen.models.pickled:load_whole",
    ".pth": "shisen.models.pickled:load_whole",
    ".ckpt": "shisen.models.pickled:load_whole",
    ".torchscript": "shisen.models.pickled:load_whole",
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
    inputs: Inputs | None = None,
    head: str | None = None,
    top: bool = True,
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
        preprocess: a `Preprocess`, a name such as "imagenet" or "timm:NAME", or another library's preprocessing object
            instead of the known one; a mapping such as `{"size": 300}` changes the fields it names and keeps the rest.
        labels: class names, or a file with them, instead of the known ones.
        output: key, index or function that selects the logits of a network with several outputs.
        inputs: the inputs beside the image, for a network of several; see `wrap`.
        head: "softmax", "sigmoid" or "none" where it cannot be read from the network.
        top: whether a network of keras.applications keeps its classifier; without it, its numbers are features, not
            classes.
        fast: half precision, where the network and the machine are faster with it; see `Model.fast`.
        trust: allow files that execute code when they are read.

    Returns:
        A `Model`.

    Raises:
        UnknownName: for a name that no loader knows, with the nearest ones.
        InputError: for top=False with a network that is not of keras.applications.
        MissingDependency: if the package that a model needs is not installed.
        ModelError: if the model cannot be loaded.
    """
    text = str(name)
    if not top and not text.startswith("keras:"):
        raise InputError(
            explain_error(
                "top=False (--no-top) is for networks of keras.applications.",
                repr(text),
                "Write keras:NAME, such as keras:VGG16.",
            )
        )
    if not top and head is None:
        head = "none"  # pooled features are no classes
    request = Request(
        framework,
        device,
        None if weights is None else str(weights),
        preprocess,
        labels,
        output,
        inputs=inputs,
        head=head,
        top=top,
        trust=trust,
    )
    loader = _loader(text)
    model = loader(text, request)
    network = None if loader is load_own else capability(model, FoldsNormalization)
    if network is not None:
        network.folds = True
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
            return _late("shisen.training.run_loading:load_run")
        if (path / "saved_model.pb").is_file():
            return _late("shisen.models.keras_files:load_saved_model")
        holds = ", ".join(sorted(p.name for p in path.iterdir())[:5]) or "nothing"
        expected = "A model folder must hold shisen.json (a run of finetune) or saved_model.pb (a SavedModel)."
        advice = "A folder of Hugging Face is named hf:FOLDER."
        raise ModelError(explain_error(expected, f"{text!r} with {holds}", advice))
    if path.suffix.lower() in SUFFIXES:
        if not path.is_file():
            raise missing_file("model file", text)
        return _late(SUFFIXES[path.suffix.lower()])
    if path.is_file():
        raise _foreign(path)
    if colon and all(part.isidentifier() for part in prefix.split(".")) and rest.isidentifier():
        if get_close_matches(prefix, PREFIXES, cutoff=0.8) and not installed(prefix.split(".")[0]):
            raise unknown("hub", prefix, PREFIXES, "See `shisen models`.")
        return load_own
    raise unknown("model", text, known_names(), "See `shisen models`.")


FOREIGN = {
    ".tflite": "a TensorFlow Lite model, which has no gradients; load the Keras model that it was made from",
    ".pb": "a TensorFlow graph; a SavedModel is named by its folder",
    ".mlmodel": "a Core ML model; load the network that it was made from",
    ".engine": "a TensorRT engine, which runs on one kind of GPU only; load the ONNX file that it was made from",
    ".bin": "weights without a network, or a file of another tool; name the architecture and pass --weights",
    ".safetensors": "weights without a network; name the architecture and pass --weights",
    ".pkl": "a pickle, which is a program; save net.state_dict() with torch.save",
    ".joblib": "a pickle, which is a program; save net.state_dict() with torch.save",
    ".params": "weights of MXNet; export the network to ONNX",
    ".pdmodel": "a Paddle network; convert it with paddle2onnx",
}


def _foreign(path: Path) -> ModelError:
    """Return the error for a file of a kind that is not read, named for what it is."""
    kind = FOREIGN.get(path.suffix.lower(), "a file of unknown kind")
    known = ", ".join(SUFFIXES)
    return ModelError(
        explain_error(Message("A model file must be one of {known}.", known=known), repr(path.name), f"It is {kind}.")
    )


def _late(where: str) -> Loader:
    module, _, function = where.partition(":")
    loader: Loader = getattr(importlib.import_module(module), function)
    return loader


def known_names() -> list[str]:
    """Return the names of built-in models and the forms that other names take."""
    return [*RECIPES, *(f"{prefix}:…" for prefix in PREFIXES), *(f"file{suffix}" for suffix in SUFFIXES)]


def load_own(name: str, request: Request) -> Model:
    """Call `package.module:build` and wrap what it returns; a directory on the path or the current one is searched.

    Args:
        name: name or path of the model.
        request: how the model is to be loaded.

    Returns:
        The model.

    Raises:
        ModelError: if the function cannot be imported, fails, or returns no network.
    """
    module, _, function = name.partition(":")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as problem:
        raise ModelError(
            explain_error(
                f"{name!r} must name a function that can be imported.",
                str(problem),
                f"Modules are looked for in {str(Path.cwd())!r} and on PYTHONPATH.",
            )
        ) from problem
    made = _made(found, name)
    known = made if isinstance(made, Model) else None
    net = made if known is None else getattr(known.network, "net", None)
    changed = any(v is not None for v in (request.preprocess, request.labels, request.output, request.weights))
    if known is not None and not changed:
        return known
    if request.weights:
        load_weights(net, request.weights, trust=request.trust)
    if known is not None:
        return assemble(net, request, preprocess=known.preprocess, labels=known.labels, name=known.name)
    return assemble(to_device(net, request.device), request, name=name)


def _made(found: Any, name: str) -> Any:
    """Return the network that a function or a class makes; a network itself as it is."""
    if not callable(found) or (hasattr(found, "parameters") and not isinstance(found, type)):
        return found
    try:
        return found()
    except ShisenError:
        raise
    except Exception as problem:
        raise ModelError(
            explain_error(
                f"{name!r} must return a network when it is called without arguments.",
                f"{type(problem).__name__}: {problem}",
                "Name a function that builds the network and takes no arguments.",
            )
        ) from problem


def with_geometry(model: Model, size: Any, fit: str | None) -> Model:
    """Return the model with another input size or geometry, for one call.

    Args:
        model: the network.
        size: `(height, width)`, or one number for both; None keeps the preprocessing.
        fit: "stretch", "crop" or "pad"; None keeps the preprocessing.

    Raises:
        InputError: if the model has no preprocessing.
    """
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
