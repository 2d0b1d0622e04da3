"""Integrated gradients along other paths: from a blurred image, and where the gradient is small first."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from array_api_compat import array_namespace

from .._core.baselines import baseline_pixels
from .._core.image_ops import blur, separable
from ..adapters.wrappers import network_zero
from ..errors import InputError, explain_error
from ..registry import method
from ..targets import like, to_numpy
from ..types import Array, Classifier, Maps, Objective
from .objective import on_device, resolved, resolved_for
from .path_and_noise import portions

Pixels64 = npt.NDArray[np.float64]
WIDEST = 50 / 299
"""Standard deviation of the strongest blur, as a fraction of the longer side: the authors' 50 pixels of 299."""


@method(
    family="gradient",
    unit="{score}",
    shows="evidence",
    passes="n_steps + 2",
    complete=True,
    single=False,
    paper="Xu, Venugopalan, Sundararajan: Attribution in Scale and Space, 2020",
)
def blur_ig(
    model: Classifier,
    images: Array,
    objective: Objective,
    *,
    n_steps: int = 50,
    max_sigma: float | None = None,
    border: Literal["inside", "zero"] = "inside",
) -> Maps:
    """Blur IG: gradients on the path from a blurred image to the sharp one; no color stands for absence.

    values = Σ_i (L(σ_i) − L(σ_{i+1})) · ∂y/∂x (L(σ_{i+½})), L(σ) the image blurred with σ,
    σ_i = max_sigma · i / n_steps

    Options:
        n_steps: number of steps on the path.
        max_sigma: standard deviation of the strongest blur in pixels; by default 50 for a longer side of 299, in
            proportion.
        border: "inside": the blur averages what lies inside of the image, and ends near its mean color; "zero": outside
            is black, as in the authors' code, where the blurred image darkens toward its border.

    Returns:
        `(n, h, w, c)`, signed, in units of the score; the sum is y(x) − y(L(max_sigma)). Notes, one entry an image:
        `difference` is that, `gap` what the sum misses of it, for too few steps.

    Raises:
        InputError: for fewer than one step, or a blur that is not positive.

    Reference:
        Xu, Venugopalan, Sundararajan 2020. Their code takes the gradient at the beginning of a step; ours in its
        middle, with the exact change of the image, which leaves a smaller gap.
    """
    widest = WIDEST * max(images.shape[1:-1]) if max_sigma is None else float(max_sigma)
    if not widest > 0:
        raise InputError(explain_error("max_sigma must be positive.", max_sigma, "Leave it out."))
    logits = model.activations(images)
    objective = resolved_for(objective, logits)
    images = on_device(model, images)
    xp = array_namespace(images)
    total: Any = 0.0
    for run in portions(model, images, n_steps, name="n_steps"):
        ends = [_blurred(images, widest * i / n_steps, border) for i in range(run.start, run.stop + 1)]
        change = xp.stack([one - other for one, other in pairwise(ends)])
        points = xp.concat([_blurred(images, widest * (i + 0.5) / n_steps, border) for i in run], axis=0)
        gradients = model.gradients(points, objective)[1]
        total = total + xp.sum(change * xp.reshape(gradients, change.shape), axis=0)
    base = _blurred(images, widest, border)
    difference = objective.value(logits) - objective.value(model.activations(base))
    return Maps(total, {"difference": difference, "gap": difference - xp.sum(total, axis=tuple(range(1, total.ndim)))})


def _blurred(images: Array, sigma: float, border: str) -> Array:
    if sigma <= 0:
        return images
    if border == "inside":
        return blur(images, sigma, rank=images.ndim - 2)
    return separable(images, *(_darkening(int(size), sigma) for size in images.shape[1:-1]))


def _darkening(size: int, sigma: float) -> npt.NDArray[np.float32]:
    """Return the matrix of a Gaussian blur, cut off at four standard deviations, of an axis with zeros outside."""
    radius = int(4.0 * sigma + 0.5)
    offsets = np.arange(-radius, radius + 1)
    whole = np.exp(-0.5 * (offsets / sigma) ** 2).sum()
    apart = np.arange(size)[:, None] - np.arange(size)[None, :]
    return np.asarray(np.exp(-0.5 * (apart / sigma) ** 2) * (np.abs(apart) <= radius) / whole, dtype=np.float32)


@method(
    family="gradient",
    unit="{score}",
    shows="evidence",
    passes="n_steps",
    single=False,
    paper="Kapishnikov, Venugopalan, Avci, Wedin, Terry, Bolukbasi: Guided Integrated Gradients, 2021",
)
def guided_ig(
    model: Classifier,
    images: Array,
    objective: Objective,
    *,
    n_steps: int = 200,
    fraction: float = 0.25,
    max_distance: float = 0.02,
    baseline: str | float = "black",
) -> Array:
    """Guided IG: integrated gradients on a path that changes pixel values with small gradients first.

    values = Σ_s (x_{s+1} − x_s) · ∂y/∂x (x_s); in every step the values with the smallest |∂y/∂x| move until the
    ℓ₁ distance to the image has fallen by 1 / n_steps of the whole

    So the path keeps away from regions where the gradient is large for reasons other than the image.

    Options:
        n_steps: number of steps on the path.
        fraction: of the pixel values, the most that are moved at a time, before the next smallest are.
        max_distance: how far a value may be from the straight path, as a fraction of the path.

    Returns:
        `(n, h, w, c)`, signed, in units of the score. The sum is near y(x) − y(b), but in networks of ReLUs not equal
        to it with any number of steps: values are moved where their gradient is small, which is on one side of a kink.

    Raises:
        InputError: for fewer than one step, or fractions outside of (0, 1].

    Reference:
        Kapishnikov et al. 2021, the anchored variant of their code: one anchor at every step.
    """
    if n_steps < 1 or not (0 < fraction <= 1 and 0 < max_distance <= 1):
        received = f"n_steps {n_steps}, fraction {fraction}, max_distance {max_distance}"
        need = "n_steps must be at least 1, fraction and max_distance in (0, 1]."
        raise InputError(explain_error(need, received, "Leave them out."))
    objective = resolved(model, images, objective)
    images = on_device(model, images)
    base = baseline_pixels(images, baseline, network_zero(model, images.shape[-1]))
    ends, starts = (to_numpy(x).astype(np.float64) for x in (images, base))
    x, values = starts.copy(), np.zeros_like(starts)
    for step in range(1, n_steps + 1):
        g = to_numpy(model.gradients(like(x.astype(np.float32), images), objective)[1]).astype(np.float64)
        for i in range(len(x)):
            moved = _guided_step(
                x[i],
                np.abs(g[i]),
                step / n_steps,
                base=starts[i],
                image=ends[i],
                fraction=fraction,
                distance=max_distance,
            )
            values[i] += (moved - x[i]) * g[i]
            x[i] = moved
    return like(values, images)


def _guided_step(
    x: Pixels64, g: Pixels64, at: float, *, base: Pixels64, image: Pixels64, fraction: float, distance: float
) -> Pixels64:
    """Return the point of one image's path whose ℓ₁ distance to the image is 1 − `at` of the whole.

    Args:
        x: `(h, w, c)`, the point before.
        g: magnitude of the gradient at the point.
        at: fraction of the path that is done then.
        base: `(h, w, c)`, the baseline.
        image: `(h, w, c)`.
        fraction: of the values, the most that are moved at a time.
        distance: from the straight path, at most.
    """
    way = image - base
    first, last = (base + min(max(at + d, 0.0), 1.0) * way for d in (-distance, distance))
    x = np.where((x - first) * np.sign(way) < 0, first, x)
    excess = float(np.abs(image - x).sum()) - float(np.abs(way).sum()) * (1.0 - at)
    tiny = 1e-9 * max(float(np.abs(way).sum()), 1e-300)
    while excess > tiny:
        free = np.abs(last - x) > 1e-12
        if not free.any():
            break
        key = np.where(free, g, np.inf)
        chosen = free & (key <= np.quantile(key, fraction, method="lower"))
        room = float(np.abs(last - x)[chosen].sum())
        part = min(1.0, excess / room)
        x = np.where(chosen, x + part * (last - x) if part < 1.0 else last, x)
        excess -= part * room
    return x
