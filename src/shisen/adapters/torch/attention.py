"""Attention probabilities of every head, also where a network computes attention in one fused operation.

For one call, two things watch the forward: a function mode sees every attention operation and computes it by its
formula, and hooks show in which module it happened. Nothing is patched; PyTorch's native fast path stands aside by
itself while a function mode is active.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from ...types import Attention
from ..attention import attention_names, block_around, no_block, token_grid
from ..capture import in_this_thread
from ..differentiability import cut_graph
from ..layout import Layout
from ..points import Call
from .forward import captured_forward
from .io import first_tensor, with_first
from .rewire import recurrent_backward
from .window_layout import Cut, cut_of

if TYPE_CHECKING:
    from .adapter import TorchClassifier


@dataclass(frozen=True)
class _Seen:
    """One attention operation: where it happened, its probabilities and the scores they come from.

    Both are `(n · windows, heads, queries, keys)`.
    """

    module: str
    values: Any
    scores: Any


class _Attentions(TorchFunctionMode):
    """Compute every attention operation by its formula and keep the probabilities."""

    def __init__(self, where: Callable[[], tuple[str, str]], rows: int, graph: bool) -> None:
        super().__init__()
        self.where = where
        self.rows = rows
        self.graph = graph
        self.seen: list[_Seen] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        if func is functional.scaled_dot_product_attention:
            return self._fused(*args, **given)
        if func is functional.multi_head_attention_forward:
            return self._multi_head(*args, **given)
        result = func(*args, **given)
        name = getattr(func, "__name__", "").removesuffix("_")
        if name == "softmax" and isinstance(result, torch.Tensor):
            return self._explicit(result, args, given)
        return result

    def _keep(self, values: Any, scores: Any) -> Any:
        if self.graph and not values.requires_grad:
            values = values.detach().requires_grad_()  # the graph starts at the first attention
        self.seen.append(_Seen(self.where()[0], values, scores))
        return values

    def _explicit(self, result: Any, args: Any, given: Any) -> Any:
        """A softmax over the last axis of heads × queries × keys, written out by the network itself."""
        axis = given.get("dim", args[1] if len(args) > 1 else None)
        if axis not in (-1, result.dim() - 1) or result.dim() not in (3, 4, 5) or result.shape[-1] < 2:
            return result
        inside = "att" in self.where()[1].lower()
        if result.dim() == 4:
            return self._keep(result, args[0]) if inside or result.shape[-1] == result.shape[-2] else result
        if not inside or result.shape[0] % self.rows:
            return result
        # heads × queries × keys of each image in turn, or images × windows × heads × queries × keys
        lead = (self.rows, -1) if result.dim() == 3 else (-1, result.shape[2])
        four = self._keep(*(t.reshape(*lead, *result.shape[-2:]) for t in (result, args[0])))
        return four.reshape(result.shape)

    def _fused(
        self,
        query: Any,
        key: Any,
        value: Any,
        attn_mask: Any = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Any:
        """softmax(Q Kᵀ · scale + mask) V"""
        if enable_gqa:
            times = query.shape[-3] // key.shape[-3]
            key, value = key.repeat_interleave(times, -3), value.repeat_interleave(times, -3)
        scores = query @ key.transpose(-2, -1) * (scale if scale is not None else 1 / math.sqrt(query.shape[-1]))
        if is_causal:
            later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
            scores = scores.masked_fill(later, -math.inf)
        if attn_mask is not None:
            scores = scores.masked_fill(~attn_mask, -math.inf) if attn_mask.dtype == torch.bool else scores + attn_mask
        fractions = scores.softmax(dim=-1)
        lead = fractions.shape[:-2] if fractions.dim() == 4 else (self.rows, -1)
        four = (t.reshape(*lead, *fractions.shape[-2:]) for t in (fractions, scores))
        return self._keep(*four).reshape(fractions.shape).to(value.dtype) @ value

    def _multi_head(self, query: Any, key: Any, value: Any, width: int, heads: int, *args: Any, **given: Any) -> Any:
        """`torch.nn.MultiheadAttention`: project, attend, project; sequence first, `(t, n, c)`."""
        names = (
            "in_proj_weight", "in_proj_bias", "bias_k", "bias_v", "add_zero_attn", "dropout_p", "out_proj_weight",
            "out_proj_bias", "training", "key_padding_mask", "need_weights", "attn_mask", "use_separate_proj_weight",
            "q_proj_weight", "k_proj_weight", "v_proj_weight", "static_k", "static_v", "average_attn_weights",
            "is_causal",
        )  # fmt: skip
        given_by_name = (
            {"need_weights": True, "average_attn_weights": True} | dict(zip(names, args, strict=False)) | given
        )
        unusual = [k for k in ("bias_k", "bias_v", "static_k", "static_v") if given_by_name.get(k) is not None]
        if unusual or given_by_name.get("add_zero_attn") or query.dim() != 3:
            return functional.multi_head_attention_forward(query, key, value, width, heads, *args, **given)
        if given_by_name.get("use_separate_proj_weight"):
            matrices = [given_by_name[f"{k}_proj_weight"] for k in "qkv"]
        else:
            matrices = list(given_by_name["in_proj_weight"].chunk(3))
        shifts = [None] * 3 if given_by_name["in_proj_bias"] is None else list(given_by_name["in_proj_bias"].chunk(3))
        n, size = query.shape[1], width // heads

        def project(x: Any, i: int) -> Any:
            flat = functional.linear(x, matrices[i], shifts[i])
            return flat.reshape(x.shape[0], n, heads, size).permute(1, 2, 0, 3)

        q, k, v = project(query, 0), project(key, 1), project(value, 2)
        scores = q @ k.transpose(-2, -1) / math.sqrt(size)
        mask = given_by_name.get("attn_mask")
        if mask is not None:
            mask = mask if mask.dim() == 2 else mask.reshape(n, heads, *mask.shape[1:])
            scores = scores.masked_fill(mask, -math.inf) if mask.dtype == torch.bool else scores + mask
        padding = given_by_name.get("key_padding_mask")
        if padding is not None:
            padding = padding[:, None, None]
            scores = scores.masked_fill(padding, -math.inf) if padding.dtype == torch.bool else scores + padding
        fractions = self._keep(scores.softmax(dim=-1), scores)
        merged = (fractions @ v).permute(2, 0, 1, 3).reshape(query.shape[0], n, width)
        out = functional.linear(merged, given_by_name["out_proj_weight"], given_by_name["out_proj_bias"])
        if not given_by_name["need_weights"]:
            return out, None
        return out, fractions.mean(dim=1) if given_by_name["average_attn_weights"] else fractions


class _Where:
    """Which module is running: its path and the name of its class."""

    def __init__(self) -> None:
        self.stack: list[tuple[str, str]] = []

    def __call__(self) -> tuple[str, str]:
        return self.stack[-1] if self.stack else ("", "")

    def watch(self, net: Any, stack: ExitStack) -> None:
        """Hook every module of `net` until the stack is left."""

        def enter(path: str) -> Callable[..., None]:
            return lambda module, _: self.stack.append((path, type(module).__name__))

        def leave(module: Any, _: Any, __: Any) -> None:
            self.stack.pop()

        for path, module in net.named_modules():
            if path:
                stack.callback(module.register_forward_pre_hook(in_this_thread(enter(path))).remove)
                stack.callback(module.register_forward_hook(in_this_thread(leave)).remove)


def attentions(
    model: TorchClassifier, images: Any, objective: Any = None, *, per_block: bool = False, pooled: bool = False
) -> tuple[Attention, ...]:
    """Return the attention of every head of every layer, and the gradient of a score by it.

    Args:
        model: the adapter.
        images, objective, per_block, pooled: see `HasAttention`.

    Returns:
        One `Attention` a layer, in forward order; none where the network has no attention.

    Raises:
        ModelError: for a score that does not depend on the attention, or blocks that cannot be determined.
    """
    x = model.to_tensor(images)
    traced = model.trace(x)
    with model.running(), recurrent_backward(model.module, model.module is not model.net), ExitStack() as stack:
        model.foldable(traced, x)  # compares two forwards the first time, which must not be recorded
        where = _Where()
        where.watch(model.module, stack)
        mode = _Attentions(where, x.shape[0], objective is not None)
        outputs: dict[str, Any] = {}
        with torch.set_grad_enabled(objective is not None):
            with mode:
                if per_block:
                    _keep_outputs(model.module, outputs, stack)
                logits = captured_forward(model, x, ["logits"])["logits"]
            found = list(mode.seen)
            gradients: Sequence[Any] = [None] * len(found)
            if objective is not None and found:
                values = [s.values for s in found]
                if not logits.requires_grad:
                    raise cut_graph([s.module for s in found])
                if per_block:
                    blocks = blocks_of([s.module for s in found], traced.calls)
                    stack.close()  # what follows runs the head on what is kept
                    tokens, last = [_read(outputs[b.path], pooled) for b in blocks], len(blocks)
                    own = _gradients_per_block(model, x, tokens, blocks[-1], values[-last:], objective)
                    gradients = [None] * (len(found) - last) + own
                else:
                    gradients = torch.autograd.grad(logits, values, objective(logits.detach()), allow_unused=True)
                    gradients = [
                        torch.zeros_like(v) if g is None else g for v, g in zip(values, gradients, strict=True)
                    ]
        # the keys are the tokens of the whole image, or they are those of windows
        layouts = [
            None if s.values.shape[0] > x.shape[0] else token_grid(traced.calls, s.values.shape[-1]) for s in found
        ]
        cuts = [None] * len(found) if all(layouts) else _cuts(model, x, len(found))
    return tuple(
        _record(name, s, gradient, layout or cut, x.shape[0])
        for name, s, gradient, layout, cut in zip(
            attention_names([s.module for s in found]), found, gradients, layouts, cuts, strict=True
        )
    )


def _cuts(model: TorchClassifier, x: Any, count: int) -> Sequence[Cut | None]:
    """Return how the map is cut in front of every attention; two passes the first time for images of this shape."""
    shape = tuple(x.shape[1:])
    if shape not in model.window_cuts:
        calls = model.trace(x).calls
        noise = torch.rand((1, *shape), generator=torch.Generator().manual_seed(0))  # positions that differ
        inputs: dict[str, Any] = {}

        def keep(path: str) -> Callable[..., None]:
            def hook(_: Any, given: Any) -> None:
                inputs[path] = first_tensor(given)

            return hook

        with ExitStack() as stack:
            where = _Where()
            where.watch(model.module, stack)
            for path, module in model.module.named_modules():
                stack.callback(module.register_forward_pre_hook(in_this_thread(keep(path))).remove)
            mode = _Attentions(where, 1, True)
            with torch.enable_grad(), mode:
                captured_forward(model, noise.to(x.device).requires_grad_(), ["logits"])
            found = [cut_of(s.scores, s.module, inputs, calls) for s in mode.seen]
        model.window_cuts[shape] = tuple(found) if len(found) == count else (None,) * count
    return model.window_cuts[shape]


def _keep_outputs(net: Any, outputs: dict[str, Any], stack: ExitStack) -> None:
    def keep(path: str) -> Callable[..., None]:
        def hook(_: Any, __: Any, output: Any) -> None:
            outputs[path] = first_tensor(output)

        return hook

    for path, module in net.named_modules():
        if path:
            stack.callback(module.register_forward_hook(in_this_thread(keep(path))).remove)


def blocks_of(modules: Sequence[str], calls: Sequence[Call]) -> list[Call]:
    """Return for the attentions of the last width the largest module around it that holds no other.

    What it returns must be a map or tokens, all of one shape: then the head can read them. Earlier attentions, whose
    maps are of another shape, as in networks with stages, are left out.

    Args:
        modules: paths of modules.
        calls: calls of the traced forward pass, in order.

    Raises:
        ModelError: where there is no such module around the last attention.
    """
    found: list[Call] = []
    for own in reversed(modules):
        call = block_around(own, modules, calls, ".")
        if call is None:
            raise no_block(own)
        if found and call.shape != found[0].shape:
            break
        found.append(call)
    return found[::-1]


def _gradients_per_block(
    model: TorchClassifier, x: Any, tokens: Sequence[Any], last: Call, values: Sequence[Any], objective: Any
) -> list[Any]:
    """Return the gradient by each attention of the score that the head reads from the tokens after its own block."""
    n, count = x.shape[0], len(tokens)
    if model.runs_downstream_only(x, last.path):
        stacked, inputs = torch.cat(list(tokens)), x[:1]
    else:
        stacked, inputs = torch.cat(list(tokens)), x.repeat(count, *([1] * (x.dim() - 1)))
    replace = in_this_thread(lambda _, __, output: with_first(output, stacked))
    handle = model.module.get_submodule(last.module).register_forward_hook(replace)
    try:
        logits = captured_forward(model, inputs, ["logits"])["logits"]
    finally:
        handle.remove()
    cotangent = objective(logits.detach())
    gradients = []
    for i, value in enumerate(values):
        rows = slice(i * n, (i + 1) * n)
        (gradient,) = torch.autograd.grad(
            logits[rows], value, cotangent[rows], retain_graph=i + 1 < count, allow_unused=True
        )
        gradients.append(torch.zeros_like(value) if gradient is None else gradient)
    return gradients


def _read(tokens: Any, pooled: bool) -> Any:
    """Return what the head is to read: the tokens `(n, tokens, c)`, or their mean instead of each."""
    return tokens.mean(dim=1, keepdim=True).expand_as(tokens) if pooled and tokens.dim() == 3 else tokens


def _record(name: str, seen: _Seen, gradient: Any, where: Layout | Cut | None, n: int) -> Attention:
    values = seen.values.detach().float()
    gradient = None if gradient is None else gradient.detach().float()
    windows = values.shape[0] // n
    if isinstance(where, Cut) and windows == 1:  # one window is the whole map, if perhaps in another order
        order = torch.as_tensor(np.argsort(where.positions[0], kind="stable"), device=values.device)
        order = order[-where.grid[0] * where.grid[1] :]
        values, gradient = (None if t is None else t[:, :, order][..., order] for t in (values, gradient))
        return Attention(name, values, gradient, where.grid)
    if windows > 1:
        values, gradient = (
            None if t is None else t.reshape(n, windows * t.shape[1], *t.shape[2:]) for t in (values, gradient)
        )
        grid, positions = (where.grid, where.positions) if isinstance(where, Cut) else ((0, 0), None)
        return Attention(name, values, gradient, grid, 0, windows, positions)
    if isinstance(where, Layout):
        return Attention(name, values, gradient, where.grid, where.prefix)
    return Attention(name, values, gradient)
