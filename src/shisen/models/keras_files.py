"""Keras models from names and files: embedded, of keras.applications, `.keras` and legacy `.h5`, in safe mode."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ModelError, ShisenWarning, explain_error, require
from .labels import Labels
from .model import Model
from .preprocess import Preprocess

if TYPE_CHECKING:
    from .loading import Request

BACKENDS = ("tensorflow", "jax", "torch")


def import_keras(purpose: str) -> Any:
    """Return Keras 3 on the backend that the person chose, or on one that is installed.

    Raises:
        MissingDependency: without Keras, or without any backend.
        ModelError: for Keras 2.
    """
    if "keras" not in sys.modules:
        if importlib.util.find_spec("keras") is None:
            raise require("keras", "keras", purpose)
        installed = [b for b in BACKENDS if importlib.util.find_spec(b) is not None]
        if not installed:
            raise require("tensorflow", "keras", f"{purpose} runs on TensorFlow, JAX or torch and")
        settings = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"), "keras.json")
        if "tensorflow" not in installed and not settings.is_file():
            os.environ.setdefault("KERAS_BACKEND", installed[0])  # Keras itself would insist on TensorFlow
    import keras

    if int(keras.__version__.partition(".")[0]) < 3:
        raise ModelError(
            explain_error("Keras must be version 3.4 or newer.", keras.__version__, "pip install -U keras.")
        )
    return keras


def load_built_in(name: str, request: Request) -> Model:
    """Load an embedded network in Keras, its weights read without torch."""
    import_keras(f"The model {name!r} in Keras")
    from .efficientnet_lite_keras import load_net
    from .loading import wrap
    from .presets import RECIPES

    recipe = RECIPES[name]
    return wrap(load_net(recipe.variant), preprocess=recipe.preprocess, labels=recipe.labels(), name=name)


def load_application(name: str, request: Request) -> Model:
    """Load "keras:VGG16" and the like, with weights from Keras's own cache, a download or a file.

    Raises:
        UnknownName: for a name that keras.applications does not have.
        ModelError: if the weights are neither in the cache nor to be had.
    """
    keras = import_keras(f"The model {name!r}")
    from .keras_presets import application
    from .loading import wrap

    chosen = application(name.partition(":")[2])
    options = dict(request.extra)
    net = _with_weights(chosen, options) if request.weights is None else chosen.build(weights=None, **options)
    if request.weights is not None:
        _load_weights(keras, net, request.weights)
    return wrap(net, preprocess=chosen.preprocess(net), labels=chosen.labels(net), name=name)


def _with_weights(chosen: Any, options: dict[str, Any]) -> Any:
    try:
        return chosen.build(weights="imagenet", **options)
    except Exception as problem:  # Keras raises a plain Exception for a failed download
        if isinstance(problem, (TypeError, ValueError)):
            raise
        cache = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"), "models")
        raise ModelError(
            explain_error(
                f"The ImageNet weights of {chosen.name} must lie in {cache} or be downloaded.",
                " ".join(str(problem).split())[:200],
                "Connect to the network once, or pass weights= (--weights) with a weight file.",
            )
        ) from problem


def _load_weights(keras: Any, net: Any, path: str) -> None:
    file = Path(path).expanduser()
    if not file.is_file():
        raise ModelError(explain_error("A file of weights must exist.", repr(path), "Check the path."))
    try:
        net.load_weights(str(file))
    except Exception as problem:  # a file of another network fails in many ways
        raise ModelError(
            explain_error(
                "The weights must fit the network.",
                f"{file.name} ({' '.join(str(problem).split())[:200]})",
                "Use a file written by save_weights of the same architecture.",
            )
        ) from problem


def load_file(name: str, request: Request) -> Model:
    """Load a `.keras` or legacy `.h5` model file without executing code from it.

    Pixels are scaled as `preprocess` says; without it, to [0, 255] where the model rescales by itself, else to
    [0, 1], with a warning.

    Raises:
        ModelError: for files with lambda layers or foreign classes unless trusted, and for damaged files.
    """
    keras = import_keras("A Keras model file")
    from .loading import wrap

    file = Path(name).expanduser()
    try:
        config = read_config(file)
    except ModelError:
        raise
    except Exception as problem:
        raise _unreadable(file, problem) from problem
    if config is None:
        raise ModelError(
            explain_error(
                "A Keras model file must hold the architecture too.",
                f"{file.name}, which holds weights only",
                "Save the whole model with model.save, or build it in a function and load 'package.module:build'.",
            )
        )
    if not request.trust:
        refuse_code(config, file.name, set(keras.saving.get_custom_objects()))
    try:
        net = keras.saving.load_model(str(file), compile=False, safe_mode=not request.trust)
    except Exception as problem:  # every version fails in its own way
        raise _unreadable(file, problem) from problem
    if request.weights is not None:
        _load_weights(keras, net, request.weights)
    preprocess = request.preprocess if request.preprocess is not None else guessed_preprocess(net)
    return wrap(net, preprocess=preprocess, labels=Labels(()), output=request.output, name=file.stem)


def _unreadable(file: Path, problem: Exception) -> ModelError:
    return ModelError(
        explain_error(
            "A Keras model file must be readable with the installed Keras.",
            f"{file.name} ({' '.join(str(problem).split())[:300]})",
            "Save it again with Keras 3, register custom classes with keras.saving.register_keras_serializable, "
            "or wrap the live model with shisen.wrap.",
        )
    )


def read_config(file: Path) -> Any:
    """Return the architecture in a model file as plain data, None if there is none."""
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            return json.loads(archive.read("config.json")) if "config.json" in archive.namelist() else None
    import h5py

    with h5py.File(file, "r") as tables:
        text = tables.attrs.get("model_config")
    return None if text is None else json.loads(text)


def refuse_code(config: Any, name: str, registered: set[str]) -> None:
    """Raise if building the model would execute code from the file, or from modules that it names.

    Args:
        config: from `read_config`.
        name: of the file, for the message.
        registered: custom classes that the person has made known to Keras.
    """
    suspects = []
    for part in _objects(config):
        kind, module = str(part["class_name"]), part.get("module")
        own = part.get("registered_name") in registered or kind in registered
        inner = part.get("config")
        label = inner.get("name", kind) if isinstance(inner, dict) else kind
        if kind in ("Lambda", "__lambda__", "TFSMLayer"):
            suspects.append(f"{kind} {label!r}")
        elif isinstance(module, str) and module.split(".")[0] not in ("keras", "builtins") and not own:
            suspects.append(f"{module}.{kind}")
    if suspects:
        shown = ", ".join(dict.fromkeys(suspects[:5]))
        raise ModelError(
            explain_error(
                "A model file must not execute code when it is loaded.",
                f"{name} with {shown}",
                "Build the model in code, load its weights and pass it to shisen.wrap; register classes of your own "
                "with keras.saving.register_keras_serializable; or pass trust=True (--trust) for a file of your own.",
            )
        )


def _objects(config: Any) -> Iterator[dict[str, Any]]:
    if isinstance(config, dict):
        if "class_name" in config:
            yield config
        for value in config.values():
            yield from _objects(value)
    elif isinstance(config, list):
        for value in config:
            yield from _objects(value)


def guessed_preprocess(net: Any) -> Preprocess | None:
    """Return what a model without a recipe seems to expect: its own size, and the range its first layers tell.

    Returns None for a model that does not take images of three channels and a fixed size.
    """
    shape = getattr(net, "input_shape", None)
    if not isinstance(shape, tuple) or len(shape) != 4 or 3 not in (shape[1], shape[-1]):
        return None
    h, w = (shape[1], shape[2]) if shape[-1] == 3 else (shape[2], shape[3])
    if h is None or w is None:
        return None
    if any(type(layer).__name__ in ("Rescaling", "Normalization") for layer in net.layers[:4]):
        return Preprocess((h, w), range=(0.0, 255.0))
    warnings.warn(
        "The file does not say how pixels must be scaled: they are given as values from 0 to 1. If the model was "
        "trained otherwise, pass preprocess= (--scale, such as --scale 1 for values from 0 to 255).",
        ShisenWarning,
        stacklevel=2,
    )
    return Preprocess((h, w))
