"""One forward of a torch network that stops, starts a graph or takes other values at named points."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import array_api_compat.torch as xp
import torch

from ..capture import Capture, Reached, in_this_thread
from ..differentiability import cut_graph
from ..layout import Layout
from ..points import Call
from .checkpoints import without_checkpoints
from .folding import folded
from .io import first_tensor, with_first
from .precision import cast, single
from .trace import KeepsGradients, OutputActivation

if TYPE_CHECKING:
    from .adapter import TorchClassifier

Leaves = dict[str, tuple[Any, Layout]]
"""Tensors at which a graph starts, in the module's own axes, by point."""


def captured_forward(
    model: TorchClassifier,
    x: Any,
    ends: Sequence[str],
    *,
    starts: Sequence[str] = (),
    values: Mapping[str, Any] | None = None,
    leaves: Leaves | None = None,
) -> dict[str, Any]:
    """Run the network until every point in `ends` is seen, in float32 where half precision fails.

    Args:
        model: the adapter; its module is in evaluation mode.
        x: `(n, h, w, c)`.
        ends: points whose values are returned.
        starts: points at which a graph starts.
        values: what is put in at points, channels last.
        leaves: takes the tensors at `starts`.

    Returns:
        The values at `ends`, channels last.

    Raises:
        ModelError: for a point that the forward does not reach.
    """
    points = (starts, values or {}, {} if leaves is None else leaves)
    try:
        return _run(model, x, ends, *points)
    except RuntimeError:
        if model.precision == "float32":
            raise
        return _run(model.exact(), x, ends, *points)  # a path around an altered point cannot change precision


def _run(
    model: TorchClassifier,
    x: Any,
    ends: Sequence[str],
    starts: Sequence[str],
    values: Mapping[str, Any],
    leaves: Leaves,
) -> dict[str, Any]:
    traced = model.trace(x)
    # a gradient through ReLUs is that of the weights as they are: rounding moves values across their kinks
    nonlinear = torch.is_grad_enabled() or any(p != (traced.default and traced.default.path) for p in starts)
    foldable = {} if nonlinear else model.foldable(traced, x)
    half = model.precision != "float32"
    found: dict[str, Any] = {}

    def at_point(point: str, call: Call, output: Any) -> Any:
        tensor, layout = first_tensor(output), call.layout
        entered = point in values or point in starts
        if half and entered:  # downstream of here small differences count
            stack.enter_context(cast("float32", x.device))
            tensor = single(tensor)
        if point in values:
            tensor = layout.back(values[point].to(tensor.dtype), tensor)
            tensor = tensor.contiguous() if model.needs_contiguous(x) else tensor
        if point in starts:
            if not tensor.is_floating_point():  # such as int8 inside of a quantized network
                raise cut_graph([point])
            # the graph starts here, unless an earlier point has started it already
            torch.set_grad_enabled(True)
            tensor = tensor if tensor.requires_grad else tensor.detach().requires_grad_()
            leaves[point] = (tensor, layout)
        if point in ends:
            value = layout.last(tensor)
            found[point] = value if torch.is_grad_enabled() else value.float().clone()
            if all(p in found for p in ends):
                raise Reached
        # a clone, so that an in-place layer downstream cannot overwrite what was captured
        return with_first(output, tensor.clone()) if entered or torch.is_grad_enabled() else output

    capture = Capture(traced.points, (*ends, *starts, *values), at_point)
    with ExitStack() as stack:
        stack.enter_context(folded(foldable, capture.modules))  # ahead of the hooks: ours do not look at what goes in
        for module in capture.modules:
            hook = in_this_thread(_hook(capture, module))
            stack.callback(model.module.get_submodule(module).register_forward_hook(hook).remove)
        if half and not nonlinear:
            stack.enter_context(cast(model.precision, x.device))
        if traced.stops_gradients and (starts or torch.is_grad_enabled()):
            stack.enter_context(KeepsGradients())
            stack.enter_context(without_checkpoints())
        activation = stack.enter_context(OutputActivation()) if traced.output_activation else None
        try:
            output = model.answer(x)
        except Reached:
            return found
    capture.check()
    logits = traced.rows.apply((activation.undo(output)[0] if activation else output).float(), traced.logits, xp)
    return found | {"logits": logits[:, None] if logits.dim() == 1 else logits}


def _hook(capture: Capture, module: str) -> Callable[[Any, Any, Any], Any]:
    return lambda _, __, output: capture.see(module, output)
