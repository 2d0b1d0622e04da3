"""Deletion and insertion: how fast the answer goes, or comes, when pixels do so in the order of the map."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError, explain_error
from .cache import digest
from .metrics import metric
from .requests import Outcome, Requests, ScoreRequest
from .sample import Sample, first

RISE = "Petsiuk, Das, Saenko: RISE, 2018"


def area(curve: npt.NDArray[Any]) -> float:
    """Return the area under values at equal distances on [0, 1], by the trapezium rule."""
    y = np.asarray(curve, dtype=np.float64)
    return float((y[1:] + y[:-1]).sum() / (2 * (len(y) - 1)))


def _counts(pixels: int, n_steps: int) -> npt.NDArray[np.int64]:
    if n_steps < 1:
        raise InputError(explain_error("A curve needs at least one step.", n_steps, "Try 16."))
    return np.asarray(np.floor(np.arange(1, n_steps) * pixels / n_steps + 0.5), dtype=np.int64)


def _curve(sample: Sample, baseline: str | float, n_steps: int, removing: bool) -> Requests:
    empty = sample.without(np.ones((1, *sample.size), dtype=bool), baseline)
    last = sample.probabilities((yield ScoreRequest(empty, f"baseline {baseline}", shared=True)))
    counts = _counts(sample.heat.size, n_steps)
    middle = np.zeros(0)
    if len(counts):
        most = first(sample.ranks, counts, sample.size)
        removed = most if removing else ~most
        name = f"curve {baseline} {n_steps} {'deletion' if removing else 'insertion'}"
        images = sample.without(removed, baseline)
        # the same pixels of the same image kept: the same image, whichever map or method requests it
        rows = tuple(f"{baseline} {digest(np.packbits(~one))}" for one in removed)
        middle = sample.probabilities((yield ScoreRequest(images, name, rows=rows)))
    ends = ([sample.probability], last) if removing else (last, [sample.probability])
    curve = np.concatenate([ends[0], middle, ends[1]])
    return Outcome(area(curve), tuple(float(v) for v in curve))


@metric(family="faithfulness", unit="probability", higher_is_better=False, paper=RISE, monotone=True)
def deletion(sample: Sample, *, baseline: str | float = "network_zero", n_steps: int = 16) -> Requests:
    """Area under the probability while the most important pixels are removed first.

    value = (1/n) Σ_k (p_k + p_{k+1}) / 2, n = n_steps, p_k the probability of the class when the ⌊k·hw/n + ½⌋ pixels
    with the highest values are replaced by the baseline, k = 0 … n

    Protocol: the map is enlarged bilinearly to the network's input; equal values are removed in a random order
    drawn once for the image, so a constant map scores like a random one.

    Options:
        baseline: what a removed pixel becomes, as in attribution methods. RISE and we: what the network sees as zero.
        n_steps: number of equal portions; RISE removes 224 pixels at a time.

    Returns:
        a probability in [0, 1], and the curve of n_steps + 1 values.

    Reference:
        Petsiuk, Das, Saenko 2018.
    """
    return (yield from _curve(sample, baseline, n_steps, True))


@metric(family="faithfulness", unit="probability", higher_is_better=True, paper=RISE, monotone=True)
def insertion(sample: Sample, *, baseline: str | float = "blur", n_steps: int = 16) -> Requests:
    """Area under the probability while the most important pixels are brought back first.

    value = (1/n) Σ_k (p_k + p_{k+1}) / 2, n = n_steps, p_k the probability of the class when only the ⌊k·hw/n + ½⌋
    pixels with the highest values are shown and the others are the baseline, k = 0 … n

    Protocol: as `deletion`.

    Options:
        baseline: what a pixel that is not shown becomes, as in `deletion`. RISE and we: the blurred image.

    Returns:
        a probability in [0, 1], and the curve of n_steps + 1 values.

    Reference:
        Petsiuk, Das, Saenko 2018.
    """
    return (yield from _curve(sample, baseline, n_steps, False))


@metric(family="faithfulness", unit="probability", higher_is_better=True, paper=RISE, monotone=True)
def insertion_deletion(sample: Sample, *, baseline: str | float | None = None, n_steps: int = 16) -> Requests:
    """Insertion into the blurred image minus deletion to zero: one value for the order of the map.

    value = insertion − deletion

    Options:
        baseline: of both; None for that of each metric: the blurred image, and what the network sees as zero.

    Returns:
        a difference of probabilities in [−1, 1]; near 0 for a random map.

    Reference:
        Petsiuk, Das, Saenko 2018, for the two terms.
    """
    # requested under the same keys as by the two metrics, so that all three cost as much as two
    gained = yield from _curve(sample, "blur" if baseline is None else baseline, n_steps, False)
    lost = yield from _curve(sample, "network_zero" if baseline is None else baseline, n_steps, True)
    parts = {"insertion": gained.value, "deletion": lost.value}
    return Outcome(gained.value - lost.value, parts=parts)
