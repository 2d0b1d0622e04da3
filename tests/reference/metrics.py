"""Slow re-implementations of the metrics, pixel by pixel and image by image, straight from the papers."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

Chance = Callable[[Any], float]


def curve(
    image: Any, heat: Any, baseline: Any, ties: Any, chance: Chance, *, steps: int, removing: bool
) -> list[float]:
    """One forward after the other; pixels leave (or come) one at a time."""
    h, w = heat.shape
    pixels = [(y, x) for y in range(h) for x in range(w)]
    pixels.sort(key=lambda p: (-float(heat[p]), -float(ties[p[0] * w + p[1]])))
    shown = np.array(image if removing else baseline, dtype=np.float32)
    values = [chance(shown)]
    done = 0
    for k in range(1, steps + 1):
        until = math.floor(k * h * w / steps + 0.5)
        for p in pixels[done:until]:
            shown[p] = baseline[p] if removing else image[p]
        done = until
        values.append(chance(shown))
    return values


def area(values: list[float]) -> float:
    total = 0.0
    for a, b in pairwise(values):
        total += (a + b) / 2 / (len(values) - 1)
    return total


def mask(heat: Any) -> Any:
    """Positive part, min–max scaled."""
    positive = [[max(0.0, float(v)) for v in row] for row in heat]
    flat = [v for row in positive for v in row]
    low, high = min(flat), max(flat)
    return np.array([[(v - low) / (high - low) for v in row] for row in positive])


def through(image: Any, m: Any, zero: Any) -> Any:
    """The image seen through a mask: the product on the normalized image is a blend with its zero."""
    out = np.zeros_like(image)
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            for c in range(image.shape[2]):
                out[y, x, c] = zero[c] + m[y, x] * (image[y, x, c] - zero[c])
    return out


def pearson(a: Any, b: Any) -> float:
    x, y = [float(v) for v in np.ravel(a)], [float(v) for v in np.ravel(b)]
    mx, my = sum(x) / len(x), sum(y) / len(y)
    top = sum((p - mx) * (q - my) for p, q in zip(x, y, strict=True))
    return top / math.sqrt(sum((p - mx) ** 2 for p in x) * sum((q - my) ** 2 for q in y))


def spearman(a: Any, b: Any) -> float:
    def ranks(values: Any) -> list[float]:
        v = [float(x) for x in np.ravel(values)]
        return [sum(o < x for o in v) + (sum(o == x for o in v) - 1) / 2 for x in v]

    return pearson(ranks(a), ranks(b))


def gini(heat: Any) -> float:
    """Mean absolute difference of all pairs over twice the mean."""
    v = [abs(float(x)) for x in np.ravel(heat)]
    return sum(abs(a - b) for a in v for b in v) / (2 * len(v) * sum(v))


def imputed(image: Any, keep: Any) -> Any:
    """The linear system of ROAD, dense, one removed pixel a row."""
    h, w = keep.shape
    gone = [(y, x) for y in range(h) for x in range(w) if not keep[y, x]]
    system = np.zeros((len(gone), len(gone)))
    right = np.zeros((len(gone), image.shape[2]))
    for i, (y, x) in enumerate(gone):
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                there = (y + dy, x + dx)
                if (dy, dx) == (0, 0) or not (0 <= there[0] < h and 0 <= there[1] < w):
                    continue
                weight = 1 / 12 if dy and dx else 1 / 6
                system[i, i] += weight
                if keep[there]:
                    right[i] += weight * image[there]
                else:
                    system[i, gone.index(there)] -= weight
    solved = np.linalg.solve(system, right)
    out = np.array(image, dtype=np.float64)
    for p, value in zip(gone, solved, strict=True):
        out[p] = value
    return out
