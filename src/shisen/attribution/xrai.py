"""XRAI: integrated gradients summed over segments of the image, the densest segments first."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from array_api_compat import array_namespace

from .._core.image_ops import resize
from ..errors import InputError, explain_error, requiring
from ..registry import method
from ..targets import like, to_numpy
from ..types import Array, Classifier, Maps, Objective
from .objective import on_device, resolved
from .path_and_noise import path_integral

SCALES = (50, 100, 150, 250, 500, 1200)
"""Scales of Felzenszwalb's segmentation, from small segments to large ones; on 224 × 224 pixels in [−1, 1]."""
SIDE, SMOOTHING, SMALLEST, DILATION = 224, 0.8, 150, 5
LEAST = 50
"""New pixels that a segment must add to be taken, of 224 × 224."""
Map = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@method(
    family="gradient",
    planar=True,
    unit="{score} per pixel",
    shows="evidence",
    passes="2 * n_steps",
    single=False,
    paper="Kapishnikov, Bolukbasi, Viégas, Terry: XRAI: Better Attributions Through Regions, 2019",
)
def xrai(model: Classifier, images: Array, objective: Objective, *, n_steps: int = 50) -> Maps:
    """XRAI: segments of the image, in the order of their mean attribution by integrated gradients.

    values_p = mean over the new pixels of p's segment of a, when the segment was taken; the segment with the largest
    mean is taken next; a is the mean of integrated gradients from two baselines, black and white

    Segments come from six scales of Felzenszwalb's algorithm, widened by 5 pixels of 224, and overlap; pixels that no
    segment adds get their own mean. Images of more than 224 × 224 pixels are reduced to that for it; for smaller ones
    its sizes are in proportion to the area. Black and white are the smallest and the largest pixel value of an image.

    Options:
        n_steps: number of points on each of the two paths.

    Returns:
        `(n, h, w)`, signed, in units of the score per pixel. The note `segments` counts those taken of each image.

    Raises:
        InputError: for inputs other than images with two sides.
        MissingDependency: without scikit-image.

    Reference:
        Kapishnikov et al. 2019. Their code takes the largest attribution of a pixel's color channels; ours the sum, by
        which integrated gradients adds up to the score. Their code enlarges small images to 224 × 224.
    """
    if images.ndim != 4:
        text = explain_error("XRAI cuts images into segments.", f"inputs of {images.ndim - 2} axes", "Use lime.")
        raise InputError(text)
    objective = resolved(model, images, objective)
    images = on_device(model, images)
    xp = array_namespace(images)
    ends = (f(images, axis=(1, 2, 3), keepdims=True) + xp.zeros_like(images) for f in (xp.min, xp.max))
    total = sum(path_integral(model, images, base, objective, n_steps) for base in ends)
    attributions = to_numpy(xp.sum(total, axis=-1)).astype(np.float64) / 2.0
    found, counts = [], []
    for image, attribution in zip(to_numpy(images), attributions, strict=True):
        values, count = by_regions(attribution, overlapping_segments(image))
        found.append(values)
        counts.append(count)
    return Maps(like(np.stack(found).astype(np.float32), images), {"segments": counts})


def overlapping_segments(image: npt.NDArray[np.float32]) -> list[Mask]:
    """Return the segments of an image at several scales, each a mask `(h, w)`.

    Args:
        image: `(h, w, c)`.

    Returns:
        masks of all segments, widened.

    Raises:
        MissingDependency: without scikit-image.
    """
    with requiring("scikit-image", "perturbation", "Cutting into segments"):
        from scipy.ndimage import binary_dilation
        from skimage.morphology import disk
        from skimage.segmentation import felzenszwalb
    h, w = image.shape[:2]
    span = float(np.ptp(image))
    if span == 0:  # nothing to follow
        return [np.ones((h, w), bool)]
    side = (SIDE, SIDE) if h * w > SIDE**2 else (h, w)
    area = min(1.0, h * w / SIDE**2)
    scaled = np.asarray(resize((image[None] - image.min()) / span * 2.0 - 1.0, side)[0], np.float64)
    at = np.ix_(
        *(((np.arange(size) + 0.5) * other / size).astype(int) for size, other in zip((h, w), side, strict=True))
    )
    radius = round(DILATION * max(h, w) / SIDE)
    around = disk(radius)
    masks = []
    for scale in SCALES:
        smallest = max(1, round(SMALLEST * area))
        cut = felzenszwalb(scaled, scale=scale * area, sigma=SMOOTHING, min_size=smallest, channel_axis=-1)[at]
        found = [cut == number for number in np.unique(cut)]
        masks += [binary_dilation(mask, around) for mask in found] if radius else found
    return masks


def by_regions(attribution: Map, masks: list[Mask]) -> tuple[Map, int]:
    """Return the map of the mean attribution of regions, taken in the order of that mean, and how many were taken.

    Args:
        attribution: `(h, w)`.
        masks: `(h, w)` each; they may overlap.

    Returns:
        `(h, w)`, and the number of masks taken.
    """
    flat = attribution.ravel()
    least = max(1.0, LEAST * flat.size / SIDE**2)
    open_ = np.ones(flat.size, bool)
    values, taken = np.zeros(flat.size), 0
    remaining = np.stack([mask.ravel() for mask in masks]).astype(np.float64)
    while len(remaining):
        counts = remaining @ open_
        remaining, counts = remaining[counts >= least], counts[counts >= least]
        if not len(remaining):
            break
        means = remaining @ (flat * open_) / counts
        best = int(np.argmax(means))
        new = open_ & (remaining[best] > 0)
        values[new] = means[best]
        open_ &= ~new
        remaining = np.delete(remaining, best, axis=0)
        taken += 1
    if open_.any():
        values[open_] = flat[open_].mean()
    return values.reshape(attribution.shape), taken
