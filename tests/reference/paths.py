"""Slow implementations of methods that average gradients on paths: one image, one point at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

from .capture import Values, input_gradient
from .gradients import noisy


def expected_gradients(net: Any, image: Any, k: int, n: int, baselines: Any, noise: float = 0.0) -> Values:
    """Mean over random points of the way from a baseline times the gradient there.

    Args:
        net: the network.
        image: `(h, w, c)`.
        k: class.
        n: number of points.
        baselines: levels of gray.
        noise: standard deviation as a fraction of the range.
    """
    image = np.asarray(image, np.float32)
    rng = np.random.default_rng([0, 1])
    which = rng.permutation(np.arange(n) % len(baselines))
    strata = rng.permutation(n)
    inside = rng.random(n)
    copies = noisy(image, n, noise, 0)
    total = np.zeros(image.shape)
    for i in range(n):
        base = np.full_like(image, baselines[which[i]])
        a = np.float32((strata[i] + inside[i]) / n)
        total += (copies[i] - base) * input_gradient(net, base + a * (copies[i] - base), k)
    return total / n


def blurred(image: Any, sigma: float, border: str) -> Any:
    """SciPy's Gaussian filter with zeros outside; for "inside" uncut and divided by what lies inside."""
    if sigma == 0:
        return np.asarray(image, np.float64)
    cut = 4.0 if border == "zero" else 1e3 / sigma
    options = {"sigma": (sigma, sigma, 0), "mode": "constant", "truncate": cut}
    smooth = gaussian_filter(np.asarray(image, np.float64), **options)
    return smooth if border == "zero" else smooth / gaussian_filter(np.ones(np.shape(image)), **options)


def blur_ig(net: Any, image: Any, k: int, n: int, border: str = "inside", widest: float | None = None) -> Values:
    """Sum over steps of the change of the image times the gradient in the middle of the step."""
    widest = 50 / 299 * max(np.shape(image)[:2]) if widest is None else widest
    total = np.zeros(np.shape(image))
    for i in range(n):
        middle = blurred(image, widest * (i + 0.5) / n, border)
        change = blurred(image, widest * i / n, border) - blurred(image, widest * (i + 1) / n, border)
        total += change * input_gradient(net, middle, k)
    return total


def guided_ig(net: Any, image: Any, k: int, n: int, fraction: float = 0.25, distance: float = 0.02) -> Values:
    """Walk from black to the image, values with small gradients first; all values of the image one after the other."""
    goal = np.asarray(image, np.float64).ravel()
    x, values = np.zeros(goal.size), np.zeros(goal.size)
    for step in range(1, n + 1):
        g = input_gradient(net, x.reshape(np.shape(image)), k).ravel()
        before = x.copy()
        low, high = max(step / n - distance, 0.0) * goal, min(step / n + distance, 1.0) * goal
        x = np.maximum(x, low)
        left = goal.sum() - x.sum() - goal.sum() * (1 - step / n)
        while left > 1e-9 * goal.sum():
            open_ = [j for j in range(goal.size) if high[j] - x[j] > 1e-12]
            if not open_:
                break
            place = int(np.floor(fraction * (goal.size - 1)))
            limit = sorted(abs(g[j]) for j in open_)[place] if place < len(open_) else np.inf
            chosen = [j for j in open_ if abs(g[j]) <= limit]
            room = sum(high[j] - x[j] for j in chosen)
            part = min(1.0, left / room)
            for j in chosen:
                x[j] += part * (high[j] - x[j])
            left -= part * room
        values += (x - before) * g
    return values.reshape(np.shape(image))
