"""One forward with a hook on every module: what the network is made of, and what is at its end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import array_api_compat.torch as torch_namespace
import torch
from torch.overrides import TorchFunctionMode

from ..._core.i18n import N_, Message
from ...errors import ModelError
from ..answers import check_floats, rows_of
from ..capture import in_this_thread
from ..points import (
    Call,
    PointTable,
    by,
    default_call,
    default_candidates,
    name_calls,
    resampled,
    token_candidates,
)
from ..trace import Trace, head_of, warn_if_probabilities
from .axes import layout_of
from .io import first_tensor

SWITCH = torch._C._set_grad_enabled
OUTPUT_ACTIVATIONS = ("softmax", "log_softmax", "sigmoid")


class KeepsGradients(TorchFunctionMode):
    """Let a graph go on where a network would switch gradients off, as around a frozen body."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return None if func is SWITCH and not args[0] else func(*args, **(kwargs or {}))


class OutputActivation(TorchFunctionMode):
    """Remember what went into the last softmax or sigmoid, so that one at the very end can be undone."""

    def __init__(self) -> None:
        super().__init__()
        self.last: tuple[Any, Any, str] | None = None
        self.stops_gradients = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.stops_gradients |= func is SWITCH
        result = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "").removesuffix("_")
        if name in OUTPUT_ACTIVATIONS and isinstance(result, torch.Tensor) and result is not args[0]:
            self.last = (result, args[0], name)
        return result

    def undo(self, output: Any) -> tuple[Any, str]:
        """Return the logits that `output` was made from and the kind of activation, "" if there is none."""
        if self.last is not None:
            result, source, name = self.last
            same = result.data_ptr() == output.data_ptr() and result.numel() == output.numel()
            if result is output or (same and result.is_contiguous() and output.is_contiguous()):
                return source.reshape(output.shape), name
        return output, ""


def trace(
    net: Any, run: Callable[[], Any], size: tuple[int, ...], two: Callable[[], Sequence[int] | None] = lambda: None
) -> Trace:
    """Run `run()` with a hook on every module of `net` and return what came out of each.

    Args:
        net: the module whose parts are watched.
        run: one forward of one image; returns the network's selected output.
        size: positions of that image, such as `(h, w)`.
        two: returns the output's shape for two images, None where the network takes one only.

    Returns:
        The trace.
    """
    records: list[Call] = []
    keep: list[Any] = []  # holds every output, so that no identity is given out twice
    counts: dict[str, int] = {}

    def record(path: str, module: Any, given: Any, output: Any) -> None:
        counts[path] = counts.get(path, 0) + 1
        tensor = first_tensor(output)
        if tensor is None or tensor.dim() < 2 or tensor.is_complex():
            return
        keep.append(tensor)
        kind, raw = type(module).__name__, tuple(int(s) for s in tensor.shape)
        source = first_tensor(given)
        same = next((r for r in reversed(records) if r.tensor == id(tensor) and r.shape == raw), None)
        layout = same.layout if same else layout_of(module, raw, records, size)
        own, bundled = sum(p.numel() for p in module.parameters(recurse=False)), not torch.is_tensor(output)
        weights, channels = any(True for _ in module.parameters()), -1 if layout.kind == "channels_last" else 1
        moves = resampled(None if source is None else source.shape, raw, weights, channels)
        records.append(
            Call(path, path, counts[path], kind, raw, layout, own, id(tensor), bundled, moves, tensor is source)
        )

    def hook_for(path: str) -> Callable[[Any, Any, Any], None]:
        def hook(module: Any, given: Any, output: Any) -> None:
            with torch._C.DisableTorchFunction():  # the mode below need not see what is read here
                record(path, module, given, output)

        return in_this_thread(hook)

    with ExitStack() as stack:
        for path, module in net.named_modules():
            if path and not isinstance(module, torch.jit.ScriptModule):  # compiled parts take no hooks
                stack.callback(module.register_forward_hook(hook_for(path)).remove)
        output_activation = stack.enter_context(OutputActivation())
        output = run()
    activation, stops = output_activation.undo(output)[1], output_activation.stops_gradients
    check_floats(output.dtype)
    rows, logits = rows_of(output.shape, two)
    if not activation:
        warn_if_probabilities(rows.apply(output, logits, torch_namespace).detach().float().cpu().numpy())
    calls = name_calls(records)
    candidates = default_candidates(calls, id(output))
    head = head_of((1, *logits), activation)
    return Trace(PointTable(calls), *default_call(candidates, calls), activation, head, logits, candidates, rows, stops)


def influential(found: Trace, gradients_at: Callable[[list[str]], Any]) -> Trace:
    """Move the default of a token network to the last tokens that the answer depends on.

    Where the answer is read from a class token, the patch tokens after the last attention have no gradient at all,
    and every method that works there would show nothing.

    Args:
        found: the trace of the network.
        gradients_at: from paths to the gradients of some score there, `(1, *positions, c)` each.

    Returns:
        The trace with that default.
    """
    if found.default is None or found.default.layout.kind not in ("tokens", "sequence"):
        return found
    candidates = token_candidates(found.candidates)
    for some in (candidates[-16:], candidates):
        try:
            gradients = gradients_at([c.path for c in some])
        except ModelError:  # such as a graph that is cut: nothing tells
            return found
        for call, gradient in zip(reversed(some), reversed(gradients), strict=True):
            if bool(gradient.ne(0).any()):
                *positions, c = call.layout.shape(call.shape)
                reason = (
                    N_("last tokens that the output depends on: {positions} positions, {channels} channels")
                    if call is candidates[-1]
                    else N_(
                        "last patch tokens that the output depends on, before the class token alone does: "
                        "{positions} positions, {channels} channels"
                    )
                )
                return replace(found, default=call, reason=Message(reason, positions=by(positions), channels=c))
    return found


def frames_in_order(found: Trace, values_at: Callable[[Any, str], Any], x: Any) -> Trace:
    """Find out whether frames folded into the batch lie input by input, or all first frames before all second ones.

    Args:
        found: the trace of the network.
        values_at: from images and a path to the values there.
        x: `(1, *positions, c)`, an input.

    Returns:
        The trace, in which the layouts say so.
    """
    path = next((c.path for c in found.calls if c.layout.frames), None)
    if path is None:
        return found
    noise = torch.rand(2, *x.shape[1:], generator=torch.Generator().manual_seed(0)).to(x.device)
    both, alone = values_at(noise, path)[:1], values_at(noise[:1], path)
    if torch.allclose(both, alone, rtol=1e-3, atol=1e-3 * float(alone.abs().max())):
        return found
    turned = {c: replace(c, layout=replace(c.layout, outer=True)) if c.layout.frames else c for c in found.calls}
    default = None if found.default is None else turned[found.default]
    return replace(found, points=PointTable(tuple(turned.values()), found.points.uncaptured), default=default)
