"""Guided backprop and deconvnet as a rule on the backward operators, without touching the network.

While `torch.autograd.grad` runs, a dispatch mode sees every backward operator. At a ReLU it clamps the incoming
gradient. Modules, functional calls, in-place and shared ReLUs all end in the same operator, so none is missed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ..differentiability import cut_graph
from ..rules import check_rule
from .evaluation_mode import every_module
from .sparse_backward import LiveRows

SMOOTH = {
    "gelu_backward": "GELU",
    "silu_backward": "SiLU",
    "hardswish_backward": "Hardswish",
    "elu_backward": "ELU/SELU",
    "mish_backward": "Mish",
    "leaky_relu_backward": "LeakyReLU",
    "softplus_backward": "Softplus",
    "_prelu_kernel_backward": "PReLU",
}


class RewiredReLU(TorchDispatchMode):
    """Change the backward rule of every ReLU while the mode is active; see `RULES`."""

    def __init__(self, rule: str) -> None:
        super().__init__()
        self.rule = rule
        self.fired = 0
        self.others: Counter[str] = Counter()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # as in `LiveRows`

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name.removeprefix("aten::")
        is_relu = name == "threshold_backward" and float(args[2]) == 0.0
        if is_relu or (name == "hardtanh_backward" and float(args[2]) == 0.0):
            self.fired += 1
            clamped = args[0].clamp(min=0)
            return clamped if self.rule == "deconvnet" else func(clamped, *args[1:], **(kwargs or {}))
        if name in SMOOTH:
            self.others[SMOOTH[name]] += 1
        return func(*args, **(kwargs or {}))


@contextmanager
def recurrent_backward(net: Any, private: bool) -> Iterator[None]:
    """Let gradients pass recurrent layers in evaluation mode, which cuDNN refuses.

    In training mode without dropout such a layer returns the same; a module that others use keeps its mode, and runs
    without cuDNN.

    Args:
        net: the module that runs.
        private: whether nobody else uses it.
    """
    recurrent = [m for m in every_module(net) if isinstance(m, torch.nn.RNNBase)]
    own = [m for m in recurrent if private and type(m) in (torch.nn.RNN, torch.nn.LSTM, torch.nn.GRU)]
    others = any(m._flat_weights[0].is_cuda for m in recurrent if m not in own)
    before = [(m, m.training, m.dropout) for m in own]
    try:
        for layer in own:
            layer.training, layer.dropout = True, 0.0
        with torch.backends.cudnn.flags(enabled=False) if others else nullcontext():
            yield
    finally:
        for layer, training, dropout in before:
            layer.training, layer.dropout = training, dropout


def vector_jacobian(
    outputs: Any, inputs: Any, cotangent: Any, rule: str | None, keep: bool, names: Sequence[str]
) -> tuple[Any, ...]:
    """Return the gradients of <cotangent, outputs> by each of `inputs`, under a ReLU rule if one is given.

    Gradients by tokens, on a processor, leave out rows of zeros.

    Args:
        outputs: outputs of the graph.
        inputs: inputs that are differentiated.
        cotangent: gradient of the score by the outputs.
        rule: "guided", "deconvnet" or None for the plain gradient.
        keep: whether the graph is kept for another backward pass.
        names: of the inputs.

    Returns:
        The gradients, zeros for inputs that the outputs do not depend on.

    Raises:
        ModelError: where the outputs depend on none of the inputs, or the rule was never applied.
    """

    # of one number: given a cotangent of its own, torch imports SymPy to compare shapes, a third of a second
    with torch.enable_grad():
        score = (outputs * cotangent).sum()

    def run() -> tuple[Any, ...]:
        found = torch.autograd.grad(score, inputs, retain_graph=keep, allow_unused=True)
        if all(g is None for g in found):  # such as quantized operators, which end the graph
            raise cut_graph(names)
        return tuple(torch.zeros_like(i) if g is None else g for i, g in zip(inputs, found, strict=True))

    tokens = any(i.dim() == 3 and i.device.type == "cpu" for i in inputs)  # a GPU would have to wait for the answer
    with LiveRows() if tokens else nullcontext():
        if rule is None:
            return run()
        with RewiredReLU(rule) as mode:
            result = run()
    check_rule(rule, mode.fired, mode.others)
    return result
