"""The adapter for PyTorch: named points of any `torch.nn.Module`, captured by forward hooks for one call."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from itertools import chain
from typing import Any

import torch

from ...errors import InputError, ModelError, explain_error
from ...types import Attention, Layer, Scaling
from ..points import Call, Layout, as_layers, find_call, first_tensor, with_first
from .biases import biases
from .folding import Pair, agreed, folded, pairs
from .frozen_eval import frozen_eval
from .input_defaults import guess_size, initial_batch_size
from .precision import cast, half_of, single
from .rewire import RULES, vector_jacobian
from .trace import OutputActivation, Trace, influential, trace

Pairs = dict[tuple[str, str], Pair]
Output = str | int | Callable[[Any], Any] | None


class _Reached(Exception):
    """Every point asked for has been seen: the rest of the network need not run."""


class TorchClassifier:
    """A torch module as a classifier with named points; see `shisen.types.Classifier`.

    Args:
        net: any module that takes `(n, c, h, w)`; it is never changed.
        scaling: what to do to pixels in [0, 1]; None hands arrays in as they are.
        output: which part of a tuple or dict output holds the logits: a key, an index or a function.
        size: `(h, w, c)` of an input, for listing the layers before the first image.
        head: "softmax", "sigmoid" or "none"; found by itself if None.
    """

    framework = "torch"

    def __init__(
        self,
        net: torch.nn.Module,
        scaling: Scaling | None = None,
        output: Output = None,
        size: tuple[int, int, int] | None = None,
        head: str | None = None,
    ) -> None:
        self.net: Any = getattr(net, "_orig_mod", net)
        self.scaling = scaling
        self.output = output
        self.size = size or guess_size(self.net)
        self.batch_size = initial_batch_size(self._device().type, self.size)
        self.rule: str | None = None
        self.precision = "float32"
        self._head = head
        self._traces: dict[tuple[int, ...], Trace] = {}
        self._downstream: dict[tuple[str, tuple[int, ...]], bool] = {}
        self._cuts: dict[tuple[int, ...], tuple[Any, ...]] = {}
        self.folds = False  # whether batch normalization may be folded into convolutions: for networks of our own
        self._pairs: Pairs | None = None
        self._lock = threading.RLock()

    # ---- structure

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Every module call of a forward, in the order in which they end."""
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

    def rewired(self, relu: str) -> TorchClassifier:
        """Return the same network with the "guided" or "deconvnet" rule at every ReLU in the backward pass."""
        if relu not in RULES:
            raise InputError(explain_error(f"relu must be one of {', '.join(RULES)}.", repr(relu), "Use 'guided'."))
        return self._twin(rule=relu)

    def fast(self) -> TorchClassifier:
        """Return the same network, run in half precision; the network itself is not changed.

        Passes whose gradient goes through ReLUs or other bends stay in float32, see `torch_precision`.

        Raises:
            ModelError: where half precision is not faster.
        """
        half, why = half_of(self._device())
        if not half:
            raise ModelError(
                explain_error("--fast needs a device that is faster in half precision.", why, "Go on in float32.")
            )
        return self._twin(precision=half)

    def _twin(self, **changes: Any) -> TorchClassifier:
        twin = TorchClassifier.__new__(TorchClassifier)
        twin.__dict__.update(self.__dict__, **changes)
        return twin

    # ---- the three calls

    def activations(self, images: Any, at: str | Sequence[str] = "logits") -> Any:
        """Return the value at one point, or a tuple of values at several, from one forward."""
        points = [at] if isinstance(at, str) else list(at)
        x = self._tensor(images)
        found: dict[str, Any] = {"input": x}
        wanted = [p for p in points if p != "input"]
        if wanted:
            with self._lock, frozen_eval(self.net), torch.no_grad():
                found |= self._forward(x, ends=wanted)
        values = tuple(found[p] for p in points)
        return values[0] if isinstance(at, str) else values

    def gradients(
        self, images: Any, objective: Any, at: str = "logits", wrt: str | Sequence[str] = "input"
    ) -> tuple[Any, Any]:
        """Return the value at `wrt` and the gradient there of the objective's score at `at`."""
        points = [wrt] if isinstance(wrt, str) else list(wrt)
        objectives = list(objective) if isinstance(objective, (list, tuple)) else [objective]
        x = self._tensor(images)
        with self._lock, frozen_eval(self.net):
            if "input" in points:
                x = x.detach().requires_grad_()
            leaves: dict[str, tuple[Any, Layout]] = {"input": (x, Layout("plain"))}
            with torch.set_grad_enabled("input" in points):  # the hook at the first start switches it on
                y = self._forward(x, ends=[at], starts=[p for p in points if p != "input"], leaves=leaves)[at]
            raw = [leaves[p][0] for p in points]
            grads = []
            y = single(y)
            for i, one in enumerate(objectives):
                cotangent = one(y.detach()).to(y.dtype)
                if not y.requires_grad:  # the score does not depend on any of the points
                    grads.append([torch.zeros_like(r) for r in raw])
                    continue
                grads.append(list(vector_jacobian(y, raw, cotangent, self.rule, keep=i + 1 < len(objectives))))
        shaped = [[leaves[p][1].last(g).detach().float() for p, g in zip(points, row, strict=True)] for row in grads]
        values = tuple(leaves[p][1].last(leaves[p][0]).detach().float() for p in points)
        many = isinstance(objective, (list, tuple))
        gradients = tuple(torch.stack([row[i] for row in shaped]) if many else shaped[0][i] for i in range(len(points)))
        return (values[0], gradients[0]) if isinstance(wrt, str) else (values, gradients)

    def replaced(self, images: Any, values: Any, at: str) -> Any:
        """Return the logits if the value at this point were `values`; one image may serve many values."""
        x, v = self._tensor(images), self._tensor(values)
        if at == "input":
            return self.activations(v)
        if x.shape[0] not in (1, v.shape[0]):
            raise InputError(
                explain_error(
                    "replaced() needs one image, or as many images as values.",
                    f"{x.shape[0]} images, {v.shape[0]} values",
                    "Repeat the images or pass one.",
                )
            )
        with self._lock, frozen_eval(self.net), torch.no_grad():
            if x.shape[0] != v.shape[0] and not self._downstream_allows(x, at):
                x = x.expand(v.shape[0], *x.shape[1:])
            return self._forward(x, ends=["logits"], values={at: v})["logits"]

    def attentions(self, images: Any, objective: Any = None, *, per_block: bool = False) -> tuple[Attention, ...]:
        """Return the attention of every head, see `torch_attention.attentions`."""
        from .attention import attentions

        whole = self if self.precision == "float32" else self._twin(precision="float32")
        return attentions(whole, images, objective, per_block=per_block)

    def biases(self, images: Any) -> dict[str, Any]:
        """Return what every layer adds by itself, path → `(c,)`; see `torch_biases.biases`."""
        calls = self._trace(self._tensor(images)).calls
        with self._lock:  # another thread's forward may have folded weights in place
            return biases(self.net, calls, self.scaling)

    def runs_downstream_only(self, images: Any, at: str) -> bool:
        """Tell whether `replaced` with one image runs only what lies behind the point k-fold.

        Networks that reshape by the input's batch size do not allow it; whole forwards are run then.
        """
        x = self._tensor(images)[:1]
        with self._lock, frozen_eval(self.net), torch.no_grad():
            return self._downstream_allows(x, at)

    # ---- inside

    def _downstream_allows(self, x: Any, at: str) -> bool:
        key = (at, tuple(x.shape[1:]))
        if key not in self._downstream:
            whole = self._twin(precision="float32")  # rounding must not look like a dependence on the batch
            found = whole._forward(x, ends=[at, "logits"])
            copies = torch.cat([found[at]] * 3)
            try:
                again = whole._forward(x, ends=["logits"], values={at: copies})["logits"]
                want = found["logits"].expand(3, *found["logits"].shape[1:])
                scale = float(want.abs().max()) or 1.0
                same = again.shape == want.shape and float((again - want).abs().max()) <= 1e-3 * scale
            except (RuntimeError, ValueError, IndexError):
                same = False
            self._downstream[key] = same
        return self._downstream[key]

    def _device(self) -> Any:
        home = next(chain(self.net.parameters(), self.net.buffers()), None)
        return home.device if home is not None else torch.device("cpu")

    def _tensor(self, images: Any) -> Any:
        """Return images as a float32 tensor on the network's device."""
        device = self._device()
        with torch.inference_mode(False):  # tensors made in inference mode cannot carry a graph
            tensor = images if isinstance(images, torch.Tensor) else torch.as_tensor(images)
            if tensor.is_inference():
                tensor = tensor.clone()
            return tensor.detach().to(device=device, dtype=torch.float32)

    def _network_input(self, x: Any) -> Any:
        """Scale pixels and move the channels to where torch expects them."""
        if self.scaling is not None:
            # rows of w·c numbers at a time: far faster than channel by channel, which are three
            rows = x.reshape(*x.shape[:-2], -1)
            scale, shift = (
                x.new_tensor(v).expand(x.shape[-1]).repeat(x.shape[-2])
                for v in (self.scaling.scale, self.scaling.shift)
            )
            x = (rows * scale + shift).reshape(x.shape)
            if self.scaling.reverse:
                x = x.flip(-1)
        if x.dim() == 4:
            x = x.permute(0, 3, 1, 2)
        home = next((p for p in self.net.parameters() if p.is_floating_point()), None)
        return x if home is None else x.to(home.dtype)

    def _select(self, output: Any) -> Any:
        if callable(self.output):
            return self.output(output)
        if self.output is not None:
            try:
                return output[self.output]
            except (KeyError, IndexError, TypeError) as problem:
                known = list(output) if isinstance(output, Mapping) else f"{type(output).__name__}"
                raise ModelError(
                    explain_error(
                        f"The network's output must have a part {self.output!r}.", known, "Pass another output=."
                    )
                ) from problem
        if isinstance(output, Mapping) and "logits" in output:
            return output["logits"]
        found = first_tensor(output)
        if found is None:
            raise ModelError(
                explain_error("The network must return a tensor.", type(output).__name__, "Pass output= to select one.")
            )
        return found

    def _forward(self, x: Any, ends: Sequence[str], **asked: Any) -> dict[str, Any]:
        """Run the network as `_run` does; in float32 where a path around an altered point cannot change precision."""
        try:
            return self._run(x, ends, **asked)
        except RuntimeError:
            if self.precision == "float32":
                raise
            return self._twin(precision="float32")._run(x, ends, **asked)

    def _run(
        self,
        x: Any,
        ends: Sequence[str],
        *,
        starts: Sequence[str] = (),
        values: Mapping[str, Any] | None = None,
        leaves: dict[str, tuple[Any, Layout]] | None = None,
    ) -> dict[str, Any]:
        """Run the network until every point in `ends` is seen; start a graph at `starts`, put in `values`."""
        traced = self._trace(x)
        # a gradient through ReLUs is that of the weights as they are: rounding moves values across their kinks
        last = traced.default.path if traced.default else None
        bends = torch.is_grad_enabled() or any(p != last for p in starts)
        foldable = {} if bends else self._foldable(traced, x)
        half, values = self.precision != "float32", values or {}
        found: dict[str, Any] = {}
        wanted = {p: find_call(traced.calls, p) for p in (*ends, *starts, *values) if p != "logits"}
        by_module: dict[str, list[tuple[str, Call]]] = {}
        for point, call in wanted.items():
            by_module.setdefault(call.module, []).append((point, call))
        counts = dict.fromkeys(by_module, 0)

        def hook_for(module: str) -> Callable[[Any, Any, Any], Any]:
            def hook(_: Any, __: Any, output: Any) -> Any:
                counts[module] += 1
                for point, call in by_module[module]:
                    if call.index != counts[module]:
                        continue
                    tensor = first_tensor(output)
                    layout = call.layout
                    if half and (point in values or point in starts):  # behind here small differences count
                        stack.enter_context(cast("float32", x.device))
                        tensor = single(tensor)
                    if point in values:
                        tensor = layout.back(values[point], tensor)
                    if point in starts and leaves is not None:
                        # the graph starts here, unless an earlier point has started it already
                        torch.set_grad_enabled(True)
                        tensor = tensor if tensor.requires_grad else tensor.detach().requires_grad_()
                        leaves[point] = (tensor, layout)
                    if point in ends:
                        value = layout.last(tensor)
                        found[point] = value if torch.is_grad_enabled() else value.float().clone()
                        if all(p in found for p in ends):
                            raise _Reached
                    if point in values or point in starts or torch.is_grad_enabled():
                        # a clone, so that an in-place layer behind the point cannot overwrite what was captured
                        output = with_first(output, tensor.clone())
                return output

            return hook

        with ExitStack() as stack:
            stack.enter_context(folded(foldable, by_module))  # ahead of the hooks: ours do not look at what goes in
            for module in by_module:
                handle = self.net.get_submodule(module).register_forward_hook(hook_for(module))
                stack.callback(handle.remove)
            if half and not bends:
                stack.enter_context(cast(self.precision, x.device))
            output_activation = stack.enter_context(OutputActivation()) if traced.output_activation else None
            try:
                output = self._select(self.net(self._network_input(x)))
            except _Reached:
                return found
        logits = output_activation.undo(output)[0] if output_activation else output
        logits = logits.float()
        found["logits"] = logits[:, None] if logits.dim() == 1 else logits
        missing = [p for p in (*ends, *starts) if p not in found and p not in (leaves or {})]
        if missing:
            raise ModelError(
                explain_error(
                    f"The layer {missing[0]!r} must run for this image.",
                    "a forward that did not reach it",
                    "Choose another layer; see `shisen layers`.",
                )
            )
        return found

    def _foldable(self, traced: Trace, x: Any) -> Pairs:
        """Return the convolutions that may take their normalization in: none if the answer would not be the same."""
        if not self.folds:
            return {}
        if self._pairs is None:
            noise = torch.rand(1, *x.shape[1:], generator=torch.Generator().manual_seed(0)).to(x.device)
            self._pairs = agreed(
                pairs(self.net, traced.calls), lambda: self._select(self.net(self._network_input(noise))).float()
            )
        return self._pairs

    def _trace(self, x: Any) -> Trace:
        """Return what the network does with images of this shape; one forward the first time."""
        shape = tuple(x.shape[1:]) if x is not None else next(iter(self._traces), self.size)
        if shape not in self._traces:
            sample = self._tensor(torch.zeros((1, *shape))) if x is None else x[:1].detach()
            with self._lock, frozen_eval(self.net), torch.no_grad():
                while len(self._traces) >= 8:
                    self._traces.pop(next(iter(self._traces)))
                self._traces[shape] = trace(
                    self.net, lambda: self._select(self.net(self._network_input(sample))), shape[:2]
                )
            # asked of the trace that is now in place; no class is preferred, and none cancels another
            self._traces[shape] = influential(
                self._traces[shape], lambda paths: self.gradients(sample, _every_class, wrt=paths)[1]
            )
        return self._traces[shape]


def _every_class(y: Any) -> Any:
    return torch.linspace(0.5, 1.5, y[0].numel(), device=y.device, dtype=y.dtype).expand(len(y), -1).reshape(y.shape)
