"""Scores that a caller writes as a function of the network's output, differentiated by the output's own framework."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .adapters.frameworks import scores_of
from .adapters.scores import ScoreFunction
from .errors import InputError, explain_error
from .types import Array


@dataclass(frozen=True)
class ScoreObjective:
    """The score that a function computes from the network's output.

    Attributes:
        function: see `ScoreFunction`; it is given the arrays of the network's framework: torch, TensorFlow or JAX; for
            ONNX those of torch, or of NumPy where torch is not installed.
        name: in words.
        framework: of the network, such as "torch" or "keras-tensorflow".
    """

    function: ScoreFunction
    name: str = "own score"
    framework: str = ""

    def value(self, y: Array) -> Array:
        """Return the score of each row, `(rows,)`, as the kind of array that `y` is."""
        return scores_of(y, self.framework, self.function, self.name).value(y)

    def __call__(self, y: Array) -> Array:
        """Return the gradient of the summed score by `y`, of the shape of `y`."""
        return scores_of(y, self.framework, self.function, self.name).gradient(y)

    def take(self, rows: npt.NDArray[np.int64]) -> ScoreObjective:
        return self


@dataclass(frozen=True)
class CotangentObjective:
    """A function from the value at a point to its cotangent, the gradient of a score that another function gives.

    Attributes:
        function: from an array to an array of the same shape.
        name: in words.
        scorer: from the same array to the score of each row; without it the score is Σ cotangent · value.
        framework: of the network.
    """

    function: Callable[[Array], Array]
    name: str = "own objective"
    scorer: ScoreFunction | None = None
    framework: str = ""

    def __call__(self, y: Array) -> Array:
        cotangent = self.function(y)
        if tuple(cotangent.shape) != tuple(y.shape):
            raise InputError(
                explain_error(
                    f"A cotangent function must return an array of the shape it is given, {tuple(y.shape)}.",
                    tuple(cotangent.shape),
                    "Return zeros, with weights where your score looks; or pass the score itself as target=function.",
                )
            )
        return cotangent

    def value(self, y: Array) -> Array:
        """Return the score of each row, `(rows,)`."""
        if self.scorer is not None:
            return ScoreObjective(self.scorer, self.name, self.framework).value(y)
        product = self(y) * y
        return product.reshape(y.shape[0], -1).sum(-1)

    def take(self, rows: npt.NDArray[np.int64]) -> CotangentObjective:
        return self
