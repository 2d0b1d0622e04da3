"""Options that several commands have: one name for each idea, the same help everywhere."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

import click

from .._core.i18n import languages

F = TypeVar("F", bound=Callable[..., Any])


class Decorator(Protocol):
    """Adds an option to a command."""

    def __call__(self, command: F, /) -> F: ...


DEFAULT_OUT = "shisen-out"
"""The folder that every command writes to by default; commands that write many files use a folder inside."""

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

DRAWING_OPTIONS: tuple[Decorator, ...] = (
    click.option(
        "--style",
        type=click.Choice(["blend", "mask", "heatmap", "contour"]),
        default="blend",
        show_default=True,
        help="How the attribution map is drawn.",
    ),
    click.option(
        "--colormap",
        default="jet",
        show_default=True,
        help="Matplotlib colormap; a diverging one shows positive and negative evidence.",
    ),
    click.option(
        "--alpha", default=0.4, show_default=True, type=click.FloatRange(0, 1), help="Opacity of the map, 0 to 1."
    ),
)


def _all(*options: Decorator) -> Decorator:
    def add(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return add


model_options: Decorator = _all(*MODEL_OPTIONS)
"""Add the options of the model and its preprocessing."""

drawing_options: Decorator = _all(*DRAWING_OPTIONS)
"""Add the options of the drawing."""

score_option: Decorator = click.option(
    "--score",
    type=click.Choice(["logit", "probability", "log_probability"]),
    default="logit",
    show_default=True,
    help="Score to explain: logit, probability or log-probability.",
)
_BASELINE = click.option(
    "--baseline",
    default=None,
    help="Value of removed pixels: black, gray, mean, network_zero, blur, inpaint or a number in [0, 1].",
)
json_option: Decorator = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
seed_option: Decorator = click.option("--seed", default=0, show_default=True, help="Random seed.")
baseline_option: Decorator = _BASELINE
method_options: Decorator = _all(
    _BASELINE,
    click.option("--n-samples", type=click.IntRange(min=1), default=None, help="Number of random samples."),
    click.option("--seed", type=int, default=None, show_default="0", help="Random seed."),
)
"""Add the options that several methods have, under one name; -O sets the others."""


def layer_option(words: str = "Layer from `shisen layers` (the default layer if omitted).", **kinds: Any) -> Decorator:
    """Add `--layer`, with what else the command needs (`multiple`).

    Args:
        words: the help text.
        **kinds: other properties of the option, as in `click.option`.

    Returns:
        The decorator.
    """
    return click.option("--layer", "-l", default=None, help=words, **kinds)


def target_option(words: str, **kinds: Any) -> Decorator:
    """Add `--target`, with what else the command needs (`multiple`).

    Args:
        words: the help text.
        **kinds: other properties of the option, as in `click.option`.

    Returns:
        The decorator.
    """
    return click.option("--target", "-t", default=None, help=words, **kinds)


def out_option(inside: str = "", words: str = "Output folder.") -> Decorator:
    """Add `--out`.

    Args:
        inside: what the command writes inside of the default folder; the folder itself if empty.
        words: help text.

    Returns:
        The decorator.
    """
    default = str(Path(DEFAULT_OUT, inside))
    kind = click.Path(path_type=Path)
    return click.option("--out", "-o", default=default, show_default=True, type=kind, help=words, callback=_writable)


def _writable(_: click.Context, __: click.Parameter, path: Path) -> Path:
    """Return the path, or refuse one that cannot be written, before anything is computed."""
    there = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    if there != path and not there.is_dir():
        raise click.BadParameter(f"{str(path)!r} cannot be written: {str(there)!r} is a file, not a folder.")
    if not os.access(there, os.W_OK):
        raise click.BadParameter(f"{str(path)!r} cannot be written: {str(there)!r} is not writable.")
    return path


def lang_option(what: str) -> Decorator:
    """Add `--lang`, for a page or a report."""
    return click.option(
        "--lang",
        type=click.Choice(list(languages())),
        default="en",
        show_default=True,
        help=f"Language of the {what}.",
    )


def n_images_option(least: int = 1, default: int | None = None) -> Decorator:
    """Add `--n-images`, the number of images that are drawn at random.

    Args:
        least: lowest value.
        default: value without the option.

    Returns:
        The decorator.
    """
    return click.option(
        "--n-images",
        "-n",
        default=default,
        show_default=default is not None,
        type=click.IntRange(min=least),
        help="Number of images, drawn at random" + ("." if default else " (all by default)."),
    )
