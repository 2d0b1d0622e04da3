"""What every layer of a torch network adds by itself: its bias, with normalization folded in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from ...types import Scaling
from ..points import Call


def bias_of(module: Any) -> Any:
    """Return what a layer gives for an input of zeros, one value a channel; None if it adds nothing.

    Convolution and linear layer: b. Normalization with stored statistics: β − γ μ / √(σ² + ε).
    """
    if isinstance(module, (torch.nn.modules.batchnorm._BatchNorm, torch.nn.modules.instancenorm._InstanceNorm)):
        if module.running_mean is None or module.running_var is None:
            return None
        shift = -module.running_mean / torch.sqrt(module.running_var + module.eps)
        if module.weight is not None:
            shift = shift * module.weight
        return shift if module.bias is None else shift + module.bias
    if isinstance(module, (torch.nn.Linear, torch.nn.modules.conv._ConvNd)):
        return module.bias
    return None


def biases(net: Any, calls: Iterable[Call], scaling: Scaling | None) -> dict[str, Any]:
    """Return path → bias `(c,)` of every module call that has one, and "input" for the scaling of pixels.

    The entry "input" is in pixel values: a gradient at the input times it is what the shift of the scaling adds.

    Args:
        net: the network.
        calls: calls of the traced forward pass, in order.
        scaling: how pixels become the network's input; None if they are not scaled.
    """
    found: dict[str, Any] = {}
    if scaling is not None and any(scaling.shift):
        home = next(net.parameters(), torch.zeros(()))
        found["input"] = torch.tensor(
            [b / a for a, b in zip(scaling.scale, scaling.shift, strict=True)], device=home.device
        )
    for call in calls:
        own = bias_of(net.get_submodule(call.module))
        if own is not None and bool((own != 0).any()):
            inner = call.layout.kind == "plain" and not isinstance(net.get_submodule(call.module), torch.nn.Linear)
            shape = (-1, *[1] * (len(call.shape) - 2)) if inner else (-1,)  # no map: channels in front
            found[call.path] = own.detach().float().reshape(shape)
    return found
