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
    """Yield every batch of masks `(r, h, w)` with the scores `(r, n)` of all images under them.

    Args:
        model: the network.
        eraser: of the n images.
        masks: `(r, h, w)` each, in [0, 1].
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

    values_p = mean over the windows that cover p of y(x) − y(x with the window replaced)

    Options:
        window: side of the square in pixels; by default a seventh of the shorter side.
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
    h, w = images.shape[1:3]
    side = max(1, min(h, w) // 7) if window is None else window
    step = max(1, side // 2) if stride is None else stride
    if not (1 <= side <= min(h, w) and 1 <= step <= side):
        raise InputError(
            explain_error(
                f"Need 1 ≤ stride ≤ window ≤ {min(h, w)}, so that windows fit and every pixel is covered.",
                f"window {side}, stride {step}",
                "Leave both out for a seventh of the side and half of that.",
            )
        )
    rows, columns = _strips(h, side, step), _strips(w, side, step)
    pairs = np.indices((len(rows), len(columns))).reshape(2, -1)

    def masks() -> Iterator[Array]:
        for run in portions(model, images, pairs.shape[1]):
            r, c = pairs[:, run.start : run.stop]
            yield like(1.0 - rows[r][:, :, None] * columns[c][:, None, :], images)

    eraser = Eraser(images, baseline, network_zero(model, images.shape[-1]))
    scores = [score for _, score in scores_under(model, eraser, masks(), objective)]
    lost = y[None, :] - (scores[0] if len(scores) == 1 else xp.concat(scores, axis=0))
    grid = xp.reshape(xp.permute_dims(lost, (1, 0)), (images.shape[0], len(rows), len(columns)))
    covered = rows.sum(axis=0)[:, None] * columns.sum(axis=0)[None, :]
    return separable(grid, np.ascontiguousarray(rows.T), np.ascontiguousarray(columns.T)) / like(covered, images)


def _strips(size: int, side: int, step: int) -> npt.NDArray[np.float32]:
    """Return one row for each window position along an axis: 1 inside the window, `(positions, size)`."""
    starts = np.arange(-(-(size - side) // step) + 1) * step
    at = np.arange(size)[None, :]
    return ((at >= starts[:, None]) & (at < starts[:, None] + side)).astype(np.float32)
