"""Images that channels would like: gradient ascent on many images at once, one channel an image."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .._core.i18n import Message
from .._core.image_ops import one_thread
from .._core.progress import Progress, silent
from ..errors import InputError, ShisenError, explain_error, unknown
from ..targets import to_numpy
from ..types import Classifier
from .filters import FilterGrid
from .objectives import diagonal
from .parameters import Parameters
from .transforms import RandomTransform

Map = npt.NDArray[np.float32]

TOGETHER = 16  # images in a batch: on two cores larger ones leave the cache and take longer an image


@dataclass(frozen=True)
class Recipe:
    """How images are made.

    Attributes:
        kind: parametrization, see `parameters.Parameters`; "levels" for the article's 0 to 255.
        steps: how many.
        rate: size of a step.
        wobble: transforms, or None.
        coarse: fraction of the steps that are done at half size first.
        still: fraction of the steps that are done last, on the image that is not moved any more.
    """

    kind: str
    steps: int
    rate: float
    wobble: RandomTransform | None = None
    coarse: float = 0.0
    final_steps: float = 0.0


RECIPES = {
    "modern": Recipe("fourier", 96, 0.03, RandomTransform(), 0.25),
    "strong": Recipe("fourier", 64, 0.05, RandomTransform(shift=1 / 32, border=0.0), final_steps=1 / 8),
    "article": Recipe("levels", 40, 1.0),
    "maco": Recipe("maco", 96, 0.1, RandomTransform(), 0.25),
}


class _RecordedScores:
    """A objective that remembers the scores it gave."""

    def __init__(self, objective: Any) -> None:
        self.objective, self.scores = objective, np.zeros(0, np.float32)

    def __call__(self, y: Any) -> Any:
        self.scores = np.concatenate([self.scores, to_numpy(self.objective.value(y)).astype(np.float32)])
        return self.objective(y)

    def value(self, y: Any) -> Any:
        return self.objective.value(y)

    name = "heard"

    def take(self, rows: npt.NDArray[np.int64]) -> _RecordedScores:
        part = _RecordedScores(self.objective.take(rows))
        return part


def filters(
    model: Classifier,
    layer: str,
    channels: Iterable[Any] = range(64),
    *,
    recipe: str = "modern",
    size: int = 128,
    steps: int | None = None,
    seed: int = 0,
    progress: Progress = silent,
    diversity: float = 0.0,
) -> FilterGrid:
    """Make the images that channels of a layer like best, many channels at once.

    Maximizes objective_i(layer(image_i)) for all i together; the network is run up to the layer and no further.

    Args:
        model: from `load` or `wrap`, or any classifier that takes images of this size.
        layer: where the channels are; "logits" for classes. Before an activation function is better than behind it:
            there a channel that does not fire still has a gradient.
        channels: channel numbers or objectives, one image each; the same several times gives several images.
        recipe: "modern" (spectrum scaled by frequency, small transforms, Adam, coarse to fine), "strong" (the same
            without a coarse beginning, with larger steps, the last eighth of them on the unmoved image: higher
            objectives, harsher images), "maco" (phases of a natural spectrum) or "article" (40 steps of 1/255 along
            the normalized gradient of the pixels, from gray noise).
        size: side of the images, in pixels.
        steps: how many; the recipe's own if left out.
        seed: of the start and of the transforms; the same for every channel.
        progress: called as `progress(done, total, words)` after every step.
        diversity: weight of a penalty for images of one channel that look alike.

    Returns:
        a `FilterGrid`.

    Raises:
        UnknownName: for a recipe or layer that there is not.
        InputError: for a channel that there is not, or none at all.

    References: Chollet 2017, Deep Learning with Python, section 5.4 (article); Olah 2017 (modern); Fel 2023 (maco).
    """
    if recipe not in RECIPES:
        raise unknown("recipe", recipe, RECIPES)
    wanted = list(channels)
    if not wanted or size < 8:
        raise InputError(
            explain_error(
                "There must be a channel to ask, and at least 8 pixels.",
                f"{len(wanted)} channels, size {size}",
                "Try channels=range(64), size=128.",
            )
        )
    known = [point.path for point in model.layers]
    if layer not in (*known, "logits"):
        raise unknown("layer", layer, [*known, "logits"], "See `shisen layers`.")
    own = RECIPES[recipe] if steps is None else replace(RECIPES[recipe], steps=steps)
    own = _fitting(model, layer, own, size)
    batches = list(_batches(wanted, max(1, min(TOGETHER, model.batch_size)), diversity > 0))
    total, done = own.steps * len(batches), 0
    parts = []

    def stepped(mean: float) -> None:
        nonlocal done
        done += 1
        progress(done, total, Message("Optimization steps (objective {mean:.3g})", mean=mean))

    for batch in batches:
        objective = diagonal([wanted[i] for i in batch], diversity)
        optimize = _article if own.kind == "levels" else _modern
        start = _Start(seed, _repeats(wanted, batch), size)
        raw, history = optimize(_Objective(model, layer, objective), own, start, stepped)
        parts.append((raw, history))
    images = np.concatenate([p for p, _ in parts])
    history = np.concatenate([h for _, h in parts], axis=1)
    shown = deprocessed(images) if own.kind == "levels" else images
    final = np.concatenate(
        [_score(model, layer, diagonal([wanted[i] for i in b]), images[b[0] : b[-1] + 1]) for b in batches]
    )
    gray = np.full((1, size, size, 3), 0.5, np.float32)
    plain = np.array([_score(model, layer, diagonal([w]), gray)[0] for w in _once(wanted)], np.float32)
    before = plain[[_once(wanted).index(w) for w in wanted]]
    return FilterGrid(layer, tuple(wanted), recipe, shown, history, final, before, model)


@dataclass(frozen=True)
class _Objective:
    """What is climbed: an objective at a layer of a network."""

    model: Classifier
    layer: str
    objective: Any

    def gradient(self, images: Map) -> tuple[Map, Map]:
        """Return the scores `(n,)` and the gradient by the images, both NumPy."""
        heard = _RecordedScores(self.objective)
        _, gradient = self.model.gradients(images, heard, at=self.layer)
        return heard.scores, to_numpy(gradient).astype(np.float32, copy=False)


@dataclass(frozen=True)
class _Start:
    """Where a batch starts: the same noise for every channel, other noise where a channel comes again."""

    seed: int
    repeats: list[int]
    size: int

    def generator(self, repeat: int = 0) -> np.random.Generator:
        return np.random.default_rng([self.seed, repeat])

    def drawn(self, draw: Callable[[np.random.Generator], Map]) -> Map:
        once = {r: draw(self.generator(r)) for r in set(self.repeats)}
        return np.concatenate([once[r] for r in self.repeats])


def _article(hill: _Objective, recipe: Recipe, start: _Start, stepped: Callable[[float], None]) -> tuple[Map, Map]:
    shape = (1, start.size, start.size, 3)
    levels = start.drawn(lambda rng: (rng.random(shape) * 20.0 + 128.0).astype(np.float32))
    history = []
    for _ in range(recipe.steps):
        scores, gradient = hill.gradient(levels / np.float32(255))
        # the article adds 1e-5 to the length; for networks that take small numbers that would stop the climb
        length = np.sqrt(np.mean(np.square(gradient), axis=(1, 2, 3), keepdims=True))
        levels = levels + np.float32(recipe.rate) * gradient / np.maximum(length, np.float32(1e-30))
        history.append(scores)
        stepped(float(scores.mean()))
    return levels / np.float32(255), np.stack(history)


def _modern(hill: _Objective, recipe: Recipe, start: _Start, stepped: Callable[[float], None]) -> tuple[Map, Map]:
    parameters = Parameters(recipe.kind, start.size)
    p = start.drawn(parameters.start)
    rng = start.generator(1 << 20)  # the transforms are drawn for one image and shared
    adam, history = Adam(recipe.rate), []
    for step in range(recipe.steps):
        coarse = step < recipe.coarse * recipe.steps and recipe.kind != "pixel" and start.size >= 64
        side = start.size // 2 if coarse else start.size
        final_steps = step >= (1 - recipe.final_steps) * recipe.steps
        moved = recipe.wobble.draw(rng, side) if recipe.wobble and not final_steps else None
        with one_thread(p):
            planes = parameters.planes(p, side)
            seen = planes if moved is None else moved.apply(planes, 0.5)
        scores, gradient = hill.gradient(np.ascontiguousarray(seen.transpose(0, 2, 3, 1)))
        back = np.ascontiguousarray(gradient.transpose(0, 3, 1, 2))
        with one_thread(p):
            p = adam.step(p, parameters.pull(p, planes, back if moved is None else moved.adjoint(back)))
        history.append(scores)
        stepped(float(scores.mean()))
    return parameters.planes(p, start.size).transpose(0, 2, 3, 1), np.stack(history)


class Adam:
    """Steps of about `rate` along the gradient, uphill: p + rate · m̂ / (√v̂ + ε). Reference: Kingma and Ba 2015."""

    def __init__(self, rate: float, first: float = 0.9, second: float = 0.999) -> None:
        self.rate, self.first, self.second = rate, first, second
        self.count = 0
        self.mean: Any = 0.0
        self.square: Any = 0.0

    def step(self, p: Map, gradient: Map) -> Map:
        """Return the parameters after one step; every image's gradient is first brought to mean square 1.

        Without that a channel with a small range would stand still behind ε.
        """
        axes = tuple(range(1, gradient.ndim))
        size = np.sqrt(np.mean(np.square(gradient), axis=axes, keepdims=True))
        gradient = gradient / np.maximum(size, np.float32(1e-30))
        self.count += 1
        self.mean = self.first * self.mean + (1 - self.first) * gradient
        self.square = self.second * self.square + (1 - self.second) * gradient * gradient
        m = self.mean / (1 - self.first**self.count)
        v = self.square / (1 - self.second**self.count)
        return np.asarray(p + self.rate * m / (np.sqrt(v) + 1e-8), np.float32)


def deprocessed(levels: Map) -> Map:
    """Return the article's image: (x − mean) / (std + 1e-5) · 0.1 + 0.5 cut off at 0 and 1, one image at a time.

    Args:
        levels: `(n, h, w, 3)` in any unit of about 0 to 255 / 255.
    """
    x = levels * np.float32(255)
    x = x - x.mean(axis=(1, 2, 3), keepdims=True)
    x = x / (x.std(axis=(1, 2, 3), keepdims=True) + np.float32(1e-5))
    return np.asarray(np.clip(x * np.float32(0.1) + np.float32(0.5), 0, 1))


def _fitting(model: Classifier, layer: str, recipe: Recipe, size: int) -> Recipe:
    """Return the recipe without other sizes than the image's, if the network takes no others."""
    if not _takes(model, layer, size):
        raise InputError(
            explain_error(
                "The network must take images of this size.",
                f"size {size}",
                "Give the size it was built for, such as size=224.",
            )
        )
    if recipe.wobble is None:
        return recipe
    sides = {s + 2 * round(recipe.wobble.border * s) for s in (size, size // 2)}
    if all(_takes(model, layer, side) for side in sides):
        return recipe
    return replace(recipe, wobble=replace(recipe.wobble, border=0.0), coarse=0.0)


def _takes(model: Classifier, layer: str, side: int) -> bool:
    try:
        model.activations(np.full((1, side, side, 3), 0.5, np.float32), layer)
    except (ValueError, RuntimeError, AssertionError, ShisenError):
        # what frameworks raise for an image of another size, each its own
        return False
    return True


def _score(model: Classifier, layer: str, objective: Any, images: Map) -> Map:
    return to_numpy(objective.value(model.activations(images, layer))).astype(np.float32)


def _batches(wanted: list[Any], size: int, whole: bool) -> Iterator[list[int]]:
    """Yield places in batches; images that must see each other stay together."""
    if whole:
        yield list(range(len(wanted)))
        return
    for first in range(0, len(wanted), size):
        yield list(range(first, min(first + size, len(wanted))))


def _repeats(wanted: list[Any], batch: list[int]) -> list[int]:
    return [sum(1 for w in wanted[:i] if w == wanted[i]) for i in batch]


def _once(wanted: list[Any]) -> list[Any]:
    found: list[Any] = []
    for w in wanted:
        if w not in found:
            found.append(w)
    return found
