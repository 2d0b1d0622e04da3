"""One forward of a Keras model with every operation watched: what it is made of, and what is at its end."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import ShisenWarning
from ...targets import to_numpy
from ..points import Call, name_calls
from .engines import Engine
from .io import ModelIO
from .points import Recorder, default_call, watched
from .rewire import OutputActivation


@dataclass(frozen=True)
class Trace:
    """What one forward showed.

    Attributes:
        calls: every call, in the order in which they end.
        default: the call that methods use unless told otherwise, None if no layer keeps places apart.
        reason: why.
        squashed: "softmax", "log_softmax" or "sigmoid" at the very end, "" if the network ends in logits.
        head: "softmax", "sigmoid" or "none".
        logits: the shape of one image's logits.
    """

    calls: tuple[Call, ...]
    default: Call | None
    reason: str
    output_activation: str
    head: str
    logits: tuple[int, ...]


def trace(ends: ModelIO, inside: Mapping[str, Any], engine: Engine, size: tuple[int, ...]) -> Trace:
    """Return what a model does with images of this size, `(h, w, c)`; one forward of one image, or less."""
    x = engine.tensor(np.zeros((1, *size), np.float32))
    recorder = Recorder(inside, ends.channels_first, (size[0], size[min(1, len(size) - 1)]))
    final = OutputActivation()
    seen: dict[str, Any] = {}

    def run(x: Any) -> Any:
        with watched(inside, recorder.see), final.active(engine.name):
            seen["output"] = ends(x)
        return seen["output"]

    engine.sample(run, x)
    output = seen["output"]
    output_activation = final.undo(output)[1]
    calls = name_calls(recorder.calls)
    chosen = default_call(calls, id(output))
    if not output_activation and engine.name != "jax":  # there a sample has shapes, but no values
        _warn_if_probabilities(to_numpy(engine.result(output)))
    shape = tuple(int(s) for s in output.shape)
    return Trace(
        calls, chosen.call, chosen.reason, output_activation, _head_of(shape, output_activation), shape[1:] or (1,)
    )


def _head_of(shape: tuple[int, ...], output_activation: str) -> str:
    if len(shape) > 2:
        return "none"
    single = len(shape) == 1 or shape[-1] == 1
    return "sigmoid" if single or output_activation == "sigmoid" else "softmax"


def _warn_if_probabilities(output: Any) -> None:
    if output.ndim != 2 or output.shape[-1] < 2 or output.min() < 0:
        return
    if float(np.abs(output.sum(axis=-1) - 1).max()) < 1e-4:
        warnings.warn(
            "The network seems to return probabilities, from an operation that cannot be undone: scores called "
            "'logit' are probabilities here. Return the values before the softmax if you can.",
            ShisenWarning,
            stacklevel=2,
        )
