"""Any method, averaged over flipped and scaled copies of the picture, by another score, or with another extent."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from array_api_compat import array_namespace

from ..errors import InputError, explain_error
from ..registry import Method, get
from ..targets import SCORES
from ..types import Array, Classifier, Maps
from .objective import as_score, on_device, settled
from .resample import resize


def augmented(
    method: str | Method,
    *,
    flip: bool = True,
    scales: Sequence[float] = (1.0,),
    score: str = "",
    power: float = 1.0,
) -> Method:
    """Return a method that averages the maps of flipped and scaled copies, each laid back on the picture.

    values = v · |v|^(power − 1), v = mean over copies t of t⁻¹(map of t(x))

    A map averages what the network says whatever side the object looks to and however large it is; noise that
    does not survive a flip cancels. It claims neither completeness nor a single pass.

    Args:
        method: a registered name, or a `Method`.
        flip: whether each copy is also taken from left to right.
        scales: factors of the picture's size; other than 1 they need a network that takes any size.
        score: explain a class by this score instead of the one asked for: "log_probability" leaves out what speaks
            for every class alike, and shows what speaks for this one rather than the others. "" for the one asked for.
        power: below 1 widens a map and above 1 narrows it; the order of its places stays.

    Returns:
        A `Method`, which `explain` takes in place of a name.

    Raises:
        InputError: for no scale or one that is not positive, a power that is not, or another score.
    """
    chosen = get(method)
    if not power > 0:
        raise InputError(explain_error("power must be positive.", power, "Try 0.8."))
    if score and score not in SCORES:
        raise InputError(explain_error(f"score must be one of {', '.join(SCORES)}.", repr(score), "Leave it out."))
    if not scales or min(scales) <= 0:
        raise InputError(explain_error("scales must hold positive factors.", scales, "Try (1.0,) or (0.8, 1.0, 1.25)."))

    def run(model: Classifier, images: Array, seed: Any, **options: Any) -> Maps:
        seed = settled(model, images, seed)
        seed = as_score(seed, score) if score else seed
        images = on_device(model, images)
        size = tuple(images.shape[1:3])
        total: Any = None
        for scale in scales:
            for turned in (False, True) if flip else (False,):
                copy = resize(images, (max(1, round(size[0] * scale)), max(1, round(size[1] * scale))))
                copy = _mirrored(copy) if turned else copy
                values = chosen(model, copy, seed, **options).values
                values = _mirrored(values) if turned else values
                total = values if total is None else total + resize(values, tuple(total.shape[1:3]))
        copies = len(scales) * (2 if flip else 1)
        notes = {"copies": copies, **({"score": score} if score else {}), **({"power": power} if power != 1 else {})}
        return Maps(_widened(total / copies, power), notes)

    return replace(chosen, name=f"augmented {chosen.name}", function=_like(run, chosen), complete=False, single=False)


def _like(run: Any, chosen: Method) -> Any:
    run.__doc__ = chosen.function.__doc__
    run.__signature__ = inspect.signature(chosen.function)
    return run


def _widened(maps: Array, power: float) -> Array:
    xp = array_namespace(maps)
    return maps if power == 1.0 else xp.sign(maps) * xp.abs(maps) ** power


def _mirrored(maps: Array) -> Array:
    return array_namespace(maps).flip(maps, axis=2)
