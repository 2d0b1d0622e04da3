"""Groups of images of a class for which the model used the same features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

LARGEST = 1000


def clusters(features: npt.NDArray[np.float32], maps: npt.NDArray[np.float32]) -> list[tuple[int, ...]]:
    """Return groups of rows, largest first; rows that belong to no group are left out.

    What the model used is one vector an image: mean_hw(gradient · activation), scaled to length one, beside the map
    scaled to length one; its ten largest principal components are clustered by density.

    Args:
        features: `(n, c)`.
        maps: `(n, positions)`.

    Reference: Campello et al. 2013, HDBSCAN, as in scikit-learn.
    """
    n = len(features)
    if n < 12:
        return []
    from sklearn.cluster import HDBSCAN

    joined = np.concatenate([_unit(features), 0.5 * _unit(maps)], axis=1)[:LARGEST]
    centered = joined - joined.mean(0)
    left, scale, _ = np.linalg.svd(centered, full_matrices=False)
    points = left[:, :10] * scale[:10]
    names = HDBSCAN(min_cluster_size=max(4, n // 15), min_samples=3, copy=True).fit_predict(points)
    groups = [tuple(int(i) for i in np.flatnonzero(names == k)) for k in sorted(set(names.tolist()) - {-1})]
    return sorted(groups, key=lambda g: (-len(g), g))


def _unit(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    norm = np.linalg.norm(values, axis=1, keepdims=True)
    return np.asarray(values / np.where(norm > 0, norm, 1.0), dtype=np.float32)


def mean_map(maps: Sequence[Sequence[float]], shape: Sequence[int]) -> npt.NDArray[np.float32]:
    """Return the mean of maps, each scaled to a largest absolute value of one; `(h, w)`.

    Args:
        maps: maps, flattened.
        shape: `(h, w)` of the result.
    """
    total = np.zeros(tuple(shape), np.float32)
    for values in maps:
        one = np.asarray(values, np.float32).reshape(total.shape)
        total += one / max(float(np.abs(one).max()), 1e-12)
    return np.asarray(total / max(len(maps), 1), dtype=np.float32)
