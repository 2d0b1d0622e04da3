"""What lies downstream of a layer: whether it is affine, and the scores of altered values there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
from array_api_compat import array_namespace

from ..adapters.capabilities import RunsDownstream
from ..adapters.wrappers import Wrapper, capability, downstream_batch
from ..errors import MissingDependency, ModelError
from ..targets import like, to_numpy
from ..types import Array, Classifier
from .objective import gradients_and_logits, is_linear, resolved_for

_KNOWN: WeakKeyDictionary[Any, dict[Any, bool]] = WeakKeyDictionary()
TOLERANCE = 1e-4
"""How far from affine, as a fraction of the largest change seen; float32 noise is a hundredth of it."""


def is_affine(model: Classifier, images: Array, layer: str) -> bool:
    """Tell whether the logits are an affine function of the value at a layer, for example pool and linear only.

    Decided once per network and layer, on random values V, W of both signs, at the layer's own magnitude and a
    thousand times larger, where every non-linearity shows. f(V) + f(−V) = 2 f(0) fails for ReLU, ReLU6 and max pool,
    f(V) + f(W) = f(V + W) + f(0) for normalization and attention.

    Args:
        model: the network, wrapped or not.
        images: `(n, h, w, c)`, n ≥ 1; the first one is used.
        layer: path of the point.

    Returns:
        True if the logits are affine in the values, within float32 rounding.
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
    for magnitude in (1.0, 1e3):
        v, w = rng.standard_normal((2, *shape)) * magnitude * typical
        # one of the two is the same at every position, so that no mean over positions hides a non-linearity
        over = tuple(range(w.ndim - 1))
        w = np.broadcast_to(w.mean(axis=over) * np.sqrt(np.prod(shape[:-1])), shape) if over else w
        trials += [v, -v, w, -w, v + w]
    y = to_numpy(model.replaced(image, like(np.stack(trials).astype(np.float32), a), layer)).astype(np.float64)
    y = y.reshape(len(trials), -1)
    zero = y[0]
    for first in (1, 6):
        v, minus_v, w, minus_w, both = y[first : first + 5] - zero
        change = max(float(np.abs(part).max()) for part in (v, w, both))
        deviation = max(float(np.abs(part).max()) for part in (v + minus_v, w + minus_w, v + w - both))
        if not np.isfinite(change) or deviation > TOLERANCE * change:
            return False
    return True


@dataclass(frozen=True, eq=False)
class AtLayer:
    """A layer's values and gradients for a batch, and a way to score altered values there.

    Attributes:
        model: the network.
        images: `(n, *positions, c)`.
        layer: path of the point.
        values: `(n, *positions', c')`.
        gradients: of the score, of the same shape; None where the network gives none, and `reason` says so.
        logits: `(n, classes)`.
        objective: the score explained, with "the top class" resolved.
        reason: why the score is no affine function of the values; "" if it is one, so that closed forms hold.
    """

    model: Classifier
    images: Array
    layer: str
    values: Array
    gradients: Any
    logits: Array
    objective: Any
    reason: str

    @classmethod
    def of(cls, model: Classifier, images: Array, objective: Any, layer: str) -> AtLayer:
        """Run one forward and backward pass.

        Args:
            model: the network.
            images: `(n, h, w, c)`.
            objective: the score to explain.
            layer: path of the point.

        Returns:
            What the forward and the backward pass gave.
        """
        try:
            values, gradients, logits = gradients_and_logits(model, images, objective, layer)
        except (ModelError, MissingDependency):
            values, logits = model.activations(images, (layer, "logits"))
            gradients = None
        objective = resolved_for(objective, logits)
        if gradients is None:
            reason = "the network gives no gradients"
        elif not is_linear(objective, logits):
            reason = "the score is not linear in the logits"
        else:
            reason = "" if is_affine(model, images, layer) else "the network is non-linear downstream of the layer"
        return cls(model, images, layer, values, gradients, logits, objective, reason)

    @property
    def note(self) -> str:
        """How altered values are put through the network."""
        if not self.reason:
            return "closed form"
        network = capability(self.model, RunsDownstream)
        if network is None or network.runs_downstream_only(self.images, self.layer):
            return f"only the layers downstream were run, since {self.reason}"
        return f"whole forwards were run, since {self.reason}, and it does not take another batch size downstream"

    def scores(
        self, row: int, numbers: npt.NDArray[np.intp], masks: Callable[[npt.NDArray[np.intp]], npt.NDArray[Any]]
    ) -> Array:
        """Return the scores of one image with its values at the layer multiplied by masks.

        Args:
            row: number of the image in the batch.
            numbers: `(k,)`, of the masks.
            masks: from numbers to masks, `(r, *(positions or 1), c' or 1)`, so that never all are in memory.

        Returns:
            `(k,)`.
        """
        a, image = self.values[row, ...], self.images[row : row + 1]
        objective, step = self.objective.take(np.asarray([row])), downstream_batch(a, self.model.batch_size)
        found = []
        for start in range(0, len(numbers), step):
            mask = like(masks(numbers[start : start + step]).astype(np.float32), a)
            found.append(objective.value(self.model.replaced(image, a[None, ...] * mask, self.layer)))
        return found[0] if len(found) == 1 else array_namespace(a).concat(found, axis=0)
