"""Whether a score has a gradient at all: a graph that is cut differs from a score without evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ModelError, ShisenError, explain_error
from ..targets import to_numpy

if TYPE_CHECKING:
    from .base import Adapter

Rows = tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]
SMALLEST_CHANGE = 1e-6
"""Change of a score between two inputs that is more than rounding, relative to the largest output."""


def differentiated(model: Adapter, x: Any, objectives: Sequence[Any], at: str, points: tuple[str, ...]) -> Rows:
    """Return values and gradients as `Adapter.differentiate` does, or say why there are none.

    Frameworks return zeros for rounding and signs, and some for NumPy inside a network. Where all gradients are zero,
    they are taken for two inputs of noise as well: if they are zero there too although the score changes, the graph is
    cut. Points that have once had a gradient are not checked again.

    Args:
        model: the adapter.
        x: the network's input, in its own layout.
        objectives: one objective for each gradient.
        at: path of the point where the scores are taken.
        points: paths of the points where gradients are taken.

    Returns:
        The values at the points, and for every objective the gradients there.

    Raises:
        ModelError: where the score does not depend on the points, or the framework cannot differentiate the network.
    """
    found = _attempt(model, x, objectives, at, points)
    key = (at, points, tuple(x.shape[1:]))
    if key not in model.differentiable:
        if _any(model, found):
            model.differentiable.add(key)
        elif _is_cut(model, x, objectives, at, points):
            raise cut_graph(points)
    return found


class _Guarded:
    """An objective whose own errors are remembered, so that they are not taken for those of the framework."""

    def __init__(self, objective: Any, problems: list[BaseException]) -> None:
        self._objective, self._problems = objective, problems

    def __call__(self, y: Any) -> Any:
        try:
            return self._objective(y)
        except BaseException as problem:
            self._problems.append(problem)
            raise


def _attempt(model: Adapter, x: Any, objectives: Sequence[Any], at: str, points: tuple[str, ...]) -> Rows:
    own: list[BaseException] = []
    try:
        return model.differentiate(x, [_Guarded(o, own) for o in objectives], at, points)
    except (ShisenError, MemoryError, Warning):  # warnings may be errors
        raise
    except Exception as problem:  # every framework has its own error for operations without a gradient
        text = f"{type(problem).__name__}: {' '.join(str(problem).split())}"
        memory = any(word in text.lower().replace("_", "").replace(" ", "") for word in ("outofmemory", "exhausted"))
        if own or memory:
            raise
        try:
            model.forward(x, (at,))
        except Exception:  # it does not run at all: the first error says why
            raise problem from None
        raise ModelError(
            explain_error(
                f"The network must be differentiable from {' or '.join(map(repr, points))} to the score.",
                f"a network that runs forward only ({text[:200]})",
                "Use another layer, or occlusion or rise, which need no gradients.",
            )
        ) from problem


def _any(model: Adapter, found: Rows) -> bool:
    return any(bool((model.to_array(gradient) != 0).any()) for row in found[1] for gradient in row.values())


def _is_cut(model: Adapter, x: Any, objectives: Sequence[Any], at: str, points: tuple[str, ...]) -> bool:
    """Tell whether gradients are zero for two inputs of noise as well, between which a score changes."""
    plain, rng = model.variant(rule=None), np.random.default_rng(0)  # another rule at ReLUs may well leave zeros
    noise = [model.to_tensor(rng.random(tuple(x.shape), dtype=np.float32)) for _ in range(2)]
    if any(_any(model, _attempt(plain, one, objectives, at, points)) for one in noise):
        return False
    first, second = (model.to_array(model.forward(one, (at,))[at]) for one in noise)
    change = to_numpy(first).astype(np.float64) - to_numpy(second)
    least = SMALLEST_CHANGE * float(np.abs(to_numpy(first)).max())
    return any(float(np.abs(to_numpy(o(first)) * change).max()) > least for o in objectives)


def cut_graph(points: Sequence[str]) -> ModelError:
    """Return the error for a score that does not depend on any of these points, as far as gradients tell."""
    return ModelError(
        explain_error(
            f"The score must depend on {' or '.join(map(repr, points))} for a method that uses gradients.",
            "a score that does not depend on this layer: it is not used, or the network cuts its graph by detach(), "
            "stop_gradient(), NumPy, rounding or integer arithmetic",
            "Use another layer, or occlusion or rise, which need no gradients.",
        )
    )
