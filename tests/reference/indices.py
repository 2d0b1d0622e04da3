"""Slow implementations of indices of grid cells, of regions and of adaptively placed masks: one mask at a time."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from scipy.stats.qmc import Sobol

from shisen.attribution.xrai import overlapping_segments

from .capture import Values, logit
from .gradients import integrated_gradients


def kept(image: Any, cells: Any) -> Any:
    """Return the image times a grid of values, cell by cell."""
    out = np.array(image, np.float64)
    for y, x in np.ndindex(*out.shape[:2]):
        out[y, x] *= cells[y * len(cells) // out.shape[0], x * len(cells) // out.shape[1]]
    return out


def drawn(values: Any, size: Any) -> Values:
    """Return a map with every pixel's value that of its cell."""
    n = len(values)
    return np.asarray([[values[y * n // size[0], x * n // size[1]] for x in range(size[1])] for y in range(size[0])])


def sobol(net: Any, image: Any, k: int, n: int, grid: int) -> Values:
    """Jansen's estimator of the total index, cell by cell."""
    count = grid * grid
    points = (Sobol(2 * count, scramble=False).random(n) + np.random.default_rng(0).random(2 * count)) % 1.0
    a, b = points[:, :count], points[:, count:]
    y = np.asarray([logit(net, kept(image, row.reshape(grid, grid)), k) for row in a])
    index = np.zeros(count)
    for c in range(count):
        for row, other, score in zip(a, b, y, strict=True):
            again = row.copy()
            again[c] = other[c]
            index[c] += (score - logit(net, kept(image, again.reshape(grid, grid)), k)) ** 2
    index /= 2 * n * y.var(ddof=1)
    return drawn(index.reshape(grid, grid), np.shape(image))


def hsic(net: Any, image: Any, k: int, n: int, grid: int, kind: str = "distance") -> Values:
    """The trace of two centered kernel matrices over n², cell by cell."""
    rng = np.random.default_rng(0)
    masks = np.stack([rng.permutation(np.arange(n) % 2) for _ in range(grid * grid)], axis=1)
    y = np.asarray([logit(net, kept(image, row.reshape(grid, grid)), k) for row in masks])
    pairs = [abs(y[i] - y[j]) for i in range(n) for j in range(i)]
    b = np.median(pairs) if kind == "distance" else np.median(y)
    one = np.exp(-((y[:, None] - y[None, :]) ** 2) / (2 * b**2))
    h = np.eye(n) - 1 / n
    found = []
    for column in masks.T.astype(float):
        other = 0.5 - (column[:, None] - column[None, :]) ** 2
        found.append(np.trace(h @ other @ h @ one) / n**2)
    return drawn(np.reshape(found, (grid, grid)), np.shape(image))


def xrai(net: Any, image: Any, k: int, n: int) -> Values:
    """Take the region with the densest new attribution, again and again."""
    low, high = (float(np.float32(f(image))) for f in (np.min, np.max))
    found = [integrated_gradients(net, image, k, n, level) for level in (low, high)]
    a = (found[0] + found[1]).sum(axis=2) / 2
    regions = [{tuple(p) for p in np.argwhere(mask)} for mask in overlapping_segments(np.asarray(image, np.float32))]
    left = set(np.ndindex(*a.shape))
    values = np.zeros(a.shape)
    least = max(1.0, 50 * a.size / 224**2)
    while regions := [region for region in regions if len(region & left) >= least]:
        density = [np.mean([a[p] for p in region & left]) for region in regions]
        best = int(np.argmax(density))
        new = regions.pop(best) & left
        for p in new:
            values[p] = density[best]
        left -= new
    for p in left:
        values[p] = np.mean([a[q] for q in left])
    return values


def adaptive_masks(net: Any, image: Any, k: int, count: int, widths: Any) -> Values:
    """Cut the best cell into nine, mask by mask; a kernel regression over all masks."""
    image = np.asarray(image, np.float64)
    h, w = image.shape[:2]
    whole, empty = logit(net, image, k), logit(net, image * 0, k)
    total, weight = np.zeros((h, w)), np.zeros((h, w))
    for number, width in enumerate(widths):
        sigma = width * min(h, w)

        def window(center: Any, sigma: float = sigma) -> Any:
            down = (np.arange(h) + 0.5 - center[0] * h) / sigma
            right = (np.arange(w) + 0.5 - center[1] * w) / sigma
            return np.exp(-(down[:, None] ** 2 + right[None, :] ** 2) / 2)

        def worth(center: Any, window: Any = window) -> float:
            m = window(center)[:, :, None]
            return 0.5 * (logit(net, image * m, k) - empty + whole - logit(net, image * (1 - m), k))

        own = count // len(widths) + (number < count % len(widths))
        cells = [[0.5, 0.5, 1.0, worth((0.5, 0.5))]]
        while len(cells) < own:
            scores = [cell[3] for cell in cells]
            bonus = 0.5 * max(max(scores) - min(scores), 1e-12)
            best = max(cells, key=lambda cell, bonus=bonus: cell[3] + bonus * cell[2])
            best[2] /= 3
            y, x, size = best[:3]
            for i, j in product((-1, 0, 1), repeat=2):
                if (i or j) and len(cells) < own:
                    place = (y + i * size, x + j * size)
                    cells.append([*place, size, worth(place)])
        for y, x, _, score in cells:
            total += window((y, x)) * score
            weight += window((y, x))
    return total / weight
