"""Gradients averaged over copies of the picture: noisy ones, or ones on the way from a baseline."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt
from array_api_compat import array_namespace

from ..errors import InputError, explain_error
from ..registry import method
from ..targets import like
from ..types import Array, Classifier, Maps, Seed
from .fills import filling
from .objective import on_device, settled, settled_on

LEVELS = 2**16
STATISTICS = ("mean", "square", "variance")


def portions(model: Classifier, images: Array, count: int) -> Iterator[range]:
    """Yield the numbers 0 … count − 1 in runs of so many that the copies of the batch fit the model's chunk."""
    if count < 1:
        raise InputError(explain_error("n must be at least 1.", count, "More draws give calmer maps."))
    step = max(1, model.chunk // int(images.shape[0]))
    for start in range(0, count, step):
        yield range(start, min(start + step, count))


@lru_cache(maxsize=1)
def quantiles() -> npt.NDArray[np.float32]:
    """Return `LEVELS` equally likely values of the standard normal distribution, in order, ±4.3 at the ends.

    A draw from them takes a quarter of the time of an exact one, which a cheap network would notice.
    """
    upper = [NormalDist().inv_cdf((k + 0.5) / LEVELS) for k in range(LEVELS // 2, LEVELS)]
    values = np.asarray(upper, np.float32)
    return np.concatenate([-values[::-1], values])


@dataclass(frozen=True)
class Noise:
    """What is added to a picture: Gaussian noise, one draw for all pictures of a batch.

    Attributes:
        n: number of draws.
        spread: deviation as a share of each picture's own range, max − min.
        random_state: seed of the generator.
        pairs: whether every second draw is the one before it with the sign turned, which takes the odd part
            of the noise out of the mean.
    """

    n: int = 50
    spread: float = 0.1
    random_state: int = 0
    pairs: bool = False

    def draws(self, shape: tuple[int, ...], runs: Iterator[range]) -> Iterator[npt.NDArray[np.float32]]:
        """Yield normal draws `(r, *shape)` run by run; they do not depend on how the runs are cut."""
        rng = np.random.default_rng(self.random_state)
        last = np.zeros(shape, np.float32)
        for run in runs:
            draws = np.empty((len(run), *shape), np.float32)
            for number, draw in zip(run, draws, strict=True):
                if self.pairs and number % 2:
                    np.negative(last, out=draw)
                else:
                    np.take(quantiles(), rng.integers(0, LEVELS, shape, np.uint16), out=draw, mode="clip")
                last = draw
            yield draws

    def gradients(self, model: Classifier, images: Array, seed: Any, wrt: str = "input") -> Iterator[Array]:
        """Yield the gradients at `wrt` of noisy copies, `(r, n, ...)` run by run."""
        xp = array_namespace(images)
        low = xp.min(images, axis=(1, 2, 3), keepdims=True)
        deviation = self.spread * (xp.max(images, axis=(1, 2, 3), keepdims=True) - low)
        shape = tuple(images.shape)
        for draws in self.draws(shape[1:], portions(model, images, self.n)):
            copies = deviation[None, ...] * like(draws, images)[:, None, ...]
            copies += images[None, ...]
            slopes = model.gradients(xp.reshape(copies, (-1, *shape[1:])), seed, wrt=wrt)[1]
            yield xp.reshape(slopes, (draws.shape[0], shape[0], *slopes.shape[1:]))


@method(
    family="gradient",
    unit="{score} per unit of pixel value",
    shows="sensitivity",
    passes="n",
    linear=True,
    paper="Smilkov et al.: SmoothGrad, 2017",
)
def smooth_grad(
    model: Classifier,
    images: Array,
    seed: Seed,
    *,
    n: int = 50,
    spread: float = 0.1,
    statistic: str = "mean",
    random_state: int = 0,
    antithetic: bool = False,
) -> Array:
    """Gradient averaged over noisy copies of the picture.

    values = mean_i ∂y/∂x (x + ε_i), ε ~ N(0, (spread · (max x − min x))²)

    Args:
        model: the network.
        images: `(n, h, w, c)`, pixels in [0, 1].
        seed: the objective; "the top class" is the one of the unaltered picture.
        n: number of noisy copies.
        spread: deviation of the noise, as a share of each picture's range.
        statistic: "mean"; "square", the mean of squared gradients (Hooker et al. 2019); "variance" over the
            copies (VarGrad, Adebayo et al. 2018). The last two are ≥ 0, in squared units.
        random_state: seed of the noise, which is drawn for one picture and shared across the batch.
        antithetic: draw noise in pairs of opposite sign.

    Returns:
        `(n, h, w, c)`, in units of the score per unit of pixel value, signed for "mean".

    Reference:
        Smilkov, Thorat, Kim, Viégas, Wattenberg 2017. Copies may leave [0, 1], as in the paper's code.
    """
    if statistic not in STATISTICS:
        raise InputError(
            explain_error(f"statistic must be one of {', '.join(STATISTICS)}.", repr(statistic), "Use 'mean'.")
        )
    seed = settled(model, images, seed)
    images = on_device(model, images)
    xp = array_namespace(images)
    noise = Noise(n, spread, random_state, antithetic)
    total: Any = 0.0
    squares: Any = 0.0
    centre: Any = None  # squares are taken around the first gradient, so that their difference keeps its digits
    for slopes in noise.gradients(model, images, seed):
        if statistic == "variance":
            centre = slopes[0, ...] if centre is None else centre
            slopes = slopes - centre[None, ...]
        total = total + xp.sum(slopes, axis=0)
        if statistic != "mean":
            squares = squares + xp.sum(slopes * slopes, axis=0)
    if statistic == "mean":
        return total / n
    return squares / n if statistic == "square" else xp.maximum(squares / n - (total / n) ** 2, xp.zeros_like(total))


@method(
    family="gradient",
    unit="{score}",
    passes="n + 2",
    complete=True,
    linear=True,
    paper="Sundararajan, Taly, Yan: Axiomatic Attribution for Deep Networks, 2017",
)
def integrated_gradients(
    model: Classifier, images: Array, seed: Seed, *, n: int = 50, baseline: str | float = 0.0
) -> Maps:
    """Gradient averaged on the straight way from a baseline, times the way: shares of a difference of scores.

    values = (x − b) · mean_i ∂y/∂x (b + a_i (x − b)), a_i = (i + ½) / n

    Args:
        model: the network.
        images: `(n, h, w, c)`, pixels in [0, 1].
        seed: the objective; "the top class" is the one of the unaltered picture.
        n: number of points on the way; the midpoint rule's error falls with n².
        baseline: what stands for absence: a level in pixel values, "zero", "grey", "mean" or "blur".

    Returns:
        `(n, h, w, c)`, signed, in units of the score; the sum is y(x) − y(b). Notes, one entry a picture:
        `difference` is y(x) − y(b), `gap` what the sum misses of it, for too few points.

    Reference:
        Sundararajan, Taly, Yan 2017.
    """
    logits = model.activations(images)
    seed = settled_on(seed, logits)
    images = on_device(model, images)
    xp = array_namespace(images)
    base = filling(images, baseline)
    way = images - base
    total: Any = 0.0
    for run in portions(model, images, n):
        share = like((np.asarray(run, dtype=np.float32) + 0.5) / n, images)[:, None, None, None, None]
        points = xp.reshape(base[None, ...] + share * way[None, ...], (-1, *images.shape[1:]))
        slopes = model.gradients(points, seed)[1]
        total = total + xp.sum(xp.reshape(slopes, (len(run), *images.shape)), axis=0)
    values = way * total / n
    difference = seed.value(logits) - seed.value(model.activations(base))
    return Maps(values, {"difference": difference, "gap": difference - xp.sum(values, axis=(1, 2, 3))})
