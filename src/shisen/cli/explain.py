"""shisen explain"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .common import finish, images_of, load_model, model_options, options_of, progress, quiet_warnings, target_of


@click.command()
@click.argument("images", nargs=-1, required=True)
@model_options
@click.option(
    "--method",
    default="grad_cam",
    show_default=True,
    help="A name from `shisen methods`, or auto: what `shisen recommend` has found.",
)
@click.option(
    "--target",
    "-t",
    default=None,
    help="Class (index, label or WordNet id), 'a / b' for a rather than b, 'not a', or top2. "
    "The top class if left out.",
)
@click.option("--layer", default=None, help="A point from `shisen layers`; the default layer if left out.")
@click.option(
    "--score",
    type=click.Choice(["logit", "probability", "log_probability"]),
    default="logit",
    show_default=True,
    help="What is explained of the class.",
)
@click.option("-O", "--option", "options", multiple=True, metavar="NAME=VALUE", help="An option of the method.")
@click.option(
    "--style",
    type=click.Choice(["blend", "mask", "heatmap", "contour"]),
    default="blend",
    show_default=True,
    help="How the map is drawn.",
)
@click.option("--colormap", default="jet", show_default=True, help="Any matplotlib name; diverging ones show signs.")
@click.option("--alpha", default=0.4, show_default=True, type=click.FloatRange(0, 1), help="Strength of the colors.")
@click.option("--color-bar", is_flag=True, help="Draw a bar with the unit beside the image.")
@click.option(
    "--out",
    default="shisen_out",
    show_default=True,
    type=click.Path(path_type=Path),
    help="A folder, or one file for one image.",
)
@click.option(
    "--format",
    "suffix",
    type=click.Choice(["png", "jpg", "webp", "npy"]),
    default="png",
    show_default=True,
    help="Kind of the files in a folder.",
)
def explain(
    images: tuple[str, ...],
    method: str,
    target: str | None,
    layer: str | None,
    score: str,
    options: tuple[str, ...],
    out: Path,
    suffix: str,
    **choice: Any,
) -> int:
    """Show where the network looked in IMAGES (files, folders, globs or addresses), and write what it saw.

    Every image is written with a JSON file beside it that says how it was made.
    """
    from .. import registry
    from ..api import explain_each, saved_each
    from ..results import Failure

    drawing = {k: choice.pop(k) for k in ("style", "colormap", "alpha", "color_bar")}
    spec: Any = None if method == "auto" else registry.get(method)
    own = {} if spec is None else options_of(options, spec)
    _check_drawing(drawing)
    sources = images_of(images)
    if out.suffix and len(sources) > 1:
        raise click.UsageError(f"--out names one file, but there are {len(sources)} images. Give a folder.")
    model = load_model(choice, len(sources))
    if spec is None:
        from ..evaluation.recommend import recommended

        chosen, layer, own = recommended(model, layer, {})
        spec = registry.get(chosen)
        own |= options_of(options, spec)
    if spec.caution:
        click.echo(f"Caution: {spec.name} {spec.caution}.", err=True)
    places = destinations(sources, out, spec.name.replace(" ", "_"), suffix)
    failures: list[tuple[str, str]] = []
    done = 0
    with quiet_warnings():
        found = explain_each(model, sources, spec, target=target_of(target), layer=layer, score=score, **own)
        written = saved_each(found, places, depth=2 * model.batch_size, **drawing)
        for source, (result, file) in progress(
            zip(sources, written, strict=True), len(sources), f"Explaining with {spec.name}"
        ):
            if isinstance(result, Failure):
                failures.append((source, result.error))
                continue
            done += 1
            click.echo(line(source, result, file))
            if result.warning:
                click.echo(f"  Note: {result.warning}", err=True)
    return finish(failures, done)


def line(source: str, result: Any, written: Path | None) -> str:
    """Say in one line what the network saw, what was explained, and where the image is."""
    answer = ""
    if result.predictions:
        best = result.predictions[0]
        answer = f"{best.label} ({best.strength})"
    explained = (
        ""
        if result.target.name == (result.predictions and result.predictions[0].label)
        else (f", explained: {result.target.name}")
    )
    where = f" at {result.layer}" if result.layer else ""
    return f"{source}: {answer}{explained}, {result.method}{where} → {written}"


def _check_drawing(drawing: dict[str, Any]) -> None:
    """Fail on an unknown color map before the network runs, not after."""
    from ..viz.colormap import is_diverging

    is_diverging(drawing["colormap"])


def destinations(sources: list[str], out: Path, method: str, suffix: str) -> list[Path]:
    """Return one file per image, named after it; images of one name get a number."""
    if out.suffix and not out.is_dir():
        return [out]
    used: dict[str, int] = {}
    places = []
    for source in sources:
        stem = Path(source.split("?")[0]).stem or "image"
        used[stem] = used.get(stem, 0) + 1
        number = f"_{used[stem]}" if used[stem] > 1 else ""
        places.append(out / f"{stem}{number}_{method}.{suffix}")
    return places
