"""Masks placed where the score has turned out to depend on the image: a black box explained with few passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from array_api_compat import array_namespace

from .._core.baselines import Eraser
from ..adapters.wrappers import network_zero
from ..errors import InputError, explain_error
from ..registry import method
from ..targets import like, to_numpy
from ..types import Array, Classifier, Maps, Objective
from .objective import on_device, resolved_for
from .path_and_noise import portions
from .perturbation import scores_under

Values = npt.NDArray[np.float64]
EXPLORE = 0.5
"""Bonus of a cell as large as the whole image, as a fraction of the range of the scores found so far."""


@method(
    family="perturbation",
    passes="max_evals + 2",
    paper="after AISE, adaptive input sampling for explanation, in OpenVINO XAI, 2024",
)
def adaptive_masks(
    model: Classifier,
    images: Array,
    objective: Objective,
    *,
    max_evals: int = 300,
    widths: Sequence[float] = (0.1, 0.175, 0.25),
    baseline: str | float = "black",
) -> Maps:
    """Adaptive masks: Gaussian windows that are placed ever closer where keeping or removing them changes the score.

    values_p = Σ_i K_i(p) s_i / Σ_i K_i(p), K_i a Gaussian around mask i, s_i = ½ (y(K_i) − y(∅) + y(x) − y(1 − K_i)):
    what the window is worth alone and in its surroundings

    For every width the image is one cell; again and again the cell with the best center, larger ones preferred, is cut
    into three along each side, and the new centers are evaluated, until the budget is used up. No gradient is needed,
    and no random number.

    Options:
        max_evals: budget of forward passes, two a mask, divided among the widths.
        widths: standard deviations of the windows, as fractions of the shorter side.

    Returns:
        `(n, h, w)`, signed, in units of the score. The note `masks` is their number.

    Raises:
        InputError: for a budget below two passes a width, or widths that are not positive.

    Reference:
        AISE positions masks with the optimizer DIRECT, one at a time; ours cuts cells in the same spirit, in batches.
    """
    if not widths or min(widths) <= 0 or max_evals < 2 * len(widths) or max_evals % 2:
        need = f"max_evals must be even and at least {2 * max(1, len(widths))}, widths positive."
        raise InputError(explain_error(need, f"max_evals {max_evals}, widths {tuple(widths)}", "Leave them out."))
    logits = model.activations(images)
    objective = resolved_for(objective, logits)
    images = on_device(model, images)
    zero = network_zero(model, images.shape[-1])
    whole = to_numpy(objective.value(logits)).astype(np.float64)
    maps = []
    for i in range(images.shape[0]):
        one, own = images[i : i + 1, ...], objective.take(np.asarray([i]))
        eraser = Eraser(one, baseline, zero)
        maps.append(_explained(model, eraser, own, float(whole[i]), n_masks=max_evals // 2, widths=widths))
    return Maps(like(np.stack(maps).astype(np.float32), images), {"masks": max_evals // 2})


def _explained(
    model: Classifier, eraser: Eraser, objective: Any, whole: float, *, n_masks: int, widths: Sequence[float]
) -> Values:
    """Return the map of one image.

    Args:
        model: the network.
        eraser: of the image.
        objective: of the image.
        whole: score of the image.
        n_masks: number of masks.
        widths: those that the masks are divided among.
    """
    sides = tuple(int(side) for side in eraser.images.shape[1:-1])

    def scored(masks: Values) -> Values:
        """Return the scores `(masks,)` of the image under masks `(masks, *sides)`."""

        def batches() -> Iterator[Array]:
            for run in portions(model, eraser.images, len(masks)):
                yield like(masks[run.start : run.stop].astype(np.float32), eraser.images)

        found = [score[:, 0] for _, score in scores_under(model, eraser, batches(), objective)]
        return to_numpy(array_namespace(found[0]).concat(found, axis=0)).astype(np.float64)

    empty = float(scored(np.zeros((1, *sides)))[0])

    def worth(kernels: Values) -> Values:
        y = scored(np.concatenate([kernels, 1.0 - kernels]))
        alone, without = y[: len(kernels)], y[len(kernels) :]
        return np.asarray(0.5 * (alone - empty + whole - without))

    total, weight = np.zeros(sides), np.zeros(sides)
    for number, width in enumerate(widths):
        own = n_masks // len(widths) + (number < n_masks % len(widths))
        sigma = width * min(side for side in sides if side > 1)

        def worth_at(centers: Values, sigma: float = sigma) -> Values:
            return worth(_windows(centers, sigma, sides))

        centers, scores = place_masks(worth_at, own, len(sides))
        kernels = _windows(centers, sigma, sides)
        total += np.tensordot(scores, kernels, axes=1)
        weight += kernels.sum(axis=0)
    return np.asarray(total / np.maximum(weight, 1e-12))


def place_masks(worth: Callable[[Values], Values], count: int, dimensions: int) -> tuple[Values, Values]:
    """Return centers of masks, denser where they are worth more, and what each is worth.

    Args:
        worth: from centers `(k, dimensions)` in [0, 1] to what masks there are worth, `(k,)`.
        count: how many.
        dimensions: of the input: 2 for an image.

    Returns:
        `(count, dimensions)` and `(count,)`.
    """
    centers, sizes = np.full((1, dimensions), 0.5), np.ones(1)
    scores = worth(centers)
    around = np.indices((3,) * dimensions).reshape(dimensions, -1).T - 1.0
    around = around[np.abs(around).sum(axis=1) > 0]
    while len(scores) < count:
        bonus = EXPLORE * max(float(np.ptp(scores)), 1e-12)
        best = int(np.argmax(scores + bonus * sizes))
        sizes[best] /= 3.0
        new = (centers[best] + around * sizes[best])[: count - len(scores)]
        centers, sizes = np.concatenate([centers, new]), np.concatenate([sizes, np.full(len(new), sizes[best])])
        scores = np.concatenate([scores, worth(new)])
    return centers, scores


def _windows(centers: Values, sigma: float, sides: tuple[int, ...]) -> Values:
    """Return `(k, *sides)`: Gaussian windows with a maximum of 1 around centers in [0, 1]."""
    found = np.ones((len(centers), *(1,) * len(sides)))
    for axis, side in enumerate(sides):
        apart = (np.arange(side) + 0.5)[None, :] - centers[:, axis : axis + 1] * side
        shape = [len(centers)] + [side if other == axis else 1 for other in range(len(sides))]
        found = found * np.exp(-0.5 * (apart / sigma) ** 2).reshape(shape)
    return found
