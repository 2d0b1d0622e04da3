"""The adapter for PyTorch: named points of any `torch.nn.Module`, captured by forward hooks for one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import array_api_compat.torch as xp
import numpy as np
import torch

from ...errors import ModelError, explain_error
from ...types import Attention, Scaling
from ..answers import Output, select_output
from ..base import Adapter
from ..dependence import every_output, on_the_way
from ..differentiability import cut_graph
from ..layout import Layout
from ..trace import Trace
from .batch_check import depends_on_batch
from .biases import biases
from .folding import Pair, agreed, pairs
from .forward import Leaves, captured_forward
from .io import called, device_of, guess_size, initial_batch_size, network_input, to_tensor
from .isolation import Isolation
from .memory_layout import depends_on_layout
from .precision import half_of, single
from .rewire import recurrent_backward, vector_jacobian
from .trace import frames_in_order, influential, trace
from .weights import permuted_copy

if TYPE_CHECKING:
    from typing_extensions import Self

    from .window_layout import Cut

Pairs = dict[tuple[str, str], Pair]
LAYOUT_TOLERANCE = 0.02
"""How far the gradient may differ between memory layouts; rounding moves single values across kinks of ReLUs."""


class TorchClassifier(Adapter):
    """A torch module as a classifier with named points; see `shisen.types.Classifier`.

    Args:
        net: any module that takes `(n, c, h, w)`, `(n, c, length)` or `(n, c, d, h, w)`; it is never changed.
        scaling: what to do to pixels in [0, 1]; None hands arrays in as they are.
        output: which part of a tuple or dict output holds the logits: a key, an index or a function.
        size: `(*positions, c)` of an input, for listing the layers before the first image.
        head: "softmax", "sigmoid" or "none"; found automatically if None.

    Attributes:
        precision: "float32", or what `fast` chose.
        folds: whether batch normalization may be folded into convolutions, for networks of our own.
        verified: whether tests of our own hold the network's answers and gradients in channels-last memory, folded and
            not, so that no trial of the memory layout is needed.
    """

    framework = "torch"

    def __init__(
        self,
        net: torch.nn.Module,
        scaling: Scaling | None = None,
        output: Output = None,
        size: tuple[int, ...] | None = None,
        head: str | None = None,
    ) -> None:
        net = getattr(net, "_orig_mod", net)
        super().__init__(net, scaling, output, size, head)
        self.batch_size = initial_batch_size(device_of(net).type, self.size)
        self.precision = "float32"
        self.folds = self.verified = False
        self.window_cuts: dict[tuple[int, ...], tuple[Cut | None, ...]] = {}
        self._isolation = Isolation(net, self.lock)
        self._contiguous: dict[tuple[int, ...], bool] = {}
        self._tried: set[tuple[int, ...]] = set()
        self._pairs: tuple[Any, Pairs] | None = None
        self._unfolded: tuple[Any, Any, Any] | None = None  # module, input and answer of the traced forward

    # ---- the contract

    @classmethod
    def accepts(cls, net: Any) -> bool:
        """Tell whether an object is a torch module."""
        return isinstance(net, torch.nn.Module)

    def to_tensor(self, images: Any) -> Any:
        """Return images as a float32 tensor on the network's device."""
        return to_tensor(images, device_of(self.net))

    def to_array(self, tensor: Any) -> Any:
        """Return a tensor as float32, without a graph."""
        return tensor.detach().float()

    def repeated(self, x: Any, count: int) -> Any:
        """Return one image `count` times, without copying it."""
        return x.expand(count, *x.shape[1:])

    def record(self, x: Any) -> Trace:
        """Run one image with a hook on every module."""
        shape = tuple(x.shape[1:])
        with self.running(), torch.no_grad():
            try:
                return self._traced(x)
            except RuntimeError:  # such as `view` on feature maps, which needs them contiguous
                if shape in self._contiguous:
                    raise
            self._contiguous[shape] = True
            try:
                return self._traced(x)
            except BaseException:
                del self._contiguous[shape]
                raise

    def _traced(self, x: Any) -> Trace:
        def two() -> Sequence[int] | None:
            try:
                return tuple(self.answer(torch.cat([x, x.flip(1)])).shape)
            except RuntimeError:  # a program for one image
                return None

        def run() -> Any:
            y = self.answer(shown, announce=not self._memory.traces)
            self._unfolded = (self.module, shown, y.float()) if self.verified else None
            return y

        shown = _noise(x) if self.verified else x  # what `foldable` compares with
        return trace(self.module, run, tuple(x.shape[1:-1]), two)

    def alone(self, images: Any) -> bool:
        """Return whether images of this shape must go in one by one: tried once, beside another image."""
        shape = tuple(images.shape[1:])
        if not self.folds and shape not in self._tried:
            self._tried.add(shape)
            exact = self.exact()
            if depends_on_batch(lambda x: exact.forward(x, ("logits",))["logits"], self.to_tensor(images[:1])):
                self.run_alone(images)
        return super().alone(images)

    def refined(self, trace: Trace, x: Any) -> Trace:
        """Move the default to the last map or the last tokens that the answer depends on; order folded frames."""

        def gradients_at(paths: Sequence[str]) -> Any:
            return self.gradients_or_error(x, every_output, paths)

        tokens = trace.default is not None and trace.default.layout.kind in ("tokens", "sequence")
        found = trace if self.folds or tokens else on_the_way(trace, gradients_at)
        found = influential(found, gradients_at)
        return frames_in_order(found, lambda images, path: self.activations(images, path), x)

    def guessed_size(self) -> tuple[int, ...]:
        """Return 224 × 224, or as many axes as the first convolution has, and its channels."""
        return guess_size(self.net)

    def exact(self) -> Self:
        """Return the network in float32."""
        return self if self.precision == "float32" else self.variant(precision="float32")

    def forward(self, x: Any, points: Sequence[str], values: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        """Return the values at `points`, channels last, without gradients; `values` are put in at other points."""
        with self.running(), torch.no_grad():
            return captured_forward(self, x, points, values=values)

    def differentiate(
        self, x: Any, objectives: Sequence[Any], at: str, wrt: Sequence[str]
    ) -> tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]:
        """Return the values at the points `wrt`, and for every objective at `at` the gradients there."""
        self.trace(x)  # tells what the network accepts and how it answers
        with self.running(), recurrent_backward(self.module, self.module is not self.net):
            if "input" in wrt:
                self._choose_layout(x[:1])
            y, leaves = self._graph(x, at, wrt)
            if self._undecided(x) and depends_on_layout(y):
                self._choose_layout(x[:1])
                y, leaves = self._graph(x, at, wrt) if self.needs_contiguous(x) else (y, leaves)
            raw, rows = [leaves[p][0] for p in wrt], []
            for i, objective in enumerate(objectives):
                cotangent = objective(y.detach()).to(y.dtype)
                found = vector_jacobian(y, raw, cotangent, self.rule, i + 1 < len(objectives), wrt)
                rows.append({p: leaves[p][1].last(g) for p, g in zip(wrt, found, strict=True)})
        return {p: leaves[p][1].last(leaves[p][0]) for p in wrt}, rows

    def _graph(self, x: Any, at: str, wrt: Sequence[str]) -> tuple[Any, Leaves]:
        """Return the value at `at` with its graph, and the tensors in `wrt` at which the graph starts."""
        x = x.detach().requires_grad_("input" in wrt)
        leaves: Leaves = {"input": (x, Layout("plain"))}
        with torch.set_grad_enabled("input" in wrt):  # the hook at the first start switches it on
            starts = [p for p in wrt if p != "input"]
            y = single(captured_forward(self, x, [at], starts=starts, leaves=leaves)[at])
        if not y.requires_grad:
            raise cut_graph(wrt)
        return y, leaves

    # ---- further abilities

    def fast(self) -> Self:
        """Return the same network, run in half precision; the network itself is not changed.

        Passes whose gradient goes through ReLUs or other kinks stay in float32, see `precision`.

        Raises:
            ModelError: where half precision is not faster.
        """
        half, why = half_of(device_of(self.net))
        if not half:
            raise ModelError(
                explain_error("--fast needs a device that is faster in half precision.", why, "Go on in float32.")
            )
        return self.variant(precision=half)

    def attentions(
        self, images: Any, objective: Any = None, *, per_block: bool = False, pooled: bool = False
    ) -> tuple[Attention, ...]:
        """Return the attention of every head, see `attention.attentions`."""
        from .attention import attentions

        return attentions(self.exact(), images, objective, per_block=per_block, pooled=pooled)

    def biases(self, images: Any) -> dict[str, Any]:
        """Return what every layer adds by itself, path → `(c,)`; see `biases.biases`."""
        calls = self.trace(self.to_tensor(images)).calls
        with self.lock:  # another thread's forward may have folded weights in place
            return biases(self.net, calls, self.scaling)

    def weights(self) -> Mapping[str, Any]:
        """Return every weight and buffer by its name."""
        return dict(self.net.state_dict())

    def randomized(self, up_to: float, rng: np.random.Generator) -> TorchClassifier:
        """Return a copy with the weights of the topmost fraction `up_to` of the layers permuted."""
        net = permuted_copy(self.net, [layer.path for layer in self.layers], up_to, rng)
        other = TorchClassifier(net, self.scaling, self.output, self.size, self.head)
        other.batch_size, other.rule, other.precision = self.batch_size, self.rule, self.precision
        other.verified = self.verified
        return other

    def hardware(self) -> tuple[str, ...]:
        """Return what the speed of a batch depends on beside the network."""
        import platform

        device = device_of(self.net)
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor()
        return device.type, name, str(torch.get_num_threads()), str(torch.__version__)

    # ---- for the parts of this adapter

    def running(self) -> AbstractContextManager[None]:
        """Return a context in which `module` is in evaluation mode and no other explanation uses it."""
        return self._isolation.running()

    @property
    def module(self) -> Any:
        """What runs instead of the network: a private copy with the same weights, if there can be one."""
        return self._isolation.module

    def answer(self, x: Any, *, announce: bool = False) -> Any:
        """Return the selected output of one plain forward of `(n, *positions, c)`, as the network returned it.

        Args:
            x: pixels.
            announce: warn which of several tensors was selected.
        """
        shown = network_input(self.module, self.scaling, x, contiguous=self.needs_contiguous(x))
        return select_output(called(self.module, shown), self.output, torch.is_tensor, announce=announce)

    def needs_contiguous(self, x: Any) -> bool:
        """Tell whether the network wants images of this shape in contiguous memory rather than channels last."""
        return self._contiguous.get(tuple(x.shape[1:]), False)

    def _undecided(self, x: Any) -> bool:
        """Tell whether images of this shape may need contiguous memory, and nobody has looked yet."""
        return x.dim() == 4 and not self.verified and tuple(x.shape[1:]) not in self._contiguous

    def _choose_layout(self, x: Any) -> None:
        """Decide once for images of this shape: channels last in memory only where the gradient stays the same."""
        if not self._undecided(x):
            return
        last, first = (self._pixel_gradient(x, contiguous) for contiguous in (False, True))
        same = first is None or (last is not None and bool((last - first).norm() <= LAYOUT_TOLERANCE * first.norm()))
        self._contiguous[tuple(x.shape[1:])] = not same

    def _pixel_gradient(self, x: Any, contiguous: bool) -> Any:
        """Return the gradient of all classes by the pixels of one image; None where the network does not run."""
        with torch.enable_grad():
            leaf = x.detach().clone().requires_grad_()
            shown = network_input(self.module, self.scaling, leaf, contiguous=contiguous)
            try:
                found = self.trace(x)
                y = select_output(called(self.module, shown), self.output, torch.is_tensor).float()
                y = found.rows.apply(y, found.logits, xp)
                score = (y * every_output(y)).sum()
                return torch.autograd.grad(score, leaf)[0] if y.requires_grad else torch.zeros_like(leaf)
            except RuntimeError:
                return None

    def foldable(self, traced: Trace, x: Any) -> Pairs:
        """Return the convolutions that may take their normalization in: none if the answer would not be the same.

        Args:
            traced: the traced forward pass.
            x: the network's input, in its own layout.
        """
        if not self.folds:
            return {}
        if self._pairs is None or self._pairs[0] is not self.module:
            shown, plain = _noise(x), None
            if self._unfolded is not None and self._unfolded[0] is self.module:
                _, shown, plain = self._unfolded
            found = pairs(self.module, traced.calls)
            self._pairs = self.module, agreed(found, lambda: self.answer(shown).float(), plain)
            self._unfolded = None
        return self._pairs[1]


def _noise(x: Any) -> Any:
    """Return one image of noise, always the same, in the shape of `x`."""
    return torch.rand(1, *x.shape[1:], generator=torch.Generator().manual_seed(0)).to(x.device)
