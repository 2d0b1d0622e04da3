"""Classifiers from ONNX files."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..adapters.onnx.adapter import OnnxClassifier
from ..errors import InputError, ModelError, ShisenWarning, explain_error
from .declared import takes_integers
from .inputs import Inputs
from .label_files import labels_of
from .model import Model, assumption
from .preprocess import Preprocess
from .wrapping import Request, check_integers, merged


def load_onnx(name: str, request: Request) -> Model:
    """Load an ONNX file; it runs on onnxruntime.

    The file does not say how images are to be scaled: without `preprocess` they go in as values in [0, 1], stretched
    to the graph's input, with a warning.

    Args:
        name: the file.
        request: what the caller requested.

    Returns:
        The model.

    Raises:
        ModelError: if the file cannot be read, or weights are given for it.
        InputError: for labels of another number than the classes.
    """
    path = Path(name).expanduser()
    if request.weights:
        raise ModelError(
            explain_error("An ONNX file holds its own weights.", f"weights={request.weights!r}", "Leave out weights=.")
        )
    file = path if request.inputs is None else _with_constants(path, request.inputs)
    network = OnnxClassifier(file, output=request.output, head=request.head, device=request.device)
    height, width, channels = network.input_spec.size
    given, top = request.preprocess, 255.0 if takes_integers(network.proto) else 1.0
    if given is None or (isinstance(given, Mapping) and not given.keys() & {"range", "mean", "std", "base"}):
        text = assumption((height, width), channels, f"values 0 to {top:.0f}")
        warnings.warn(f"{path.name}: {text}", ShisenWarning, stacklevel=2)
    known = Preprocess((height, width), range=(0.0, top), channels=channels)
    preprocess = merged(known, given, None, (height, width, channels))
    check_integers(network.proto, preprocess)
    network.scaling = preprocess.scaling()
    labels = None if request.labels is None else labels_of(request.labels)
    return Model(network, preprocess, labels, name=path.stem, source=str(path))


def _with_constants(path: Path, inputs: Inputs) -> bytes:
    """Return the graph with its inputs beside the image as constants; those with a batch axis of 1 are repeated."""
    import onnx

    model = onnx.load(str(path))
    weights = {w.name for w in model.graph.initializer}
    names = [i.name for i in model.graph.input if i.name not in weights]
    free = [n for n in names if not isinstance(inputs, Mapping) or n not in inputs]
    if not isinstance(inputs, Mapping) or len(free) != 1 or set(inputs) - set(names):
        raise InputError(
            explain_error(
                f"`inputs` of an ONNX file must give a value for all inputs but the image: {', '.join(names)}.",
                ", ".join(inputs) if isinstance(inputs, Mapping) else "a function",
                "Pass a mapping from names to arrays.",
            )
        )
    kept = [i for i in model.graph.input if i.name not in inputs]
    nodes = []
    for entry in model.graph.input:
        if entry.name not in inputs:
            continue
        kind = onnx.helper.tensor_dtype_to_np_dtype(entry.type.tensor_type.elem_type)
        value = np.asarray(inputs[entry.name], dtype=kind)
        rest = list(value.shape[1:])
        repeated = value.ndim > 0 and value.shape[0] == 1
        name = f"{entry.name}/one" if repeated else entry.name
        model.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
        if repeated:
            axis, shape_rest = f"{name}/axis", f"{name}/rest"
            model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([0], np.int64), axis))
            model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(rest, np.int64), shape_rest))
            make = onnx.helper.make_node
            nodes += [
                make("Shape", [free[0]], [f"{name}/shape"]),
                make("Gather", [f"{name}/shape", axis], [f"{name}/n"]),
                make("Concat", [f"{name}/n", shape_rest], [f"{name}/to"], axis=0),
                make("Expand", [name, f"{name}/to"], [entry.name]),
            ]
    nodes += list(model.graph.node)
    del model.graph.input[:], model.graph.node[:]
    model.graph.input.extend(kept)
    model.graph.node.extend(nodes)
    content: bytes = model.SerializeToString()
    return content
