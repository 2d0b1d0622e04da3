"""Gradients averaged over random points between the image and a distribution of baselines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from .._core.baselines import baseline_pixels
from ..adapters.wrappers import network_zero
from ..errors import InputError, explain_error
from ..registry import method
from ..targets import like, to_numpy
from ..types import Array, Classifier, Objective
from .objective import on_device, resolved
from .path_and_noise import Noise, portions

Baselines = Sequence[str | float] | str | float | Array
"""Names or pixel values of the registry of baselines, or images `(k, h, w, c)`."""


@method(
    family="gradient",
    unit="{score}",
    shows="evidence",
    passes="n_samples",
    single=False,
    paper="Erion, Janizek, Sturmfels, Lundberg, Lee: Improving Performance of Deep Learning Models with Axiomatic "
    "Attribution Priors and Expected Gradients, 2021",
)
def expected_gradients(
    model: Classifier,
    images: Array,
    objective: Objective,
    *,
    baselines: Baselines = ("black", "mean", "blur"),
    n_samples: int = 100,
    seed: int = 0,
) -> Array:
    """Expected gradients: integrated gradients averaged over many baselines, by random points on the paths.

    values = mean_i (x − b_i) · ∂y/∂x (b_i + a_i (x − b_i)), a_i uniform in [0, 1], b_i from the baselines

    In the mean the values sum to y(x) − mean y(b). Every baseline is drawn equally often, and a_i is drawn once from
    each of n_samples equal parts of [0, 1], which has the same mean as independent draws and less variance.

    Options:
        baselines: images `(k, h, w, c)` of the network's input size, such as photos of other classes, as in the
            article; or names and pixel values as for other methods: "black", "gray", "mean", "network_zero", "blur".
        n_samples: number of points.
        seed: random seed of the points, which are drawn for one image and shared across the batch.

    Returns:
        `(n, h, w, c)`, signed, in units of the score.

    Raises:
        InputError: for no baseline, or images of another size.

    Reference:
        Erion et al. 2021, who draw baselines from the training data. Without data, ours come from the registry.
    """
    return _expected(model, images, objective, baselines, Noise(n_samples, 0.0, seed))


@method(
    family="gradient",
    unit="{score}",
    shows="evidence",
    passes="n_samples",
    single=False,
    paper="Lundberg, Lee: A Unified Approach to Interpreting Model Predictions, 2017; as in the code of SHAP",
)
def gradient_shap(
    model: Classifier,
    images: Array,
    objective: Objective,
    *,
    baselines: Baselines = ("black", "mean", "blur"),
    n_samples: int = 100,
    noise_std: float = 0.1,
    seed: int = 0,
) -> Array:
    """Gradient SHAP: expected gradients of noisy copies of the image.

    values = mean_i (x_i − b_i) · ∂y/∂x (b_i + a_i (x_i − b_i)), x_i = x + ε_i, ε ~ N(0, (noise_std · (max x − min x))²)

    An approximation of Shapley values of pixel values that holds if they act independently and the network is linear
    between image and baseline.

    Options:
        baselines: as in expected_gradients.
        n_samples: number of noisy copies, each with one baseline and one point.
        noise_std: standard deviation of the noise, as a fraction of each image's range, max x − min x.
        seed: random seed of noise and points, which are drawn for one image and shared across the batch.

    Returns:
        `(n, h, w, c)`, signed, in units of the score.

    Raises:
        InputError: for no baseline, or images of another size.

    Reference:
        The method is in the code of SHAP and in Captum; the article has no formula of it. There a_i and b_i are drawn
        independently; here as in expected_gradients.
    """
    return _expected(model, images, objective, baselines, Noise(n_samples, noise_std, seed))


def _expected(model: Classifier, images: Array, objective: Any, baselines: Baselines, noise: Noise) -> Array:
    """Return the mean over points between noisy copies and baselines of the gradient there times the way."""
    objective = resolved(model, images, objective)
    images = on_device(model, images)
    xp = array_namespace(images)
    bases = _distribution(model, images, baselines)
    rng = np.random.default_rng([noise.seed, 1])
    count = max(noise.n_samples, 0)
    which = rng.permutation(np.arange(count) % len(bases))
    at = ((rng.permutation(count) + rng.random(count)) / max(count, 1)).astype(np.float32)
    deviation = noise.deviation(images)
    total: Any = 0.0
    runs = list(portions(model, images, noise.n_samples))
    for run, draws in zip(runs, noise.draws(tuple(images.shape[1:]), iter(runs)), strict=True):
        copies = images[None, ...]
        if noise.noise_std:
            copies = copies + deviation[None, ...] * like(draws, images)[:, None, ...]
        base = xp.stack([bases[which[i]] + xp.zeros_like(images) for i in run])
        path = copies - base
        fraction = xp.reshape(like(at[run.start : run.stop], images), (-1, *(1,) * images.ndim))
        points = base + fraction * path
        gradients = model.gradients(xp.reshape(points, (-1, *images.shape[1:])), objective)[1]
        total = total + xp.sum(path * xp.reshape(gradients, path.shape), axis=0)
    return total / noise.n_samples


def _distribution(model: Classifier, images: Array, baselines: Baselines) -> list[Array]:
    """Return the baselines, each `(1, h, w, c)` for all images or `(n, h, w, c)`, one an image."""
    if hasattr(baselines, "shape"):
        size = tuple(images.shape[1:])
        if len(baselines.shape) != images.ndim or tuple(baselines.shape[1:]) != size or not baselines.shape[0]:
            raise InputError(
                explain_error(
                    f"Baselines as images must have the shape (k, {', '.join(map(str, size))}), pixels in [0, 1].",
                    tuple(baselines.shape),
                    "Prepare them like the image that is explained.",
                )
            )
        given = like(to_numpy(baselines), images)
        return [given[i : i + 1, ...] for i in range(given.shape[0])]
    names = [baselines] if isinstance(baselines, (str, float, int)) else list(baselines)
    if not names:
        raise InputError(explain_error("There must be at least one baseline.", baselines, "Try ('black', 'blur')."))
    zero = network_zero(model, images.shape[-1])
    return [baseline_pixels(images, name, zero) for name in names]
