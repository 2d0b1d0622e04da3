"""What is explained, as numbers: objectives on the logits or on a layer, written without a framework.

Every objective here is a `Objective`: it returns its score, row by row, and the gradient of the score by the
value at its point. Linear scores have constant gradients; probabilities and log-probabilities depend on the value.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from array_api_compat import array_namespace, device

from .errors import InputError, explain_error
from .types import Array

SCORES = ("logit", "probability", "log_probability")


def like(values: Any, y: Array) -> Array:
    """Return `values` as an array of the type, dtype and device of `y`.

    Args:
        values: values of any kind.
        y: the array whose type is taken.
    """
    xp = array_namespace(y)
    return xp.asarray(np.asarray(values), dtype=y.dtype, device=device(y))


def softmax(y: Array) -> Array:
    """Return the softmax over the last axis."""
    xp = array_namespace(y)
    e = xp.exp(y - xp.max(y, axis=-1, keepdims=True))
    return e / xp.sum(e, axis=-1, keepdims=True)


def sigmoid(y: Array) -> Array:
    """Return 1 / (1 + exp(−y)), without overflow."""
    xp = array_namespace(y)
    return 0.5 * (xp.tanh(0.5 * y) + 1.0)


def probabilities(y: Array, head: str) -> Array:
    """Return the probabilities `(n, classes)` that belong to logits; a single sigmoid unit gives two columns.

    Args:
        y: logits, `(n, classes)`.
        head: "softmax", "sigmoid" or "none".
    """
    xp = array_namespace(y)
    if head == "softmax":
        return softmax(y)
    if head == "none":
        return y
    p = sigmoid(y)
    return xp.concat([1.0 - p, p], axis=-1) if y.shape[-1] == 1 else p


def class_logits(y: Array, head: str) -> Array:
    """Return one logit per class: that of the negative class of a single sigmoid unit is its negation.

    Args:
        y: logits, `(n, classes)`.
        head: "softmax", "sigmoid" or "none".
    """
    if head == "sigmoid" and y.shape[-1] == 1:
        return array_namespace(y).concat([-y, y], axis=-1)
    return y


@dataclass(frozen=True)
class ClassObjective:
    """A weighted sum of class scores.

    score = Σ_t weight_t · s(class_t), where s is the logit, the probability or the log-probability.

    Attributes:
        name: in words.
        terms: `(weight, classes)` with one class for all rows or one per row.
        score: "logit", "probability" or "log_probability".
        head: "softmax", "sigmoid" or "none".
    """

    name: str
    terms: tuple[tuple[float, tuple[int, ...]], ...]
    score: str = "logit"
    head: str = "softmax"

    def __post_init__(self) -> None:
        if self.score not in SCORES:
            raise InputError(
                explain_error(
                    f"score must be one of {', '.join(SCORES)}.", repr(self.score), "Use 'logit' if in doubt."
                )
            )

    def _one_hot(self, y: Array, classes: tuple[int, ...]) -> Array:
        rows, count = y.shape[0], y.shape[-1]
        index = np.resize(np.asarray(classes), rows)
        if index.max() >= count or index.min() < -count:
            raise InputError(
                explain_error(
                    f"A class index must lie between 0 and {count - 1}.", int(index.max()), "See model.labels."
                )
            )
        hot = np.zeros((rows, count), dtype=np.float32)
        hot[np.arange(rows), index] = 1.0
        return like(hot, y)

    def value(self, y: Array) -> Array:
        """Return Σ_t weight_t · s(class_t) of each row, shape `(rows,)`."""
        xp = array_namespace(y)
        scores = class_logits(y, self.head)
        if self.score == "probability":
            scores = probabilities(y, self.head)
        elif self.score == "log_probability":
            # log softmax, or log sigmoid(z) = −log(1 + exp(−z)), both without overflow
            if self.head == "softmax":
                top = xp.max(scores, axis=-1, keepdims=True)
                scores = scores - top - xp.log(xp.sum(xp.exp(scores - top), axis=-1, keepdims=True))
            else:
                scores = -(xp.log1p(xp.exp(-xp.abs(scores))) + (xp.abs(scores) - scores) / 2.0)
        total = None
        for weight, classes in self.terms:
            part = weight * xp.sum(self._one_hot(scores, classes) * scores, axis=-1)
            total = part if total is None else total + part
        return total

    def __call__(self, y: Array) -> Array:
        """Return the gradient of the summed score by the logits, shape of `y`."""
        xp = array_namespace(y)
        scores = class_logits(y, self.head)
        cotangent = xp.zeros_like(scores)
        for weight, classes in self.terms:
            hot = self._one_hot(scores, classes)
            if self.score == "logit":
                part = hot
            elif self.head == "softmax":
                p = softmax(scores)
                part = hot - p  # d log p_k / dz
                if self.score == "probability":
                    part = part * xp.sum(p * hot, axis=-1, keepdims=True)
            else:
                p = sigmoid(scores)
                part = hot * (1.0 - p)
                if self.score == "probability":
                    part = part * p
            cotangent = cotangent + weight * part
        if y.shape[-1] == 1 and scores.shape[-1] == 2:
            return cotangent[:, 1:] - cotangent[:, :1]
        return cotangent

    def take(self, rows: npt.NDArray[np.int64]) -> ClassObjective:
        """Return the objective for these rows of the batch."""
        terms = tuple((w, c if len(c) == 1 else tuple(c[int(r) % len(c)] for r in rows)) for w, c in self.terms)
        return replace(self, terms=terms)

    @property
    def indices(self) -> tuple[int, ...]:
        """The classes concerned, positive ones first; only meaningful for one row."""
        return tuple(c[0] for _, c in self.terms)


@dataclass(frozen=True)
class TopKObjective:
    """The class at rank `rank` of each row's own predictions (0 is the most probable)."""

    rank: int = 0
    score: str = "logit"
    head: str = "softmax"

    @property
    def name(self) -> str:
        return "top class" if self.rank == 0 else f"class at rank {self.rank + 1}"

    def resolve(self, y: Array) -> ClassObjective:
        """Return the objective of the classes that these logits rank at `rank`."""
        scores = to_numpy(class_logits(y, self.head))
        if not 0 <= self.rank < scores.shape[-1]:
            raise InputError(
                explain_error(
                    f"A rank must lie between 0 and {scores.shape[-1] - 1}.", self.rank, "0 is the top class."
                )
            )
        order = np.argsort(-scores, axis=-1, kind="stable")[:, self.rank]
        return ClassObjective(self.name, ((1.0, tuple(int(k) for k in order)),), self.score, self.head)

    def value(self, y: Array) -> Array:
        return self.resolve(y).value(y)

    def __call__(self, y: Array) -> Array:
        return self.resolve(y)(y)

    def take(self, rows: npt.NDArray[np.int64]) -> TopKObjective:
        return self


@dataclass(frozen=True)
class MixedObjective:
    """One objective an image: row i of a batch belongs to objective i mod n."""

    objectives: tuple[Any, ...]
    name: str = "one target per image"

    def _rows(self, y: Array) -> list[tuple[Any, Array]]:
        return [(self.objectives[i % len(self.objectives)], y[i : i + 1]) for i in range(y.shape[0])]

    def resolve(self, y: Array) -> MixedObjective:
        """Return the same objectives with ranks turned into the classes that these logits put there."""
        return MixedObjective(tuple(s.resolve(row) if hasattr(s, "resolve") else s for s, row in self._rows(y)))

    def value(self, y: Array) -> Array:
        return array_namespace(y).concat([s.value(row) for s, row in self._rows(y)], axis=0)

    def __call__(self, y: Array) -> Array:
        return array_namespace(y).concat([s(row) for s, row in self._rows(y)], axis=0)

    def take(self, rows: npt.NDArray[np.int64]) -> Any:
        own = tuple(self.objectives[int(r) % len(self.objectives)] for r in rows)
        return own[0] if len(own) == 1 else MixedObjective(own)


@dataclass(frozen=True)
class OutputObjective:
    """One number of the network's output, counted through all its axes, as the network returns it.

    Attributes:
        index: which number; negative ones count from the end.
    """

    index: int

    @property
    def name(self) -> str:
        return f"output {self.index}"

    def _hot(self, y: Array) -> Array:
        count = math.prod(y.shape[1:])
        if not -count <= self.index < count:
            raise InputError(
                explain_error(
                    f"An output index must lie between 0 and {count - 1}.",
                    self.index,
                    f"The output has the shape {tuple(y.shape[1:])} per image.",
                )
            )
        hot = np.zeros((1, count), np.float32)
        hot[0, self.index] = 1.0
        return like(np.repeat(hot, y.shape[0], axis=0).reshape(tuple(y.shape)), y)

    def __call__(self, y: Array) -> Array:
        return self._hot(y)

    def value(self, y: Array) -> Array:
        xp = array_namespace(y)
        return xp.sum(xp.reshape(self._hot(y) * y, (y.shape[0], -1)), axis=-1)

    def take(self, rows: npt.NDArray[np.int64]) -> OutputObjective:
        return self


@dataclass(frozen=True)
class LayerObjective:
    """A linear objective on a feature map `(n, h, w, c)` or vector `(n, c)`: Σ_c weight_c · mean over positions.

    Attributes:
        weights: channel → weight; empty means every channel with weight 1.
        position: `(row, column)` for one neuron instead of the mean over all positions.
    """

    weights: tuple[tuple[int, float], ...] = ()
    position: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        if not self.weights:
            return "whole layer"
        parts = [f"channel {c}" if w == 1 else f"{w:g} × channel {c}" for c, w in self.weights]
        return " + ".join(parts) + (f" at {self.position}" if self.position else "")

    def __call__(self, y: Array) -> Array:
        channels = y.shape[-1]
        weight = np.ones(channels, np.float32) if not self.weights else np.zeros(channels, np.float32)
        for c, w in self.weights:
            if not -channels <= c < channels:
                raise InputError(
                    explain_error(f"A channel must lie between 0 and {channels - 1}.", c, "See `shisen layers`.")
                )
            weight[c] = w
        mask = np.ones(y.shape[1:-1], np.float32)
        if self.position is not None and y.ndim == 4:
            mask = np.zeros(y.shape[1:-1], np.float32)
            mask[self.position] = 1.0
        mask /= max(float(mask.sum()), 1.0)
        return like(np.broadcast_to(mask[None, ..., None] * weight, tuple(y.shape)).copy(), y)

    def value(self, y: Array) -> Array:
        xp = array_namespace(y)
        return xp.sum(xp.reshape(self(y) * y, (y.shape[0], -1)), axis=-1)

    def take(self, rows: npt.NDArray[np.int64]) -> LayerObjective:
        return self


def channel(index: int) -> LayerObjective:
    """Maximize a channel: the mean of channel `index` over all positions."""
    return LayerObjective(((index, 1.0),))


def neuron(index: int, row: int, column: int) -> LayerObjective:
    """Explain the activation of a channel at one position.

    Args:
        index: number of the channel.
        row: row of the position in the feature map.
        column: column of the position in the feature map.

    Returns:
        A target.
    """
    return LayerObjective(((index, 1.0),), (row, column))


def direction(weights: Sequence[float]) -> LayerObjective:
    """Explain the activation along a direction in channel space: Σ_c weight_c · mean of channel c."""
    return LayerObjective(tuple((c, float(w)) for c, w in enumerate(weights)))


def to_numpy(values: Array) -> npt.NDArray[Any]:
    """Return any framework's array as NumPy, detached and on the host."""
    detach = getattr(values, "detach", None)
    if detach is not None:
        values = detach().cpu()
    return np.asarray(values)
