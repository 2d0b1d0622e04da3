"""What lies behind a layer: whether it is affine, and what the network says about altered values there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from array_api_compat import array_namespace

from ..adapters.wrappers import Wrapper
from ..targets import like, to_numpy
from ..types import Array, Classifier
from .objective import is_linear

_KNOWN: WeakKeyDictionary[Any, dict[Any, bool]] = WeakKeyDictionary()
TOLERANCE = 1e-4
"""How far from affine, as a fraction of the largest change seen; float32 noise is a hundredth of it."""


def is_affine(model: Classifier, images: Array, layer: str) -> bool:
    """Tell whether the logits are an affine function of the value at a layer, for example pool and linear only.

    Decided once per network and layer, on random values V, W of both signs, at the layer's own size and a
    thousand times larger, where every bend shows. f(V) + f(−V) = 2 f(0) tells ReLU, ReLU6 and max pool,
    f(V) + f(W) = f(V + W) + f(0) tells normalization and attention.

    Args:
        model: the network, wrapped or not.
        images: at least one image; the first one is used.
        layer: the point asked about.
    """
    network: Any = model
    while isinstance(network, Wrapper):
        network = network.model
    known = _KNOWN.setdefault(network, {})
    key = (layer, tuple(images.shape[1:]))
    if key not in known:
        known[key] = _measured(model, images[:1], layer)
    return known[key]


def _measured(model: Classifier, image: Array, layer: str) -> bool:
    a = model.activations(image, layer)
    rng = np.random.default_rng(0)
    typical = float(np.abs(to_numpy(a)).mean()) or 1.0
    shape = tuple(a.shape[1:])
    trials = [np.zeros(shape)]
    for size in (1.0, 1e3):
        v, w = rng.standard_normal((2, *shape)) * size * typical
        # one of the two the same at every place, so that no mean over places hides a bend
        w = np.broadcast_to(w.mean(axis=(0, 1)) * np.sqrt(np.prod(shape[:-1])), shape) if w.ndim == 3 else w
        trials += [v, -v, w, -w, v + w]
    y = to_numpy(model.replaced(image, like(np.stack(trials).astype(np.float32), a), layer)).astype(np.float64)
    y = y.reshape(len(trials), -1)
    zero = y[0]
    for first in (1, 6):
        v, minus_v, w, minus_w, both = y[first : first + 5] - zero
        change = max(float(np.abs(part).max()) for part in (v, w, both))
        bend = max(float(np.abs(part).max()) for part in (v + minus_v, w + minus_w, v + w - both))
        if not np.isfinite(change) or bend > TOLERANCE * change:
            return False
    return True


def why_not_closed(model: Classifier, images: Array, layer: str, objective: Any, logits: Array) -> str:
    """Return why the score at a layer has no closed form, "" if it has one: affine tail and linear score."""
    if not is_linear(objective, logits):
        return "the score is not linear in the logits"
    return "" if is_affine(model, images, layer) else "the network bends behind the layer"


def how_run(model: Classifier, images: Array, layer: str) -> str:
    """Return how altered values are put through the network, for the notes."""
    tells = getattr(model, "runs_tail_only", None)
    if tells is None or tells(images, layer):
        return "only what lies behind the layer was run"
    return "whole forwards were run: the network does not take another number of images behind the layer"


def scores(model: Classifier, image: Array, altered: Iterator[Array], layer: str, objective: Any) -> Array:
    """Return the score of every altered value at a layer, `(k,)`, for one image.

    Args:
        model: the network.
        image: `(1, h, w, c)`.
        altered: portions `(r, h', w', c')` of values, so that never all are in memory.
        layer: the point they are put in at.
        objective: the objective of this image.
    """
    found = [objective.value(model.replaced(image, values, layer)) for values in altered]
    return found[0] if len(found) == 1 else array_namespace(found[0]).concat(found, axis=0)
