"""What a metric returns, and what it may request of the network.

A metric is a function of a `Sample`. One that needs the network is a generator: it yields a `ScoreRequest` (images to
be scored) or a `MapRequest` (images to be explained in the same way), is sent the result, and returns an `Outcome`. So
the requests of many images, maps and metrics can be batched.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from inspect import isgenerator
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError, explain_error

Image = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ScoreRequest:
    """Images `(k, h, w, c)` whose logits `(k, classes)` are requested.

    `key` names a request that other metrics may make too, so that it is run once: for the same map, or, with
    `shared`, for the same image whatever the map. `rows` names every single image among all that are made
    of this image, so that maps of one order, which remove the same pixels, are run once.
    """

    images: Image
    key: str = ""
    shared: bool = False
    rows: tuple[str, ...] = ()


@dataclass(frozen=True)
class MapRequest:
    """Images `(k, h, w, c)` whose raw maps `(k, ...)` by the same method, layer, options and class are requested.

    `randomized` requests those of a weight-randomized model: the fraction of its layers, from the output on, whose
    weights are shuffled; 0 is the network itself.
    """

    images: Image
    key: str = ""
    randomized: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """The result of a metric.

    Attributes:
        value: in the metric's unit; NaN where it is not defined.
        curve: the values along the way, for drawing.
        parts: further values by name.
    """

    value: float
    curve: tuple[float, ...] = ()
    parts: Mapping[str, float] = field(default_factory=dict)


Requests = Generator[Any, Any, Outcome]


def run_metric(
    found: Outcome | Requests,
    scores: Callable[[Image], npt.NDArray[Any]],
    explain: Callable[[Image, float], npt.NDArray[Any]] | None = None,
) -> Outcome:
    """Run one metric: serve its requests by `scores(images)` and `explain(images, randomized)`.

    Args:
        found: what the metric's function returned.
        scores: from images `(k, h, w, c)` to logits `(k, classes)`.
        explain: from images and the fraction of randomized layers to raw maps; needed by metrics with needs "maps".

    Returns:
        The outcome.

    Raises:
        InputError: if the metric explains further images and `explain` is missing.
    """
    if not isgenerator(found):
        assert isinstance(found, Outcome)
        return found
    reply: Any = None
    while True:
        try:
            request: Any = found.send(reply)
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome
        if isinstance(request, ScoreRequest):
            reply = np.asarray(scores(request.images))
        elif explain is not None:
            reply = np.asarray(explain(request.images, request.randomized))
        else:
            raise InputError(
                explain_error("This metric explains altered images.", "no explain function", "Pass explain=.")
            )
