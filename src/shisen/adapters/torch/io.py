"""Both ends of a torch network: arrays to tensors, pixels to the network's input, and what it probably takes."""

from __future__ import annotations

import inspect
import math
from itertools import chain
from typing import Any

import torch

from ...types import Scaling
from .. import answers

SEQUENTIAL = (
    torch.nn.Linear,
    torch.nn.RNNBase,
    torch.nn.LayerNorm,
    torch.nn.MultiheadAttention,
    torch.nn.TransformerEncoderLayer,
)
"""Layers that work along the last axis; a network of signals that begins with one takes its channels last."""


def device_of(net: Any) -> Any:
    """Return the device on which a network's weights are."""
    home = next(chain(net.parameters(), net.buffers()), None)
    return home.device if home is not None else torch.device("cpu")


def to_tensor(images: Any, device: Any) -> Any:
    """Return images as a float32 tensor without a graph.

    Args:
        images: `(n, h, w, c)` pixels in [0, 1].
        device: name of the device, such as "cpu" or "cuda:0".
    """
    with torch.inference_mode(False):  # tensors made in inference mode cannot carry a graph
        tensor = images if isinstance(images, torch.Tensor) else torch.as_tensor(images)
        if tensor.is_inference():
            tensor = tensor.clone()
        return tensor.detach().to(device=device, dtype=torch.float32)


def network_input(net: Any, scaling: Scaling | None, x: Any, *, contiguous: bool = False) -> Any:
    """Scale pixels and move the channels to where torch expects them.

    Args:
        net: whose first weights determine the dtype of the input.
        scaling: what to do to pixels in [0, 1]; None for arrays as they are.
        x: `(n, *positions, c)`.
        contiguous: whether memory is rearranged too, as in tensors that are made `(n, c, h, w)`; it always is for
            signals and volumes.

    Returns:
        `(n, c, *positions)`, or `(n, length, c)` for a network of signals that begins with a layer for sequences.
    """
    if scaling is not None:
        # rows of w·c numbers at a time: far faster than channel by channel, which are three
        rows = x.reshape(*x.shape[:-2], -1)
        scale, shift = (x.new_tensor(v).expand(x.shape[-1]).repeat(x.shape[-2]) for v in (scaling.scale, scaling.shift))
        x = (rows * scale + shift).reshape(x.shape)
        if scaling.reverse:
            x = x.flip(-1)
    if x.dim() == 4:
        x = x.permute(0, 3, 1, 2)
        if contiguous:  # of one channel every layout counts as contiguous: only a copy has the usual strides
            x = x.clone(memory_format=torch.contiguous_format)
    elif x.dim() in (3, 5) and not (x.dim() == 3 and takes_sequences(net)):
        x = x.movedim(-1, 1).contiguous()
    home = next((p for p in net.parameters() if p.is_floating_point()), None)
    return x if home is None else x.to(home.dtype)


def called(module: Any, x: Any) -> Any:
    """Return a module's output for an image, by name where its forward takes keyword arguments only.

    Args:
        module: the network.
        x: its input.
    """
    first = next(iter(inspect.signature(module.forward).parameters.values()), None)
    return module(**{first.name: x}) if first is not None and first.kind is first.KEYWORD_ONLY else module(x)


def first_tensor(output: Any) -> Any:
    """Return the first tensor in a module's output, or None."""
    return answers.first_tensor(output, torch.is_tensor)


def with_first(output: Any, tensor: Any) -> Any:
    """Return a module's output with its first tensor replaced; the output itself is left as it is.

    Args:
        output: the output.
        tensor: the tensor.
    """
    return answers.with_first(output, tensor, torch.is_tensor)


def initial_batch_size(device: str, size: tuple[int, ...]) -> int:
    """Return how many images to send at a time.

    On a processor, feature maps beyond some 30 MB are mapped anew for every layer, and a batch of 32 images of
    224 × 224 takes twice as long as eight batches of 4 (benchmarks/batch_size.py).

    Args:
        device: name of the device, such as "cpu" or "cuda:0".
        size: `(*positions, c)` of an input.
    """
    positions = math.prod(size[:-1])
    if len(size) != 3 and device != "cpu":  # a volume of 64 voxels a side is as large as five images
        return max(1, min(32, 32 * 224**2 // positions))
    return 32 if device != "cpu" else max(2, min(32, 4 * 224**2 // positions))


GUESSES = {1: (1024,), 2: (224, 224), 3: (16, 112, 112)}
"""Positions of an input to try, by the number of axes of the first convolution."""


def guess_size(net: Any) -> tuple[int, ...]:
    """Guess an input `(*positions, c)` for a network that was wrapped without saying what it takes."""
    for module in net.modules():
        if isinstance(module, (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)):
            return (*GUESSES[len(module.kernel_size)], module.in_channels)
    return (224, 224, 3)


def takes_sequences(net: Any) -> bool:
    """Tell whether a network of signals takes `(n, length, c)`: its first layer with weights is made for sequences."""
    for module in net.modules():
        if isinstance(module, torch.nn.modules.conv._ConvNd):
            return False
        if isinstance(module, SEQUENTIAL):
            return True
    return False
