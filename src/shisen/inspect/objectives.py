"""Objectives of generated images: many channels at once, a whole layer, different images for one channel.

Channels, neurons and directions are in `shisen.targets`; a class is a channel of "logits". All are objectives, so one
backward pass serves them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from array_api_compat import array_namespace

from ..errors import InputError, explain_error
from ..targets import LayerObjective, MixedObjective, like
from ..targets import channel as one_channel
from ..types import Array


@dataclass(frozen=True)
class Diagonal:
    """Image i maximizes channel i: the mean over positions of that channel, one backward pass for all.

    Attributes:
        channels: one per image; a repeated one gives several images.
        diversity: weight of the penalty for images of one channel that look alike, see `likeness`.
    """

    channels: tuple[int, ...]
    diversity: float = 0.0

    @property
    def name(self) -> str:
        return f"{len(self.channels)} channels, one per image"

    def _own(self, y: Array) -> npt.NDArray[np.int64]:
        count = y.shape[-1]
        if not all(0 <= c < count for c in self.channels):
            wrong = next(c for c in self.channels if not 0 <= c < count)
            raise InputError(
                explain_error(f"A channel must lie between 0 and {count - 1}.", wrong, "See `shisen layers`.")
            )
        return np.resize(np.asarray(self.channels), y.shape[0])

    def value(self, y: Array) -> Array:
        """Return the mean of each row's own channel, `(rows,)`; the penalty is not part of it."""
        xp = array_namespace(y)
        hot = self._hot(y)
        return xp.sum(xp.reshape(y * hot, (y.shape[0], -1)), axis=-1)

    def __call__(self, y: Array) -> Array:
        """Return 1 / (h · w) on each row's own channel, less the gradient of the penalty."""
        if not self.diversity or y.ndim != 4:
            return self._hot(y) + 0.0 * y
        return self._hot(y) + 0.0 * y - self.diversity * likeness(y, self._own(y))[1]

    def _hot(self, y: Array) -> Array:
        own = self._own(y)
        positions = int(np.prod(y.shape[1:-1])) if y.ndim > 2 else 1
        hot = np.zeros((y.shape[0], y.shape[-1]), np.float32)
        hot[np.arange(len(own)), own] = 1.0 / positions
        return like(hot.reshape(y.shape[0], *([1] * (y.ndim - 2)), y.shape[-1]), y)

    def take(self, rows: npt.NDArray[np.int64]) -> Diagonal:
        """Return the objective for these rows of the batch."""
        return replace(self, channels=tuple(self.channels[int(r) % len(self.channels)] for r in rows))


def likeness(y: Array, groups: npt.NDArray[np.int64]) -> tuple[Array, Array]:
    """Return how alike the rows of a group are, and the gradient of the sum by `y`.

    For each row i the sum over the other rows j of its group of the cosine between G_i and G_j, where
    G = Fᵀ F of the features F `(positions, channels)`: which channels are active together, at any position.

    Args:
        y: `(n, h, w, c)`.
        groups: `(n,)`; rows with the same number are compared.

    Returns:
        `(n,)` and an array like `y`.

    Reference: Olah 2017, Feature Visualization, on diversity.
    """
    xp = array_namespace(y)
    n, c = y.shape[0], y.shape[-1]
    features = xp.reshape(y, (n, -1, c))
    gram = xp.matmul(xp.permute_dims(features, (0, 2, 1)), features)
    size = xp.sqrt(xp.sum(xp.reshape(gram * gram, (n, -1)), axis=-1)) + 1e-12
    unit = xp.reshape(gram, (n, -1)) / size[:, None]
    same = groups[:, None] == groups[None, :]
    np.fill_diagonal(same, False)
    mask = like(same.astype(np.float32), y)
    cosine = xp.matmul(unit, xp.permute_dims(unit, (1, 0))) * mask
    alike = xp.sum(cosine, axis=-1)
    # every pair is counted twice in the sum, hence the factor 2; then through the norm and the product FᵀF
    pull = 2.0 * (xp.matmul(mask, unit) - alike[:, None] * unit) / size[:, None]
    gradient = 2.0 * xp.matmul(features, xp.reshape(pull, (n, c, c)))
    return alike, xp.reshape(gradient, y.shape)


@dataclass(frozen=True)
class Excitement:
    """The activations of a whole layer: ½ · mean of their squares (deep dream)."""

    name: str = "the whole layer, squared"

    def value(self, y: Array) -> Array:
        """Return ½ · mean y² of each row, `(rows,)`."""
        xp = array_namespace(y)
        return 0.5 * xp.mean(xp.reshape(y * y, (y.shape[0], -1)), axis=-1)

    def __call__(self, y: Array) -> Array:
        """Return y / (values a row)."""
        return y / float(np.prod(y.shape[1:]))

    def take(self, rows: npt.NDArray[np.int64]) -> Excitement:
        return self


def mixture(weights: Mapping[int, float]) -> LayerObjective:
    """Return the objective Σ_c weight_c · mean of channel c: sums and differences of channels.

    Args:
        weights: channel → weight, such as `{3: 1, 8: -1}` for channel 3 without channel 8.
    """
    return LayerObjective(tuple((int(c), float(w)) for c, w in weights.items()))


def opposite(channel: int) -> LayerObjective:
    """Return the objective that minimizes a channel. Only useful before a ReLU."""
    return LayerObjective(((channel, -1.0),))


def diagonal(wanted: Sequence[Any], diversity: float = 0.0) -> Any:
    """Return the objective that for image i is `wanted[i]`: a channel number or any objective.

    Args:
        wanted: channel numbers and objectives, mixed at will.
        diversity: weight of the penalty for images of one channel that look alike; only for channel numbers.
    """
    if all(isinstance(one, (int, np.integer)) for one in wanted):
        return Diagonal(tuple(int(c) for c in wanted), diversity)
    return MixedObjective(tuple(one_channel(int(s)) if isinstance(s, (int, np.integer)) else s for s in wanted))
