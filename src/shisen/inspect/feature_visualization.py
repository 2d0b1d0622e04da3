"""Feature visualization: images that maximally activate channels, many at once, one channel per image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .._core.i18n import Message
from .._core.progress import Progress, silent
from ..errors import InputError, ShisenError, explain_error, unknown
from ..models.model import Model
from ..targets import to_numpy
from ..types import Classifier
from .color_input import of_color_images, shown
from .filters import FilterGrid
from .objectives import diagonal
from .optimizer import Ascent, Start, deprocessed
from .recipes import RECIPES, Recipe

Map = npt.NDArray[np.float32]
TOGETHER = 16  # images in a batch: on two cores larger ones leave the cache and take longer per image


def filters(
    model: Classifier,
    layer: str,
    channels: Iterable[Any] = range(64),
    *,
    recipe: str = "modern",
    size: int = 128,
    n_steps: int | None = None,
    seed: int = 0,
    progress: Progress = silent,
    diversity: float = 0.0,
) -> FilterGrid:
    """Generate images that maximally activate channels of a layer, many channels at once.

    Maximizes objective_i(layer(image_i)) for all i together; the network is run up to the layer and no further.

    Args:
        model: from `load` or `wrap`, or any classifier that takes images of this size.
        layer: where the channels are; "logits" for classes. A layer before an activation function works better than
            the one after it: there a channel that is not activated still has a gradient.
        channels: channel numbers or objectives, one image each; a repeated one gives several images.
        recipe: "modern" (spectrum scaled by frequency, small transforms, Adam, coarse to fine), "strong" (the same
            without a coarse beginning, with larger steps, the last eighth of them without transforms: higher
            objectives, harsher images), "maco" (phases of a natural spectrum) or "article" (40 steps of 1/255 along
            the normalized gradient of the pixels, from gray noise).
        size: side of the images, in pixels; at least 8.
        n_steps: number of steps; the recipe's own if omitted.
        seed: random seed of the start and of the transforms, the same for every channel.
        progress: called as `progress(done, total, words)` after every step.
        diversity: weight of a penalty for similar images of one channel; 0 for none.

    Returns:
        A `FilterGrid`.

    Raises:
        UnknownName: for an unknown recipe or layer.
        InputError: for a channel that does not exist, or none at all.

    References: Chollet 2017, Deep Learning with Python, section 5.4 (article); Olah 2017 (modern); Fel 2023 (maco).
    """
    if isinstance(model, Model):
        model.check_rank("filters()")
    wanted = list(channels)
    model = of_color_images(model)
    own = _recipe(model, layer, wanted, recipe, size)
    if n_steps is not None:
        own = replace(own, n_steps=n_steps)
    own = _fitting(model, layer, own, size)
    batches = _batches(len(wanted), len(wanted) if diversity > 0 else max(1, min(TOGETHER, model.batch_size)))
    total, done = own.n_steps * len(batches), 0

    def on_step(mean: float) -> None:
        nonlocal done
        done += 1
        progress(done, total, Message("Optimization steps (objective {mean:.3g})", mean=mean))

    parts = []
    for batch in batches:
        objective = diagonal([wanted[i] for i in batch], diversity)
        repeats = [sum(w == wanted[i] for w in wanted[:i]) for i in batch]
        parts.append(Ascent(model, layer, objective).run(own, Start(seed, repeats, size), on_step))
    images = np.concatenate([part.images for part in parts])
    final = [_score(model, layer, diagonal([wanted[i] for i in b]), images[b.start : b.stop]) for b in batches]
    return FilterGrid(
        layer,
        tuple(wanted),
        recipe,
        images=shown(model, deprocessed(images) if own.kind == "levels" else images),
        objective=np.concatenate([part.history for part in parts], axis=1),
        final=np.concatenate(final),
        gray=_on_gray(model, layer, wanted, size),
        model=model,
    )


def _recipe(model: Classifier, layer: str, wanted: list[Any], recipe: str, size: int) -> Recipe:
    """Return the recipe, after a check of the request."""
    if recipe not in RECIPES:
        raise unknown("recipe", recipe, RECIPES)
    if not wanted or size < 8:
        raise InputError(
            explain_error(
                "At least one channel and a size of at least 8 pixels are needed.",
                f"{len(wanted)} channels, size {size}",
                "Try channels=range(64), size=128.",
            )
        )
    known = [point.path for point in model.layers]
    if layer not in (*known, "logits"):
        raise unknown("layer", layer, [*known, "logits"], "See `shisen layers`.")
    return RECIPES[recipe]


def _on_gray(model: Classifier, layer: str, wanted: list[Any], size: int) -> Map:
    """Return each objective's value for a flat gray image, `(n,)`."""
    gray = np.full((1, size, size, 3), 0.5, np.float32)
    once: list[Any] = []
    for w in wanted:
        if w not in once:
            once.append(w)
    found = [_score(model, layer, diagonal([w]), gray)[0] for w in once]
    return np.array([found[once.index(w)] for w in wanted], np.float32)


def _fitting(model: Classifier, layer: str, recipe: Recipe, size: int) -> Recipe:
    """Return the recipe, limited to the images' size where the network takes no others."""
    if not _takes(model, layer, size):
        raise InputError(
            explain_error(
                "The network must take images of this size.",
                f"size {size}",
                "Use the size it was built for, such as size=224.",
            )
        )
    if recipe.transform is None:
        return recipe
    sides = {s + 2 * round(recipe.transform.border * s) for s in (size, size // 2)}
    if all(_takes(model, layer, side) for side in sides):
        return recipe
    return replace(recipe, transform=replace(recipe.transform, border=0.0), coarse=0.0)


def _takes(model: Classifier, layer: str, side: int) -> bool:
    try:
        model.activations(np.full((1, side, side, 3), 0.5, np.float32), layer)
    except (ValueError, RuntimeError, AssertionError, ShisenError):
        # what frameworks raise for an image of another size, each its own
        return False
    return True


def _score(model: Classifier, layer: str, objective: Any, images: Map) -> Map:
    return to_numpy(objective.value(model.activations(images, layer))).astype(np.float32)


def _batches(count: int, size: int) -> list[range]:
    return [range(first, min(first + size, count)) for first in range(0, count, size)]
