"""Framework functions patched for one forward: ReLUs with another backward rule, and what went into a final softmax.

Keras layers, fused activations, `keras.ops` and a user's own code all end in the framework's function, so
replacing that function while a forward is traced reaches models of any nesting and leaves the model alone.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from ..rules import check_rule
from .points import PATCH_LOCK, patched_attribute

SMOOTH = {
    "gelu": "GELU",
    "silu": "SiLU",
    "swish": "SiLU",
    "hard_silu": "Hardswish",
    "hard_swish": "Hardswish",
    "elu": "ELU",
    "selu": "SELU",
    "celu": "CELU",
    "mish": "Mish",
    "leaky_relu": "LeakyReLU",
    "leakyrelu": "LeakyReLU",
    "prelu": "PReLU",
    "softplus": "Softplus",
    "tanh": "tanh",
}


def framework_of(backend: str) -> Any:
    """Return the module that holds `relu`, `softmax`, … of this backend."""
    if backend == "tensorflow":
        import tensorflow

        return tensorflow.nn
    if backend == "jax":
        import jax

        return jax.nn
    import torch

    return torch.nn.functional


@contextmanager
def patched_functions(owner: Any, changes: Mapping[str, Callable[[Any], Any]]) -> Iterator[None]:
    """Replace functions of a module by `changes[name](original)`, for calls made by this thread.

    Args:
        owner: the object or module.
        changes: name of a function → from the original function to its replacement.
    """
    here = threading.get_ident()

    def around(original: Any, changed: Any) -> Any:
        @functools.wraps(original)
        def function(*args: Any, **kwargs: Any) -> Any:
            return (changed if threading.get_ident() == here else original)(*args, **kwargs)

        return function

    with PATCH_LOCK, ExitStack() as stack:
        for name, change in changes.items():
            original = getattr(owner, name)
            stack.enter_context(patched_attribute(owner, name, around(original, change(original))))
        yield


class Rule:
    """Another backward rule for ReLUs, see `RULES`, and how often it was applied."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.fired = 0

    def rewire(self, original: Callable[..., Any], cap: float | None) -> Callable[..., Any]:
        """Return a ReLU with the same values and this rule for its gradient.

        Args:
            original: the function that is replaced.
            cap: maximum of the activation, None without one.
        """
        from keras import ops

        def relu(x: Any, *args: Any, **kwargs: Any) -> Any:
            def exact(x: Any) -> Any:
                a = original(x, *args, **kwargs)

                def backward(*received: Any, upstream: Any = None) -> Any:
                    self.fired += 1
                    g = received[0] if upstream is None else upstream
                    g = ops.maximum(g, 0)
                    if self.name == "deconvnet":
                        return g
                    open_ = a > 0 if cap is None else ops.logical_and(a > 0, a < cap)
                    return ops.where(open_, g, ops.zeros_like(g))

                return a, backward

            return ops.custom_gradient(exact)(ops.convert_to_tensor(x))

        return relu

    @contextmanager
    def active(self, backend: str, inside: Mapping[str, Any]) -> Iterator[None]:
        """Give every ReLU of a forward this rule.

        Args:
            backend: name of the Keras backend.
            inside: layers by their path.
        """
        with ExitStack() as stack:
            for part in inside.values():
                cap = _capped(part)
                if cap is not None:  # a clipped ReLU is two operations: the rule must span both
                    stack.enter_context(PATCH_LOCK)
                    stack.enter_context(patched_attribute(part, "call", self.rewire(part.call, cap)))
            if backend != "torch":  # there the rule sits on the backward operators themselves
                changes = {"relu": lambda f: self.rewire(f, None), "relu6": lambda f: self.rewire(f, 6.0)}
                stack.enter_context(patched_functions(framework_of(backend), changes))
            yield

    def check(self, inside: Mapping[str, Any], stacklevel: int = 6) -> None:
        """Raise if no ReLU was met; warn if other activations passed the plain gradient.

        Args:
            inside: layers by their path.
            stacklevel: as in `warnings.warn`.
        """
        check_rule(self.name, self.fired, smooth_activations(inside), stacklevel)


def _capped(part: Any) -> float | None:
    """Return the maximum of a ReLU layer or operation that is not one framework function, None for all others."""
    highest = getattr(part, "max_value", None)
    if type(part).__name__ != "ReLU" or highest is None or getattr(part, "negative_slope", None):
        return None
    return None if highest == 6 and not getattr(part, "threshold", None) else float(highest)


def smooth_activations(inside: Mapping[str, Any]) -> dict[str, int]:
    """Return the activations of a model that are no ReLUs, with their number; gates and the output activation aside."""
    found: dict[str, int] = {}
    for part in inside.values():
        function = getattr(part, "activation", None)
        name = getattr(function, "__name__", type(function).__name__) if function is not None else type(part).__name__
        if type(part).__name__ == "ReLU" and getattr(part, "negative_slope", None):
            name = "leaky_relu"
        known = SMOOTH.get(name.lower())
        if known:
            found[known] = found.get(known, 0) + 1
    return found


class OutputActivation:
    """Remembers what went into the last softmax or sigmoid, so that one at the very end can be undone."""

    names = ("softmax", "log_softmax", "sigmoid")

    def __init__(self) -> None:
        self.last: tuple[Any, Any, str] | None = None

    def _watch(self, name: str) -> Callable[[Any], Any]:
        def change(original: Any) -> Any:
            def function(x: Any, *args: Any, **kwargs: Any) -> Any:
                result = original(x, *args, **kwargs)
                self.last = (result, x, name)
                return result

            return function

        return change

    @contextmanager
    def active(self, backend: str) -> Iterator[None]:
        """Watch the framework's functions during a forward."""
        with patched_functions(framework_of(backend), {name: self._watch(name) for name in self.names}):
            yield

    def undo(self, output: Any) -> tuple[Any, str]:
        """Return the logits that `output` was made from and the kind of activation, "" if there is none."""
        if self.last is not None and self.last[0] is output:
            return self.last[1], self.last[2]
        return output, ""
