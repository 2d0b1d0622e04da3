"""From raw values at native resolution to what can be drawn at the image's own size."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from .._core.i18n import Message
from .._core.image_ops import separable
from ..errors import InputError, explain_error
from ..types import Attribution, Frame

Map = npt.NDArray[np.float32]

FINE = 64 * 64  # a map with more cells than this speaks of single pixels
SENSITIVITY_PERCENTILE = 99.5
FLAT = 1e-6  # a range below this fraction of the largest value is rounding, not evidence about position
SINGLE = 200_000  # products of a size that BLAS does in one thread: waking others costs more, and they have work
SAMPLE = 1_000_000  # pixels that are enough to estimate a percentile


def reduce_channels(values: npt.NDArray[np.generic], shows: str, rank: int = 2) -> Map:
    """Return one value for each spatial position.

    Evidence adds up, Σ_c v_c; of a sensitivity the strongest channel counts, max_c |v_c|.

    Args:
        values: `(h, w)` or `(h, w, c)`, raw, in any unit; `rank` axes of positions, with channels or without.
        shows: "evidence" or "sensitivity".
        rank: number of axes of positions.

    Returns:
        `(h, w)` float32 in the unit of the values.

    Raises:
        InputError: if the shape or `shows` is another one.
    """
    if shows not in ("evidence", "sensitivity"):
        raise InputError(
            explain_error("A map shows 'evidence' or 'sensitivity'.", repr(shows), "See Attribution.shows.")
        )
    array = np.asarray(values)
    if array.ndim not in (rank, rank + 1) or array.size == 0:
        raise InputError(
            explain_error("A map must be (h, w) or (h, w, c).", f"shape {array.shape}", "Pass one image's map.")
        )
    if shows == "sensitivity":
        size = np.abs(array)
        return np.asarray(size.max(axis=-1) if array.ndim == rank + 1 else size, dtype=np.float32)
    if array.ndim == rank + 1:  # summed in float64: channels often cancel
        array = array.sum(axis=-1, dtype=np.float64)
    return np.asarray(array, dtype=np.float32)


@lru_cache(maxsize=8)
def _axis(length: int, cells: int, start: float, end: float) -> tuple[slice, Map]:
    """Return which image pixels of one axis lie in the box, and the fraction that each map cell has in them."""
    if not end > start:
        raise InputError(
            explain_error(
                "The box of a frame must have an extent.", (start, end), "Give left < right and top < bottom."
            )
        )
    first = max(0, int(np.ceil(start - 0.5)))
    last = min(length, int(np.floor(end - 0.5)) + 1)
    if last <= first:  # a box so thin that it holds no pixel center: the pixel that it lies in
        first = min(max(int(np.floor((start + end) / 2)), 0), length - 1)
        last = first + 1
    step = cells / (end - start)
    center = (np.arange(first, last) + 0.5 - start) * step - 0.5
    # One rule for both directions: the overlap of each cell with a window as wide as the pixel, though never
    # narrower than a cell. With a window of one cell that is exactly bilinear interpolation, clamped at the edges.
    half = max(step, 1.0) / 2.0
    cell = np.arange(cells)
    fraction = np.minimum(center[:, None] + half, cell + 0.5)
    fraction -= np.maximum(center[:, None] - half, cell - 0.5)
    np.maximum(fraction, 0.0, out=fraction)
    total = fraction.sum(axis=1, keepdims=True)
    fraction = np.divide(fraction, total, out=np.zeros_like(fraction), where=total > 0.0)
    weights = fraction.astype(np.float32)
    weights.setflags(write=False)
    return slice(first, last), weights


def seen(frame: Frame) -> tuple[slice, ...]:
    """Return the rows and columns of the image, or positions along each axis, whose centers the network saw."""
    return tuple(_axis(side, 1, *span)[0] for side, span in zip(frame.image, frame.spans, strict=True))


def on_image(values: npt.NDArray[np.generic], frame: Frame) -> Map:
    """Return a map laid over the image it belongs to.

    The center i + ½ of an image pixel lies at (i + ½ − top) / (bottom − top) · h − ½ in the map, columns alike;
    between cells the value is bilinear, beyond the outermost centers it is theirs. Where the map is finer than the
    image, a pixel gets the mean over the area that it covers. Two matrix products, one an axis.

    Args:
        values: `(h, w)`, in any unit; the whole of the network's input.
        frame: where that input lies in the image: stretched, cropped or padded.

    Returns:
        `(H, W)` float32 in the unit of the values; zero where the network did not look.

    Raises:
        InputError: if the values are no map `(h, w)`.
    """
    array = np.ascontiguousarray(values, dtype=np.float32)
    if array.ndim != len(frame.image) or array.size == 0:
        raise InputError(
            explain_error(
                f"Only a map with {len(frame.image)} axes of positions can be laid over this input.",
                f"shape {array.shape}",
                "Choose a layer whose positions are those of the input, or save the values as .npy.",
            )
        )
    if array.ndim != 2:
        return _on_volume(array, frame)
    left, top, right, bottom = frame.box
    rows, down = _axis(frame.image[0], array.shape[0], float(top), float(bottom))
    columns, across = _axis(frame.image[1], array.shape[1], float(left), float(right))
    (h, w), high, wide = array.shape, down.shape[0], across.shape[0]
    rows_first = high * w * (h + wide) <= wide * h * (w + high)
    one: Map = down @ array if rows_first else down
    two: Map = across.T if rows_first else array @ across.T
    whole = (high, wide) == frame.image
    placed = np.empty(frame.image, np.float32) if whole else np.zeros(frame.image, np.float32)
    inside = placed[rows, columns]
    step = max(1, SINGLE // max(1, two.size))
    for start in range(0, high, step):
        np.matmul(one[start : start + step], two, out=inside[start : start + step])
    return placed


def _on_volume(array: Map, frame: Frame) -> Map:
    """Return a map of any rank laid over the input it belongs to, one matrix product an axis."""
    axes = [_axis(side, cells, *span) for side, cells, span in zip(frame.image, array.shape, frame.spans, strict=True)]
    placed = np.zeros(frame.image, np.float32)
    placed[tuple(inside for inside, _ in axes)] = separable(array[None], *(weights for _, weights in axes))[0]
    return placed


def says_nothing(values: npt.NDArray[np.generic], shows: str = "evidence", rank: int = 2) -> Message | None:
    """Return why a map holds no information about position, or None if it does.

    Args:
        values: `(h, w)` or `(h, w, c)`, raw.
        shows: "evidence" or "sensitivity"; only evidence can be negative throughout.
        rank: number of axes of positions.
    """
    with np.errstate(invalid="ignore", over="ignore"):  # infinite channels cancel to NaN, which is reported below
        array = reduce_channels(values, shows, rank)
    broken = int(np.count_nonzero(~np.isfinite(array)))
    if broken:
        return Message(
            "{n} of {total} values of the map are not finite; they are drawn as no evidence. "
            "Try float32 instead of half precision, or another layer.",
            n=broken,
            total=array.size,
        )
    low, high = float(array.min()), float(array.max())
    if low == high == 0.0:
        return Message(
            "The map is zero everywhere: it shows no evidence, not weak evidence. "
            "Try another layer, another method, or the evidence against the target."
        )
    if high - low <= FLAT * max(abs(low), abs(high)):
        if array.size == 1:
            return Message("The map has a single cell: it has no information about position. Try an earlier layer.")
        return Message(
            "The map has the same value everywhere ({value:.3g}): it has no information about position. "
            "Try an earlier layer.",
            value=high,
        )
    if shows == "evidence" and high <= 0.0:
        return Message(
            "The map is nowhere positive: there is no evidence for the target. "
            "A diverging colormap such as 'coolwarm' shows the evidence against it."
        )
    return None


def _normal(reduced: Map) -> tuple[Map, float]:
    """Return the map divided by its largest magnitude, and that magnitude; zeros where it is uniform."""
    finite = np.where(np.isfinite(reduced), reduced, np.float32(0.0))
    peak = float(np.abs(finite).max())
    if peak == 0.0 or float(finite.max()) - float(finite.min()) <= FLAT * peak:
        return np.zeros_like(finite), 0.0
    return (finite.astype(np.float64) / peak).astype(np.float32), peak


def _reduced(attribution: Attribution, shows: str) -> tuple[Map, float]:
    with np.errstate(invalid="ignore", over="ignore"):
        return _normal(reduce_channels(attribution.values, shows, attribution.rank))


def _robust(values: Map, shows: str) -> bool:
    """Tell whether a few extreme cells must not set the scale: for sensitivity, and for any map of single pixels."""
    return shows != "evidence" or values.size > FINE


def _top(placed: Map, frame: Frame, robust: bool) -> float:
    """Return the placed value that is drawn hottest."""
    inside = placed[seen(frame)]
    highest = float(inside.max())
    if not robust:
        return highest
    stride = max(1, int(np.ceil((inside.size / SAMPLE) ** (1 / inside.ndim))))
    typical = float(np.percentile(inside[(slice(None, None, stride),) * inside.ndim], SENSITIVITY_PERCENTILE))
    return typical if typical > 0.0 else highest  # a map with few non-zero pixels


def heatmap(attribution: Attribution, frame: Frame) -> Map:
    """Return a map for looking at, at the image's own size.

    Evidence: relu(v) / max v. Sensitivity |v|, and evidence for single pixels: divided by the 99.5th percentile, at
    most 1, since a few pixels far above the rest would leave the image black. A zero or constant map becomes
    zero: it carries no information about position.

    Args:
        attribution: raw values with what they show.
        frame: where the network's input lies in the image.

    Returns:
        `(H, W)` float32 in [0, 1], never NaN; zero where the network did not look.
    """
    values, _ = _reduced(attribution, attribution.shows)
    placed = on_image(values, frame)
    top = _top(placed, frame, _robust(values, attribution.shows))
    if not top > 0.0:
        return np.zeros_like(placed)
    placed /= np.float32(top)
    return np.clip(placed, 0.0, 1.0, out=placed)


def signed(attribution: Attribution, frame: Frame) -> Map:
    """Return a map with its sign, v / max |v| (its 99.5th percentile for single pixels), for diverging color maps.

    Channels are summed, of a sensitivity too: the sum is what happens if the pixel gets lighter as a whole.

    Args:
        attribution: raw values.
        frame: where the network's input lies in the image.

    Returns:
        `(H, W)` float32 in [−1, 1], never NaN; a zero or constant map is zero.
    """
    values, _ = _reduced(attribution, "evidence")
    placed = on_image(values, frame)
    top = _top(np.abs(placed), frame, values.size > FINE)
    if not top > 0.0:
        return np.zeros_like(placed)
    placed /= np.float32(top)
    return np.clip(placed, -1.0, 1.0, out=placed)


def limits(attribution: Attribution, frame: Frame, *, diverging: bool = False) -> tuple[float, float]:
    """Return the raw values at the two ends of the color bar.

    Args:
        attribution: raw values.
        frame: where the network's input lies in the image.
        diverging: whether `signed` is drawn instead of `heatmap`.

    Returns:
        the values drawn coldest and hottest, in the attribution's unit; (0, 0) for a map without information.
    """
    shows = "evidence" if diverging else attribution.shows
    values, peak = _reduced(attribution, shows)
    placed = on_image(values, frame)
    if diverging:
        top = peak * _top(np.abs(placed), frame, values.size > FINE)
        return -top, top
    return 0.0, peak * max(0.0, _top(placed, frame, _robust(values, shows)))


def unseen_as_nan(heat: Map, frame: Frame) -> Map:
    """Return a heat map with NaN where the network did not look, as `overlay` understands it.

    Args:
        heat: `(h, w)` in [−1, 1], or [0, 1] for a map without negative values.
        frame: the part of the image that the network saw.
    """
    inside = seen(frame)
    out = np.full_like(heat, np.nan)
    out[inside] = heat[inside]
    return out
