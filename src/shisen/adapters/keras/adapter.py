"""The adapter for Keras 3: named points of any model, on TensorFlow, JAX or torch, without changing the model."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np

from ...errors import ModelError, briefly, explain_error
from ...types import Attention, Scaling
from ..answers import Output
from ..base import Adapter
from ..capture import ENDS, Capture, Reached
from ..dependence import every_output, on_the_way
from ..points import Call
from ..trace import Trace
from .engines import GradientRequest, engine_for
from .io import ModelIO
from .points import PATCH_LOCK, at_least_single, axis_functions, first_tensor, operations, watched, with_first
from .rewire import OutputActivation, Rule
from .trace import trace
from .weights import permuted_clone


class KerasClassifier(Adapter):
    """A Keras 3 model as a classifier with named points; see `shisen.types.Classifier`.

    Args:
        net: Functional, Sequential or subclassed model with one input; it is never changed.
        scaling: what to do to pixels in [0, 1]; None hands arrays in as they are.
        output: which of several outputs holds the logits: a key, an index or a function.
        size: `(*positions, c)` of an input, such as `(h, w, c)`, for models whose input leaves it open.
        head: "softmax", "sigmoid" or "none"; found automatically if None.

    Attributes:
        backend: "tensorflow", "jax" or "torch".
        engine: how the backend runs and differentiates.
        inside: the model's operations by path.

    Raises:
        ModelError: for a model with several inputs, or on a backend without gradients.
    """

    def __init__(
        self,
        net: Any,
        scaling: Scaling | None = None,
        output: Output = None,
        size: tuple[int, ...] | None = None,
        head: str | None = None,
    ) -> None:
        import keras

        self.backend = keras.config.backend()
        self.framework = f"keras-{self.backend}"
        self.engine = engine_for(self.backend, net)
        self._io = ModelIO(net, scaling, output)
        super().__init__(net, scaling, output, size or self.declared_size, head)
        self.inside = operations(net)
        self._rules: dict[Hashable, Rule] = {}

    # ---- the contract

    @classmethod
    def accepts(cls, net: Any) -> bool:
        """Tell whether an object is a Keras 3 model."""
        import keras

        return isinstance(net, keras.Model)

    def to_tensor(self, images: Any) -> Any:
        """Return an array as a float32 tensor of the backend."""
        return self.engine.tensor(images)

    def to_array(self, tensor: Any) -> Any:
        """Return a tensor as the array that users see: NumPy for TensorFlow."""
        return self.engine.result(tensor)

    def repeated(self, x: Any, count: int) -> Any:
        """Return one image `count` times."""
        from keras import ops

        return ops.repeat(x, count, axis=0)

    def record(self, x: Any) -> Trace:
        """Run one image with every operation watched."""
        with PATCH_LOCK:
            if not self.net.built:
                self._io(self.to_tensor(np.zeros(tuple(x.shape), np.float32)))
                self.inside = operations(self.net)
            try:
                zeros = self.to_tensor(np.zeros(tuple(x.shape), np.float32))
                return trace(self._io, self.inside, self.engine, zeros, announce=not self._memory.traces)
            except Exception as problem:
                if self.backend == "tensorflow" and self._io.channels_first:
                    raise _no_channels_first(problem) from problem
                raise

    def refined(self, trace: Trace, x: Any) -> Trace:
        """Move the default to the last map that the answer depends on, where a model computes more than its answer."""
        if len(getattr(self.net, "outputs", None) or ()) == 1:  # a graph of nothing but what its output needs
            return trace
        noise = self.to_tensor(np.random.default_rng(0).random(tuple(x.shape), dtype=np.float32))
        return on_the_way(trace, lambda paths: self.gradients_or_error(noise, every_output, paths))

    @property
    def declared_size(self) -> tuple[int, ...] | None:
        """`(*positions, c)` of the model's input; None where it leaves a side open."""
        declared = tuple(side for side in self._io.declared if side)
        return declared if len(declared) == len(self._io.declared) else None

    def guessed_size(self) -> tuple[int, ...]:
        """Return what the model declares; where it leaves a side open 224, 1024 of a signal, 64 of a volume."""
        *sides, c = self._io.declared
        guess = {1: 1024, 2: 224, 3: 64}[len(sides)]
        return (*(side or guess for side in sides), c or 3)

    def forward(self, x: Any, points: Sequence[str], values: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        """Return the values at `points`, channels last, without gradients; `values` are put in at other points."""
        traced, wanted, entered = self.trace(x), tuple(points), tuple(values or {})

        def run(x: Any, *given: Any) -> tuple[Any, ...]:
            seen = self.captured(x, traced, wanted, values=dict(zip(entered, given, strict=True)))
            return tuple(seen[p] for p in wanted)

        given = tuple((values or {}).values())
        key = ("forward", wanted, entered, tuple(x.shape[0] == v.shape[0] for v in given))
        return dict(zip(wanted, self.engine.forward(key, run, x, *given), strict=True))

    def differentiate(
        self, x: Any, objectives: Sequence[Any], at: str, wrt: Sequence[str]
    ) -> tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]:
        """Return the values at the points `wrt`, and for every objective at `at` the gradients there."""
        traced = self.trace(x)
        key = ("gradients", at, tuple(wrt), self.rule)
        rule = self._rule(key)

        def run(x: Any, mark_leaf: Callable[[str, Any], Any]) -> Any:
            with ExitStack() as stack:
                if rule is not None:
                    stack.enter_context(rule.active(self.backend, self.inside))
                return self.captured(x, traced, (at,), starts=dict.fromkeys(wrt, mark_leaf))[at]

        request = GradientRequest(key, run, {p: self._shape(p, x, traced) for p in wrt}, rule)
        found: tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]] = self.engine.gradients(request, x, objectives)
        if rule is not None:
            rule.check(self.inside)
        return found

    # ---- further abilities

    def attentions(
        self, images: Any, objective: Any = None, *, per_block: bool = False, pooled: bool = False
    ) -> tuple[Attention, ...]:
        """Return the attention of every head, see `attention.attentions`."""
        from .attention import attentions

        return attentions(self, images, objective, per_block=per_block, pooled=pooled)

    def biases(self, images: Any) -> dict[str, Any]:
        """Return point → what the layer adds by itself, `(c,)`; for methods that attribute the whole score."""
        from .biases import biases

        found = biases(self.inside, self.trace(self.to_tensor(images)), self.scaling)
        return {point: self.to_array(self.to_tensor(b)) for point, b in found.items()}

    def weights(self) -> Mapping[str, Any]:
        """Return every weight by its number and path."""
        return {
            f"{i} {v.path}": w for i, (v, w) in enumerate(zip(self.net.weights, self.net.get_weights(), strict=True))
        }

    def randomized(self, up_to: float, rng: np.random.Generator) -> KerasClassifier:
        """Return a copy with the weights of the topmost fraction `up_to` of the layers permuted."""
        net = permuted_clone(self.net, up_to, rng)
        other = KerasClassifier(net, self.scaling, self.output, self.size, self.head)
        other.batch_size, other.rule = self.batch_size, self.rule
        return other

    # ---- for the parts of this adapter

    def captured(
        self,
        x: Any,
        traced: Trace,
        ends: Sequence[str],
        *,
        starts: Mapping[str, Callable[[str, Any], Any]] | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Run the model until every point in `ends` is seen; gradients start at `starts`, `values` are put in.

        Args:
            x: `(n, h, w, c)`.
            traced: the trace for this size.
            ends: points whose values are returned, channels last.
            starts: functions that mark where a gradient is wanted, by point.
            values: what is put in at points, channels last.

        Returns:
            The value at every point that was seen.

        Raises:
            ModelError: for a point that the forward does not reach.
        """
        from keras import ops

        starts, values = starts or {}, values or {}
        found: dict[str, Any] = {}
        axes = axis_functions()
        if "input" in starts:
            x = starts["input"]("input", x)
        if "input" in ends:
            found["input"] = x

        def at_point(point: str, call: Call, output: Any) -> Any:
            raw = first_tensor(output)
            value = values.get(point)
            value = at_least_single(call.layout.last(raw, axes)) if value is None else value
            if point in starts:
                value = starts[point](point, value)
            if point in ends:
                found[point] = value
            if point in values or point in starts:
                output = with_first(output, call.layout.back(ops.cast(value, raw.dtype), raw, axes))
            if self.engine.eager and not (capture.missing or set(ends) - set(found)):
                raise Reached
            return output

        capture = Capture(traced.points, (*ends, *starts, *values), at_point)
        with ExitStack() as stack:
            stack.enter_context(watched({p: self.inside[p] for p in capture.modules}, capture.see))
            activation = OutputActivation()
            if traced.output_activation:
                stack.enter_context(activation.active(self.backend))
            try:
                output = self._io(x)
            except Reached:
                return found
        capture.check()
        logits = traced.rows.apply(at_least_single(activation.undo(output)[0]), traced.logits, ops)
        logits = ops.expand_dims(logits, -1) if len(logits.shape) == 1 else logits
        found["logits"] = starts["logits"]("logits", logits) if "logits" in starts else logits
        return found

    def _rule(self, key: Hashable) -> Rule | None:
        if self.rule is None:
            return None
        if self.engine.eager:
            return Rule(self.rule)
        # compiled functions meet their ReLUs once, while they are traced: the count stays with them
        return self._rules.setdefault(key, Rule(self.rule))

    def _shape(self, point: str, x: Any, traced: Trace) -> tuple[int, ...]:
        if point in ENDS:
            return tuple(x.shape[1:]) if point == "input" else traced.logits
        call = traced.points.find(point)
        return call.layout.shape(call.shape)


def _no_channels_first(problem: Exception) -> ModelError:
    return ModelError(
        explain_error(
            "TensorFlow must be able to run the model here; with channels first it convolves and pools on a GPU only.",
            briefly(problem),
            "Set KERAS_BACKEND=jax or torch before importing keras: they run the same model.",
        )
    )
