"""Occlusion: parts of the image are removed, and the score is measured; no gradient is needed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from array_api_compat import array_namespace

from .._core.baselines import Eraser
from .._core.image_ops import separable
from ..adapters.wrappers import network_zero
from ..errors import InputError, explain_error
from ..registry import method
from ..targets import like
from ..types import Array, Classifier, Objective
from .objective import on_device, resolved_for
from .path_and_noise import portions


def scores_under(
    model: Classifier, eraser: Eraser, masks: Iterator[Array], objective: Any
) -> Iterator[tuple[Array, Array]]:
    """Yield every batch of masks `(r, *positions)` with the scores `(r, n)` of all images under them.

    Args:
        model: the network.
        eraser: of the n images.
        masks: `(r, *positions)` each, in [0, 1].
        objective: the score.
    """
    n = eraser.images.shape[0]
    for keep in masks:
        scores = objective.value(model.activations(eraser(keep)))
        yield keep, array_namespace(scores).reshape(scores, (keep.shape[0], n))


@method(
    family="perturbation",
    passes="windows + 1",
    paper="Zeiler, Fergus: Visualizing and Understanding Convolutional Networks, 2014",
)
def occlusion(
    model: Classifier,
    images: Array,
    objective: Objective,
    *,
    window: int | None = None,
    stride: int | None = None,
    baseline: str | float = "gray",
) -> Array:
    """Occlusion: how much the score falls when a square covers a pixel, averaged over the squares that cover it.

    In a volume or a video the square is a cube, in a signal it is an interval; along an axis that is shorter than its
    side it covers the whole axis.

    values_p = mean over the windows that cover p of y(x) − y(x with the window replaced)

    Options:
        window: side of the square in pixels; by default a seventh of the shorter side of an image, and of each side of
            a volume or signal separately.
        stride: step between squares in pixels; by default half a window. Squares are cropped at the far edges.

    Returns:
        `(n, h, w)`, signed, in units of the score: positive where the score falls.

    Raises:
        InputError: if the windows do not fit or do not cover the image.

    Reference:
        Zeiler, Fergus 2014, who draw the remaining score; ours is the difference.
    """
    logits = model.activations(images)
    objective = resolved_for(objective, logits)
    y = objective.value(logits)
    images = on_device(model, images)
    xp = array_namespace(images)
    strips = _windows(tuple(images.shape[1:-1]), window, stride)
    counts = [len(s) for s in strips]
    numbers = np.indices(counts).reshape(len(counts), -1)

    def masks() -> Iterator[Array]:
        for run in portions(model, images, numbers.shape[1]):
            chosen = numbers[:, run.start : run.stop]
            yield like(1.0 - _product([s[k] for s, k in zip(strips, chosen, strict=True)]), images)

    eraser = Eraser(images, baseline, network_zero(model, images.shape[-1]))
    scores = [score for _, score in scores_under(model, eraser, masks(), objective)]
    lost = y[None, :] - (scores[0] if len(scores) == 1 else xp.concat(scores, axis=0))
    grid = xp.reshape(xp.permute_dims(lost, (1, 0)), (images.shape[0], *counts))
    covered = _product([s.sum(axis=0)[None] for s in strips])[0]
    return separable(grid, *(np.ascontiguousarray(s.T) for s in strips)) / like(covered, images)


def _windows(sides: tuple[int, ...], window: int | None, stride: int | None) -> list[npt.NDArray[np.float32]]:
    """Return the windows along each axis, see `_strips`."""
    flat = len(sides) == 2
    own = [max(1, (min(sides) if flat else side) // 7) if window is None else window for side in sides]
    own = own if flat else [min(w, side) for w, side in zip(own, sides, strict=True)]
    steps = [max(1, w // 2) if stride is None else stride for w in own]
    steps = steps if flat else [min(step, w) for step, w in zip(steps, own, strict=True)]
    largest = min(sides) if flat else max(sides)
    side, step = max(own), max(steps)
    if not (min(own) >= 1 and side <= largest and min(steps) >= 1 and step <= side) or (window or 1) > largest:
        raise InputError(
            explain_error(
                f"Need 1 ≤ stride ≤ window ≤ {largest}, so that windows fit and every pixel is covered.",
                f"window {window or side}, stride {step}",
                "Leave both out for a seventh of the side and half of that.",
            )
        )
    return [_strips(*one) for one in zip(sides, own, steps, strict=True)]


def _product(lines: list[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    """Return the outer product of one row for each axis: from `(r, side)` each to `(r, *sides)`."""
    found = lines[0]
    for line in lines[1:]:
        found = found[..., None] * line.reshape(len(line), *(1,) * (found.ndim - 1), -1)
    return found


def _strips(size: int, side: int, step: int) -> npt.NDArray[np.float32]:
    """Return one row for each window position along an axis: 1 inside the window, `(positions, size)`."""
    starts = np.arange(-(-(size - side) // step) + 1) * step
    at = np.arange(size)[None, :]
    return ((at >= starts[:, None]) & (at < starts[:, None] + side)).astype(np.float32)
