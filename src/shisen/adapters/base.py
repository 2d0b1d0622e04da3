"""What every adapter has in common, and what some can do beyond it.

A new framework is a subclass of `Adapter` that fills in its abstract methods. Further abilities are the
protocols of `capabilities`; code that needs one calls `shisen.adapters.wrappers.capability`.
"""

from __future__ import annotations

import copy
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from ..errors import N_, InputError, ModelError, ShisenError, Unsuited, briefly, explain_error
from ..targets import to_numpy
from ..types import Layer, Scaling
from .answers import Output
from .batches import together_or_apart
from .class_maps import past_class_maps
from .differentiability import differentiated
from .points import by
from .rules import RULES
from .trace import Trace

if TYPE_CHECKING:
    from typing_extensions import Self

Shape = tuple[int, ...]
TRACES = 8
"""Image sizes for which the structure of a network is kept."""
DOWNSTREAM_TOLERANCE = 1e-3
"""How far copies at a layer may change the logits, relative to the largest; float32 rounding is a hundredth of it."""


_LOCKS: WeakKeyDictionary[Any, threading.RLock] = WeakKeyDictionary()
_LOCKS_GUARD = threading.Lock()


def lock_of(net: Any) -> threading.RLock:
    """Return the lock of a network: one in the whole process, however often the network is wrapped."""
    with _LOCKS_GUARD:
        try:
            return _LOCKS.setdefault(net, threading.RLock())
        except TypeError:  # an object of C++, such as an ONNX graph, that no thread runs
            return threading.RLock()


@dataclass
class _Memory:
    """What has been found out about a network; shared by its variants."""

    traces: dict[Shape, Trace] = field(default_factory=dict)
    unrefined: dict[Shape, Trace] = field(default_factory=dict)
    downstream: dict[tuple[str, Shape], bool] = field(default_factory=dict)
    apart: set[Shape] = field(default_factory=set)
    expected: Shape | None = None
    differentiable: set[tuple[str, tuple[str, ...], Shape]] = field(default_factory=set)


class Adapter(ABC):
    """The calls of `shisen.types.Classifier`, made of what a framework must be able to do.

    Args:
        net: the network; it is never changed.
        scaling: what to do to pixels in [0, 1]; None hands arrays in as they are.
        output: which part of a tuple or dict output holds the logits: a key, an index or a function.
        size: `(*positions, c)` of an input, such as `(h, w, c)`; None if it is not known before the first image.
        head: "softmax", "sigmoid" or "none"; found automatically if None.
    """

    framework = ""

    def __init__(self, net: Any, scaling: Scaling | None, output: Output, size: Shape | None, head: str | None) -> None:
        self.net, self.scaling, self.output, self._size = net, scaling, output, size
        self.batch_size = 32
        self.rule: str | None = None
        self.lock = lock_of(net)
        self._head = head
        self._memory = _Memory()

    # ---- what a framework fills in

    @classmethod
    def accepts(cls, net: Any) -> bool:
        """Tell whether an object is a network of this framework."""
        return False

    @abstractmethod
    def to_tensor(self, images: Any) -> Any:
        """Return images as a float32 tensor of the framework, on the network's device."""

    @abstractmethod
    def to_array(self, tensor: Any) -> Any:
        """Return a tensor as the float32 array that methods see."""

    @abstractmethod
    def repeated(self, x: Any, count: int) -> Any:
        """Return one image `count` times.

        Args:
            x: the network's input, in its own layout.
            count: number of copies.
        """

    @abstractmethod
    def record(self, x: Any) -> Trace:
        """Run one image `(1, *positions, c)` and return what the network is made of."""

    @abstractmethod
    def forward(self, x: Any, points: Sequence[str], values: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        """Return the values at `points`, channels last, without gradients; `values` are put in at other points."""

    @abstractmethod
    def differentiate(
        self, x: Any, objectives: Sequence[Any], at: str, wrt: Sequence[str]
    ) -> tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]:
        """Return the values at the points `wrt`, and for every objective at `at` the gradients there.

        Args:
            x: the network's input, in its own layout.
            objectives: one objective for each gradient.
            at: path of the point.
            wrt: path of the point, or paths of the points, where the gradient is taken.
        """

    # ---- what a framework may fill in

    def refined(self, trace: Trace, x: Any) -> Trace:
        """Return the trace with a better default, where that takes more than one forward.

        Args:
            trace: the traced forward pass.
            x: the input of the traced forward pass.
        """
        return trace

    def exact(self) -> Self:
        """Return the network in full precision."""
        return self

    def guessed_size(self) -> Shape:
        """Return an input `(*positions, c)` to try where nothing is known."""
        return (224, 224, 3)

    # ---- structure

    @property
    def size(self) -> Shape:
        """`(*positions, c)` of an input: as declared, else of the first image, else a guess."""
        return self._size or self._memory.expected or self.guessed_size()

    @property
    def declared_size(self) -> Shape | None:
        """`(*positions, c)` of the only inputs that the network takes; None where it takes others or does not say."""
        return None

    @property
    def size_known(self) -> bool:
        """Whether the size of an input is declared or has been seen."""
        return bool(self._size or self._memory.expected or self._memory.traces)

    def expect(self, shape: Shape) -> None:
        """Take the shape `(*positions, c)` of the first image, where no other is known."""
        if not self.size_known:
            self._memory.expected = tuple(int(s) for s in shape)

    @property
    def differentiable(self) -> set[tuple[str, tuple[str, ...], Shape]]:
        """The end, the starts and the input shape of gradients that have been other than zero."""
        return self._memory.differentiable

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Every module call of a forward, in the order in which they end."""
        return self.trace().layers

    @property
    def default_layer(self) -> str:
        """The last feature map before pooling."""
        found = self.trace()
        if found.default is None:
            raise Unsuited(
                explain_error(
                    N_("This method works at a layer with a spatial feature map."),
                    found.reason,
                    N_("Use a method without a layer, such as gradient, integrated_gradients, occlusion or rise."),
                )
            )
        return found.default.path

    @property
    def head(self) -> str:
        """ "softmax", "sigmoid" or "none"."""
        return self._head or self.trace().head

    @property
    def output_shape(self) -> Shape:
        """Shape of the logits of one image."""
        return self.trace().logits

    @property
    def assumes_yes_or_no(self) -> bool:
        """Whether one number is read as yes or no only because nothing says otherwise."""
        found = self.trace()
        return self._head is None and not found.output_activation and found.logits == (1,)

    def rewired(self, relu: str) -> Self:
        """Return the same network with the "guided" or "deconvnet" rule at every ReLU in the backward pass."""
        if relu not in RULES:
            raise InputError(explain_error(f"relu must be one of {', '.join(RULES)}.", repr(relu), "Use 'guided'."))
        return self.variant(rule=relu)

    def variant(self, **changes: Any) -> Self:
        """Return the same network with other attributes; what is known about it is shared."""
        other = copy.copy(self)
        other.__dict__.update(changes)
        return other

    def trace(self, x: Any = None) -> Trace:
        """Return what the network does with images of this shape; one forward the first time.

        Args:
            x: the framework's tensor `(n, *positions, c)`; None for the first size that was seen.
        """
        memory = self._memory
        shape: Shape = tuple(x.shape[1:]) if x is not None else next(iter(memory.traces), self.size)
        if shape in memory.traces:
            return memory.traces[shape]
        with self.lock:
            if shape in memory.unrefined:  # requested by `refined` below: nobody else can get in here
                return memory.unrefined[shape]
            if shape not in memory.traces:
                sample = self.to_tensor(np.zeros((1, *shape), np.float32)) if x is None else x[:1]
                try:
                    memory.unrefined[shape] = self._recorded(sample, guessed=x is None and not self.size_known)
                    found = self.refined(memory.unrefined[shape], sample)
                    if len(found.logits) > 1 or self._head != "none":  # pooled features look like pooled class maps
                        found = past_class_maps(found, lambda path, some: self.gradients_or_error(sample, some, path))
                finally:
                    memory.unrefined.pop(shape, None)
                while len(memory.traces) >= TRACES:
                    memory.traces.pop(next(iter(memory.traces)))
                memory.traces[shape] = found
            return memory.traces[shape]

    def _recorded(self, x: Any, *, guessed: bool) -> Trace:
        try:
            return self.record(x)
        except (ShisenError, MemoryError):
            raise
        except Exception as problem:  # every framework has its own error for a size that does not fit
            if "OutOfMemory" in type(problem).__name__:
                raise
            received = f"{type(problem).__name__}: {briefly(problem)}"
            if guessed:
                raise ModelError(
                    explain_error(
                        "The size of the input must be known before the first image.",
                        f"a network that does not declare it and fails on {by(x.shape[1:])} ({received})",
                        "Pass input_shape=(h, w, c), (length, c) or (d, h, w, c), or explain an image first.",
                    )
                ) from problem
            known = " or ".join(map(by, self._memory.traces))
            raise ModelError(
                explain_error(
                    "The network must run on an input of this size" + (f"; it has run on {known}." if known else "."),
                    f"{by(x.shape[1:])}, and {received}",
                    "If it takes channels last, a dict, a tuple or several inputs, pass inputs=, a function from the "
                    "image to them; if it takes one size only, pass preprocess={'size': (h, w)} (--size).",
                )
            ) from problem

    # ---- the three calls

    def activations(self, images: Any, at: str | Sequence[str] = "logits") -> Any:
        """Return the value at one point, or a tuple of values at several, from one forward.

        Args:
            images: `(n, h, w, c)` pixels in [0, 1].
            at: path of the point, or paths of several.
        """
        points = (at,) if isinstance(at, str) else tuple(at)
        x = self.to_tensor(images)
        wanted = tuple(dict.fromkeys(p for p in points if p != "input"))
        found = {"input": x, **(self.forward(x, wanted) if wanted else {})}
        values = tuple(self.to_array(found[p]) for p in points)
        return values[0] if isinstance(at, str) else values

    def gradients(
        self, images: Any, objective: Any, at: str = "logits", wrt: str | Sequence[str] = "input"
    ) -> tuple[Any, Any]:
        """Return the value at `wrt` and the gradient there of the objective's score at `at`.

        Args:
            images: `(n, h, w, c)` pixels in [0, 1].
            objective: what is explained.
            at: path of the point where the score is taken.
            wrt: path of the point, or paths of the points, where the gradient is taken.
        """
        points = (wrt,) if isinstance(wrt, str) else tuple(wrt)
        many = isinstance(objective, (list, tuple))
        objectives = list(objective) if many else [objective]
        values, rows = differentiated(self, self.to_tensor(images), objectives, at, tuple(dict.fromkeys(points)))
        found = [tuple(self.to_array(row[p]) for p in points) for row in rows]
        shown = tuple(self.to_array(values[p]) for p in points)
        gradients = tuple(_stack(parts) for parts in zip(*found, strict=True)) if many else found[0]
        return (shown[0], gradients[0]) if isinstance(wrt, str) else (shown, gradients)

    def gradients_or_error(self, images: Any, objective: Any, wrt: str | Sequence[str]) -> Any:
        """Return the gradients; a failure of the framework is a `ModelError`, as a trace can go on without them.

        Args:
            images, objective, wrt: see `gradients`.
        """
        return together_or_apart(lambda: self.gradients(images, objective, wrt=wrt)[1])

    def replaced(self, images: Any, values: Any, at: str) -> Any:
        """Return the logits if the value at this point were `values`; one image may serve many values.

        Args:
            images: `(n, h, w, c)` pixels in [0, 1].
            values: values that are put in at the point.
            at: path of the point.

        Raises:
            InputError: if the numbers of images and values do not fit each other.
        """
        if at == "input":
            return self.activations(values)
        x, v = self.to_tensor(images), self.to_tensor(values)
        if x.shape[0] not in (1, v.shape[0]):
            raise InputError(
                explain_error(
                    "replaced() needs one image, or as many images as values.",
                    f"{x.shape[0]} images, {v.shape[0]} values",
                    "Repeat the images or pass one.",
                )
            )
        if x.shape[0] != v.shape[0] and not self.takes_copies(x, at):
            x = self.repeated(x, v.shape[0])
        return self.to_array(self.forward(x, ("logits",), {at: v})["logits"])

    def runs_downstream_only(self, images: Any, at: str) -> bool:
        """Return whether `replaced` with one image runs only what lies downstream of the point for every value.

        Networks that reshape by the input's batch size, or in which the unaltered part joins again other than by
        adding, do not allow it; whole forwards are run then.

        Args:
            images: `(n, h, w, c)` pixels in [0, 1].
            at: path of the point.
        """
        return self.takes_copies(self.to_tensor(images)[:1], at)

    def alone(self, images: Any) -> bool:
        """Return whether images of this shape must go in one by one, as far as is known."""
        return tuple(images.shape[1:]) in self._memory.apart

    def run_alone(self, images: Any) -> None:
        """Remember that images of this shape must go in one by one."""
        self._memory.apart.add(tuple(images.shape[1:]))

    def takes_copies(self, x: Any, at: str) -> bool:
        """Check once, on three unaltered copies of the value at a point, that the logits stay the same.

        Args:
            x: the network's input, in its own layout.
            at: path of the point.

        Returns:
            True if so.
        """
        key = (at, tuple(x.shape[1:]))
        known = self._memory.downstream
        if key not in known:
            exact = self.exact()  # rounding must not look like a dependence on the batch
            value, want = (to_numpy(v) for v in exact.activations(x, (at, "logits")))
            try:
                copies = exact.to_tensor(value.repeat(3, 0))
                again = to_numpy(exact.to_array(exact.forward(x, ("logits",), {at: copies})["logits"]))
                scale = float(np.abs(want).max()) or 1.0
                known[key] = again.shape == (3, *want.shape[1:]) and bool(
                    np.abs(again - want).max() <= DOWNSTREAM_TOLERANCE * scale
                )
            except Exception:  # every framework has its own error for shapes that do not go together
                known[key] = False
        return known[key]


def _stack(parts: Sequence[Any]) -> Any:
    from array_api_compat import array_namespace

    return array_namespace(parts[0]).stack(list(parts))
