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


# ---- every registered metric, on a toy: from a `Sample`, the probability of an image and a method to the value

Explain = Callable[[Any, float], Any]


def order(sample: Any) -> list[tuple[int, int]]:
    """Pixels by falling value, equal ones by falling random numbers of the image."""
    h, w = sample.heat.shape
    ties = sample.rng("ties").random(h * w)
    pixels = [(y, x) for y in range(h) for x in range(w)]
    return sorted(pixels, key=lambda p: (-float(sample.heat[p]), -float(ties[p[0] * w + p[1]])))


def deletion(sample: Any, chance: Chance, explain: Explain) -> float:
    ties = sample.rng("ties").random(sample.heat.size)
    return area(curve(sample.image, sample.heat, np.zeros_like(sample.image), ties, chance, steps=16, removing=True))


def insertion(sample: Any, chance: Chance, explain: Explain) -> float:
    ties = sample.rng("ties").random(sample.heat.size)
    return area(curve(sample.image, sample.heat, sample.pixels("blur"), ties, chance, steps=16, removing=False))


def insertion_deletion(sample: Any, chance: Chance, explain: Explain) -> float:
    return insertion(sample, chance, explain) - deletion(sample, chance, explain)


def masked(sample: Any, chance: Chance, complement: bool = False) -> tuple[float, float]:
    """The probability of the image, and of the image under its map or the complement of it."""
    m = mask(sample.heat)
    return chance(sample.image), chance(through(sample.image, 1 - m if complement else m, (0.0, 0.0, 0.0)))


def average_drop(sample: Any, chance: Chance, explain: Explain) -> float:
    p, q = masked(sample, chance)
    return 100 * max(0.0, p - q) / p


def increase(sample: Any, chance: Chance, explain: Explain) -> float:
    p, q = masked(sample, chance)
    return 100.0 if q > p else 0.0


def average_gain(sample: Any, chance: Chance, explain: Explain) -> float:
    p, q = masked(sample, chance)
    return 100 * max(0.0, q - p) / (1 - p)


def drop_in_deletion(sample: Any, chance: Chance, explain: Explain) -> float:
    p, q = masked(sample, chance, complement=True)
    return 100 * max(0.0, p - q) / p


def complexity(sample: Any, chance: Chance, explain: Explain) -> float:
    m = mask(sample.heat)
    return 100 * sum(float(v) for v in m.ravel()) / m.size


def coherency(sample: Any, chance: Chance, explain: Explain) -> float:
    m = mask(sample.heat)
    again = explain(through(sample.image, m, (0.0, 0.0, 0.0))[None], 0.0)[0]
    return 100 * (1 + pearson(m, mask(again))) / 2


def adcc(sample: Any, chance: Chance, explain: Explain) -> float:
    terms = (
        coherency(sample, chance, explain) / 100,
        1 - complexity(sample, chance, explain) / 100,
        1 - average_drop(sample, chance, explain) / 100,
    )
    return 100 * 3 / sum(1 / t for t in terms)


def road_with(sample: Any, chance: Chance, most_relevant_first: bool, points: Any = (10, 20, 40, 70, 90)) -> float:
    pixels = order(sample) if most_relevant_first else order(sample)[::-1]
    noise = sample.rng("road").normal(0.0, 0.01, sample.image.shape)
    total = 0.0
    for per_cent in points:
        keep = np.ones(sample.heat.shape, dtype=bool)
        for p in pixels[: round(per_cent / 100 * len(pixels))]:
            keep[p] = False
        shown = imputed(sample.image, keep)
        shown[~keep] += noise[~keep]
        total += chance(shown) / len(points)
    return total


def road_morf(sample: Any, chance: Chance, explain: Explain) -> float:
    return road_with(sample, chance, True)


def road_lerf(sample: Any, chance: Chance, explain: Explain) -> float:
    return road_with(sample, chance, False)


def road(sample: Any, chance: Chance, explain: Explain) -> float:
    return (road_with(sample, chance, False) - road_with(sample, chance, True)) / 2


def logit_of(p: float) -> float:
    return math.log(p / (1 - p))


def predicted_and_lost(sample: Any, chance: Chance, removed: list[Any]) -> tuple[list[float], list[float]]:
    """For each set of pixels the sum of the map over it, and the fall of the logit without it."""
    whole, sums, falls = logit_of(chance(sample.image)), [], []
    for gone in removed:
        shown = sample.image.copy()
        for p in gone:
            shown[p] = 0.0
        sums.append(sum(float(sample.heat[p]) for p in gone))
        falls.append(whole - logit_of(chance(shown)))
    return sums, falls


def infidelity(sample: Any, chance: Chance, explain: Explain) -> float:
    h, w = sample.heat.shape
    side = round(0.25 * min(h, w))
    rng = sample.rng(f"squares 32 {side}")
    top, left = rng.integers(0, h - side + 1, 32), rng.integers(0, w - side + 1, 32)
    squares = [[(y, x) for y in range(a, a + side) for x in range(b, b + side)] for a, b in zip(top, left, strict=True)]
    sums, falls = predicted_and_lost(sample, chance, squares)
    beta = sum(a * b for a, b in zip(sums, falls, strict=True)) / sum(a * a for a in sums)
    return sum((beta * a - b) ** 2 for a, b in zip(sums, falls, strict=True)) / len(sums)


def mufidelity(sample: Any, chance: Chance, explain: Explain) -> float:
    h, w = sample.heat.shape
    rng = sample.rng("subsets 48 9 0.5")
    subsets = []
    for _ in range(48):
        chosen = set(rng.permutation(81)[:40].tolist())
        subsets.append([(y, x) for y in range(h) for x in range(w) if y * 9 // h * 9 + x * 9 // w in chosen])
    return spearman(*predicted_and_lost(sample, chance, subsets))


def max_sensitivity(sample: Any, chance: Chance, explain: Explain) -> float:
    noise = sample.rng("noise 6 0.02").uniform(-0.02, 0.02, (6, *sample.image.shape))
    own = np.asarray(sample.values, np.float64)
    changes = []
    for one in noise:
        again = np.asarray(explain((sample.image + one).astype(np.float32)[None], 0.0)[0], np.float64)
        changes.append(math.sqrt(sum((a - b) ** 2 for a, b in zip(again.ravel(), own.ravel(), strict=True))))
    return max(changes) / math.sqrt(sum(v * v for v in own.ravel()))


def sparseness(sample: Any, chance: Chance, explain: Explain) -> float:
    return gini(sample.heat)


def entropy(sample: Any, chance: Chance, explain: Explain) -> float:
    v = [abs(float(x)) for x in sample.heat.ravel()]
    return -sum(x / sum(v) * math.log(x / sum(v)) for x in v if x > 0) / math.log(len(v))


def pointing_game(sample: Any, chance: Chance, explain: Explain) -> float:
    """Whether one of the pixels of the region is within 15 pixels at a side of 224."""
    inside = list(zip(*np.nonzero(sample.region), strict=True))
    top = [p for p in np.ndindex(*sample.heat.shape) if sample.heat[p] == sample.heat.max()]
    near = [min(math.dist(p, q) for q in inside) <= 15 * max(sample.heat.shape) / 224 for p in top]
    return sum(near) / len(near)


def energy_pointing_game(sample: Any, chance: Chance, explain: Explain) -> float:
    positive = {p: max(0.0, float(sample.heat[p])) for p in np.ndindex(*sample.heat.shape)}
    return sum(v for p, v in positive.items() if sample.region[p]) / sum(positive.values())


def weight_randomization(sample: Any, chance: Chance, explain: Explain) -> float:
    found = [spearman(np.abs(sample.heat), np.abs(explain(sample.image[None], f)[0])) for f in (0.1, 0.4, 1.0)]
    return sum(found) / 3


def input_independence(sample: Any, chance: Chance, explain: Explain) -> float:
    h, w = sample.heat.shape
    shuffled = [sample.image[i // w, i % w] for i in sample.rng("shuffle").permutation(h * w)]
    again = explain(np.reshape(shuffled, sample.image.shape)[None], 0.0)[0]
    return spearman(np.abs(sample.heat), np.abs(again))


def completeness(sample: Any, chance: Chance, explain: Explain) -> float:
    difference = logit_of(chance(sample.image)) - logit_of(chance(np.zeros_like(sample.image)))
    return abs(float(np.sum(sample.values, dtype=np.float64)) - difference) / abs(difference)


def sensitivity_n(sample: Any, chance: Chance, explain: Explain) -> float:
    h, w = sample.heat.shape
    found = []
    for fraction in (0.1, 0.3, 0.5, 0.7, 0.9):
        rng = sample.rng(f"subsets 24 9 {fraction}")
        removed = []
        for _ in range(24):
            chosen = set(rng.permutation(81)[: round(fraction * 81)].tolist())
            removed.append([(y, x) for y in range(h) for x in range(w) if y * 9 // h * 9 + x * 9 // w in chosen])
        found.append(pearson(*predicted_and_lost(sample, chance, removed)))
    return sum(found) / len(found)


def saco(sample: Any, chance: Chance, explain: Explain) -> float:
    pixels, mean = order(sample), sample.image.mean(axis=(0, 1), dtype=np.float64)
    ends = [round(k * len(pixels) / 10) for k in range(11)]
    sums, falls = [], []
    for start, stop in pairwise(ends):
        shown = np.array(sample.image)
        for p in pixels[start:stop]:
            shown[p] = mean
        sums.append(sum(float(sample.heat[p]) for p in pixels[start:stop]))
        falls.append(chance(sample.image) - chance(shown))
    top = bottom = 0.0
    for i in range(10):
        for j in range(i + 1, 10):
            weight = sums[i] - sums[j]
            top += weight if falls[i] >= falls[j] else -weight
            bottom += abs(weight)
    return top / bottom


def arcc(sample: Any, chance: Chance, explain: Explain) -> float:
    both = [road_with(sample, chance, most, (20, 40, 60, 80)) for most in (False, True)]
    terms = (
        coherency(sample, chance, explain) / 100,
        1 - complexity(sample, chance, explain) / 100,
        min(1.0, max(0.0, both[0] - both[1])),
    )
    return 0.0 if min(terms) <= 0 else 100 * 3 / sum(1 / t for t in terms)


def relevance_rank_accuracy(sample: Any, chance: Chance, explain: Explain) -> float:
    count = int(sample.region.sum())
    return sum(bool(sample.region[p]) for p in order(sample)[:count]) / count


def relevance_mass_accuracy(sample: Any, chance: Chance, explain: Explain) -> float:
    h, w = sample.heat.shape
    sizes = {(y, x): abs(float(sample.heat[y, x])) for y in range(h) for x in range(w)}
    return sum(size for p, size in sizes.items() if sample.region[p]) / sum(sizes.values())


def histogram_entropy(values: Any) -> float:
    low, high = float(values.min()), float(values.max())
    bins: dict[int, int] = {}
    for v in values.ravel():
        place = min(99, int((float(v) - low) / (high - low) * 100))
        bins[place] = bins.get(place, 0) + 1
    return -sum(n / values.size * math.log(n / values.size) for n in bins.values())


def efficient_mprt(sample: Any, chance: Chance, explain: Explain) -> float:
    own = histogram_entropy(sample.heat)
    return histogram_entropy(np.float32(explain(sample.image[None], 1.0)[0])) / own - 1


def smooth_mprt(sample: Any, chance: Chance, explain: Explain) -> float:
    deviation = 0.1 * (sample.image.max() - sample.image.min())
    noise = sample.rng("smooth 10").normal(0.0, deviation, (10, *sample.image.shape))
    copies = [np.float32(sample.image + one) for one in noise]

    def mean(fraction: float) -> Any:
        return np.abs(sum(explain(one[None], fraction)[0] for one in copies) / 10)

    return sum(spearman(mean(0.0), mean(fraction)) for fraction in (0.1, 0.4, 1.0)) / 3


REFERENCES: dict[str, Callable[[Any, Chance, Explain], float]] = {
    f.__name__: f
    for f in (
        deletion, insertion, insertion_deletion, average_drop, increase, average_gain, drop_in_deletion, coherency,
        complexity, adcc, road_morf, road_lerf, road, infidelity, mufidelity, max_sensitivity, sparseness, entropy,
        pointing_game, energy_pointing_game, weight_randomization, input_independence, completeness, sensitivity_n,
        saco, arcc, relevance_rank_accuracy, relevance_mass_accuracy, efficient_mprt, smooth_mprt,
    )
}  # fmt: skip
"""Name of a metric → its reference; a registered metric without one fails its tests."""
REFERENCES["grid_game"] = energy_pointing_game  # in a collage, whose region is the cell of the class
