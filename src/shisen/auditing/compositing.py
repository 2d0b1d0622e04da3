"""Patches put on images, and taken off."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .._core.image_ops import box_mean

Floats = npt.NDArray[np.float32]
SOLID = 0.35  # least opacity of a pixel of a patch
FAINT = 0.1  # the same on its rim


def filled(alpha: Floats) -> Floats:
    """Return an opacity without the form of what is shown: gaps up to an eighth of the image are closed.

    Writing in other colors is writing; a control must cover the region without drawing the same strokes.
    """
    from scipy import ndimage

    r = max(1, max(alpha.shape) // 16)
    mask = np.pad(alpha >= SOLID, 2 * r)
    closed = ndimage.binary_closing(mask, np.ones((3, 3)), iterations=r)[2 * r : -2 * r, 2 * r : -2 * r]
    level = float(np.median(alpha[alpha >= SOLID])) if (alpha >= SOLID).any() else 0.0
    return np.where(closed, np.maximum(alpha, level), alpha).astype(np.float32)


def without_edge(alpha: Floats) -> Floats:
    """Return an opacity that covers the same region, see `filled`, and fades out around it.

    A control that ends as sharply as what was found has an edge of its own, which the model may rely on.
    """
    from scipy import ndimage

    r = max(1.0, max(alpha.shape) / 32)
    wide = ndimage.grey_dilation(filled(alpha), size=(2 * round(r) + 1,) * 2)
    return np.asarray(ndimage.gaussian_filter(wide, r), dtype=np.float32)


def with_rim(alpha: Floats, raw: npt.NDArray[np.floating[Any]], chance: float) -> Floats:
    """Return the opacity with that of the pixels around the patch, which the thing may cover in part.

    Args:
        alpha: opacity of the patch, 0 elsewhere.
        raw: estimated opacity everywhere.
        chance: what an opacity of 0 can be estimated as by chance; less is left out.
    """
    from scipy import ndimage

    rim = ndimage.binary_dilation(alpha > 0, np.ones((3, 3))) & (alpha == 0) & (raw >= max(FAINT, chance))
    return np.asarray(np.where(rim, raw, alpha), dtype=np.float32)


def extended(template: Floats, alpha: Floats) -> Floats:
    """Return a template whose colors go on beyond the patch, so that enlarging it blends nothing else in.

    Args:
        template: `(h, w, 3)` mean appearance of the patch, 0 to 255.
        alpha: `(h, w)` opacity, 0 to 1.
    """
    return _extrapolated(template, alpha >= SOLID)


def blended(pixels: npt.NDArray[np.uint8], template: Floats, alpha: Floats) -> npt.NDArray[np.uint8]:
    """Return an image with a patch put on it, at the position and size it has relative to the image.

    Args:
        pixels: `(h, w, 3)` uint8.
        template: `(h, w, 3)` mean appearance of the patch, 0 to 255, with colors everywhere, see `extended`.
        alpha: `(h, w)` opacity, 0 to 1.
    """
    from PIL import Image

    height, width = pixels.shape[:2]
    size = (width, height)
    soft = np.asarray(Image.fromarray(alpha).resize(size, Image.Resampling.BILINEAR))[..., None]
    image = Image.fromarray(np.rint(np.clip(template, 0, 255)).astype(np.uint8)).resize(size, Image.Resampling.BILINEAR)
    mixed = pixels.astype(np.float32) * (1 - soft) + np.asarray(image, np.float32) * soft
    return np.asarray(np.rint(mixed), dtype=np.uint8)


def removed(pixels: npt.NDArray[np.uint8], mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """Return an image whose patch is filled with what surrounds it: smooth colors from the rim inwards.

    Args:
        pixels: `(h, w, 3)` uint8.
        mask: `(h, w)`, True inside the region.
    """
    from PIL import Image

    height, width = pixels.shape[:2]
    wide = box_mean(mask[None].astype(np.float32), 3)[0] > 0
    size = (width, height)
    hole = np.asarray(Image.fromarray(wide.astype(np.float32)).resize(size, Image.Resampling.BILINEAR)) > 0.05
    if not hole.any():
        return pixels
    ys, xs = np.nonzero(hole)
    around = max(np.ptp(ys), np.ptp(xs)) + 3  # nothing further away comes in
    rows = slice(max(0, ys.min() - around), ys.max() + around + 1)
    columns = slice(max(0, xs.min() - around), xs.max() + around + 1)
    inner = _extrapolated(pixels[rows, columns].astype(np.float32), ~hole[rows, columns])
    whole = pixels.copy()
    whole[rows, columns] = np.rint(np.clip(inner, 0, 255)).astype(np.uint8)
    return whole


def _extrapolated(values: npt.NDArray[np.float32], known: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """Fill the unknown pixels from the known ones, by means over ever larger neighborhoods."""
    filled, have = values.copy(), known.copy()
    width = 3
    while not have.all() and width < 4 * max(known.shape):
        weight = box_mean(known[None].astype(np.float32), width)[0]
        mean = np.stack([box_mean((values[..., c] * known)[None], width)[0] for c in range(3)], -1)
        new = (weight > 1e-6) & ~have
        filled[new] = mean[new] / weight[new][:, None]
        have |= new
        width = width * 2 + 1
    return filled
