"""Maps of any registered method, and how much of the evidence lies in the background."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .. import registry
from .._core.image_ops import box_mean
from ..errors import ShisenError
from ..targets import ClassObjective, to_numpy

if TYPE_CHECKING:
    from ..models.model import Model

Floats = npt.NDArray[np.float32]
FINEST = 28
"""Largest side of a map that is kept: finer ones are averaged down to it."""
COLORS = 12


def maps_by(model: Model, method: str, images: Any, targets: Sequence[int]) -> Floats:
    """Return the maps `(n, h, w)` of one class an image, summed over colors, at most `FINEST` on a side.

    Args:
        model: the network.
        method: a registered name.
        images: `(n, h, w, c)`.
        targets: class numbers.
    """
    spec = registry.get(method)
    found = []
    for start in range(0, len(images), model.batch_size):
        part, own = images[start : start + model.batch_size], tuple(targets[start : start + model.batch_size])
        objective = ClassObjective("class", ((1.0, own),), head=model.head)
        values = to_numpy(spec(model, part, objective).values).astype(np.float32)
        found.append(_coarse(values.sum(-1) if values.ndim == 4 else values))
    return np.concatenate(found)


def _coarse(values: Floats) -> Floats:
    step = max(1, -(-max(values.shape[1:]) // FINEST))
    if step == 1:
        return values
    h, w = (values.shape[1] // step * step, values.shape[2] // step * step)
    blocks = values[:, :h, :w].reshape(len(values), h // step, step, w // step, step)
    return np.asarray(blocks.mean((2, 4)), dtype=np.float32)


def grid_of(model: Model, methods: Sequence[str], images: Any, targets: Sequence[int]) -> dict[str, Floats]:
    """Return method → maps `(n, h, w)` for those methods that suit the model.

    Args:
        model: the network.
        methods: names of the methods.
        images: the images.
        targets: class of each image.
    """
    found = {}
    for name in methods:
        try:
            found[name] = maps_by(model, name, images, targets)
        except (ShisenError, RuntimeError, ValueError):
            continue
    return found


def background(pixels: npt.NDArray[np.uint8]) -> Floats:
    """Return how much each position belongs to the background, in [0, 1], `(h, w)`.

    Colors are grouped; a group is background as far as it touches the border more than its size alone would have it:
    the fraction of the border it covers over the square root of the fraction of the image it covers ("boundary
    connectivity"), cut to [0, 1].

    Reference: Zhu et al. 2014, Saliency optimization from robust background detection.

    Args:
        pixels: `(h, w, 3)`.
    """
    h, w = pixels.shape[:2]
    smooth = np.stack([box_mean(pixels[None, ..., c].astype(np.float32), 5)[0] for c in range(3)], -1)
    smooth /= box_mean(np.ones((1, h, w), np.float32), 5)[0][..., None]
    points = np.rint(smooth.reshape(-1, 3) * 16) / 16  # rounding errors of the mean would split a flat area
    order = np.argsort(points @ np.array([0.3, 0.6, 0.1], np.float32), kind="stable")
    centers = points[order[np.linspace(0, len(points) - 1, COLORS).astype(int)]].copy()
    groups = np.zeros(len(points), np.int64)
    for _ in range(6):  # k-means from evenly spaced gray values: no chance is involved
        groups = np.argmin(np.square(points[:, None] - centers[None]).sum(-1), 1)
        for k in range(COLORS):
            if (groups == k).any():
                centers[k] = points[groups == k].mean(0)
    edge = np.zeros((h, w), bool)
    edge[0], edge[-1], edge[:, 0], edge[:, -1] = True, True, True, True
    fraction = np.bincount(groups, minlength=COLORS) / len(points)
    touching = np.bincount(groups[edge.ravel()], minlength=COLORS) / edge.sum()
    degree = np.clip(touching / np.sqrt(np.maximum(fraction, 1e-6)), 0, 1)
    return np.asarray(degree[groups].reshape(h, w), dtype=np.float32)


def reliance(values: Floats, pixels: npt.NDArray[np.uint8]) -> tuple[float, float]:
    """Return `(evidence, area)`: the fraction of the positive evidence, and of the image, that is background.

    Args:
        values: `(h, w)`, the map.
        pixels: `(H, W, 3)` uint8, the image.
    """
    from PIL import Image

    h, w = values.shape
    # maps are far coarser than images: half of the pixels each way tell as much
    halved = np.asarray(Image.fromarray(pixels).reduce(2)) if min(pixels.shape[:2]) >= 4 * FINEST else pixels
    where = background(halved)
    small = np.asarray(Image.fromarray(where).resize((w, h), Image.Resampling.BOX))
    positive = np.maximum(values, 0)
    total = float(positive.sum())
    return (float((positive * small).sum()) / total if total > 0 else 0.0), float(where.mean())
