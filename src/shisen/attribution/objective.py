"""The objective during one call: the classes it settles on, and the logits it was asked about."""

from __future__ import annotations

import dataclasses
from typing import Any

from array_api_compat import array_namespace

from ..backends.wrappers import Recorded
from ..targets import MixedSeed
from ..types import Array, Classifier


def settled(model: Classifier, images: Array, seed: Any) -> Any:
    """Return the seed with "the top class" turned into the class it is for these unaltered pictures.

    Methods that alter pictures ask about one class throughout, not about what each altered copy looks like.
    """
    return seed.resolve(model.activations(images)) if hasattr(seed, "resolve") else seed


def settled_on(seed: Any, logits: Array) -> Any:
    """Return the seed with "the top class" turned into the class it is in these logits."""
    while hasattr(seed, "seed"):  # a recorder
        seed = seed.seed
    return seed.resolve(logits) if hasattr(seed, "resolve") else seed


def slopes_and_logits(model: Classifier, images: Array, seed: Any, layer: str) -> tuple[Array, Array, Array]:
    """Return the value at a layer, the gradient there, and the logits, from one forward."""
    recorder = Recorded(seed)
    a, g = model.gradients(images, recorder, wrt=layer)
    # a shared model has answered from memory without asking the seed, and knows the logits too
    return a, g, recorder.whole if recorder.values else model.activations(images)


def on_device(model: Classifier, images: Array) -> Array:
    """Return the pictures as the network's own kind of array, so that copies are made where it runs."""
    return model.activations(images, "input")


def as_score(seed: Any, score: str) -> Any:
    """Return the seed with another score ("logit", "probability", "log_probability") where it has one."""
    if isinstance(seed, MixedSeed):
        return MixedSeed(tuple(as_score(s, score) for s in seed.seeds), seed.name)
    if dataclasses.is_dataclass(seed) and hasattr(seed, "score"):
        return dataclasses.replace(seed, score=score)  # type: ignore[type-var]
    return seed


def is_linear(seed: Any, y: Array) -> bool:
    """Tell whether the score is a linear function of the logits near `y` and far from it."""
    xp = array_namespace(y)
    here, there = seed(y), seed(xp.flip(y, axis=-1) * 3.0 + 1.0)
    return bool(xp.all(here == there))
