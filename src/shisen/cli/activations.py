"""shisen activations"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .common import finish, images_of, load_model, model_options, progress, quiet_warnings, target_of

SCALINGS = ("channel", "layer", "article")


@click.command()
@click.argument("images", nargs=-1, required=True)
@model_options
@click.option("--layers", "-l", "paths", multiple=True, help="A layer or a pattern such as 'block3*'; may be repeated.")
@click.option(
    "--scaling",
    type=click.Choice(SCALINGS),
    default="channel",
    show_default=True,
    help="Each channel by its own extremes, by those of the layer, or by mean and deviation. Also as --scale.",
)
@click.option("--order", type=click.Choice(["index", "strength"]), default="index", show_default=True)
@click.option("--per-row", default=16, show_default=True, type=click.IntRange(min=1), help="Channels a row.")
@click.option("--channel", "-c", "channels", multiple=True, type=int, help="Draw only this channel, over the image.")
@click.option("--ranked", is_flag=True, help="Draw the channels that speak for the class, over the image.")
@click.option("--target", "-t", default=None, help="The class for --ranked; the top class if left out.")
@click.option("--html", is_flag=True, help="Write one page with everything instead of many files.")
@click.option("--out", default="shisen_out/activations", show_default=True, type=click.Path(path_type=Path))
def activations(images: tuple[str, ...], paths: tuple[str, ...], out: Path, **choice: Any) -> int:
    """Show what every channel answers to IMAGES (files, folders, globs or addresses).

    Sheets hold 256 channels at most; a dead channel is a gray cross, a saturated one yellow.
    """
    from ..errors import ImageError
    from ..inspect.activations import activations as verb

    drawing = {k: choice.pop(k) for k in ("scaling", "order", "per_row", "channels", "ranked", "target", "html")}
    if choice["scale"] in SCALINGS:  # the word that comes to mind first, beside a factor for pixel values
        drawing["scaling"], choice["scale"] = choice["scale"], None
    sources = images_of(images)
    model = load_model(choice)
    failures: list[tuple[str, str]] = []
    with quiet_warnings():
        for source in progress(sources, len(sources), "Looking inside"):
            try:
                grids = verb(model, source, list(paths) or None)
            except ImageError as problem:
                failures.append((source, str(problem)))
                continue
            stem = Path(source.split("?")[0]).stem
            folder = out if len(sources) == 1 else out / stem
            for written in _written(grids, folder, stem, drawing):
                click.echo(str(written))
    return finish(failures, len(sources) - len(failures))


def _written(grids: Any, folder: Path, stem: str, drawing: dict[str, Any]) -> list[Path]:
    from ..viz.files import save_image

    if drawing["html"]:
        return [grids.html(folder / f"{stem}.html", scale=drawing["scaling"])]
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
