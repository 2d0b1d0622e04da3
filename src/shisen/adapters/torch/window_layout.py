"""Where the tokens of windows lie in the map: read from gradients, so that no way of cutting need be known.

The score of a token with itself, before the softmax, depends on one position of the map that its block was given. Two
backward passes determine which, for all tokens at once: one of the sum of these scores, one of the sum in which the
i-th is counted i times; at the position of token i the second gradient is i times the first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..layout import Layout
from ..points import Call

Positions = npt.NDArray[np.int64]
NEAR = 0.05  # how far from a whole number i may come out: rounding is 1e-3, a token of two positions is anything


@dataclass(frozen=True)
class Cut:
    """How a map is cut into windows.

    Attributes:
        grid: `(h, w)` of the map.
        positions: `(windows, tokens)`, the position of each token in the flattened map; −1 for padding.
    """

    grid: tuple[int, int]
    positions: Positions


def cut_of(scores: Any, path: str, inputs: Mapping[str, Any], calls: Sequence[Call]) -> Cut | None:
    """Return how the map in front of an attention was cut into its windows.

    Args:
        scores: before the softmax, `(windows, heads, tokens, tokens)`, of one image, with a graph.
        path: the module in which they were computed.
        inputs: what every module was given, by path.
        calls: of the trace: how the axes of a tensor of some shape lie.

    Returns:
        None where no module around the attention was given a map whose positions the tokens are one by one.
    """
    if scores.shape[-1] != scores.shape[-2]:
        return None
    own = scores.diagonal(dim1=-2, dim2=-1).sum(1)  # (windows, tokens)
    numbers = torch.arange(1, own.numel() + 1, dtype=own.dtype, device=own.device).reshape(own.shape)
    parts = path.split(".")
    for k in range(len(parts), 0, -1):
        given = inputs.get(".".join(parts[:k]))
        layout = None if given is None else _layout(given, calls)
        if layout is None:
            continue
        gradients = [
            torch.autograd.grad(own, given, weights, retain_graph=True, allow_unused=True)[0]
            for weights in (torch.ones_like(own), numbers)
        ]
        if any(s is None for s in gradients):
            continue
        found = _solved([layout.last(s)[0] for s in gradients], own.shape)
        if found is not None:
            return found
    return None


def _layout(given: Any, calls: Sequence[Call]) -> Layout | None:
    shape = tuple(given.shape)
    return next((c.layout for c in reversed(calls) if c.shape == shape and c.layout.map), None)


def _solved(gradients: Sequence[Any], shape: Sequence[int]) -> Cut | None:
    """Return the cut that explains both gradients `(h, w, c)`, if there is one."""
    once, counted = (s.detach().double().cpu().numpy() for s in gradients)
    h, w = once.shape[:2]
    once, counted = once.reshape(h * w, -1), counted.reshape(h * w, -1)
    size = np.square(once).sum(1)
    if h * w > shape[0] * shape[1] or not size.all():
        return None
    number = (once * counted).sum(1) / size
    nearest = np.rint(number).astype(np.int64) - 1
    if np.abs(number - nearest - 1).max() > NEAR or len(set(nearest)) < h * w:
        return None
    if nearest.min() < 0 or nearest.max() >= shape[0] * shape[1]:
        return None
    positions = np.full(shape[0] * shape[1], -1, np.int64)
    positions[nearest] = np.arange(h * w)
    return Cut((h, w), positions.reshape(tuple(shape)))
