"""Parts of drawn creatures: every variant is a list of polygons in the creature's own coordinates.

The body is about one unit high, x to the right, y down, the creature looks to the right. A polygon is `(tone, points)`:
tone 0 is the part's own color, 1 its dark accent, 2 near-black, 3 near-white. Parts are drawn in the order of `ORDER`,
so a part hides what lies before it in that order.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]
Shapes = list[tuple[int, Points]]


def ellipse(x: float, y: float, rx: float, ry: float, turn: float = 0.0, count: int = 40) -> Points:
    """Return the outline `(count, 2)` of an ellipse around (x, y), turned by `turn` radians."""
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    points = np.stack([rx * np.cos(angle), ry * np.sin(angle)], 1)
    c, s = np.cos(turn), np.sin(turn)
    return points @ np.array([[c, s], [-s, c]]) + (x, y)


def polygon(*points: tuple[float, float]) -> Points:
    """Return the corners `(n, 2)`."""
    return np.array(points, np.float64)


def band(points: list[tuple[float, float]], start: float, end: float) -> Points:
    """Return the outline of a band along a line, `start` broad at its beginning and `end` broad at its end."""
    line = np.array(points, np.float64)
    way = np.gradient(line, axis=0)
    normal = np.stack([-way[:, 1], way[:, 0]], 1) / np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1e-9)
    half = np.linspace(start, end, len(line))[:, None] / 2
    return np.concatenate([line + half * normal, (line - half * normal)[::-1]])


def _arc(x: float, y: float, radius: float, start: float, end: float, count: int = 16) -> list[tuple[float, float]]:
    return [(x + radius * np.cos(a), y + radius * np.sin(a)) for a in np.linspace(start, end, count)]


BODY: Mapping[str, Shapes] = {
    "round": [(0, ellipse(0, 0, 0.52, 0.5)), (1, ellipse(0.05, 0.22, 0.3, 0.2))],
    "long": [(0, ellipse(0, 0.05, 0.75, 0.34)), (1, ellipse(0.1, 0.2, 0.5, 0.13))],
    "upright": [(0, ellipse(0, -0.02, 0.36, 0.62)), (1, ellipse(0.12, 0.1, 0.17, 0.4))],
}
HEAD: Mapping[str, Shapes] = {
    "ball": [(0, ellipse(0.55, -0.55, 0.27, 0.27))],
    "crest": [
        (
            1,
            polygon(
                (0.36, -0.72), (0.3, -1.05), (0.46, -0.85), (0.52, -1.12), (0.6, -0.86), (0.76, -1.04), (0.74, -0.7)
            ),
        ),
        (0, ellipse(0.55, -0.55, 0.25, 0.25)),
    ],
    "eared": [
        (1, polygon((0.36, -0.66), (0.3, -1.05), (0.55, -0.78))),
        (1, polygon((0.6, -0.78), (0.8, -1.05), (0.78, -0.64))),
        (0, ellipse(0.55, -0.55, 0.27, 0.24)),
    ],
}
EYES: Mapping[str, Shapes] = {
    "dot": [(2, ellipse(0.62, -0.6, 0.06, 0.06))],
    "ring": [(3, ellipse(0.61, -0.6, 0.11, 0.11)), (2, ellipse(0.64, -0.6, 0.045, 0.045))],
    "mask": [(2, ellipse(0.6, -0.6, 0.2, 0.08)), (3, ellipse(0.65, -0.6, 0.05, 0.05))],
}
MOUTH: Mapping[str, Shapes] = {
    "pointed": [(0, polygon((0.76, -0.62), (1.15, -0.5), (0.76, -0.42)))],
    "hooked": [(0, polygon((0.74, -0.66), (0.98, -0.62), (1.08, -0.36), (0.94, -0.46), (0.74, -0.42)))],
    "flat": [(0, band([(0.74, -0.48), (0.92, -0.5), (1.12, -0.44)], 0.12, 0.22))],
}
WINGS: Mapping[str, Shapes] = {
    "feathered": [
        (k % 2, polygon((0.12 - 0.05 * k, -0.2), (-0.25 - 0.18 * k, -0.85 + 0.2 * k), (-0.3 - 0.1 * k, 0.1)))
        for k in range(4)
    ],
    "membrane": [
        (
            0,
            polygon(
                (0.12, -0.15), (-0.1, -1.0), (-0.38, -0.62), (-0.62, -0.86), (-0.66, -0.42), (-0.94, -0.4), (-0.3, 0.15)
            ),
        ),
        (1, band([(0.1, -0.15), (-0.1, -1.0)], 0.06, 0.02)),
    ],
    "small": [(1, ellipse(-0.12, -0.02, 0.3, 0.15, 0.5))],
}
FEET: Mapping[str, Shapes] = {
    "claws": [
        (k, band([(x, 0.4), (x, 0.8), (x + dx, 0.92)], 0.06, 0.03))
        for x in (-0.16, 0.16)
        for k, dx in ((0, -0.14), (0, 0.03), (0, 0.18))
    ],
    "webbed": [(0, polygon((x - 0.03, 0.4), (x + 0.03, 0.4), (x + 0.24, 0.9), (x - 0.1, 0.9))) for x in (-0.2, 0.14)],
    "hooves": [
        shape
        for x in (-0.28, -0.1, 0.1, 0.28)
        for shape in ((0, band([(x, 0.3), (x, 0.82)], 0.1, 0.1)), (2, band([(x, 0.82), (x, 0.93)], 0.12, 0.14)))
    ],
}
TAIL: Mapping[str, Shapes] = {
    "fan": [
        (k % 2, polygon((-0.42, 0.05), (-1.05 - 0.04 * k, -0.42 + 0.19 * k), (-1.02, -0.22 + 0.19 * k)))
        for k in range(5)
    ],
    "curl": [(0, band([(-0.4, 0.1), *_arc(-0.82, -0.08, 0.24, 1.2, 5.6)], 0.16, 0.05))],
    "forked": [(0, polygon((-0.4, -0.02), (-1.2, -0.42), (-0.92, 0.04), (-1.2, 0.44), (-0.4, 0.16)))],
}

PARTS: Mapping[str, Mapping[str, Shapes]] = {
    "tail": TAIL,
    "feet": FEET,
    "body": BODY,
    "wings": WINGS,
    "head": HEAD,
    "mouth": MOUTH,
    "eyes": EYES,
}
ORDER: tuple[str, ...] = tuple(PARTS)


def classes(count: int = 20, *, distance: int = 3, seed: int = 0) -> list[dict[str, str]]:
    """Return combinations of variants, slot → variant, any two of which differ in at least `distance` slots.

    Args:
        count: how many.
        distance: least number of slots in which two of them differ.
        seed: random seed of the order in which combinations are tried.

    Raises:
        ValueError: where there are not so many.
    """
    sizes = [len(variants) for variants in PARTS.values()]
    names = [list(variants) for variants in PARTS.values()]
    codes = np.stack(np.unravel_index(np.random.default_rng(seed).permutation(int(np.prod(sizes))), sizes), 1)
    chosen: list[npt.NDArray[np.int64]] = []
    for code in codes:
        if all(int((code != other).sum()) >= distance for other in chosen):
            chosen.append(code)
            if len(chosen) == count:
                return [dict(zip(ORDER, (n[i] for n, i in zip(names, c, strict=True)), strict=True)) for c in chosen]
    raise ValueError(f"There are {len(chosen)} classes that differ in {distance} parts. Received: count={count}.")
