"""EfficientNet-Lite in torch, with the published ImageNet weights. Import it late: it loads torch.

The type checker does not read torch, hence the marks at the classes.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional as F

from ..errors import ModelError, explain_error
from .efficientnet_lite import (
    CLASSES,
    HEAD,
    NORM_EPSILON,
    STEM,
    Architecture,
    Block,
    architecture,
    published_names,
    weights_path,
)


class SameConv2d(nn.Conv2d):
    """A convolution with TensorFlow's "same" padding: ⌈side / stride⌉ out, the odd pixel at the right and bottom."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the convolution of `(n, c, h, w)`, for any h and w."""
        top, bottom = same_padding(x.shape[-2], self.kernel_size[0], self.stride[0])
        left, right = same_padding(x.shape[-1], self.kernel_size[1], self.stride[1])
        if top == bottom and left == right:  # the convolution pads by itself, without a copy of the input
            return F.conv2d(x, self.weight, self.bias, self.stride, (top, left), self.dilation, self.groups)
        x = F.pad(x, (left, right, top, bottom))
        return F.conv2d(x, self.weight, self.bias, self.stride, (0, 0), self.dilation, self.groups)


def same_padding(side: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return the padding before and after: total = max((⌈side/stride⌉ − 1)·stride + kernel − side, 0).

    Args:
        side: height and width in pixels.
        kernel: height and width of the kernel.
        stride: step in pixels.
    """
    total = max((math.ceil(side / stride) - 1) * stride + kernel - side, 0)
    return total // 2, total - total // 2


class ConvNorm(nn.Sequential):
    """Convolution, batch normalization and, unless linear, ReLU6: members `conv`, `norm` and `act`."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, *, stride: int = 1, groups: int = 1, linear: bool = False
    ) -> None:
        members: list[tuple[str, nn.Module]] = [
            ("conv", SameConv2d(inputs, outputs, kernel, stride=stride, groups=groups, bias=False)),
            ("norm", nn.BatchNorm2d(outputs, eps=NORM_EPSILON, momentum=0.01)),
        ]
        if not linear:
            members.append(("act", nn.ReLU6()))
        super().__init__(OrderedDict(members))


class InvertedResidual(nn.Module):
    """Widen, filter each channel, narrow: x + project(depthwise(expand(x))) where the shapes allow the sum."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.residual = block.residual
        if block.expands:
            self.expand = ConvNorm(block.inputs, block.hidden)
        self.depthwise = ConvNorm(block.hidden, block.hidden, block.kernel, stride=block.stride, groups=block.hidden)
        self.project = ConvNorm(block.hidden, block.outputs, linear=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the block's feature map."""
        y = self.expand(x) if hasattr(self, "expand") else x
        y = self.project(self.depthwise(y))
        return x + y if self.residual else y


class EfficientNetLite(nn.Module):
    """Stem, stages of inverted residual blocks, head, mean over positions, classifier.

    `head` is the last feature map after its activation; block b of stage s is `blocks.s.b`.

    Args:
        table: the variant.
        classes: number of logits.

    Reference: Tan and Le 2019, EfficientNet; the lite family leaves out squeeze-and-excitation and takes ReLU6.
    """

    def __init__(self, table: Architecture, classes: int = CLASSES) -> None:
        super().__init__()
        self.stem = ConvNorm(3, STEM, 3, stride=2)
        self.blocks = nn.Sequential(
            *(nn.Sequential(*(InvertedResidual(block) for block in stage)) for stage in table.stages)
        )
        self.head = ConvNorm(table.stages[-1][-1].outputs, HEAD)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(table.dropout)
        self.classifier = nn.Linear(HEAD, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits `(n, classes)` of `(n, 3, h, w)`, already normalized."""
        features = self.head(self.blocks(self.stem(x)))
        return self.classifier(self.dropout(torch.flatten(self.pool(features), 1)))


def load_net(variant: int) -> EfficientNetLite:
    """Return the network with its published ImageNet weights, in evaluation mode, laid out channels last.

    Args:
        variant: 0, 1 or 2.

    Raises:
        MissingDependency: the package with the weights is not installed.
        ModelError: the file does not hold exactly the weights of this network.
    """
    path = weights_path(variant)
    table = architecture(variant)
    net = EfficientNetLite(table)
    published = torch.load(path, map_location="cpu", weights_only=True)
    net.load_state_dict(renamed(published, table, net.state_dict()))
    net.eval()
    net.to(memory_format=torch.channels_last)
    return net


def renamed(
    published: Mapping[str, torch.Tensor], table: Architecture, wanted: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Return the published weights under our names, every one accounted for.

    Args:
        published: the published weights by name.
        table: the architecture.
        wanted: the tensors of the network by name.

    Raises:
        ModelError: weights are missing, left over or of another shape; they are listed.
    """
    layers = published_names(table)
    sources = {}
    for name in wanted:
        layer, _, weight = name.rpartition(".")
        sources[name] = f"{layers[layer]}.{weight}"
    missing = [source for source in sources.values() if source not in published]
    unexpected = sorted(set(published) - set(sources.values()))
    shapes = [
        f"{source} {tuple(published[source].shape)} instead of {tuple(wanted[name].shape)}"
        for name, source in sources.items()
        if source in published and published[source].shape != wanted[name].shape
    ]
    if missing or unexpected or shapes:
        found = f"missing {missing}, unexpected {unexpected}, of another shape {shapes}"
        raise ModelError(
            explain_error(
                f"The weight file must hold exactly the weights of {table.name}.",
                found,
                "Reinstall the package with the weights, and check that it belongs to this variant.",
            )
        )
    return {name: published[source] for name, source in sources.items()}
