"""Whether channels-last memory can change a gradient: read from the graph that the gradient goes back through.

A few kernels of convolutions return a wrong gradient for channels-last memory. Element-wise operations, reductions,
pooling and matrix products do not: a graph of these alone needs no trial. An operation that is not listed counts as one
that could be wrong.
"""

from __future__ import annotations

import re
from typing import Any

_INDIFFERENT = """
AdaptiveAvgPool2D Add Addcmul Addmm Alias AvgPool2D Baddbmm Bmm Cat Clamp Clone Div Dot Elu Exp Expand Gelu Hardsigmoid
Hardswish Hardtanh LeakyRelu LogSoftmax MaxPool2DWithIndices Mean Mish Mm Mul Mv NativeLayerNorm Neg Permute Pow Relu
Reshape ReshapeAlias Rsqrt SafeSoftmax Select Sigmoid Silu Slice Softmax Softplus Split SplitWithSizes Sqrt Squeeze
Stack Sub Sum T Tanh Threshold ToCopy Transpose Unbind UnsafeView Unsqueeze View
"""
INDIFFERENT = frozenset(_INDIFFERENT.split())
"""Backward operations whose result does not depend on how the axes of a map lie in memory."""

ACCUMULATES = "torch::autograd::AccumulateGrad"
"""What stands for a tensor at which a graph begins."""

_NAME = re.compile(r"_?(\w+?)Backward\d+")  # a function written in Python has no number


def depends_on_layout(y: Any) -> bool:
    """Tell whether the graph of a tensor has an operation whose gradient may depend on the memory layout.

    Args:
        y: a tensor with a graph.
    """
    waiting, seen = [y.grad_fn], set[Any]()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen or node.name() == ACCUMULATES:
            continue
        seen.add(node)
        following = [after for after, _ in node.next_functions if after is not None]
        name = _operation(node)
        pools = name == "AsStrided" and [_operation(after) for after in following] == ["Mean"]
        if name not in INDIFFERENT and not pools:
            return True
        waiting += following
    return False


def _operation(node: Any) -> str:
    found = _NAME.fullmatch(node.name())
    return found[1] if found else ""
