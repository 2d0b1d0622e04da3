"""Score-CAM: every channel as a mask on the image."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from array_api_compat import array_namespace

from .._core.baselines import baseline_pixels
from .._core.image_ops import bilinear, one_thread, resize
from ..adapters.wrappers import network_zero
from ..errors import InputError, explain_error
from ..registry import method
from ..targets import like, to_numpy
from ..types import Array, Classifier, Maps, Objective
from .cam import at_channels, positive
from .multi_layer import several_layers
from .objective import as_score, on_device, resolved
from .score_cam_sampling import bounded, channel_sums, estimated, limits


@method(
    family="cam",
    unit="probability · activation",
    passes="channels + 1",
    single=False,
    needs="activations",
    paper="Wang et al.: Score-CAM, 2020",
)
@several_layers
def score_cam(
    model: Classifier,
    images: Array,
    objective: Objective,
    *,
    layer: str,
    variant: Literal["code", "increase"] = "code",
    max_channels: int | None = None,
    baseline: str | float = "black",
    tolerance: float | None = None,
    max_evals: int | None = None,
) -> Maps:
    """Score-CAM: channels weighted by the probability of the class for the image masked by them.

    values = relu(Σ_c w_c · A_c), w_c = p(b + (x − b) · H_c), H_c = (up(A_c) − min) / (max − min)

    b is the baseline, and p the probability of the target whatever score is explained; up() is bilinear. Constant
    channels make no mask and are skipped; channels that make the same mask are evaluated once. Masks are made and
    applied one batch at a time, so memory grows with the batch size, not with the channels.

    Options:
        variant: "code" as above, as the authors' code; "increase" subtracts p(b), the probability for the baseline.
        max_channels: use only so many channels, those that vary most over the positions (standard deviation).
        baseline: what a masked pixel becomes: a pixel value, "black", "gray", "mean", "network_zero" or "blur"; black
            multiplies the image by the mask; the authors' code multiplies the normalized image: "network_zero".
        tolerance: leave out masks as long as no position of the map can be off by more than this fraction of the map's
            largest value, whatever their scores are: a probability lies between 0 and 1. None evaluates all masks.
        max_evals: budget of forward passes: only so many masks are evaluated, the most informative ones,
            and the weights of the others are estimated from them by kriging; 64 is a good number. None evaluates all.

    Returns:
        `(n, h', w')`, ≥ 0, in units of probability times activation. The note `channels` counts those used, `masks`
        the forward passes they took. With `tolerance` the note `bound` is how far off the map is at most, as a fraction
        of its largest value; with `max_evals` the note `leave_one_out_correlation` compares the scores evaluated with
        what is estimated for each from the others.

    Raises:
        InputError: for options that exclude each other or are out of range.

    Reference:
        Wang et al. 2020. No softmax over channels, which the paper's text has and the authors' code has not.
    """
    _check(max_channels, tolerance, max_evals)
    objective = as_score(resolved(model, images, objective), "probability")
    a = model.activations(images, layer)
    images = on_device(model, images)
    xp = array_namespace(a)
    base = baseline_pixels(images, baseline, network_zero(model, images.shape[-1]))
    rows: list[Array] = []
    notes: dict[str, list[float]] = {}
    empty = to_numpy(objective.value(model.activations(base))) if variant == "increase" else np.zeros(images.shape[0])
    for i in range(images.shape[0]):
        channels = _varying(a[i, ...], max_channels)
        own = to_numpy(a[i, ...])[..., channels]
        maps, which = _distinct(own)
        one = None if baseline in ("black", 0) else base[i, ...]
        masked = _MaskedScores(model, images[i, ...], one, objective.take(np.asarray([i])), maps, float(empty[i]))
        kinds, more = _mask_weights(masked, own, which, tolerance=tolerance, max_evals=max_evals)
        weights = np.zeros(a.shape[-1], np.float32)
        weights[channels] = kinds[which]
        rows.append(like(weights, a))
        for name, value in {"channels": channels.size, "masks": masked.count, **more}.items():
            notes.setdefault(name, []).append(value)
    weighted = at_channels(xp.stack(rows), a) * a
    return Maps(positive(xp.sum(weighted, axis=-1)), notes)


def _mask_weights(
    masked: _MaskedScores,
    channels: npt.NDArray[np.float32],
    which: npt.NDArray[np.intp],
    *,
    tolerance: float | None,
    max_evals: int | None,
) -> tuple[npt.NDArray[np.floating], dict[str, float]]:
    """Return the weight of every distinct mask, and what is noted about it; `which` names the mask of each channel."""
    kinds = len(masked.maps)
    name = "bound" if tolerance is not None else "leave_one_out_correlation" if max_evals is not None else ""
    if not kinds or not name:
        all_of_them = masked(np.arange(kinds)) if kinds else np.zeros(0)
        return all_of_them, {name: 0.0 if name == "bound" else 1.0} if name else {}
    sums = channel_sums(channels, which, kinds)
    if tolerance is not None:
        low, high = (limit - masked.empty for limit in limits(masked.objective))
        weights, noted = bounded(sums, masked, low=low, high=high, tolerance=tolerance, portion=masked.model.batch_size)
    else:
        weights, noted = estimated(masked.maps, sums, masked, max_evals or kinds)
    return weights, {name: noted}


def _check(max_channels: int | None, tolerance: float | None, max_evals: int | None) -> None:
    if max_channels is not None and max_channels < 1:
        raise InputError(explain_error("max_channels must be at least 1.", max_channels, "Leave it out for all."))
    received = f"tolerance {tolerance}, max_evals {max_evals}"
    if tolerance is not None and max_evals is not None:
        raise InputError(explain_error("tolerance and max_evals exclude each other.", received, "Give one of them."))
    if (max_evals is not None and max_evals < 2) or (tolerance is not None and not 0.0 <= tolerance < 1.0):
        need = "max_evals must be at least 2, and tolerance at least 0 and below 1."
        raise InputError(explain_error(need, received, "Try max_evals=64 or tolerance=0.05."))


class _MaskedScores:
    """Scores of one image under masks, and how many were evaluated."""

    def __init__(
        self, model: Classifier, image: Array, base: Array | None, objective: Any, maps: Any, empty: float
    ) -> None:
        self.model, self.base, self.objective, self.maps, self.empty = model, base, objective, maps, empty
        self.covered = image if base is None else image - base
        self.count = 0

    def __call__(self, which: npt.NDArray[np.intp]) -> npt.NDArray[np.float32]:
        """Return the scores under the masks with these numbers, less that of the baseline."""
        found = []
        some = like(self.maps[which], self.covered)
        for mask in _masks(some, tuple(self.covered.shape), self.model.batch_size):
            seen = mask * self.covered if self.base is None else mask * self.covered + self.base
            found.append(self.objective.value(self.model.activations(seen)))
        self.count += len(which)
        return np.asarray(to_numpy(array_namespace(found[0]).concat(found, axis=0)) - np.float32(self.empty))


def _varying(a: Array, limit: int | None) -> npt.NDArray[np.int64]:
    """Return the channels of `(*positions, c)` that are not constant, at most `limit`, those that vary most."""
    xp, axes = array_namespace(a), tuple(range(a.ndim - 1))
    varies = np.flatnonzero(to_numpy(xp.max(a, axis=axes) > xp.min(a, axis=axes)))
    if limit is None or varies.size <= limit:
        return varies
    deviation = to_numpy(xp.std(a, axis=axes))[varies]
    return np.sort(varies[np.argsort(-deviation, kind="stable")[:limit]])


def _distinct(maps: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.intp]]:
    """Return the maps `(r, *positions)` that differ by more than level and scale, and which of them each channel has.

    Channels that are active at one position only, of which there are many, all make the same mask there.
    """
    *sides, c = maps.shape
    flat = maps.reshape(int(np.prod(sides)), c).T
    low = flat.min(axis=1, keepdims=True, initial=np.inf)
    span = flat.max(axis=1, keepdims=True, initial=-np.inf) - low
    kinds, which = np.unique((flat - low) / span, axis=0, return_inverse=True)
    return kinds.reshape(-1, *sides), which.reshape(-1)


def _masks(maps: Array, size: tuple[int, ...], batch_size: int) -> Iterator[Array]:
    """Yield maps `(r, h, w)` as masks `(r, H, W, c)` in [0, 1], in batches; `size` is that of an image."""
    xp = array_namespace(maps)
    if len(size) != 3:
        yield from _masks_of_any_rank(maps, size[:-1], batch_size)
        return
    height, width, depth = size
    tall = like(bilinear(maps.shape[1], height), maps)
    wide = like(bilinear(maps.shape[2], width), maps)
    # every column once a color: products of whole rows are far faster than products pixel by pixel
    colors = xp.permute_dims(like(np.repeat(bilinear(maps.shape[2], width), depth, axis=0), maps), (1, 0))
    for start in range(0, maps.shape[0], batch_size):
        some = maps[start : start + batch_size, ...]
        with one_thread(maps):
            rows = tall @ some
            large = rows @ xp.permute_dims(wide, (1, 0))
            low = xp.min(large, axis=(1, 2), keepdims=True)
            span = xp.max(large, axis=(1, 2), keepdims=True) - low
            scaled = (rows - low) / xp.where(span > 0, span, xp.ones_like(span))  # columns sum to one: before or after
            masks = scaled @ colors
        yield xp.reshape(masks, (some.shape[0], height, width, depth))


def _masks_of_any_rank(maps: Array, size: tuple[int, ...], batch_size: int) -> Iterator[Array]:
    """Yield maps `(r, *positions)` as masks `(r, *size, 1)` in [0, 1], in batches."""
    xp = array_namespace(maps)
    axes = tuple(range(1, maps.ndim))
    for start in range(0, maps.shape[0], batch_size):
        large = resize(maps[start : start + batch_size, ...], size)
        low = xp.min(large, axis=axes, keepdims=True)
        span = xp.max(large, axis=axes, keepdims=True) - low
        yield ((large - low) / xp.where(span > 0, span, xp.ones_like(span)))[..., None]
