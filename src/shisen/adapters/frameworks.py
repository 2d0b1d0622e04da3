"""Which adapter belongs to a network, and which library to a score function; a new framework is a line in each."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from typing import Any

from .base import Adapter
from .scores import ScoreFunction, Scores

ADAPTERS = {"keras": "keras.adapter:KerasClassifier", "torch": "torch.adapter:TorchClassifier"}
"""Package of the framework → its adapter. The first that accepts a network is taken: Keras models may be modules."""

SCORES = {
    "torch": "torch.scores:TorchScores",
    "tensorflow": "keras.scores:TensorFlowScores",
    "jax": "keras.scores:JaxScores",
    "onnx": "torch.scores:TorchScores",
}
"""Library of an array, or backend of a network, → what evaluates and differentiates score functions there."""


def framework_of(net: Any) -> str:
    """Return the framework of a live network, one of `ADAPTERS`; "" for another object; imports no framework."""
    return next((f for f in ADAPTERS if f in sys.modules and _late(ADAPTERS, f).accepts(net)), "")


def adapter_class(net: Any) -> type[Adapter] | None:
    """Return the adapter of a live network, None for an object of no known framework."""
    framework = framework_of(net)
    return _late(ADAPTERS, framework) if framework else None


def scores_of(y: Any, framework: str, function: ScoreFunction, name: str) -> Scores:
    """Return what evaluates and differentiates a score function of an array.

    Args:
        y: the network's output. Its own library is taken, or else that of the framework.
        framework: of the network, such as "torch" or "keras-tensorflow"; "" if it is not known.
        function: the score.
        name: of the score, for messages.
    """
    own = [base.__module__.partition(".")[0] for base in type(y).__mro__]
    for library in (*own, framework.rpartition("-")[2]):
        if library in SCORES:
            try:
                kind: type[Scores] = _late(SCORES, library)
            except ImportError:  # ONNX without torch
                break
            return kind(function, name)
    return Scores(function, name)


def _late(table: Mapping[str, str], key: str) -> Any:
    module, _, name = table[key].partition(":")
    return getattr(importlib.import_module(f".{module}", __package__), name)
