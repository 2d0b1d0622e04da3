"""Gradients at a layer without torch, where downstream of it there is a mean over positions and an affine map.

That is the end of most classifiers. What each class gains from one unit more in a channel, at all positions, then is
the exact gradient; random values at the layer must be predicted by it, or there is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from .adapter import OnnxClassifier

TOLERANCE = 1e-3
"""How far from affine, as a fraction of the largest change; float32 rounding is a hundredth of it."""
TOGETHER = 64
"""Altered values of a layer that are run at once."""


def affine_gradients(
    source: OnnxClassifier, x: Any, objectives: Sequence[Any], wrt: str
) -> tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]] | None:
    """Return the value at a layer and the gradients there, None where the graph downstream is not of this kind.

    Args:
        source: the ONNX classifier.
        x: `(n, h, w, c)`.
        objectives: one for each gradient, at the logits.
        wrt: path of the layer.
    """
    found = source.forward(x, (wrt, "logits"))
    values, logits = (np.asarray(found[p], np.float32) for p in (wrt, "logits"))
    if wrt == "input" or logits.ndim != 2 or values.ndim < 3:
        return None
    weights = _weights(source, x[:1], values[:1], wrt)
    if weights is None:
        return None
    rows = []
    for objective in objectives:
        channels = np.asarray(objective(logits), np.float32) @ weights
        spread = channels.reshape(len(channels), *(1 for _ in values.shape[1:-1]), -1)
        rows.append({wrt: np.broadcast_to(spread, values.shape).copy()})
    return {wrt: values}, rows


def _weights(source: OnnxClassifier, image: Any, value: Any, at: str) -> npt.NDArray[np.float32] | None:
    """Return the gradient of every class by a channel at one position, `(classes, c)`; None if it is not constant."""
    channels, positions = value.shape[-1], int(np.prod(value.shape[1:-1]))
    scale = float(np.abs(value).max()) or 1.0

    def logits(changes: Any) -> npt.NDArray[np.float64]:
        parts = [changes[i : i + TOGETHER] for i in range(0, len(changes), TOGETHER)]
        return np.concatenate(
            [np.asarray(source.replaced(image, (value + p).astype(np.float32), at), np.float64) for p in parts]
        )

    base = logits(np.zeros_like(value))
    units = np.eye(channels, dtype=np.float32).reshape(channels, *(1 for _ in value.shape[1:-1]), channels) * scale
    gains = (logits(units + np.zeros_like(value)) - base) / (scale * positions)
    rng = np.random.default_rng(0)
    for magnitude in (1.0, 1e3):
        trials = rng.standard_normal((4, *value.shape[1:])).astype(np.float32) * magnitude * scale
        changed = logits(trials) - base
        predicted = trials.reshape(4, -1, channels).sum(axis=1, dtype=np.float64) @ gains
        if not np.abs(changed - predicted).max() <= TOLERANCE * np.abs(changed).max():
            return None
    return gains.T.astype(np.float32)
