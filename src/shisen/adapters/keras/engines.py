"""How a Keras backend runs and differentiates: compiled once per request and shape, the graph started at the point.

An engine is handed the forward as a function of framework tensors; what is captured, replaced or rewired in it is
the adapter's business. `mark_leaf(point, value)` marks where a gradient is wanted and returns the value to go on with.
"""

from __future__ import annotations

import functools
import itertools
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ...errors import ModelError, explain_error
from ..base import lock_of
from ..differentiability import cut_graph
from .rewire import Rule

MarkLeaf = Callable[[str, Any], Any]
Gradients = tuple[dict[str, Any], list[dict[str, Any]]]
KEEP = 48
"""Compiled functions kept for one model; the one unused for longest goes first."""


@dataclass(frozen=True)
class GradientRequest:
    """Which gradient is wanted.

    Attributes:
        key: equal for requests that one compiled function serves.
        run: `run(x, mark_leaf)` returns the value whose cotangent the objectives give.
        shapes: of one image's value at every point where a gradient is wanted.
        rule: another backward rule for ReLUs; `run` already applies it where it works in the forward.
    """

    key: Hashable
    run: Callable[[Any, MarkLeaf], Any]
    shapes: Mapping[str, tuple[int, ...]]
    rule: Rule | None = None


class Engine(Protocol):
    """What the Keras adapter needs of a backend."""

    name: str
    eager: bool

    def tensor(self, values: Any) -> Any:
        """Return an array as a float32 tensor of the framework."""

    def result(self, tensor: Any) -> Any:
        """Return a tensor as the array that users and methods see."""

    def sample(self, run: Callable[[Any], Any], x: Any) -> None:
        """Run a forward once for its structure; values do not matter.

        Args:
            run: the function to run.
            x: the network's input, in its own layout.
        """

    def forward(self, key: Hashable, run: Callable[..., tuple[Any, ...]], *args: Any) -> tuple[Any, ...]:
        """Run a forward without gradients."""

    def gradients(self, request: GradientRequest, x: Any, objectives: Sequence[Any]) -> Gradients:
        """Return the values at the marked points, and for each objective the gradients there.

        Args:
            request: points, objectives and values of the gradients.
            x: the network's input, in its own layout.
            objectives: one objective for each gradient.
        """


class _Cache:
    """Compiled functions by the request they serve."""

    def __init__(self) -> None:
        self._made: OrderedDict[Hashable, Any] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        if key not in self._made:
            self._made[key] = make()
            while len(self._made) > KEEP:
                self._made.popitem(last=False)
        self._made.move_to_end(key)
        return self._made[key]


class TensorFlowEngine:
    """One `tf.function` for each request and image size, for any number of images.

    The objective is NumPy code between forward and backward; a host call in the graph runs it, so that one
    compiled function does both and nothing runs twice.
    """

    name = "tensorflow"
    eager = False

    def __init__(self, net: Any) -> None:
        self._made = _Cache()
        self._requests: dict[int, tuple[list[Any], list[BaseException]]] = {}
        self._tokens = itertools.count()

    def tensor(self, values: Any) -> Any:
        import tensorflow as tf

        return tf.convert_to_tensor(np.asarray(values, dtype=np.float32))

    def result(self, tensor: Any) -> Any:
        return np.asarray(tensor, dtype=np.float32)

    def sample(self, run: Callable[[Any], Any], x: Any) -> None:
        run(x)

    def forward(self, key: Hashable, run: Callable[..., tuple[Any, ...]], *args: Any) -> tuple[Any, ...]:
        import tensorflow as tf

        shapes = tuple(tuple(a.shape[1:]) for a in args)

        def make() -> Any:
            specs = [tf.TensorSpec((None, *s), tf.float32) for s in shapes]
            return _concrete(run, specs)

        return tuple(self._made.get((key, shapes), make)(*args))

    def gradients(self, request: GradientRequest, x: Any, objectives: Sequence[Any]) -> Gradients:
        import tensorflow as tf

        count = len(objectives)
        size = tuple(x.shape[1:])
        make = functools.partial(self._differentiated, request.run, size, count)
        function = self._made.get((request.key, size, count), make)
        token = next(self._tokens)
        problems: list[BaseException] = []
        self._requests[token] = (list(objectives), problems)
        try:
            values, gradients = function(x, tf.constant(token, tf.int64))
        finally:
            del self._requests[token]
        if problems:
            raise problems[0]
        return values, gradients

    def _cotangents(self, token: Any, y: Any) -> Any:
        objectives, problems = self._requests[int(token)]
        y = np.array(y)
        found = []
        for objective in objectives:
            try:
                found.append(np.asarray(objective(y), dtype=np.float32))
            except BaseException as problem:  # raised again outside of the graph, as it is
                problems.append(problem)
                found.append(np.zeros_like(y))
        return np.stack(found)

    def _differentiated(self, run: Callable[[Any, MarkLeaf], Any], size: tuple[int, ...], count: int) -> Any:
        import tensorflow as tf

        def function(x: Any, token: Any) -> Any:
            leaves: dict[str, Any] = {}
            with tf.GradientTape(persistent=count > 1, watch_accessed_variables=False) as tape:

                def mark_leaf(point: str, value: Any) -> Any:
                    # only what lies downstream of this tensor is recorded
                    leaves[point] = tf.identity(value)
                    tape.watch(leaves[point])
                    return leaves[point]

                y = run(x, mark_leaf)
            cotangents = tf.numpy_function(self._cotangents, [token, y], tf.float32)
            cotangents.set_shape((count, *y.shape))
            cotangents = tf.cast(cotangents, y.dtype)
            gradients = [tape.gradient(y, leaves, output_gradients=cotangents[i]) for i in range(count)]
            if all(g is None for g in gradients[0].values()):
                raise cut_graph(tuple(leaves))
            zeros = {p: tf.zeros_like(leaf) for p, leaf in leaves.items()}
            return leaves, [{p: zeros[p] if g is None else g for p, g in found.items()} for found in gradients]

        signature = [tf.TensorSpec((None, *size), tf.float32), tf.TensorSpec((), tf.int64)]
        return _concrete(function, signature)


def _concrete(function: Callable[..., Any], signature: Sequence[Any]) -> Any:
    """Compile for this signature at once; the graph can never be traced again."""
    import tensorflow as tf

    whole = tf.function(function, input_signature=signature, autograph=False)
    made = whole.get_concrete_function()
    made.kept_alive = whole
    return made


class JaxEngine:
    """`jax.jit` around the model as a function of its variables; gradients by a zero added at the point."""

    name = "jax"
    eager = False

    def __init__(self, net: Any) -> None:
        self._net = net
        self._made = _Cache()

    def tensor(self, values: Any) -> Any:
        import jax.numpy as jnp

        return jnp.asarray(values, dtype=jnp.float32)

    def result(self, tensor: Any) -> Any:
        return tensor.astype("float32")

    def _state(self) -> list[Any]:
        return [v.value for v in self._net.variables]

    def _pure(self, run: Callable[..., Any]) -> Callable[..., Any]:
        """Return the forward as a function of the variables' values too."""
        import keras

        def function(state: Any, *args: Any) -> Any:
            with keras.StatelessScope(state_mapping=list(zip(self._net.variables, state, strict=True))):
                return run(*args)

        return function

    def sample(self, run: Callable[[Any], Any], x: Any) -> None:
        import jax

        def nothing(x: Any) -> int:
            run(x)
            return 0

        jax.eval_shape(self._pure(nothing), self._state(), x)

    def forward(self, key: Hashable, run: Callable[..., tuple[Any, ...]], *args: Any) -> tuple[Any, ...]:
        import jax

        key = (key, tuple(tuple(a.shape[1:]) for a in args))
        return tuple(self._made.get(key, lambda: jax.jit(self._pure(run)))(self._state(), *args))

    def gradients(self, request: GradientRequest, x: Any, objectives: Sequence[Any]) -> Gradients:
        import jax
        import jax.numpy as jnp

        def make() -> Any:
            def both_ways(state: Any, x: Any) -> Any:
                def at(zeros: Mapping[str, Any]) -> Any:
                    values: dict[str, Any] = {}

                    def mark_leaf(point: str, value: Any) -> Any:
                        values[point] = value + zeros[point]
                        return values[point]

                    return self._pure(lambda x: request.run(x, mark_leaf))(state, x), values

                zeros = {p: jnp.zeros((x.shape[0], *s), jnp.float32) for p, s in request.shapes.items()}
                return jax.vjp(at, zeros, has_aux=True)

            def back(pull: Any, cotangent: Any) -> Any:
                return pull(cotangent)[0]

            y, pull, _ = jax.eval_shape(both_ways, self._state(), x)
            if not _depends_on_last(jax.make_jaxpr(back)(pull, y).jaxpr):
                raise cut_graph(tuple(request.shapes))
            return jax.jit(both_ways), jax.jit(back)

        forth, back = self._made.get((request.key, tuple(x.shape[1:])), make)
        y, pull, values = forth(self._state(), x)
        gradients = [back(pull, jnp.asarray(objective(y), dtype=y.dtype)) for objective in objectives]
        return values, gradients


def _depends_on_last(program: Any) -> bool:
    """Tell whether an output of a JAX program depends on its last input, rather than being zeros of its own."""
    reached = {program.invars[-1]}
    for step in program.eqns:
        if any(v in reached for v in step.invars if not hasattr(v, "val")):  # constants have a value
            reached.update(step.outvars)
    return any(v in reached for v in program.outvars if not hasattr(v, "val"))


class TorchEngine:
    """The engine of the torch adapter: eager, parameters frozen for the call, the graph started at the point."""

    name = "torch"
    eager = True

    def __init__(self, net: Any) -> None:
        self._net = net

    def tensor(self, values: Any) -> Any:
        import torch

        home = next((p for p in self._net.parameters()), None)
        tensor = values if isinstance(values, torch.Tensor) else torch.as_tensor(np.ascontiguousarray(values))
        if tensor.is_inference():
            tensor = tensor.clone()
        return tensor.detach().to(device=None if home is None else home.device, dtype=torch.float32)

    def result(self, tensor: Any) -> Any:
        return tensor.detach().float()

    def sample(self, run: Callable[[Any], Any], x: Any) -> None:
        self.forward("sample", lambda x: (run(x),), x)

    @contextmanager
    def _frozen(self) -> Iterator[None]:
        """Run without gradients of the weights, for this thread only: others may train the model meanwhile.

        Modules of torch inside the model have a training flag that all threads see: then it is set, and restored.
        """
        import keras
        import torch

        from ..torch.evaluation_mode import evaluation_mode

        own = (keras.layers.Layer, torch.nn.ParameterDict)
        if not all(isinstance(m, own) for m in self._net.modules()):
            with lock_of(self._net), evaluation_mode(self._net):
                yield
            return
        frozen = [(v, v.value.detach()) for v in self._net.variables]
        with keras.StatelessScope(state_mapping=frozen), torch.inference_mode(False), torch.enable_grad():
            yield

    def forward(self, key: Hashable, run: Callable[..., tuple[Any, ...]], *args: Any) -> tuple[Any, ...]:
        import torch

        with self._frozen(), torch.no_grad():
            return tuple(run(*args))

    def gradients(self, request: GradientRequest, x: Any, objectives: Sequence[Any]) -> Gradients:
        import torch

        from ..torch.rewire import RewiredReLU

        leaves: dict[str, Any] = {}

        def mark_leaf(point: str, value: Any) -> Any:
            leaves[point] = value if value.requires_grad else value.detach().requires_grad_()
            return leaves[point]

        gradients = []
        with self._frozen():
            y = request.run(x, mark_leaf)
            raw = list(leaves.values())
            for i, objective in enumerate(objectives):
                cotangent = objective(y.detach()).to(y.dtype)
                found: Sequence[Any] = [None] * len(raw)
                if y.requires_grad:
                    with RewiredReLU(request.rule.name) if request.rule else nullcontext() as mode:
                        keep = i + 1 < len(objectives)
                        found = torch.autograd.grad(y, raw, cotangent, retain_graph=keep, allow_unused=True)
                    if request.rule is not None and mode is not None:
                        request.rule.fired += mode.fired
                if all(g is None for g in found):
                    raise cut_graph(tuple(leaves))
                grads = [torch.zeros_like(r) if g is None else g for r, g in zip(raw, found, strict=True)]
                gradients.append(dict(zip(leaves, grads, strict=True)))
        return leaves, gradients


def engine_for(backend: str, net: Any) -> Any:
    """Return the engine of a Keras backend.

    Args:
        backend: name of the Keras backend.
        net: the network.

    Raises:
        ModelError: if Keras runs on another backend.
    """
    engines = {"tensorflow": TensorFlowEngine, "jax": JaxEngine, "torch": TorchEngine}
    if backend not in engines:
        raise ModelError(
            explain_error(
                "Keras must run on TensorFlow, JAX or torch.", backend, "Set KERAS_BACKEND before importing keras."
            )
        )
    return engines[backend](net)
