"""Functions of a network's output that a caller writes, evaluated and differentiated by the library they use."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import InputError, briefly, explain_error

ScoreFunction = Callable[[Any], Any]
"""From the network's output, `(n, ...)`, to one number per row; or from one row without the batch axis."""

MAX_DIFFERENCES = 20_000
"""Values of an output that are differentiated one by one where there is no automatic differentiation."""
STEP = 1e-3


class Scores:
    """Evaluates score functions with NumPy, and differentiates them by central differences; one subclass per library.

    Args:
        function: the score.
        name: of the score, for messages.
    """

    library = "NumPy"

    def __init__(self, function: ScoreFunction, name: str) -> None:
        self.function, self.name = function, name

    def value(self, y: Any) -> Any:
        """Return the score of each row, `(rows,)`, as the kind of array that `y` is."""
        return self.rows(y)

    def gradient(self, y: Any) -> Any:
        """Return the gradient of the summed score by `y`, as the kind of array that `y` is."""
        given = np.asarray(y, np.float64)
        if given[0].size > MAX_DIFFERENCES:
            raise self.not_differentiable()
        gradient = np.empty_like(given).reshape(len(given), -1)
        for row, one in enumerate(given):
            for i in range(one.size):
                moved = np.stack([one, one])
                step = STEP * max(1.0, abs(float(one.reshape(-1)[i])))
                moved.reshape(2, -1)[:, i] += (step, -step)
                up, down = (float(self.rows(m[None])[0]) for m in moved)
                gradient[row, i] = (up - down) / (2 * step)
        return gradient.reshape(given.shape).astype(np.asarray(y).dtype)

    def stacked(self, parts: list[Any]) -> Any:
        """Return numbers as one array `(n,)`."""
        return np.stack([np.reshape(np.asarray(p), ()) for p in parts])

    def flat(self, scores: Any) -> Any:
        """Return scores `(n,)` or `(n, 1)` as `(n,)`."""
        return scores.reshape((-1,))

    def rows(self, y: Any) -> Any:
        """Return the score of each row, `(n,)`: of the batch at once, or row by row.

        The first row alone decides how the function is written: given `(1, ...)` it must return one number, else it
        is given rows without the batch axis.
        """
        problem: Exception | None = None
        first: Any = None
        try:
            first = self.function(y[:1])
        except Exception as error:
            problem = error
        count = int(y.shape[0])
        if problem is None and _size(first) == 1:
            if count == 1:
                return self.stacked([first])
            whole = self.function(y)
            if _shape(whole) in ((count,), (count, 1)):
                return self.flat(whole)
            return self.stacked([first, *(self.function(y[i : i + 1]) for i in range(1, count))])
        try:
            single = [self.function(y[0])]
        except Exception as error:
            raise _not_a_score(problem or error, first) from (problem or error)
        if _size(single[0]) != 1:
            raise _not_a_score(problem, first) from problem
        return self.stacked([*single, *(self.function(y[i]) for i in range(1, count))])

    def not_differentiable(self) -> InputError:
        """Return the error for a score whose gradient the library does not give."""
        return InputError(
            explain_error(
                f"The score function must be differentiable with {self.library}: it must compute with the array it is "
                "given.",
                f"{self.name!r}, whose result does not depend on it for {self.library}",
                "Leave out .item(), .detach() and NumPy in it; or pass shisen.cotangent(function, value=function).",
            )
        )


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(int(s) for s in getattr(value, "shape", ()))


def _size(value: Any) -> int:
    if isinstance(value, (tuple, list, dict)) or value is None:
        return -1
    return math.prod(_shape(value))


def _not_a_score(problem: Exception | None, first: Any) -> InputError:
    if problem is None:
        received = f"an array of shape {_shape(first)}" if hasattr(first, "shape") else type(first).__name__
    else:
        received = f"{type(problem).__name__}: {briefly(problem)}"
    return InputError(
        explain_error(
            "A score function must return one number per row of the network's output.",
            received,
            "Write it for a batch, such as lambda y: y[:, 3] - y[:, 5], or for one row, such as lambda y: y[3] - y[5].",
        )
    )
