"""Any method, averaged over flipped and rescaled copies of the image, for another score, or widened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import wraps
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from .._core.baselines import baseline_pixels
from .._core.image_ops import resize
from ..errors import InputError, explain_error
from ..registry import Method, get
from ..targets import SCORES, to_numpy
from ..types import Array, Classifier, Maps
from .objective import as_score, on_device, resolved

WIDER = (1.0, 0.85, 0.7, 0.55, 0.4, 0.25)
"""Powers by which `keep` widens a map, one after the other."""


def augmented(
    method: str | Method,
    *,
    flip: bool = True,
    scales: Sequence[float] = (1.0,),
    score: str = "",
    power: float = 1.0,
    keep: float = 0.0,
) -> Method:
    """Return a method that averages the maps of flipped and rescaled copies, each mapped back to the image.

    values = v · |v|^(power − 1), v = mean over copies t of t⁻¹(map of t(x))

    What differs between a copy and its mirror image cancels. The method claims neither completeness nor a single pass.

    Args:
        method: a registered name, or a `Method`.
        flip: whether each copy is also mirrored horizontally, along the last axis of positions.
        scales: factors of the image's size; other than 1 they need a network that accepts any size.
        score: explain this score instead of the one requested, "" for that one; "log_probability" removes evidence that
            is common to all classes.
        power: below 1 widens a map and above 1 narrows it; the order of its positions stays.
        keep: for classes: widen each map, by the first of the powers `WIDER` that does it, until the image masked
            by it keeps this fraction of the class's probability, in [0, 1]; by the one that keeps most where none
            does. 0 to leave the map as it is. It takes 7 forward passes more.

    Returns:
        A `Method`, which `explain` accepts instead of a name.

    Raises:
        InputError: for no scale or one that is not positive, a power that is not, another score, a fraction outside of
            [0, 1], a fraction where the target is not a class, or the method's maps have color channels.
    """
    chosen = get(method)
    if not power > 0:
        raise InputError(explain_error("power must be positive.", power, "Try 0.8."))
    if not 0 <= keep <= 1:
        raise InputError(explain_error("keep must be a fraction in [0, 1].", keep, "Try 0.9."))
    if score and score not in SCORES:
        raise InputError(explain_error(f"score must be one of {', '.join(SCORES)}.", repr(score), "Leave it out."))
    if not scales or min(scales) <= 0:
        raise InputError(explain_error("scales must hold positive factors.", scales, "Try (1.0,) or (0.8, 1.0, 1.25)."))

    def run(model: Classifier, images: Array, objective: Any, **options: Any) -> Maps:
        objective = resolved(model, images, objective)
        objective = as_score(objective, score) if score else objective
        images = on_device(model, images)
        size = tuple(images.shape[1:-1])
        total: Any = None
        for scale in scales:
            for turned in (False, True) if flip else (False,):
                copy = resize(images, tuple(max(1, round(side * scale)) for side in size))
                copy = _mirrored(copy, len(size)) if turned else copy
                values = chosen(model, copy, objective, **options).values
                values = _mirrored(values, len(size)) if turned else values
                total = values if total is None else total + resize(values, tuple(total.shape[1 : 1 + len(size)]))
        copies = len(scales) * (2 if flip else 1)
        notes = {"copies": copies, **({"score": score} if score else {}), **({"power": power} if power != 1 else {})}
        values = _widened(total / copies, power)
        if not keep:
            return Maps(values, notes)
        widest, by = _widened_until(model, images, as_score(objective, "probability"), values, keep)
        return Maps(widest, {**notes, "keep": keep, "widened_by_power": by})

    function = wraps(chosen.function)(run)
    return replace(chosen, name=f"augmented {chosen.name}", function=function, complete=False, single=False)


def _widened(maps: Array, power: float) -> Array:
    xp = array_namespace(maps)
    return maps if power == 1.0 else xp.sign(maps) * xp.abs(maps) ** power


def _widened_until(
    model: Classifier, images: Array, objective: Any, maps: Array, keep: float
) -> tuple[Array, list[float]]:
    """Return maps widened until the images masked by them keep a fraction of the probability, and the powers.

    m ⊙ x + (1 − m) · gray with m the positive part of the enlarged map, min–max scaled.
    """
    if getattr(getattr(objective, "objectives", (objective,))[0], "score", "") != "probability":
        raise InputError(explain_error("keep needs a class.", "an objective without a probability", "Leave it out."))
    xp = array_namespace(images)
    if maps.ndim != images.ndim - 1:
        raise InputError(explain_error("keep needs maps without color channels.", "some with", "Try grad_cam or rise."))
    gray, size = baseline_pixels(images, "gray"), tuple(images.shape[1:-1])
    least = keep * to_numpy(objective.value(model.activations(images)))
    best, kept = np.ones(len(least)), np.full(len(least), -np.inf)
    for power in WIDER:
        wide = resize(_widened(maps, power), size)
        wide = xp.maximum(wide, xp.zeros_like(wide))
        low, high = (f(wide, axis=tuple(range(1, wide.ndim)), keepdims=True) for f in (xp.min, xp.max))
        span = high - low
        mask = (wide - low) / xp.where(span > 0, span, xp.ones_like(span))
        shown = mask[..., None] * images + (1.0 - mask[..., None]) * gray
        fraction = to_numpy(objective.value(model.activations(shown)))
        better = (kept < least) & (fraction > kept)
        best, kept = np.where(better, power, best), np.where(better, fraction, kept)
        if (kept >= least).all():
            break
    rows = [_widened(maps[i : i + 1], float(power)) for i, power in enumerate(best)]
    return xp.concat(rows, axis=0), best.tolist()


def _mirrored(maps: Array, axis: int) -> Array:
    return array_namespace(maps).flip(maps, axis=axis)
