"""Two treatments of the last linear layer: artefacts' directions taken out of its input, and a fit on copies.

Both only change the layer's weights, so a repaired network costs nothing more and is exported as before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .head import Layer

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Lesson:
    """Features that a treatment learns from.

    Attributes:
        plain: `(n, d)` of images as they are.
        labels: `(n,)` class numbers.
        copies: of each view of each artefact `(n, d)`: the same images with it.
        removed: for each artefact its class, and features of that class's images after it was taken off.
    """

    plain: Floats
    labels: Labels
    copies: tuple[Floats, ...]
    removed: tuple[tuple[int, Floats], ...] = ()


def projected(layer: Layer, lesson: Lesson, strength: float) -> Layer:
    """Take what artefacts do to features out of a layer's input, as far as the layer's answers allow.

    With Σ the covariance of the features of plain images and S the mean of δδᵀ, where δ is what an artefact does to
    the features of an image, the new weights W' = W·Σ·(Σ + λS)⁻¹ minimize

        E|(W' − W)(f − μ)|² + λ·E|W'δ|²

    For λ → ∞ this is the projection along all δ that keeps the answers best; directions that tell classes apart are
    given up last. The bias keeps the logits of the mean μ. λ = strength · tr Σ / tr S.

    Args:
        layer: the layer.
        lesson: features of plain images and of copies.
        strength: how much what artefacts do counts beside the answers to plain images.

    Returns:
        The layer with other weights.

    Reference:
        Anders et al. 2022 (P-ClArC) project along one direction, whatever it costs the classes; Dreyer et al. 2024
        (RR-ClArC) penalize it while they train.
    """
    plain = lesson.plain.astype(np.float64)
    mean = plain.mean(0)
    centered = plain - mean
    covariance = centered.T @ centered / len(plain)
    moved = np.zeros_like(covariance)
    for copies in lesson.copies:
        difference = copies.astype(np.float64) - plain
        moved += difference.T @ difference / (len(plain) * len(lesson.copies))
    scale = np.trace(covariance) / max(float(np.trace(moved)), 1e-12)
    ridge = 1e-4 * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    kept = covariance + ridge
    weight = np.linalg.solve(kept + strength * scale * moved, kept @ layer.weight.T).T
    return Layer(weight, layer.bias + (layer.weight - weight) @ mean)


def refitted(layer: Layer, lesson: Lesson, penalty: float) -> Layer:
    """Fit a layer on plain images, on copies of all classes with the artefacts, and on their classes without them.

    loss = mean cross-entropy + penalty · ‖(W − W₀)·σ‖² / ‖W₀·σ‖², on features divided by their standard deviations σ,
    with the weights W₀ of the layer that is there. Plain images, all copies together and all removals together count
    the same.

    Args:
        layer: the layer to begin with.
        lesson: what to learn from.
        penalty: weight of the distance from the layer that is there.

    Returns:
        The layer with other weights.

    Reference:
        Kirichenko, Izmailov, Wilson 2023 (DFR), who need images of every group instead of copies.
    """
    from scipy.optimize import minimize

    groups: list[tuple[Sequence[Floats], Sequence[Labels]]] = [([lesson.plain], [lesson.labels])]
    groups.append((lesson.copies, [lesson.labels] * len(lesson.copies)))
    if lesson.removed:
        groups.append(
            ([f for _, f in lesson.removed], [np.full(len(f), label) for label, f in lesson.removed]),
        )
    x = np.concatenate([f for features, _ in groups for f in features]).astype(np.float64)
    targets = np.concatenate([t for _, labels in groups for t in labels])
    sizes = [sum(len(f) for f in features) for features, _ in groups]
    counts = np.concatenate([np.full(n, 1 / (n * len(sizes))) for n in sizes if n])
    mean, deviation = x.mean(0), np.maximum(x.std(0), 1e-3 * x.std() + 1e-12)
    x = (x - mean) / deviation
    first = np.concatenate([(layer.weight * deviation).ravel(), layer.bias + layer.weight @ mean])
    classes = len(layer.weight)
    penalty = penalty / max(float(np.square(first[:-classes]).sum()), 1e-12)
    own = np.eye(classes)[targets]

    def loss(flat: Doubles) -> tuple[float, Doubles]:
        weight, bias = flat[:-classes].reshape(classes, -1), flat[-classes:]
        y = x @ weight.T + bias
        y = y - y.max(1, keepdims=True)
        log = y - np.log(np.exp(y).sum(1, keepdims=True))
        gradient = counts[:, None] * (np.exp(log) - own)
        away = (flat - first)[:-classes]
        value = float(-(counts * (own * log).sum(1)).sum() + penalty * np.square(away).sum())
        by_weight = (gradient.T @ x).ravel() + 2 * penalty * away
        return value, np.concatenate([by_weight, gradient.sum(0)])

    flat = minimize(loss, first, jac=True, method="L-BFGS-B", options={"maxiter": 200}).x
    weight = flat[:-classes].reshape(classes, -1) / deviation
    return Layer(weight, flat[-classes:] - weight @ mean)
