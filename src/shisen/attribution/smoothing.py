"""Any method over noisy copies of the image: the mean, the mean square or the variance of its maps."""

from __future__ import annotations

from dataclasses import replace
from functools import wraps
from typing import Any, Literal

from array_api_compat import array_namespace

from ..errors import InputError, explain_error
from ..registry import Method, get
from ..targets import like
from ..types import Array, Classifier, Maps
from .objective import on_device, resolved
from .path_and_noise import Gradients, Noise, portions

STATISTICS = ("mean", "square", "variance")
WORDS = {"mean": "smoothed", "square": "mean square of", "variance": "variance of"}


def smoothed(
    method: str | Method,
    *,
    statistic: Literal["mean", "square", "variance"] = "mean",
    n_samples: int = 25,
    noise_std: float = 0.1,
    seed: int = 0,
) -> Method:
    """Return a method that gives a statistic of the maps of noisy copies of the image.

    values = mean_i m_i, mean_i m_i² or mean_i (m_i − mean m)², m_i = map of x + ε_i,
    ε ~ N(0, (noise_std · (max x − min x))²)

    Of the plain gradient these are SmoothGrad (Smilkov et al. 2017), SquareGrad (Hooker et al. 2019) and VarGrad
    (Adebayo et al. 2018), and the same as `smooth_grad`. The method claims neither completeness nor a single pass;
    squares and variances are ≥ 0, in squared units, and show sensitivity.

    Args:
        method: a registered name, or a `Method`.
        statistic: "mean", "square" or "variance" over the copies, without a correction for small samples.
        n_samples: number of noisy copies, ≥ 1.
        noise_std: standard deviation of the noise, as a fraction of each image's range, max x − min x.
        seed: random seed of the noise, which is drawn for one image and shared across the batch.

    Returns:
        A `Method`, which `explain` takes in place of a name.

    Raises:
        InputError: for another statistic, or fewer than one sample.
    """
    chosen = get(method)
    if statistic not in STATISTICS:
        words = ", ".join(STATISTICS)
        raise InputError(explain_error(f"statistic must be one of {words}.", repr(statistic), "Use 'mean'."))
    if n_samples < 1:
        raise InputError(explain_error("n_samples must be at least 1.", n_samples, "Try 25."))
    noise = Noise(n_samples, noise_std, seed)

    def run(model: Classifier, images: Array, objective: Any, **options: Any) -> Maps:
        objective = resolved(model, images, objective)
        images = on_device(model, images)
        xp = array_namespace(images)
        shape = tuple(images.shape)
        deviation = noise.deviation(images)
        sums = Gradients(statistic)
        for draws in noise.draws(shape[1:], portions(model, images, n_samples)):
            copies = images[None, ...] + deviation[None, ...] * like(draws, images)[:, None, ...]
            maps = chosen(model, xp.reshape(copies, (-1, *shape[1:])), objective, **options).values
            sums.add(array_namespace(maps).reshape(maps, (draws.shape[0], shape[0], *maps.shape[1:])))
        return Maps(sums.values(), {"n_samples": n_samples})

    name = f"{WORDS[statistic]} {chosen.name}"
    made = replace(chosen, name=name, function=wraps(chosen.function)(run), complete=False, single=False)
    passes = f"n_samples · ({chosen.passes})"
    if statistic == "mean":
        return replace(made, passes=passes)
    unit = chosen.unit.replace("{score}", "{score} squared", 1) if "{score}" in chosen.unit else f"({chosen.unit})²"
    return replace(made, passes=passes, unit=unit, signed=False, shows="sensitivity", linear=False)
