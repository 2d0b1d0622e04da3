"""One forward of a Keras model with every operation watched: what it is made of, and what is at its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...targets import to_numpy
from ..points import PointTable, default_call, default_candidates, name_calls
from ..trace import Trace, head_of, warn_if_probabilities
from .engines import Engine
from .io import ModelIO
from .points import KERAS_PASSING, Recorder, watched
from .rewire import OutputActivation


def trace(model_io: ModelIO, inside: Mapping[str, Any], engine: Engine, x: Any) -> Trace:
    """Return what a model does with images of this size; one forward of one image, or less.

    Args:
        model_io: runs the model.
        inside: its operations by path.
        engine: of its backend.
        x: `(1, *positions, c)`.
    """
    size = tuple(int(s) for s in x.shape[1:])
    recorder = Recorder(inside, model_io.channels_first, size[:-1] or size)
    final = OutputActivation()
    seen: dict[str, Any] = {}

    def run(x: Any) -> Any:
        with watched(inside, recorder.see), final.active(engine.name):
            seen["output"] = model_io(x)
        return seen["output"]

    engine.sample(run, x)
    output = seen["output"]
    activation = final.undo(output)[1]
    calls = name_calls(recorder.calls)
    default, reason = default_call(default_candidates(calls, id(output), KERAS_PASSING, innermost=True))
    if not activation and engine.name != "jax":  # there a sample has shapes, but no values
        warn_if_probabilities(to_numpy(engine.result(output)))
    shape = tuple(int(s) for s in output.shape)
    seen_modules = {c.module for c in calls}
    uncaptured = {path: type(part).__name__ for path, part in inside.items() if path not in seen_modules}
    points = PointTable(calls, uncaptured)
    return Trace(points, default, reason, activation, head_of(shape, activation), shape[1:] or (1,), id(output))
