"""Options that several commands have: one name for each idea, the same help everywhere."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from .._core.i18n import languages
from .model_options import Decorator, all_of

DEFAULT_OUT = "shisen-out"
"""The folder that every command writes to by default; commands that write many files use a folder inside."""

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


drawing_options: Decorator = all_of(*DRAWING_OPTIONS)
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
method_options: Decorator = all_of(
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
