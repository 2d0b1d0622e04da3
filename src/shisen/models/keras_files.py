"""Keras models from names and files: embedded, of keras.applications, `.keras` and legacy `.h5`, in safe mode."""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import sys
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import N_, ModelError, ShisenWarning, briefly, explain_error, require, unknown
from ..targets import to_numpy
from .declared import declared_input, takes_integers
from .keras_presets import application
from .model import Model, assumption
from .preprocess import Preprocess
from .weight_files import load_weights
from .wrapping import Request, assemble

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


def load_application(name: str, request: Request) -> Model:
    """Load "keras:VGG16" and the like, with weights from Keras's own cache, a download or a file.

    "keras:VGG16@random" has random weights; with `request.top` False the classifier is left out.

    Args:
        name: as above.
        request: what the caller requested.

    Returns:
        The model.

    Raises:
        UnknownName: for a name that keras.applications does not have.
        ModelError: if the weights are neither in the cache nor to be had.
    """
    import_keras(f"The model {name!r}")
    base, _, tag = name.partition(":")[2].partition("@")
    if tag not in ("", "random"):
        raise unknown("kind of weights", tag, ["random"])
    chosen = application(base)
    options: dict[str, Any] = {} if request.top else {"include_top": False, "pooling": "avg"}
    if request.weights is not None or tag:
        net = chosen.build(weights=None, **options)
    else:
        net = _with_weights(chosen, options)
    if request.weights is not None:
        load_weights(net, request.weights)
    labels = chosen.labels(net)
    source = request.weights or ("random weights" if tag else f"keras.applications {chosen.name}")
    return assemble(net, request, preprocess=chosen.preprocess(net), labels=labels, name=name, source=source)


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
                briefly(problem),
                "Connect to the network once, or pass weights= (--weights) with a weight file.",
            )
        ) from problem


def load_file(name: str, request: Request) -> Model:
    """Load a `.keras` or legacy `.h5` model file without executing code from it.

    Pixels are scaled as `preprocess` says; without it, to [0, 255] where the model rescales by itself, else to
    [0, 1], with a warning.

    Args:
        name: name or path of the model.
        request: how the model is to be loaded.

    Returns:
        The model.

    Raises:
        ModelError: for files with lambda layers or foreign classes unless trusted, and for damaged files.
    """
    keras = import_keras("A Keras model file")
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
                N_("A Keras model file must hold the architecture too."),
                f"{file.name}, which holds weights only",
                N_("Save the whole model with model.save, or build it in a function and load 'package.module:build'."),
            )
        )
    if not request.trust:
        refuse_code(config, file.name, set(keras.saving.get_custom_objects()))
    try:
        net = keras.saving.load_model(str(file), compile=False, safe_mode=not request.trust)
    except Exception as problem:  # every version fails in its own way
        raise _unreadable(file, problem) from problem
    if request.weights is not None:
        load_weights(net, request.weights)
    known = guessed_preprocess(net, request.preprocess)
    return assemble(net, request, preprocess=known, name=file.stem, source=str(file))


def load_saved_model(name: str, request: Request) -> Model:
    """Load a TensorFlow SavedModel folder through `keras.layers.TFSMLayer`: one layer, without layers inside.

    Args:
        name: the folder.
        request: `trust` must be set: the graph of a SavedModel may read and write files.

    Returns:
        The model.

    Raises:
        ModelError: without trust, for a folder that cannot be read, and for one that does not take one image.
    """
    keras = import_keras("A SavedModel")
    folder = Path(name).expanduser()
    if not request.trust:
        raise ModelError(
            explain_error(
                "A model must be readable without executing code.",
                f"{folder.name}, a SavedModel, whose graph may read and write files",
                "Pass --trust (trust=True) only for a folder of your own.",
            )
        )
    if request.weights:
        raise ModelError(
            explain_error("A SavedModel holds its own weights.", f"weights={request.weights!r}", "Leave out weights=.")
        )
    import tensorflow as tf

    try:
        signatures = tf.saved_model.load(str(folder)).signatures
        endpoint = "serving_default" if "serving_default" in signatures else next(iter(signatures))
        given = signatures[endpoint].structured_input_signature[1]
        ((entry, spec),) = given.items()
        image = keras.Input(tuple(spec.shape[1:]), name=entry)
        found = keras.layers.TFSMLayer(str(folder), call_endpoint=endpoint)(image)
        parts = list(found.values()) if isinstance(found, dict) else [found]
        net = keras.Model(image, parts[0] if len(parts) == 1 else found)
    except Exception as problem:
        raise _unreadable(folder, problem) from problem
    known = guessed_preprocess(net, request.preprocess)
    return assemble(net, request, preprocess=known, name=folder.name, source=str(folder))


def _unreadable(file: Path, problem: Exception) -> ModelError:
    return ModelError(
        explain_error(
            N_("A Keras model file must be readable with the installed Keras."),
            f"{file.name} ({briefly(problem)})",
            N_(
                "Save it again with Keras 3, register custom classes with keras.saving.register_keras_serializable, "
                "or wrap the live model with shisen.wrap."
            ),
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

    Raises:
        ModelError: if the model contains code.
    """
    unsafe = []
    for part in _objects(config):
        kind, module = str(part["class_name"]), part.get("module")
        own = part.get("registered_name") in registered or kind in registered
        inner = part.get("config")
        label = inner.get("name", kind) if isinstance(inner, dict) else kind
        if kind in ("Lambda", "__lambda__", "TFSMLayer"):
            unsafe.append(f"{kind} {label!r}")
        elif isinstance(module, str) and module.split(".")[0] not in ("keras", "builtins") and not own:
            unsafe.append(f"{module}.{kind}")
    if unsafe:
        shown = ", ".join(dict.fromkeys(unsafe[:5]))
        raise ModelError(
            explain_error(
                N_("A model file must not execute code when it is loaded."),
                f"{name} with {shown}",
                N_(
                    "Build the model in code, load its weights and pass it to shisen.wrap; register classes of your "
                    "own with keras.saving.register_keras_serializable; or pass trust=True (--trust) for a file of "
                    "your own."
                ),
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


def guessed_preprocess(net: Any, given: Any = None) -> Preprocess | None:
    """Return what a model without a recipe seems to expect: its own size and channels, and the range its layers imply.

    Args:
        net: a Keras model.
        given: the preprocessing that the caller named; without the range, mean or std in it, a warning says what was
            assumed.

    Returns:
        None for a model that does not take images of a fixed size.
    """
    declared = declared_input(net)
    if len(declared) != 3 or None in declared:
        return None
    h, w, c = (int(side or 0) for side in declared)
    top, sure = 255.0 if takes_integers(net) else 1.0, False
    for layer in itertools.islice(_first_layers(net), 5):
        implied = _implied_top(layer)
        top, sure = (top, sure) if implied is None else implied
    if not sure and (given is None or (isinstance(given, Mapping) and not given.keys() & STATED)):
        warnings.warn(f"Keras file: {assumption((h, w), c, f'values 0 to {top:.0f}')}", ShisenWarning, stacklevel=2)
    return Preprocess((h, w), range=(0.0, top), channels=c)


STATED = {"range", "mean", "std", "base"}
"""Fields of a preprocessing that state how values are scaled."""


def _first_layers(net: Any) -> Iterator[Any]:
    """Yield the layers of a model in order, those of nested models too."""
    for layer in net.layers:
        yield from _first_layers(layer) if hasattr(layer, "layers") else (layer,)


def _implied_top(layer: Any) -> tuple[float, bool] | None:
    """Return the largest value that a layer's pixels have, and whether that is certain; None where it does not tell."""
    kind = type(layer).__name__
    if kind == "Rescaling":
        return (255.0, True) if float(np.max(np.abs(layer.scale))) < 0.1 else (1.0, False)
    if kind == "Normalization" and getattr(layer, "mean", None) is not None:
        mean, variance = (np.asarray(to_numpy(v), np.float64) for v in (layer.mean, layer.variance))
        return (255.0, True) if float((np.abs(mean) + np.sqrt(variance)).max()) > 4 else (1.0, False)
    return None
