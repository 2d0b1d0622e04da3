"""Classifiers from ONNX files."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

from ..adapters.onnx.adapter import OnnxClassifier
from ..errors import ModelError, ShisenWarning, explain_error
from .label_files import labels_of
from .model import Model, assumption
from .preprocess import Preprocess
from .wrapping import Request, merged


def load_onnx(name: str, request: Request) -> Model:
    """Load an ONNX file; it runs on onnxruntime.

    The file does not say how images are to be scaled: without `preprocess` they go in as values in [0, 1], stretched
    to the graph's input, with a warning.

    Args:
        name: the file.
        request: what the caller asked for.

    Raises:
        ModelError: if the file cannot be read, or weights are given for it.
        InputError: for labels of another number than the classes.
    """
    path = Path(name).expanduser()
    if request.weights:
        raise ModelError(
            explain_error("An ONNX file holds its own weights.", f"weights={request.weights!r}", "Leave out weights=.")
        )
    network = OnnxClassifier(path, output=request.output, device=request.device)
    height, width, channels = network.input_spec.size
    given = request.preprocess
    if given is None or (isinstance(given, Mapping) and not given.keys() & {"range", "mean", "std", "base"}):
        warnings.warn(f"{path.name}: " + assumption((height, width), channels), ShisenWarning, stacklevel=2)
    preprocess = merged(Preprocess((height, width), channels=channels), given, None, (height, width, channels))
    network.scaling = preprocess.scaling()
    labels = None if request.labels is None else labels_of(request.labels)
    return Model(network, preprocess, labels, name=path.stem, source=str(path))
