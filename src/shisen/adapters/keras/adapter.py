"""The adapter for Keras 3: named points of any model, on TensorFlow, JAX or torch, without changing the model."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np

from ...errors import InputError, ModelError, explain_error
from ...targets import to_numpy
from ...types import Attention, Layer, Scaling
from ..points import Call, as_layers
from .engines import GradientRequest, engine_for
from .io import ModelIO, Output
from .points import (
    PATCH_LOCK,
    at_least_single,
    channels_back,
    channels_last,
    find_point,
    first_tensor,
    operations,
    watched,
    with_first,
)
from .rewire import RULES, OutputActivation, Rule
from .trace import Trace, trace


class _Reached(BaseException):
    """Every point asked for has been seen; no Exception, since Keras dresses those up on their way out."""


class KerasClassifier:
    """A Keras 3 model as a classifier with named points; see `shisen.types.Classifier`.

    Args:
        net: Functional, Sequential or subclassed model with one input; it is never changed.
        scaling: what to do to pixels in [0, 1]; None hands arrays in as they are.
        output: which of several outputs holds the logits: a key, an index or a function.
        size: `(h, w, c)` of an input, for models whose input leaves it open.
        head: "softmax", "sigmoid" or "none"; found by itself if None.

    Raises:
        ModelError: for a model with several inputs, or on a backend without gradients.
    """

    def __init__(
        self,
        net: Any,
        scaling: Scaling | None = None,
        output: Output = None,
        size: tuple[int, int, int] | None = None,
        head: str | None = None,
    ) -> None:
        import keras

        backend = keras.config.backend()
        self.net = net
        self.scaling = scaling
        self.output = output
        self.framework = f"keras-{backend}"
        self.batch_size = 32
        self.rule: str | None = None
        self._backend = backend
        self._engine = engine_for(backend, net)
        self._head = head
        self._ends = ModelIO(net, scaling, output)
        self.size = size or self._ends.size
        self._inside = operations(net)
        self._traces: dict[tuple[int, ...], Trace] = {}
        self._downstream: dict[tuple[str, tuple[int, ...]], bool] = {}
        self._rules: dict[Hashable, Rule] = {}

    # ---- structure

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Every layer call of a forward, in the order in which they end."""
        found = self._trace(None)
        return as_layers(found.calls, found.default, found.reason)

    @property
    def default_layer(self) -> str:
        """The last feature map before pooling."""
        found = self._trace(None)
        if found.default is None:
            raise ModelError(
                explain_error(
                    "This method works at a layer that keeps places apart.",
                    found.reason,
                    "Use a method without a layer, such as gradient, integrated_gradients, occlusion or rise.",
                )
            )
        return found.default.path

    @property
    def head(self) -> str:
        """ "softmax", "sigmoid" or "none"."""
        return self._head or self._trace(None).head

    def rewired(self, relu: str) -> KerasClassifier:
        """Return the same network with the "guided" or "deconvnet" rule at every ReLU in the backward pass."""
        if relu not in RULES:
            raise InputError(explain_error(f"relu must be one of {', '.join(RULES)}.", repr(relu), "Use 'guided'."))
        twin = KerasClassifier.__new__(KerasClassifier)
        twin.__dict__.update(self.__dict__)
        twin.rule = relu
        return twin

    # ---- the three calls

    def activations(self, images: Any, at: str | Sequence[str] = "logits") -> Any:
        """Return the value at one point, or a tuple of values at several, from one forward."""
        points = (at,) if isinstance(at, str) else tuple(at)
        x = self._engine.tensor(images)
        wanted = tuple(dict.fromkeys(p for p in points if p != "input"))
        found = {"input": x}
        if wanted:
            traced = self._trace(x)

            def run(x: Any) -> tuple[Any, ...]:
                seen = self._forward(x, traced, wanted)
                return tuple(seen[p] for p in wanted)

            found |= dict(zip(wanted, self._engine.forward(("activations", wanted), run, x), strict=True))
        values = tuple(self._engine.result(found[p]) for p in points)
        return values[0] if isinstance(at, str) else values

    def gradients(
        self, images: Any, objective: Any, at: str = "logits", wrt: str | Sequence[str] = "input"
    ) -> tuple[Any, Any]:
        """Return the value at `wrt` and the gradient there of the objective's score at `at`."""
        points = (wrt,) if isinstance(wrt, str) else tuple(wrt)
        many = isinstance(objective, (list, tuple))
        x = self._engine.tensor(images)
        traced = self._trace(x)
        starts = tuple(dict.fromkeys(points))
        key = ("gradients", at, starts, self.rule)
        rule = self._rule(key)

        def run(x: Any, mark_leaf: Callable[[str, Any], Any]) -> Any:
            with ExitStack() as stack:
                if rule is not None:
                    stack.enter_context(rule.active(self._backend, self._inside))
                return self._forward(x, traced, (at,), begins=dict.fromkeys(starts, mark_leaf))[at]

        question = GradientRequest(key, run, {p: self._shape(p, x, traced) for p in starts}, rule)
        values, gradients = self._engine.gradients(question, x, list(objective) if many else [objective])
        if rule is not None:
            rule.check(self._inside)
        result = self._engine.result
        shown = tuple(result(values[p]) for p in points)
        found = tuple(_stack([result(s[p]) for s in gradients]) if many else result(gradients[0][p]) for p in points)
        return (shown[0], found[0]) if isinstance(wrt, str) else (shown, found)

    def replaced(self, images: Any, values: Any, at: str) -> Any:
        """Return the logits if the value at this point were `values`; one image may serve many values."""
        x, v = self._engine.tensor(images), self._engine.tensor(values)
        if at == "input":
            return self.activations(values)
        if x.shape[0] not in (1, v.shape[0]):
            raise InputError(
                explain_error(
                    "replaced() needs one image, or as many images as values.",
                    f"{x.shape[0]} images, {v.shape[0]} values",
                    "Repeat the images or pass one.",
                )
            )
        if x.shape[0] != v.shape[0] and not self._downstream_allows(x, at):
            from keras import ops

            x = ops.repeat(x, v.shape[0], axis=0)
        return self._engine.result(self._tail(x, v, at))

    def runs_downstream_only(self, images: Any, at: str) -> bool:
        """Tell whether `replaced` with one image runs only what lies behind the point k-fold.

        Networks whose tail meets the unreplaced part again, other than by adding, run whole forwards.
        """
        return self._downstream_allows(self._engine.tensor(images)[:1], at)

    def biases(self, images: Any) -> dict[str, Any]:
        """Return point → what the layer adds by itself, `(c,)`; for methods that share out the whole score."""
        from .biases import biases

        found = biases(self._inside, self._trace(self._engine.tensor(images)), self.scaling)
        return {point: self._engine.result(self._engine.tensor(b)) for point, b in found.items()}

    def attentions(self, images: Any, objective: Any = None, *, per_block: bool = False) -> tuple[Attention, ...]:
        """Return the attention of every head, see `keras_attention.attentions`."""
        from .attention import attentions

        return attentions(self, images, objective, per_block=per_block)

    # ---- inside

    def _tail(self, x: Any, v: Any, at: str) -> Any:
        traced = self._trace(x)

        def run(x: Any, v: Any) -> tuple[Any, ...]:
            return (self._forward(x, traced, ("logits",), values={at: v})["logits"],)

        return self._engine.forward(("replaced", at, x.shape[0] == v.shape[0]), run, x, v)[0]

    def _downstream_allows(self, x: Any, at: str) -> bool:
        key = (at, tuple(x.shape[1:]))
        if key not in self._downstream:
            value, want = (to_numpy(a) for a in self.activations(x, (at, "logits")))
            try:
                again = to_numpy(self._engine.result(self._tail(x, self._engine.tensor(value.repeat(3, 0)), at)))
                scale = float(np.abs(want).max()) or 1.0
                same = again.shape == (3, *want.shape[1:]) and float(np.abs(again - want).max()) <= 1e-3 * scale
            except Exception:  # every framework has its own error for shapes that do not go together
                same = False
            self._downstream[key] = same
        return self._downstream[key]

    def _rule(self, key: Hashable) -> Rule | None:
        if self.rule is None:
            return None
        if self._engine.eager:
            return Rule(self.rule)
        # compiled functions meet their ReLUs once, while they are traced: the count stays with them
        return self._rules.setdefault(key, Rule(self.rule))

    def _shape(self, point: str, x: Any, traced: Trace) -> tuple[int, ...]:
        if point in ("input", "logits"):
            return tuple(x.shape[1:]) if point == "input" else traced.logits
        call = find_point(traced.calls, self._inside, point)
        return call.layout.shape(call.shape)

    def _forward(
        self,
        x: Any,
        traced: Trace,
        ends: Sequence[str],
        *,
        begins: Mapping[str, Callable[[str, Any], Any]] | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Run the network until every point in `ends` is seen; gradients start at `begins`, `values` are put in."""
        from keras import ops

        begins, values = begins or {}, values or {}
        found: dict[str, Any] = {}
        if "input" in begins:
            x = begins["input"]("input", x)
        if "input" in ends:
            found["input"] = x
        by_path: dict[str, list[tuple[str, Call]]] = {}
        for point in dict.fromkeys((*ends, *begins, *values)):
            if point not in ("input", "logits"):
                call = find_point(traced.calls, self._inside, point)
                by_path.setdefault(call.module, []).append((point, call))
        counts = dict.fromkeys(by_path, 0)
        missing = {p for path in by_path.values() for p, _ in path}

        def see(path: str, output: Any) -> Any:
            counts[path] += 1
            for point, call in by_path[path]:
                if call.index != counts[path]:
                    continue
                missing.discard(point)
                raw = first_tensor(output)
                value = at_least_single(channels_last(call.layout, raw))
                if point in values:
                    value = values[point]
                if point in begins:
                    value = begins[point](point, value)
                if point in ends:
                    found[point] = value
                if point in values or point in begins:
                    output = with_first(output, channels_back(call.layout, value, raw))
            if self._engine.eager and not missing and all(p in found for p in ends):
                raise _Reached
            return output

        with ExitStack() as stack:
            stack.enter_context(watched({p: self._inside[p] for p in by_path}, see))
            output_activation = OutputActivation()
            if traced.output_activation:
                stack.enter_context(output_activation.active(self._backend))
            try:
                output = self._ends(x)
            except _Reached:
                return found
        if missing:
            raise ModelError(
                explain_error(
                    f"The layer {min(missing)!r} must run for this image.",
                    "a forward that did not reach it",
                    "Choose another layer; see `shisen layers`.",
                )
            )
        logits = at_least_single(output_activation.undo(output)[0])
        logits = ops.expand_dims(logits, -1) if len(logits.shape) == 1 else logits
        found["logits"] = begins["logits"]("logits", logits) if "logits" in begins else logits
        return found

    def _trace(self, x: Any) -> Trace:
        """Return what the network does with images of this shape; one forward the first time."""
        shape = tuple(x.shape[1:]) if x is not None else next(iter(self._traces), self.size)
        if shape not in self._traces:
            with PATCH_LOCK:
                while len(self._traces) >= 8:
                    self._traces.pop(next(iter(self._traces)))
                if not self.net.built:
                    self._ends(self._engine.tensor(np.zeros((1, *shape), np.float32)))
                    self._inside = operations(self.net)
                try:
                    self._traces[shape] = trace(self._ends, self._inside, self._engine, shape)
                except Exception as problem:
                    if self._backend == "tensorflow" and self._ends.channels_first:
                        raise _no_channels_first(problem) from problem
                    raise
        return self._traces[shape]


def _no_channels_first(problem: Exception) -> ModelError:
    return ModelError(
        explain_error(
            "TensorFlow must be able to run the model here; with channels first it convolves and pools on a GPU only.",
            " ".join(str(problem).split())[:200],
            "Set KERAS_BACKEND=jax or torch before importing keras: they run the same model.",
        )
    )


def _stack(parts: list[Any]) -> Any:
    from array_api_compat import array_namespace

    return array_namespace(parts[0]).stack(parts)
