"""Slow twins of the perturbation family: one altered image at a time."""

from __future__ import annotations

from itertools import combinations, product
from math import factorial
from typing import Any

import numpy as np
import torch

from .capture import Values, logit


def occlusion(net: Any, image: Any, k: int, side: int, step: int, level: float = 0.5) -> Values:
    """Slide a square over the image; every pixel gets the mean loss of the squares that cover it."""
    image = np.asarray(image, dtype=np.float32)
    h, w = image.shape[:2]
    y, total, count = logit(net, image, k), np.zeros((h, w)), np.zeros((h, w))
    top = 0
    while True:
        left = 0
        while True:
            covered = image.copy()
            covered[top : top + side, left : left + side] = level
            total[top : top + side, left : left + side] += y - logit(net, covered, k)
            count[top : top + side, left : left + side] += 1
            if left + side >= w:
                break
            left += step
        if top + side >= h:
            break
        top += step
    return total / count


def rise_masks(h: int, w: int, n: int, cells: int, p: float) -> list[Values]:
    """Random grids, enlarged by torch's bilinear interpolation to one cell more, cut at random shifts."""
    rng = np.random.default_rng(0)
    grids = rng.random((n, cells, cells)) < p
    sides = [-(-h // cells), -(-w // cells)]
    down, right = rng.integers(0, sides[0], n), rng.integers(0, sides[1], n)
    masks = []
    for i in range(n):
        grid = torch.tensor(grids[i], dtype=torch.float32)[None, None]
        size = ((cells + 1) * sides[0], (cells + 1) * sides[1])
        large = torch.nn.functional.interpolate(grid, size, mode="bilinear", align_corners=False)[0, 0].numpy()
        masks.append(large[down[i] : down[i] + h, right[i] : right[i] + w].astype(np.float64))
    return masks


def rise(net: Any, image: Any, k: int, n: int, cells: int = 7, p: float = 0.5, variant: str = "centered") -> Values:
    """Masks weighted by the score of the image seen through them."""
    image = np.asarray(image, dtype=np.float64)
    masks = rise_masks(*image.shape[:2], n, cells, p)
    scores = np.asarray([logit(net, image * m[:, :, None], k) for m in masks])
    if variant == "centered":
        scores = scores - scores.mean()
    return np.sum([s * m for s, m in zip(scores, masks, strict=True)], axis=0) / (n * p)


def without(image: Any, pieces: Any, kept: Any, baseline: Any) -> Any:
    """Return the image with every piece not kept replaced by a color."""
    out = np.array(image, dtype=np.float32)
    for piece in range(pieces.max() + 1):
        if not kept[piece]:
            out[pieces == piece] = baseline
    return out


def lime(net: Any, image: Any, k: int, pieces: Any, n: int, width: float = 0.25, ridge: float = 1.0) -> Values:
    """Weighted ridge regression written as one least-squares problem with extra rows for the penalty."""
    count = pieces.max() + 1
    z = np.random.default_rng(0).integers(0, 2, (n, count)).astype(np.float64)
    z[0] = 1
    mean = np.asarray(image).mean(axis=(0, 1))
    y = np.asarray([logit(net, without(image, pieces, row, mean), k) for row in z])
    ones = np.ones(count)
    cosine = np.asarray([row @ ones / max(np.linalg.norm(row) * np.linalg.norm(ones), 1e-12) for row in z])
    root = np.sqrt(np.exp(-((1 - cosine) ** 2) / width**2))
    design = np.concatenate([np.ones((n, 1)), z], axis=1) * root[:, None]
    penalty = np.sqrt(ridge) * np.eye(count + 1)[1:]
    beta = np.linalg.lstsq(np.concatenate([design, penalty]), np.append(y * root, np.zeros(count)), rcond=None)[0]
    return beta[1:]


def shapley(net: Any, image: Any, k: int, pieces: Any) -> Values:
    """Shapley values by their definition: the mean gain of a piece over all choices of the others."""
    count = int(pieces.max()) + 1
    mean = np.asarray(image).mean(axis=(0, 1))
    worth = {}
    for s in range(count + 1):
        for chosen in combinations(range(count), s):
            kept = np.zeros(count, bool)
            kept[list(chosen)] = True
            worth[chosen] = logit(net, without(image, pieces, kept, mean), k)
    values = np.zeros(count)
    for piece in range(count):
        for chosen, value in worth.items():
            if piece not in chosen:
                s = len(chosen)
                weight = factorial(s) * factorial(count - s - 1) / factorial(count)
                values[piece] += weight * (worth[tuple(sorted((*chosen, piece)))] - value)
    return values


def painted(values: Any, pieces: Any) -> Values:
    """Share out every piece's value among its pixels."""
    out = np.zeros(pieces.shape)
    for piece in range(pieces.max() + 1):
        out[pieces == piece] = values[piece] / (pieces == piece).sum()
    return out


def rise_expected(net: Any, image: Any, k: int, cells: int, p: float) -> Values:
    """The expectation of RISE's map, Cov(y, M) / p, over every grid and every shift that there is."""
    image = np.asarray(image, dtype=np.float64)
    h, w = image.shape[:2]
    sides = [-(-h // cells), -(-w // cells)]
    size = ((cells + 1) * sides[0], (cells + 1) * sides[1])
    total, masses, mean, weights = np.zeros((h, w)), np.zeros((h, w)), 0.0, 0.0
    for grid in product((0.0, 1.0), repeat=cells * cells):
        chance = p ** sum(grid) * (1 - p) ** (len(grid) - sum(grid))
        one = torch.tensor(grid, dtype=torch.float32).reshape(1, 1, cells, cells)
        large = torch.nn.functional.interpolate(one, size, mode="bilinear", align_corners=False)[0, 0].numpy()
        for i, j in product(range(sides[0]), range(sides[1])):
            mask = large[i : i + h, j : j + w].astype(np.float64)
            y = logit(net, image * mask[:, :, None], k)
            total, masses = total + chance * y * mask, masses + chance * mask
            mean, weights = mean + chance * y, weights + chance
    return np.asarray((total - mean / weights * masses) / weights / p)


def rise_regression(masks: Any, scores: Any, cells: int, p: float, ratios: Any) -> Values:
    """The posterior mean of Cov(y, M) / p when all pixels' weights are normal with one variance: the dual formula.

    The likelihood is that of the scores with their mean projected out, written with matrices of masks by masks.
    """
    n, (h, w) = len(masks), masks[0].shape
    m = (np.stack(masks).reshape(n, -1) - p) / np.sqrt(p * (1 - p))
    contrasts = np.linalg.svd(np.eye(n) - 1 / n)[0][:, : n - 1]  # an orthonormal basis of what sums to zero
    x, y = contrasts.T @ m, contrasts.T @ np.asarray(scores)
    best, weights = np.inf, np.zeros(h * w)
    for t in ratios * (n - 1) / np.trace(x @ x.T):
        cov = np.eye(n - 1) + t * x @ x.T
        loss = (n - 1) * np.log(y @ np.linalg.solve(cov, y)) + np.linalg.slogdet(cov)[1]
        if loss < best:
            best, weights = loss, t * x.T @ np.linalg.solve(cov, y)
    between = []
    for length in (h, w):
        side = -(-length // cells)
        unit = torch.eye(cells)[:, None, :]
        large = torch.nn.functional.interpolate(unit, (cells + 1) * side, mode="linear", align_corners=False)[:, 0]
        cuts = [large[:, s : s + length].numpy().T.astype(np.float64) for s in range(side)]
        between.append(np.mean([cut @ cut.T for cut in cuts], axis=0))
    return np.asarray(np.sqrt((1 - p) / p) * (between[0] @ weights.reshape(h, w) @ between[1]))
