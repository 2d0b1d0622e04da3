"""How right a map is, where the truth is known: relevance mass, precision, rank agreement with and without area."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Map = npt.NDArray[np.float64]


def relevance_mass(maps: Map, truth: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Return the fraction of each map's positive part that lies in the truth; a map without any counts as flat.

    Args:
        maps: `(n, h, w)`.
        truth: `(n, h, w)`.
    """
    positive = np.maximum(maps, 0.0)
    total = positive.sum(axis=(1, 2))
    inside = (positive * truth).sum(axis=(1, 2))
    return np.where(total > 0, inside / np.where(total > 0, total, 1.0), truth.mean(axis=(1, 2)))


def precision(maps: Map, truth: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Return the fraction of the highest positions, as many as the truth has, that lie in it; ties count in part.

    Args:
        maps: `(n, h, w)`.
        truth: `(n, h, w)`.
    """
    found = []
    for values, mask in zip(maps.reshape(len(maps), -1), truth.reshape(len(maps), -1), strict=True):
        count = int(mask.sum())
        limit = np.sort(values)[-count]
        above, level = values > limit, values == limit
        hits = (mask & above).sum() + (count - above.sum()) * mask[level].mean()
        found.append(float(hits) / count)
    return np.array(found)


def _ranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    order = np.argsort(np.argsort(values, kind="stable"), kind="stable").astype(np.float64)
    for value in np.unique(values):  # ties share their mean rank
        order[values == value] = order[values == value].mean()
    return order


def _correlation(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > 0 else 0.0


def agreement(scores: Sequence[float], drops: Sequence[float]) -> float:
    """Return 0.5 + ρ / 2 with Spearman's ρ of what the map gives to parts and what each part is worth.

    Args:
        scores: the map's sum or mean over each part.
        drops: the change of the answer without that part.
    """
    return 0.5 + 0.5 * _correlation(_ranks(np.asarray(scores, float)), _ranks(np.asarray(drops, float)))


def partial_agreement(
    scores: Sequence[Sequence[float]], drops: Sequence[Sequence[float]], controls: Sequence[Sequence[Sequence[float]]]
) -> float:
    """Return the rank correlation of scores and drops over all parts of all images, controls taken out of both.

    Ranks are taken within each image and centered there, so that images do not differ; scores and drops are then
    regressed on the ranks of the controls, and the residuals correlated. 0 for a map that knows nothing but the
    controls.

    Args:
        scores: for each image, the map's sum over each part.
        drops: for each image, the change of the answer without each part.
        controls: for each image and part, numbers such as area and distance from the center.
    """

    def centered(rows: Sequence[Sequence[float]]) -> npt.NDArray[np.float64]:
        ranks = [_ranks(np.asarray(row, float)) / max(len(row) - 1, 1) for row in rows]
        return np.concatenate([r - r.mean() for r in ranks])

    count = len(controls[0][0])
    design = np.stack([centered([[part[k] for part in row] for row in controls]) for k in range(count)], 1)
    residuals = []
    for rows in (scores, drops):
        y = centered(rows)
        residuals.append(y - design @ np.linalg.lstsq(design, y, rcond=None)[0])
    return _correlation(*residuals)
