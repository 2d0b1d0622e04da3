"""One forward of a Keras model with every operation watched: what it is made of, and what is at its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...targets import to_numpy
from ..answers import check_floats, rows_of
from ..points import PointTable, default_call, default_candidates, name_calls
from ..trace import Trace, head_of, warn_if_probabilities
from .engines import Engine
from .io import ModelIO
from .points import KERAS_PASSING, Recorder, watched
from .rewire import OutputActivation


def trace(model_io: ModelIO, inside: Mapping[str, Any], engine: Engine, x: Any, *, announce: bool = False) -> Trace:
    """Return what a model does with images of this size; one forward of one image, or less.

    Args:
        model_io: runs the model.
        inside: its operations by path.
        engine: of its backend.
        x: `(1, *positions, c)`.
        announce: warn which of several outputs was selected.

    Returns:
        The trace.
    """
    from keras import ops

    size = tuple(int(s) for s in x.shape[1:])
    recorder = Recorder(inside, model_io.channels_first, size[:-1] or size)
    final = OutputActivation()
    seen: dict[str, Any] = {}

    def run(x: Any) -> Any:
        with watched(inside, recorder.see, recorder.given), final.active(engine.name):
            seen["output"] = model_io(x, announce=announce)
        return seen["output"]

    def two() -> tuple[int, ...] | None:
        shapes: list[tuple[int, ...]] = []
        try:
            engine.sample(lambda x: shapes.append(tuple(model_io(x).shape)), ops.concatenate([x, x]))
        except Exception:  # every backend has its own error for a model of one image
            return None
        return shapes[0]

    engine.sample(run, x)
    output = seen["output"]
    activation = final.undo(output)[1]
    check_floats(output.dtype)
    rows, logits = rows_of(tuple(int(s) for s in output.shape), two)
    calls = name_calls(recorder.calls)
    candidates = default_candidates(calls, id(output), KERAS_PASSING, innermost=True)
    default, reason = default_call(candidates)
    if not activation and engine.name != "jax":  # there a sample has shapes, but no values
        warn_if_probabilities(to_numpy(engine.result(rows.apply(output, logits, ops))))
    seen_modules = {c.module for c in calls}
    uncaptured = {path: type(part).__name__ for path, part in inside.items() if path not in seen_modules}
    points = PointTable(calls, uncaptured)
    return Trace(points, default, reason, activation, head_of((1, *logits), activation), logits, candidates, rows)
