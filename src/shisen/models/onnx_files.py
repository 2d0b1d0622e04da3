"""Classifiers from ONNX files."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from ..adapters.onnx.adapter import OnnxClassifier
from ..errors import ShisenWarning
from .labels import Labels, labels_of
from .model import Model
from .preprocess import Preprocess

if TYPE_CHECKING:
    from .loading import Request


def load_onnx(name: str, request: Request) -> Model:
    """Load an ONNX file; it runs on onnxruntime.

    The file does not say how images are to be scaled: without `preprocess` they go in as values in [0, 1], stretched
    to the graph's input, with a warning.
    """
    path = Path(name).expanduser()
    network = OnnxClassifier(path, output=request.output, device=request.device)
    height, width, _ = network.input_spec.size
    if request.preprocess is None:
        preprocess = Preprocess((height, width))
        warnings.warn(
            f"{path.name} does not say what it expects: images go in stretched to {height} × {width} with values in "
            "[0, 1]. If it was trained otherwise, pass preprocess= (--size, --fit, --scale).",
            ShisenWarning,
            stacklevel=2,
        )
    else:
        preprocess = Preprocess.of(request.preprocess)
    network.scaling = preprocess.scaling()
    labels = None if request.labels is None else labels_of(request.labels)
    return Model(network, preprocess, labels if labels is not None else Labels(()), name=path.stem, source=str(path))
