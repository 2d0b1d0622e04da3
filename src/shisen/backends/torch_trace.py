"""One forward with a hook on every module: what the network is made of, and what is at its end."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from ..errors import ShisenWarning
from .torch_points import Call, default_call, first_tensor, layout_of, name_calls

SQUASHES = ("softmax", "log_softmax", "sigmoid")


class Squash(TorchFunctionMode):  # type: ignore[misc]
    """Remember what went into the last softmax or sigmoid, so that one at the very end can be undone."""

    def __init__(self) -> None:
        super().__init__()
        self.last: tuple[Any, Any, str] | None = None

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "").removesuffix("_")
        if name in SQUASHES and isinstance(result, torch.Tensor) and result is not args[0]:
            self.last = (result, args[0], name)
        return result

    def undo(self, output: Any) -> tuple[Any, str]:
        """Return the logits behind `output` and the kind of squashing, "" if there is none."""
        if self.last is not None:
            result, source, name = self.last
            if result is output or (result.data_ptr() == output.data_ptr() and result.numel() == output.numel()):
                return source.reshape(output.shape), name
        return output, ""


@dataclass(frozen=True)
class Trace:
    """What one forward showed.

    Attributes:
        calls: every module call, in the order in which they end.
        default: the call that methods use unless told otherwise, None if no layer keeps places apart.
        reason: why.
        squashed: "softmax", "log_softmax" or "sigmoid" at the very end, "" if the network ends in logits.
        head: "softmax", "sigmoid" or "none".
    """

    calls: tuple[Call, ...]
    default: Call | None
    reason: str
    squashed: str
    head: str


def trace(net: Any, run: Callable[[], Any], size: tuple[int, ...]) -> Trace:
    """Run `run()` with a hook on every module of `net` and return what came out of each.

    Args:
        net: the module whose parts are watched.
        run: one forward of one picture; returns the network's selected output.
        size: `(h, w)` of that picture.
    """
    records: list[Call] = []
    keep: list[Any] = []  # holds every output, so that no identity is given out twice
    maps: list[tuple[int, int]] = []
    counts: dict[str, int] = {}

    def hook_for(path: str) -> Callable[[Any, Any, Any], None]:
        def hook(module: Any, _: Any, output: Any) -> None:
            counts[path] = counts.get(path, 0) + 1
            tensor = first_tensor(output)
            if tensor is None or tensor.dim() < 2:
                return
            keep.append(tensor)
            kind, raw = type(module).__name__, tuple(int(s) for s in tensor.shape)
            same = next((r for r in reversed(records) if r.tensor == id(tensor) and r.shape == raw), None)
            layout = same.layout if same else layout_of(kind, raw, maps, (size[0], size[1]))
            if layout.kind in ("nchw", "nhwc"):
                h, w, _c = layout.shape(raw)
                maps.append((h, w))
            own = sum(p.numel() for p in module.parameters(recurse=False))
            records.append(Call(path, path, counts[path], kind, raw, layout, own, id(tensor)))

        return hook

    with ExitStack() as stack:
        for path, module in net.named_modules():
            if path:
                stack.callback(module.register_forward_hook(hook_for(path)).remove)
        squash = stack.enter_context(Squash())
        output = run()
    squashed = squash.undo(output)[1]
    if not squashed:
        _warn_if_probabilities(output)
    calls = name_calls(records)
    default, reason = default_call(calls, id(output))
    return Trace(calls, default, reason, squashed, _head_of(output, squashed))


def _head_of(output: Any, squashed: str) -> str:
    if output.dim() > 2:
        return "none"
    single = output.dim() == 1 or output.shape[-1] == 1
    return "sigmoid" if single or squashed == "sigmoid" else "softmax"


def _warn_if_probabilities(output: Any) -> None:
    if output.dim() != 2 or output.shape[-1] < 2:
        return
    total = float(output.float().sum(dim=-1).sub(1).abs().max())
    if float(output.min()) >= 0 and total < 1e-4:
        warnings.warn(
            "The network seems to return probabilities, from an operation that cannot be undone: scores called "
            "'logit' are probabilities here. Return the values before the softmax if you can.",
            ShisenWarning,
            stacklevel=2,
        )
