"""The options of the model and its preprocessing, which most commands have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


class Decorator(Protocol):
    """Adds an option to a command."""

    def __call__(self, command: F, /) -> F: ...


def all_of(*options: Decorator) -> Decorator:
    """Return what adds several options to a command."""

    def add(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return add


INTERPOLATIONS = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")
HEAD_HELP = "Output activation: softmax (one class of many), sigmoid (independent classes) or none (raw numbers)."

MODEL_OPTIONS: tuple[Decorator, ...] = (
    click.option(
        "--model",
        "-m",
        default="efficientnet_lite0",
        show_default=True,
        help="Model name, model file, run folder or package.module:function; see `shisen models`.",
    ),
    click.option("--framework", default="", help="torch or keras, for models that exist in both."),
    click.option("--weights", default=None, help="Weights file to load into the model."),
    click.option("--labels", default=None, help="File with class names, or comma-separated names."),
    click.option("--device", default="", help="Device to run on, such as cpu or cuda:0."),
    click.option("--fast", is_flag=True, help="Run in bfloat16/float16 where that is faster; results differ slightly."),
    click.option(
        "--batch-size",
        type=click.IntRange(min=1),
        default=None,
        envvar="SHISEN_BATCH_SIZE",
        show_envvar=True,
        help="Batch size (tuned automatically by default).",
    ),
    click.option("--size", default=None, help="Input size, such as 224, 300x200 (height x width) or 64x128x128."),
    click.option(
        "--fit",
        type=click.Choice(["stretch", "crop", "pad"]),
        default=None,
        help="Resize mode: stretch, center-crop or pad.",
    ),
    click.option("--scale", default=None, help="Factor applied to pixel values of 0 to 255, such as 1/255."),
    click.option(
        "--range", "range_", default=None, help="Range of pixel values before --mean and --std, such as 0,1 or -1,1."
    ),
    click.option("--mean", default=None, help="Subtracted from every channel: one number, or one per channel."),
    click.option("--std", default=None, help="Divided by, after --mean: one number, or one per channel."),
    click.option("--bgr", is_flag=True, help="Channel order blue, green, red (BGR)."),
    click.option(
        "--interpolation", type=click.Choice(INTERPOLATIONS), default=None, help="Interpolation of resized images."
    ),
    click.option(
        "--preprocess",
        default=None,
        help="Named preprocessing: imagenet, clip, caffe, minus-one-to-one, … or that of a model, such as "
        "torchvision:resnet50 or keras:VGG16.",
    ),
    click.option(
        "--channels", "input_channels", type=click.IntRange(1), default=None, help="Number of input channels."
    ),
    click.option(
        "--bands", default=None, help="Bands of the data that become the input channels, in order, such as 3,2,1."
    ),
    click.option("--data-range", default=None, help="Range of the data values, such as 0,4095."),
    click.option("--window", default=None, help="Center and width of the values kept, such as 40,400 for a CT."),
    click.option("--zscore", is_flag=True, help="Standardize each input by its own mean and standard deviation."),
    click.option("--orientation", default=None, help="Order of the axes of a volume, such as RAS or SAR."),
    click.option("--rgb", default=None, help="Input channels shown as red, green and blue, such as 2,1,0."),
    click.option("--head", type=click.Choice(["softmax", "sigmoid", "none"]), default=None, help=HEAD_HELP),
    click.option(
        "--no-top", is_flag=True, help="Load a keras.applications network without its classifier (include_top=False)."
    ),
    click.option("--trust", is_flag=True, help="Allow model files that execute code when they are loaded."),
)

model_options: Decorator = all_of(*MODEL_OPTIONS)
"""Add the options of the model and its preprocessing."""
