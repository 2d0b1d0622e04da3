"""What one forward showed: the points of a network and what is at its end."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ShisenWarning
from ..types import Layer
from .answers import IN_FRONT, Rows
from .points import Call, PointTable, as_layers


@dataclass(frozen=True)
class Trace:
    """What one forward showed.

    Attributes:
        points: every module call, in the order in which they end.
        default: the call that methods use by default, None if no layer has a spatial feature map.
        reason: why.
        output_activation: "softmax", "log_softmax" or "sigmoid" at the very end, "" if the network ends in logits.
        head: "softmax", "sigmoid" or "none".
        logits: shape of one image's logits.
        candidates: calls that could be the default, in forward order.
        rows: where the rows of the output are.
        stops_gradients: whether the network switches gradients off for a part of itself.
    """

    points: PointTable
    default: Call | None
    reason: str
    output_activation: str
    head: str
    logits: tuple[int, ...]
    candidates: tuple[Call, ...] = ()
    rows: Rows = IN_FRONT
    stops_gradients: bool = False

    @property
    def calls(self) -> tuple[Call, ...]:
        """Every module call, in the order in which they end."""
        return self.points.calls

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The public records of the calls."""
        return as_layers(self.calls, self.default, self.reason)


def head_of(shape: Sequence[int], output_activation: str) -> str:
    """Return what kind of answer a network gives.

    Args:
        shape: of the output for one image.
        output_activation: what it ends in, "" for nothing known.
    """
    if len(shape) > 2:
        return "none"
    single = len(shape) == 1 or shape[-1] == 1
    return "sigmoid" if single or output_activation == "sigmoid" else "softmax"


def warn_if_probabilities(output: npt.NDArray[Any]) -> None:
    """Warn where an answer, `(n, classes)`, looks like probabilities, or percent, though no softmax was seen."""
    if output.ndim != 2 or output.shape[-1] < 2 or output.min() < 0:
        return
    total = output.sum(axis=-1)
    if min(float(np.abs(total / whole - 1).max()) for whole in (1, 100)) < 1e-4:
        warnings.warn(
            "The network seems to return probabilities, from an operation that cannot be undone: scores called "
            "'logit' are probabilities here. Return the values before the softmax if you can.",
            ShisenWarning,
            stacklevel=2,
        )
