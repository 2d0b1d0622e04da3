"""One forward of a Keras model with every operation watched: what it is made of, and what is at its end."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ShisenWarning
from ..targets import to_numpy
from .engines import Engine
from .keras_ends import Ends
from .keras_points import Recorder, default_call, watched
from .keras_rewire import Squash
from .torch_points import Call, name_calls


@dataclass(frozen=True)
class Trace:
    """What one forward showed.

    Attributes:
        calls: every call, in the order in which they end.
        default: the call that methods use unless told otherwise, None if no layer keeps places apart.
        reason: why.
        squashed: "softmax", "log_softmax" or "sigmoid" at the very end, "" if the network ends in logits.
        head: "softmax", "sigmoid" or "none".
        logits: the shape of one picture's logits.
    """

    calls: tuple[Call, ...]
    default: Call | None
    reason: str
    squashed: str
    head: str
    logits: tuple[int, ...]


def trace(ends: Ends, inside: Mapping[str, Any], engine: Engine, size: tuple[int, ...]) -> Trace:
    """Return what a model does with pictures of this size, `(h, w, c)`; one forward of one picture, or less."""
    x = engine.tensor(np.zeros((1, *size), np.float32))
    recorder = Recorder(inside, ends.channels_first, (size[0], size[min(1, len(size) - 1)]))
    squash = Squash()
    seen: dict[str, Any] = {}

    def run(x: Any) -> Any:
        with watched(inside, recorder.see), squash.active(engine.name):
            seen["output"] = ends(x)
        return seen["output"]

    engine.sample(run, x)
    output = seen["output"]
    squashed = squash.undo(output)[1]
    calls = name_calls(recorder.calls)
    chosen = default_call(calls, id(output))
    if not squashed and engine.name != "jax":  # there a sample has shapes, but no values
        _warn_if_probabilities(to_numpy(engine.result(output)))
    shape = tuple(int(s) for s in output.shape)
    return Trace(calls, chosen.call, chosen.reason, squashed, _head_of(shape, squashed), shape[1:] or (1,))


def _head_of(shape: tuple[int, ...], squashed: str) -> str:
    if len(shape) > 2:
        return "none"
    single = len(shape) == 1 or shape[-1] == 1
    return "sigmoid" if single or squashed == "sigmoid" else "softmax"


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
