"""Scores that a caller writes as a function of the network's output, differentiated by the output's own framework."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import InputError, explain_error
from .types import Array

ScoreFunction = Callable[[Any], Any]
"""From the network's output, `(n, ...)`, to one number per row; or from one row without the batch axis."""

MAX_DIFFERENCES = 20_000
"""Values of an output that are differentiated one by one where there is no automatic differentiation."""
STEP = 1e-3


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
        kind = _kind(y, self.framework)
        if kind == "torch":
            import torch

            given = _torch(y)
            with torch.inference_mode(False), torch.no_grad():
                found = _rows(self.function, given, torch)
            return found if isinstance(y, torch.Tensor) else found.numpy()
        if kind == "tensorflow":
            import tensorflow as tf

            return np.asarray(_rows(self.function, tf.constant(np.asarray(y)), tf))
        if kind == "jax":
            import jax.numpy as jnp

            return _rows(self.function, y, jnp)
        return _rows(self.function, y, np)

    def __call__(self, y: Array) -> Array:
        """Return the gradient of the summed score by `y`, of the shape of `y`."""
        kind = _kind(y, self.framework)
        if kind == "torch":
            import torch

            found = self._torch_gradient(_torch(y))
            return found if isinstance(y, torch.Tensor) else found.numpy()
        if kind == "tensorflow":
            import tensorflow as tf

            leaf = tf.constant(np.asarray(y))
            with tf.GradientTape() as tape:
                tape.watch(leaf)
                total = tf.reduce_sum(_rows(self.function, leaf, tf))
            gradient = tape.gradient(total, leaf)
            if gradient is None:
                raise self._not_differentiable("tensorflow")
            return np.asarray(tf.convert_to_tensor(gradient))
        if kind == "jax":
            import jax
            import jax.numpy as jnp

            return jax.grad(lambda v: _rows(self.function, v, jnp).sum())(y)
        return self._differences(np.asarray(y, np.float64)).astype(np.asarray(y).dtype)

    def _torch_gradient(self, y: Any) -> Any:
        import torch

        with torch.inference_mode(False), torch.enable_grad():
            leaf = y.detach().clone().requires_grad_()
            scores = _rows(self.function, leaf, torch)
            if not scores.requires_grad:
                raise self._not_differentiable("torch")
            (gradient,) = torch.autograd.grad(scores.sum(), leaf, allow_unused=True)
        return torch.zeros_like(y) if gradient is None else gradient

    def _differences(self, y: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the gradient by central differences: a framework without automatic differentiation."""
        if y[0].size > MAX_DIFFERENCES:
            raise self._not_differentiable("NumPy")
        gradient = np.empty_like(y).reshape(len(y), -1)
        for row, one in enumerate(y):
            for i in range(one.size):
                moved = np.stack([one, one])
                step = STEP * max(1.0, abs(float(one.reshape(-1)[i])))
                moved.reshape(2, -1)[:, i] += (step, -step)
                up, down = (float(_rows(self.function, m[None], np)[0]) for m in moved)
                gradient[row, i] = (up - down) / (2 * step)
        return gradient.reshape(y.shape)

    def _not_differentiable(self, kind: str) -> InputError:
        return InputError(
            explain_error(
                f"The score function must be differentiable with {kind}: it must compute with the array it is given.",
                f"{self.name!r}, whose result does not depend on it for {kind}",
                "Leave out .item(), .detach() and NumPy in it; or pass shisen.cotangent(function, value=function).",
            )
        )

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


def _kind(y: Any, framework: str) -> str:
    """Return which library the score function is written for."""
    torch, jax = sys.modules.get("torch"), sys.modules.get("jax")
    if torch is not None and isinstance(y, torch.Tensor):
        return "torch"
    if jax is not None and isinstance(y, jax.Array):
        return "jax"
    if framework == "keras-tensorflow":
        return "tensorflow"
    if framework in ("onnx", "torch"):
        try:
            import torch as _  # noqa: F401
        except ImportError:
            return "numpy"
        return "torch"
    return "numpy"


def _torch(y: Any) -> Any:
    import torch

    return y if isinstance(y, torch.Tensor) else torch.as_tensor(np.array(y))


def _rows(function: ScoreFunction, y: Any, library: Any) -> Any:
    """Return the score of each row, `(n,)`: of the batch at once, or row by row.

    The first row alone decides how the function is written: given `(1, ...)` it must return one number, else it
    is given rows without the batch axis.
    """
    problem: Exception | None = None
    first: Any = None
    try:
        first = function(y[:1])
    except Exception as error:
        problem = error
    count = int(y.shape[0])
    if problem is None and _size(first) == 1:
        if count == 1:
            return _stacked([first], library)
        whole = function(y)
        if _shape(whole) in ((count,), (count, 1)):
            return library.reshape(whole, (count,))
        return _stacked([first, *(function(y[i : i + 1]) for i in range(1, count))], library)
    try:
        single = [function(y[0])]
    except Exception as error:
        raise _not_a_score(problem or error, first) from (problem or error)
    if _size(single[0]) != 1:
        raise _not_a_score(problem, first) from problem
    return _stacked([*single, *(function(y[i]) for i in range(1, count))], library)


def _stacked(parts: list[Any], library: Any) -> Any:
    if library.__name__ == "torch":
        return library.stack([library.as_tensor(p, dtype=library.float32).reshape(()) for p in parts])
    if library.__name__.startswith("tensorflow"):
        return library.stack([library.reshape(library.cast(p, library.float32), ()) for p in parts])
    return library.stack([library.reshape(library.asarray(p), ()) for p in parts])


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
        received = f"{type(problem).__name__}: {' '.join(str(problem).split())[:200]}"
    return InputError(
        explain_error(
            "A score function must return one number per row of the network's output.",
            received,
            "Write it for a batch, such as lambda y: y[:, 3] - y[:, 5], or for one row, such as lambda y: y[3] - y[5].",
        )
    )
