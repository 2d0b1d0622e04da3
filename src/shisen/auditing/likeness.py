"""Whether two small copies show the same image, also after compression, scaling, other light, a crop or mirroring."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from .._core.image_ops import box_mean

Floats = npt.NDArray[np.float32]

SIDE, GRID = 112, 16
"""Sides of the small copy that is compared, and of the descriptor that finds what to compare."""
FLAT = 2.0
"""Least standard deviation of gray values, in levels of 255, of an image that has something to compare."""
SCALES = (1.0, 0.975, 0.95, 0.925, 0.9)
DETAIL, LOCAL = 0.8, 0.4
"""Least correlation of the detail in the whole, and in every region that has any."""
CHANGED = 0.35
"""Largest difference of a region, as a fraction of the image's range of grays, after brightness and contrast."""
RICH = 0.45
"""Least fraction of the pixels with detail of an image that is recognized after a crop, a mirror or other light: plain
drawings become each other by such changes."""
CLOSE, OF_RANGE, MEAN = 12.0, 0.15, 1.5
"""Largest difference of a spot between images compared as they are, in levels of 255 and of the range of their grays;
and largest mean difference."""
REGIONS = 7


def gray_of(canvas: npt.NDArray[np.uint8]) -> Floats:
    """Return the gray values of a small copy."""
    return np.asarray(canvas.astype(np.float32) @ np.asarray([0.299, 0.587, 0.114], np.float32))


def descriptor(canvas: npt.NDArray[np.uint8]) -> Floats:
    """Return 256 numbers of mean 0 and length 1 that describe an image coarsely; zeros for a flat one."""
    gray = gray_of(canvas)
    if gray.std() < FLAT:
        return np.zeros(GRID * GRID, np.float32)
    small = np.asarray(Image.fromarray(gray).resize((GRID, GRID), Image.Resampling.BOX)).ravel()
    small = small - small.mean()
    return np.asarray(small / max(float(np.linalg.norm(small)), 1e-6), np.float32)


def likeness(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> float:
    """Return how far two small copies show the same image, in [0, 1]; 0 where they do not.

    As they are, no spot may differ by more than compression and other sizes make. Images that are rich in detail are
    also recognized in other light, mirrored, cropped by up to a tenth or shifted: the detail has to correlate in the
    whole and in every region.

    Args:
        one: `(K, K, 3)` uint8.
        other: `(K, K, 3)` uint8.
    """
    a, b = gray_of(one), gray_of(other)
    if _close(one, other):
        return max(_correlation(a, b), 0.0)
    if min(_richness(a), _richness(b)) < RICH:
        return 0.0
    mirrored = descriptor(one) @ descriptor(other[:, ::-1]) > descriptor(one) @ descriptor(other)
    b = b[:, ::-1] if mirrored else b
    best = 0.0
    for scale in SCALES:
        best = max(best, _agreement(a, _zoomed(b, scale)), _agreement(_zoomed(a, scale), b) if scale < 1 else 0.0)
        if best > 0.95:
            break
    return best


def _close(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> bool:
    a, b = (np.moveaxis(x.astype(np.float32), -1, 0) for x in (one, other))
    spots = np.abs(box_mean(a - b, 3))
    return float(np.abs(a - b).mean()) <= MEAN and bool(
        spots.max() <= min(CLOSE, OF_RANGE * min(float(np.ptp(a)), float(np.ptp(b))))
    )


def _richness(gray: Floats) -> float:
    """Return the fraction of the pixels that have detail."""
    around = box_mean(np.stack([gray, np.ones_like(gray)]), 9)
    return float((np.abs(gray - around[0] / around[1]) > FLAT).mean())


def _zoomed(gray: Floats, scale: float) -> Floats:
    if scale == 1.0:
        return gray
    image, side = Image.fromarray(np.ascontiguousarray(gray)), len(gray)
    edge = (1 - scale) * side / 2
    return np.asarray(image.resize((side, side), Image.Resampling.BICUBIC, (edge, edge, side - edge, side - edge)))


def _detail(gray: Floats) -> Floats:
    fine, coarse = (box_mean(np.stack([gray, np.ones_like(gray)]), width) for width in (3, 13))
    return np.asarray(fine[0] / fine[1] - coarse[0] / coarse[1])


def _correlation(a: Floats, b: Floats) -> float:
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / max(float(np.sqrt((a * a).sum() * (b * b).sum())), 1e-9))


def _agreement(a: Floats, b: Floats) -> float:
    """Return the correlation of the detail of two gray images after the best shift; 0 where they differ."""
    da, db = _detail(a), _detail(b)
    cross = np.fft.rfft2(da) * np.conj(np.fft.rfft2(db))
    surface = np.fft.irfft2(cross / np.maximum(np.abs(cross), 1e-6), s=da.shape)
    dy, dx = (int(v) for v in np.unravel_index(int(surface.argmax()), surface.shape))
    dy, dx = (v - len(a) if v > len(a) // 2 else v for v in (dy, dx))
    if max(abs(dy), abs(dx)) > len(a) // 8:
        return 0.0
    ys, xs = (slice(max(v, 0), len(a) + min(v, 0)) for v in (dy, dx))
    yt, xt = (slice(max(-v, 0), len(a) + min(-v, 0)) for v in (dy, dx))
    whole = _correlation(da[ys, xs], db[yt, xt])
    return whole if whole >= DETAIL and _same_regions(a[ys, xs], b[yt, xt], da[ys, xs], db[yt, xt]) else 0.0


def _same_regions(a: Floats, b: Floats, da: Floats, db: Floats) -> bool:
    """Return whether no region differs: neither in its detail, nor in its gray after a common change of light."""
    gain, offset = np.polyfit(b.ravel(), a.ravel(), 1)
    span = max(float(np.percentile(a, 99) - np.percentile(a, 1)), FLAT)
    local, other = [], 0.0
    least = max(FLAT, 0.3 * float(da.std()))
    for rows in np.array_split(np.arange(len(a)), REGIONS):
        for columns in np.array_split(np.arange(a.shape[1]), REGIONS):
            cut = np.ix_(rows, columns)
            other = max(other, float(np.abs(a[cut] - gain * b[cut] - offset).mean()) / span)
            if max(float(da[cut].std()), abs(gain) * float(db[cut].std())) > least:
                local.append(_correlation(da[cut], db[cut]))
    return other <= CHANGED and min(local, default=0.0) >= LOCAL
