"""Gradient ascent on a batch of images: the article's plain steps, or Adam on a spectrum under random transforms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .._core.image_ops import one_thread
from ..targets import to_numpy
from ..types import Classifier
from .parameters import Parameters
from .recipes import Recipe

Map = npt.NDArray[np.float32]
OnStep = Callable[[float], None]
"""Called after every step with the mean objective; it may raise."""

TINY = np.float32(1e-30)


@dataclass(frozen=True)
class Optimized:
    """What an optimization returns.

    Attributes:
        images: `(n, h, w, 3)`.
        history: `(steps, n)`, the objective before each step, on the transformed image.
    """

    images: Map
    history: Map


@dataclass(frozen=True)
class Start:
    """Where a batch starts: the same noise for every channel, other noise where a channel is repeated.

    Attributes:
        seed: random seed.
        repeats: for each image, how often its channel came before.
        size: side of the images in pixels.
    """

    seed: int
    repeats: list[int]
    size: int

    def generator(self, repeat: int = 0) -> np.random.Generator:
        """Return the generator of random numbers for a repetition."""
        return np.random.default_rng([self.seed, repeat])

    def drawn(self, draw: Callable[[np.random.Generator], Map]) -> Map:
        """Return one draw per image; images of the same repetition have the same one."""
        once = {r: draw(self.generator(r)) for r in set(self.repeats)}
        return np.concatenate([once[r] for r in self.repeats])


@dataclass(frozen=True)
class Ascent:
    """An objective at a layer of a network, to be maximized over images.

    Attributes:
        model: the network.
        layer: where the objective is taken.
        objective: one row per image; see `objectives.diagonal`.
    """

    model: Classifier
    layer: str
    objective: Any

    def run(self, recipe: Recipe, start: Start, on_step: OnStep) -> Optimized:
        """Optimize a batch of images.

        Args:
            recipe: how.
            start: where the images start.
            on_step: called after every step.

        Returns:
            The images and the course of the objective.
        """
        ascend = self._article if recipe.kind == "levels" else self._parametrized
        return ascend(recipe, start, on_step)

    def gradient(self, images: Map) -> tuple[Map, Map]:
        """Return the objective's values `(n,)` and its gradient by the images, both NumPy."""
        recorded = _RecordedScores(self.objective)
        _, gradient = self.model.gradients(images, recorded, at=self.layer)
        return recorded.scores, to_numpy(gradient).astype(np.float32, copy=False)

    def _article(self, recipe: Recipe, start: Start, on_step: OnStep) -> Optimized:
        shape = (1, start.size, start.size, 3)
        levels = start.drawn(lambda rng: (rng.random(shape) * 20.0 + 128.0).astype(np.float32))
        history = []
        for _ in range(recipe.n_steps):
            scores, gradient = self.gradient(levels / np.float32(255))
            # the article adds 1e-5 to the norm; for networks with small inputs that would stop the ascent
            norm = np.sqrt(np.mean(np.square(gradient), axis=(1, 2, 3), keepdims=True))
            levels = levels + np.float32(recipe.rate) * gradient / np.maximum(norm, TINY)
            history.append(scores)
            on_step(float(scores.mean()))
        return Optimized(levels / np.float32(255), np.stack(history))

    def _parametrized(self, recipe: Recipe, start: Start, on_step: OnStep) -> Optimized:
        parameters = Parameters(recipe.kind, start.size)
        p = start.drawn(parameters.start)
        rng = start.generator(1 << 20)  # the transforms are drawn for one image and shared
        adam, history = Adam(recipe.rate), []
        for step in range(recipe.n_steps):
            coarse = step < recipe.coarse * recipe.n_steps and recipe.kind != "pixel" and start.size >= 64
            side = start.size // 2 if coarse else start.size
            last = step >= (1 - recipe.final_steps) * recipe.n_steps
            moved = recipe.transform.draw(rng, side) if recipe.transform and not last else None
            with one_thread(p):
                planes = parameters.planes(p, side)
                seen = planes if moved is None else moved.apply(planes, 0.5)
            scores, gradient = self.gradient(np.ascontiguousarray(seen.transpose(0, 2, 3, 1)))
            back = np.ascontiguousarray(gradient.transpose(0, 3, 1, 2))
            with one_thread(p):
                p = adam.step(p, parameters.pull(p, planes, back if moved is None else moved.adjoint(back)))
            history.append(scores)
            on_step(float(scores.mean()))
        return Optimized(parameters.planes(p, start.size).transpose(0, 2, 3, 1), np.stack(history))


class _RecordedScores:
    """An objective that records the values it had."""

    name = "recorded"

    def __init__(self, objective: Any) -> None:
        self.objective, self.scores = objective, np.zeros(0, np.float32)

    def __call__(self, y: Any) -> Any:
        self.scores = np.concatenate([self.scores, to_numpy(self.objective.value(y)).astype(np.float32)])
        return self.objective(y)

    def value(self, y: Any) -> Any:
        return self.objective.value(y)

    def take(self, rows: npt.NDArray[np.int64]) -> _RecordedScores:
        return _RecordedScores(self.objective.take(rows))


class Adam:
    """Steps of about `rate` along the gradient, uphill: p + rate · m̂ / (√v̂ + ε). Reference: Kingma and Ba 2015."""

    def __init__(self, rate: float, first: float = 0.9, second: float = 0.999) -> None:
        self.rate, self.first, self.second = rate, first, second
        self.count = 0
        self.mean: Any = 0.0
        self.square: Any = 0.0

    def step(self, p: Map, gradient: Map) -> Map:
        """Return the parameters after one step; every image's gradient is first scaled to mean square 1.

        Without that, the steps of a channel with a small range would vanish against ε.

        Args:
            p: the parameters, one row per image.
            gradient: of the same shape.
        """
        axes = tuple(range(1, gradient.ndim))
        norm = np.sqrt(np.mean(np.square(gradient), axis=axes, keepdims=True))
        gradient = gradient / np.maximum(norm, TINY)
        self.count += 1
        self.mean = self.first * self.mean + (1 - self.first) * gradient
        self.square = self.second * self.square + (1 - self.second) * gradient * gradient
        m = self.mean / (1 - self.first**self.count)
        v = self.square / (1 - self.second**self.count)
        return np.asarray(p + self.rate * m / (np.sqrt(v) + 1e-8), np.float32)


def deprocessed(levels: Map) -> Map:
    """Return the article's image: (x − mean) / (std + 1e-5) · 0.1 + 0.5 clipped to [0, 1], one image at a time.

    Args:
        levels: `(n, h, w, 3)`, gray levels divided by 255.
    """
    x = levels * np.float32(255)
    x = x - x.mean(axis=(1, 2, 3), keepdims=True)
    x = x / (x.std(axis=(1, 2, 3), keepdims=True) + np.float32(1e-5))
    return np.asarray(np.clip(x * np.float32(0.1) + np.float32(0.5), 0, 1))
