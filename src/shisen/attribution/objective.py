"""The objective during one call: the class that it resolves to, and the logits of its forward pass."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from array_api_compat import array_namespace

from ..adapters.wrappers import Recorded
from ..naming import SimilarObjective
from ..targets import MixedObjective
from ..types import Array, Classifier


def resolved(model: Classifier, images: Array, objective: Any) -> Any:
    """Return the objective with "the top class" turned into the class it is for these unaltered images.

    Methods that alter images explain one class throughout, not the top class of each altered copy.

    Args:
        model: the network.
        images: `(n, h, w, c)` pixels in [0, 1].
        objective: what is explained.
    """
    return objective.resolve(model.activations(images)) if hasattr(objective, "resolve") else objective


def resolved_for(objective: Any, logits: Array) -> Any:
    """Return the objective with "the top class" turned into the class it is in these logits.

    Args:
        objective: what is explained.
        logits: `(n, classes)`.
    """
    while hasattr(objective, "objective"):  # a recorder
        objective = objective.objective
    return objective.resolve(logits) if hasattr(objective, "resolve") else objective


def gradients_and_logits(
    model: Classifier, images: Array, objective: Any, wrt: str | Sequence[str]
) -> tuple[Any, Any, Array]:
    """Return the value at one or several points, the gradient there, and the logits, from one forward pass.

    Args:
        model: the network.
        images: `(n, h, w, c)` pixels in [0, 1].
        objective: what is explained.
        wrt: path of the point, or paths of the points, where the gradient is taken.
    """
    recorder = Recorded(objective)
    a, g = model.gradients(images, recorder, wrt=wrt)
    # a shared model may answer from memory without evaluating the objective; it knows the logits too
    return a, g, recorder.whole if recorder.values else model.activations(images)


def on_device(model: Classifier, images: Array) -> Array:
    """Return the images as the network's own kind of array, so that copies are made where it runs.

    Args:
        model: the network.
        images: `(n, h, w, c)` pixels in [0, 1].
    """
    return model.activations(images, "input")


def as_score(objective: Any, score: str) -> Any:
    """Return the objective with another score ("logit", "probability", "log_probability") where it has one.

    Args:
        objective: what is explained.
        score: "logit", "probability" or "log_probability".
    """
    if isinstance(objective, MixedObjective):
        return MixedObjective(tuple(as_score(s, score) for s in objective.objectives), objective.name)
    if isinstance(objective, SimilarObjective):
        return dataclasses.replace(objective, target=as_score(objective.target, score))
    if dataclasses.is_dataclass(objective) and hasattr(objective, "score"):
        scored: Any = objective
        return dataclasses.replace(scored, score=score)
    return objective


def is_linear(objective: Any, y: Array) -> bool:
    """Return whether the score is a linear function of the logits near `y` and far from it.

    Args:
        objective: what is explained.
        y: logits, `(n, classes)`.
    """
    xp = array_namespace(y)
    here, there = objective(y), objective(xp.flip(y, axis=-1) * 3.0 + 1.0)
    return bool(xp.all(here == there))
