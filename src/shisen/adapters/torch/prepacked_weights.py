"""Convolution weights in oneDNN's blocked memory format, reordered once instead of in every forward.

On CPUs, PyTorch computes convolutions with oneDNN, which reads weights in a blocked format. A weight in the ordinary
format is reordered at each call: for a large network and a single image this takes much of the time. PyTorch's own
compiler prepacks weights with the same two functions. Their names are private: where they fail, the convolution is
computed in the ordinary way.
"""

from __future__ import annotations

from typing import Any

import torch


class Packed(torch.Tensor):
    """A weight `(out, in / groups, h, w)` whose convolutions of channels-last input read the blocked copy.

    In every other operation, gradients included, it behaves as the plain tensor.

    Attributes:
        blocks: the weight in the blocked format, by dtype; filled at the first call with each.
        broken: whether a call has failed; none is tried any more.
    """

    blocks: dict[Any, Any]
    broken: bool

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        with torch._C.DisableTorchFunctionSubclass():
            if func is torch.nn.functional.conv2d and len(args) > 1 and isinstance(args[1], cls):
                found = _convolved(*args, **(kwargs or {}))
                if found is not None:
                    return found
            return func(*args, **(kwargs or {}))


def packed(weight: Any) -> Any:
    """Return a weight that is prepacked at its first use; unchanged where PyTorch cannot do that."""
    mkldnn = torch.backends.mkldnn
    if weight.device.type != "cpu" or not mkldnn.is_available() or not getattr(mkldnn, "enabled", True):
        return weight
    made = weight.as_subclass(Packed)
    made.blocks, made.broken = {}, False
    return made


def _convolved(
    x: Any, weight: Packed, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Any:
    """Return the output of `conv2d`, with its arguments; None where the blocked format is no use."""
    dtype = _autocast() or torch.float32
    if (
        weight.broken
        or x.dim() != 4
        or x.numel() == 0
        or (torch.is_grad_enabled() and x.requires_grad)
        or dtype not in (torch.float32, torch.bfloat16)
        or x.dtype not in (torch.float32, dtype)
        or not x.is_contiguous(memory_format=torch.channels_last)  # or the output differs in format
    ):
        return None
    padding, stride, dilation = ([v, v] if isinstance(v, int) else list(v) for v in (padding, stride, dilation))
    try:
        blocks = weight.blocks.get(dtype)
        if blocks is None:
            blocks = weight.blocks[dtype] = torch.ops.mkldnn._reorder_convolution_weight(
                weight.to(dtype), padding, stride, dilation, groups, list(x.shape)
            )
        bias = None if bias is None else bias.to(dtype)
        return torch.ops.mkldnn._convolution_pointwise(
            x.to(dtype), blocks, bias, padding, stride, dilation, groups, "none", [], ""
        )
    except (AttributeError, RuntimeError, TypeError):  # another torch, another processor
        weight.broken = True
        weight.blocks.clear()
        return None


def _autocast() -> Any:
    """Return the dtype of the active autocast; None without autocast."""
    try:
        on = torch.is_autocast_enabled("cpu")
    except TypeError:  # torch < 2.4
        return torch.get_autocast_cpu_dtype() if torch.is_autocast_cpu_enabled() else None
    return torch.get_autocast_dtype("cpu") if on else None
