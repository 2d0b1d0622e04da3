"""Score-CAM: every channel as a mask on the picture."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from array_api_compat import array_namespace

from ..errors import InputError, explain_error
from ..registry import method
from ..targets import like, to_numpy
from ..types import Array, Classifier, Maps, Seed
from .cam import positive
from .fills import filling
from .fused import several_layers
from .objective import as_score, on_device, settled
from .resample import bilinear, one_thread

VARIANTS = ("paper", "increase")


@method(
    family="cam",
    unit="probability · activation",
    signed=False,
    passes="channels + 1",
    needs="activations",
    paper="Wang et al.: Score-CAM, 2020",
)
@several_layers
def score_cam(
    model: Classifier,
    images: Array,
    seed: Seed,
    *,
    layer: str,
    variant: str = "paper",
    max_channels: int | None = None,
    fill: str | float = 0.0,
) -> Maps:
    """Score-CAM: channels weighted by what the network says to the picture seen through them.

    values = relu(Σ_c w_c · A_c), w_c = p(fill + (x − fill) · H_c), H_c = (up(A_c) − min) / (max − min)

    p is the probability of the target whatever score was asked for; up() is bilinear. Channels whose
    largest value equals their smallest say nothing and are skipped; channels that make the same mask are asked
    once. Masks are made and applied one portion at a time, so memory grows with the model's chunk, not with the
    channels.

    Args:
        model: the network.
        images: `(n, h, w, c)`, pixels in [0, 1].
        seed: the objective; "the top class" is the one of the unaltered picture.
        layer: the point A is taken from; a sequence of points gives their fused map.
        variant: "paper" as above, the authors' code; "increase" subtracts p(fill), the picture with nothing left.
        max_channels: use only so many channels, those that vary most over the places (standard deviation).
        fill: what a masked pixel becomes: a level in pixel values, "grey", "mean" or "blur"; 0 multiplies the
            picture by the mask.

    Returns:
        `(n, h', w')`, ≥ 0, in units of probability times activation. The note `channels` counts those used, `masks`
        the passes they took.

    Reference:
        Wang et al. 2020. No softmax over channels, which the paper's text has and the authors' code has not.
    """
    if variant not in VARIANTS:
        raise InputError(explain_error(f"variant must be one of {', '.join(VARIANTS)}.", repr(variant), "Use 'paper'."))
    if max_channels is not None and max_channels < 1:
        raise InputError(explain_error("max_channels must be at least 1.", max_channels, "Leave it out for all."))
    seed = as_score(settled(model, images, seed), "probability")
    a = model.activations(images, layer)
    images = on_device(model, images)
    xp = array_namespace(a)
    base = filling(images, fill)
    rows, used, passes = [], [], 0
    empty = seed.value(model.activations(base)) if variant == "increase" else None
    for i in range(images.shape[0]):
        own = seed.take(np.asarray([i]))
        channels = _worth_asking(a[i, ...], max_channels)
        maps, which = _distinct(to_numpy(a[i, ...])[..., channels])
        covered = images[i, ...] - base[i, ...] if fill else images[i, ...]
        found = [
            own.value(model.activations(mask * covered + base[i, ...] if fill else mask * covered))
            for mask in _masks(like(maps, a), tuple(images.shape[1:]), model.chunk)
        ]
        weights = np.zeros(a.shape[-1], np.float32)
        if found:
            asked = to_numpy(xp.concat(found, axis=0) - (0.0 if empty is None else empty[i]))
            weights[channels] = asked[which]
            passes += len(asked)
        rows.append(like(weights, a))
        used.append(int(channels.size))
    weighted = xp.stack(rows)[:, None, None, :] * a
    return Maps(positive(xp.sum(weighted, axis=-1)), {"channels": used, "masks": passes})


def _worth_asking(a: Array, limit: int | None) -> npt.NDArray[np.int64]:
    """Return the channels of `(h, w, c)` that are not constant, at most `limit`, those that vary most."""
    xp = array_namespace(a)
    varies = np.flatnonzero(to_numpy(xp.max(a, axis=(0, 1)) > xp.min(a, axis=(0, 1))))
    if limit is None or varies.size <= limit:
        return varies
    deviation = to_numpy(xp.std(a, axis=(0, 1)))[varies]
    return np.sort(varies[np.argsort(-deviation, kind="stable")[:limit]])


def _distinct(maps: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.intp]]:
    """Return the maps `(r, h, w)` that differ by more than level and scale, and which of them each channel has.

    Channels that answer at one place only, of which there are many, all make the same mask there.
    """
    h, w, c = maps.shape
    flat = maps.reshape(h * w, c).T
    low = flat.min(axis=1, keepdims=True, initial=np.inf)
    span = flat.max(axis=1, keepdims=True, initial=-np.inf) - low
    kinds, which = np.unique((flat - low) / span, axis=0, return_inverse=True)
    return kinds.reshape(-1, h, w), which.reshape(-1)


def _masks(maps: Array, size: tuple[int, ...], chunk: int) -> Iterator[Array]:
    """Yield maps `(r, h, w)` as masks `(r, H, W, c)` in [0, 1], in portions; `size` is that of a picture."""
    xp = array_namespace(maps)
    height, width, depth = size
    tall = like(bilinear(maps.shape[1], height), maps)
    wide = like(bilinear(maps.shape[2], width), maps)
    # every column once a colour: products of whole rows are far faster than products pixel by pixel
    colours = xp.permute_dims(like(np.repeat(bilinear(maps.shape[2], width), depth, axis=0), maps), (1, 0))
    for start in range(0, maps.shape[0], chunk):
        some = maps[start : start + chunk, ...]
        with one_thread(maps):
            rows = tall @ some
            large = rows @ xp.permute_dims(wide, (1, 0))
            low = xp.min(large, axis=(1, 2), keepdims=True)
            span = xp.max(large, axis=(1, 2), keepdims=True) - low
            scaled = (rows - low) / xp.where(span > 0, span, xp.ones_like(span))  # columns sum to one: before or after
            masks = scaled @ colours
        yield xp.reshape(masks, (some.shape[0], height, width, depth))
