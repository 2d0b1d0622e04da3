"""shisen activations"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .common import finish, images_of, load_model, quiet_warnings, stem_of, wrote
from .model_options import model_options
from .options import lang_option, layer_option, out_option, target_option
from .progress import progress
from .values import numbers_of, target_of

SCALINGS = ("channel", "layer", "article")


@click.command()
@click.argument("images", nargs=-1, required=True)
@model_options
@layer_option("Layer or pattern such as 'block3*'; may be repeated (all layers by default).", multiple=True)
@click.option(
    "--scaling",
    type=click.Choice(SCALINGS),
    default="channel",
    show_default=True,
    help="Normalize by the range of each channel, by the range of the layer, or by mean and standard deviation "
    "(also accepted by --scale).",
)
@click.option(
    "--order",
    type=click.Choice(["index", "magnitude"]),
    default="index",
    show_default=True,
    help="Order of the channels: by index, or by decreasing mean magnitude.",
)
@click.option(
    "--per-row", default=16, show_default=True, type=click.IntRange(min=1), help="Number of channels per row."
)
@click.option(
    "--channel", "-c", "channels", multiple=True, help="Draw only these channels, over the image: 3 or 0-15,40."
)
@click.option("--ranked", is_flag=True, help="Draw the channels that support the target class, over the image.")
@target_option("Target class for --ranked (the top class by default).")
@click.option("--html", is_flag=True, help="Write one HTML page per image instead of image files.")
@lang_option("page")
@out_option("activations")
def activations(images: tuple[str, ...], layer: tuple[str, ...], out: Path, **choice: Any) -> int:
    """Show the activation of every channel for IMAGES (files, folders, globs or URLs).

    A sheet holds at most 256 channels. A dead channel is marked by a gray cross, a saturated one by a yellow cross.
    """
    from ..errors import ImageError
    from ..inspect.activations import activations as verb

    drawing = {
        k: choice.pop(k) for k in ("scaling", "order", "per_row", "channels", "ranked", "target", "html", "lang")
    }
    if choice["scale"] in SCALINGS:  # the word that comes to mind first, beside a factor for pixel values
        drawing["scaling"], choice["scale"] = choice["scale"], None
    drawing["channels"] = numbers_of(drawing["channels"])
    sources = images_of(images)
    model = load_model(choice)
    failures: list[tuple[str, str]] = []
    with quiet_warnings():
        for source in progress(sources, len(sources), "Computing activations"):
            try:
                grids = verb(model, source, list(layer) or None)
            except ImageError as problem:
                failures.append((source, str(problem)))
                continue
            stem = stem_of(source)
            wrote(*_written(grids, out if len(sources) == 1 else out / stem, stem, drawing))
    return finish(failures, len(sources) - len(failures))


def _written(grids: Any, folder: Path, stem: str, drawing: dict[str, Any]) -> list[Path]:
    from ..viz.files import save_image

    if drawing["html"]:
        return [grids.html(folder / f"{stem}.html", scale=drawing["scaling"], lang=drawing["lang"])]
    if drawing["channels"]:
        return [
            save_image(grids.channel(path, c), folder / f"{path.replace('/', '.')}_{c}.png")
            for path in grids.layers
            for c in drawing["channels"]
        ]
    if drawing["ranked"]:
        target = target_of(drawing["target"])
        return [
            save_image(grids.ranked(target, path).draw(), folder / f"{path.replace('/', '.')}_ranked.png")
            for path in grids.layers
        ]
    files: list[Path] = grids.save(folder, scale=drawing["scaling"], order=drawing["order"], per_row=drawing["per_row"])
    return files
