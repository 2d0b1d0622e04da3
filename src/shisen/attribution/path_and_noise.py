"""Gradients averaged over copies of the image: noisy ones, or ones on the path from a baseline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from array_api_compat import array_namespace

from .._core.baselines import baseline_pixels
from ..adapters.wrappers import network_zero
from ..errors import InputError, explain_error
from ..registry import method
from ..targets import like, to_numpy
from ..types import Array, Classifier, Maps, Objective
from .convergence import HALF, agreement, check_due, checked_stop, half_of
from .objective import on_device, resolved, resolved_for

LEVELS = 2**16
MOST = 16  # times n_steps points at most, where the gap is large


def portions(
    model: Classifier, images: Array, count: int, *, name: str = "n_samples", pairs: bool = False, within: int = 0
) -> Iterator[range]:
    """Yield the numbers 0 … count − 1 in runs of so many that the copies of the batch fit the model's batch size.

    Args:
        model: the network.
        images: the batch, `(n, h, w, c)`.
        count: how many numbers.
        name: of the option that sets the count, for the message.
        pairs: never separate 2i and 2i + 1, even if two do not fit.
        within: no run crosses a multiple of this; 0 for no such bound.

    Raises:
        InputError: for a count below 1.
    """
    if count < 1:
        raise InputError(explain_error(f"{name} must be at least 1.", count, "More samples give less noisy maps."))
    step = max(1, model.batch_size // int(images.shape[0]))
    if pairs:
        step = max(2, step - step % 2)
    start = 0
    while start < count:
        stop = min(start + step, count)
        if within:
            stop = min(stop, (start // within + 1) * within)
        yield range(start, stop)
        start = stop


@lru_cache(maxsize=1)
def quantiles() -> npt.NDArray[np.float32]:
    """Return `LEVELS` equally likely values of the standard normal distribution, in order, ±4.3 at the ends.

    A draw from them takes a quarter of the time of an exact one, which matters for a small network.
    """
    upper = [NormalDist().inv_cdf((k + 0.5) / LEVELS) for k in range(LEVELS // 2, LEVELS)]
    values = np.asarray(upper, np.float32)
    return np.concatenate([-values[::-1], values])


@dataclass(frozen=True)
class Noise:
    """What is added to an image: Gaussian noise, one draw for all images of a batch.

    Attributes:
        n_samples: number of draws.
        noise_std: standard deviation as a fraction of each image's own range, max − min.
        seed: of the generator.
        pairs: whether every second draw is the negated one before it, which cancels the odd part of the noise in the
            mean.
    """

    n_samples: int = 50
    noise_std: float = 0.1
    seed: int = 0
    pairs: bool = False

    def deviation(self, images: Array) -> Array:
        """Return the standard deviation for each image, `(n, 1, …)`."""
        xp, every = array_namespace(images), tuple(range(1, images.ndim))
        low = xp.min(images, axis=every, keepdims=True)
        return self.noise_std * (xp.max(images, axis=every, keepdims=True) - low)

    def draws(self, shape: tuple[int, ...], runs: Iterator[range]) -> Iterator[npt.NDArray[np.float32]]:
        """Yield normal draws `(r, *shape)` run by run; they do not depend on how the runs are cut.

        Args:
            shape: `(*positions, c)` of one image.
            runs: ranges of sample numbers.
        """
        rng = np.random.default_rng(self.seed)
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

    def gradients(
        self, model: Classifier, images: Array, objective: Any, wrt: str = "input", runs: Iterable[range] | None = None
    ) -> Iterator[Array]:
        """Yield the gradients at `wrt` of noisy copies, `(r, n, ...)` run by run, in runs that fit or those given."""
        xp = array_namespace(images)
        deviation = self.deviation(images)
        shape = tuple(images.shape)
        runs = portions(model, images, self.n_samples) if runs is None else runs
        for draws in self.draws(shape[1:], iter(runs)):
            copies = deviation[None, ...] * like(draws, images)[:, None, ...]
            copies += images[None, ...]
            gradients = model.gradients(xp.reshape(copies, (-1, *shape[1:])), objective, wrt=wrt)[1]
            yield xp.reshape(gradients, (draws.shape[0], shape[0], *gradients.shape[1:]))


@method(
    family="gradient",
    passes="n_samples",
    single=False,
    paper="Smilkov et al.: SmoothGrad, 2017",
)
def smooth_grad(
    model: Classifier,
    images: Array,
    objective: Objective,
    *,
    n_samples: int = 50,
    noise_std: float = 0.1,
    statistic: Literal["mean", "square", "variance"] = "mean",
    seed: int = 0,
    antithetic: bool = False,
    stop: float | None = None,
) -> Maps:
    """Gradient averaged over noisy copies of the image.

    values = mean_i ∂y/∂x (x + ε_i), ε ~ N(0, (noise_std · (max x − min x))²)

    Options:
        n_samples: number of noisy copies; with `stop`, the most there may be.
        noise_std: standard deviation of the noise, as a fraction of each image's range, max x − min x.
        statistic: "mean"; "square", the mean of squared gradients (Hooker et al. 2019); "variance" over the
            copies (VarGrad, Adebayo et al. 2018). The last two are ≥ 0, in squared units.
        seed: random seed of the noise, which is drawn for one image and shared across the batch.
        antithetic: draw noise in pairs of opposite sign, x + ε and x − ε: what is odd in ε cancels in the mean.
        stop: None, or the correlation at which to stop, such as 0.95: the one to be expected between these values and
            those of as many other copies, estimated from two halves of the copies (Spearman–Brown: 2 r / (1 + r)). It
            is checked every 32 copies, for each image separately.

    Returns:
        `(n, h, w, c)`, in units of the score per unit of pixel value, signed for "mean". With `stop` there are notes,
        one entry an image: `n_samples`, the number of copies evaluated, and `agreement`, the correlation reached, which
        is below `stop` if n_samples came first.

    Reference:
        Smilkov, Thorat, Kim, Viégas, Wattenberg 2017. Copies may leave [0, 1], as in the paper's code.
    """
    checked_stop(stop)
    objective = resolved(model, images, objective)
    images = on_device(model, images)
    noise = Noise(n_samples, noise_std, seed, antithetic)
    if stop is None:
        sums = Gradients(statistic)
        for gradients in noise.gradients(model, images, objective):
            sums.add(gradients)
        return Maps(sums.values())
    found = [
        _until(model, images[i : i + 1, ...], objective.take(np.asarray([i])), noise, statistic=statistic, stop=stop)
        for i in range(images.shape[0])
    ]
    values = array_namespace(images).concat([one for one, _, _ in found], axis=0)
    return Maps(values, {"n_samples": [count for _, count, _ in found], "agreement": [r for _, _, r in found]})


class Gradients:
    """Running sums of gradients and their statistic: "mean", "square" or "variance", as in `smooth_grad`."""

    def __init__(self, statistic: str) -> None:
        self.statistic = statistic
        self.count = 0
        self.total: Any = 0.0
        self.squares: Any = 0.0
        self.center: Any = None  # squares are taken around the first gradient: their difference keeps its digits

    def add(self, gradients: Array) -> None:
        """Add gradients `(r, n, ...)`."""
        xp = array_namespace(gradients)
        self.count += gradients.shape[0]
        if self.statistic == "variance":
            self.center = gradients[0, ...] if self.center is None else self.center
            gradients = gradients - self.center[None, ...]
        self.total = self.total + xp.sum(gradients, axis=0)
        if self.statistic != "mean":
            self.squares = self.squares + xp.sum(gradients * gradients, axis=0)

    def merged(self, other: Gradients) -> Gradients:
        """Return the sums over the gradients of both, which have the same center."""
        both = Gradients(self.statistic)
        both.count, both.center = self.count + other.count, self.center
        both.total, both.squares = self.total + other.total, self.squares + other.squares
        return both

    def values(self) -> Array:
        """Return the statistic, `(n, ...)`."""
        mean = self.total / self.count
        if self.statistic == "mean":
            return mean
        if self.statistic == "square":
            return self.squares / self.count
        xp = array_namespace(mean)
        return xp.maximum(self.squares / self.count - mean**2, xp.zeros_like(mean))


def _until(
    model: Classifier, image: Array, objective: Any, noise: Noise, *, statistic: str, stop: float
) -> tuple[Array, int, float]:
    """Return the values of one image, from how many copies, and the correlation reached.

    Args:
        model: the network.
        image: `(1, h, w, c)`.
        objective: the objective.
        noise: what is added, and how often at most.
        statistic: of the gradients.
        stop: the correlation at which to stop.
    """
    halves = Gradients(statistic), Gradients(statistic)
    runs = list(portions(model, image, noise.n_samples, within=HALF))
    count, reached = 0, 0.0
    for run, gradients in zip(runs, noise.gradients(model, image, objective, runs=runs), strict=True):
        if count == 0 and statistic == "variance":
            halves[0].center = halves[1].center = gradients[0, ...]
        halves[half_of(run)].add(gradients)
        count = run.stop
        if check_due(run, noise.n_samples, 2 * HALF):
            reached = agreement(*(to_numpy(half.values()) for half in halves))
            if reached >= stop:
                break
    return halves[0].merged(halves[1]).values(), count, reached


@method(
    family="gradient",
    unit="{score}",
    shows="evidence",
    passes="n_steps + 2",
    complete=True,
    single=False,
    paper="Sundararajan, Taly, Yan: Axiomatic Attribution for Deep Networks, 2017",
)
def integrated_gradients(
    model: Classifier,
    images: Array,
    objective: Objective,
    *,
    n_steps: int = 50,
    baseline: str | float = "black",
    max_gap: float | None = None,
) -> Maps:
    """Gradient averaged on the straight path from a baseline, times the path: sums to the difference of the scores.

    values = (x − b) · mean_i ∂y/∂x (b + a_i (x − b)), a_i = (i + ½) / n_steps

    Options:
        n_steps: number of points on the path. The midpoint rule's error falls with n_steps² for smooth networks, and
            slower for networks of ReLUs, whose gradient jumps along the path: check the note `gap`.
        baseline: what stands for absence: a pixel value, "black", "gray", "mean", "network_zero" or "blur".
        max_gap: None, or the largest gap allowed, as a fraction of the difference of the scores, such as 0.05: the
            number of points is doubled, for each image separately, until the gap is smaller or there are 16 · n_steps.

    Returns:
        `(n, h, w, c)`, signed, in units of the score; the sum is y(x) − y(b). Notes, one entry an image:
        `difference` is y(x) − y(b), `gap` what the sum misses of it, for too few points; with `max_gap` also `n_steps`,
        the number of points used. `explain` warns of a gap above 5 % of the difference.

    Raises:
        InputError: for fewer than one point, or a gap that is not a positive fraction.

    Reference:
        Sundararajan, Taly, Yan 2017.
    """
    if max_gap is not None and not 0.0 < max_gap < 1.0:
        raise InputError(explain_error("max_gap must be a fraction, 0 < max_gap < 1.", max_gap, "Try max_gap=0.05."))
    logits = model.activations(images)
    objective = resolved_for(objective, logits)
    images = on_device(model, images)
    xp = array_namespace(images)
    base = baseline_pixels(images, baseline, network_zero(model, images.shape[-1]))
    difference = objective.value(logits) - objective.value(model.activations(base))
    if max_gap is None:
        values = path_integral(model, images, base, objective, n_steps)
        total = xp.sum(values, axis=tuple(range(1, values.ndim)))
        return Maps(values, {"difference": difference, "gap": difference - total})
    found, gaps, counts = [], [], []
    for i in range(images.shape[0]):
        one, change = slice(i, i + 1), float(difference[i])
        count, own = n_steps, objective.take(np.asarray([i]))
        values = path_integral(model, images[one, ...], base[one, ...], own, count)
        while abs(gap := change - float(xp.sum(values))) > max_gap * abs(change) and count < MOST * n_steps:
            count *= 2
            values = path_integral(model, images[one, ...], base[one, ...], own, count)
        found.append(values)
        gaps.append(gap)
        counts.append(count)
    return Maps(xp.concat(found, axis=0), {"difference": difference, "gap": gaps, "n_steps": counts})


def path_integral(model: Classifier, images: Array, base: Array, objective: Any, n_steps: int) -> Array:
    """Return the path times the mean gradient at `n_steps` points of it.

    Args:
        model: the network.
        images: the end of the path.
        base: its beginning, of the same shape.
        objective: what is explained.
        n_steps: number of points, in the middles of equal steps.
    """
    xp = array_namespace(images)
    path = images - base
    total: Any = 0.0
    for run in portions(model, images, n_steps, name="n_steps"):
        fraction = like((np.asarray(run, dtype=np.float32) + 0.5) / n_steps, images)
        fraction = xp.reshape(fraction, (-1, *(1,) * images.ndim))
        points = xp.reshape(base[None, ...] + fraction * path[None, ...], (-1, *images.shape[1:]))
        gradients = model.gradients(points, objective)[1]
        total = total + xp.sum(xp.reshape(gradients, (len(run), *images.shape)), axis=0)
    return path * total / n_steps
