"""shisen explain"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .common import finish, images_of, inputs_of, load_model, quiet_warnings, stem_of
from .model_options import model_options
from .options import drawing_options, layer_option, method_options, out_option, score_option, target_option
from .progress import progress
from .values import METHOD_OPTIONS, options_of, target_of


@click.command()
@click.argument("images", nargs=-1, required=True)
@model_options
@click.option(
    "--method",
    default="grad_cam",
    show_default=True,
    help="Method name from `shisen methods`, or auto for the one recommended by `shisen recommend`.",
)
@target_option(
    "Target class (index, label or WordNet id), 'a / b' for a contrast, 'a / similar' for one with the most similar "
    "classes, 'not a', or top2 (the top class by default)."
)
@layer_option()
@score_option
@click.option(
    "-O",
    "--option",
    "options",
    multiple=True,
    metavar="NAME=VALUE",
    help="Another option of the method; see `shisen methods`.",
)
@method_options
@drawing_options
@click.option("--color-bar", is_flag=True, help="Draw a color bar with the unit beside the image.")
@out_option(words="Output folder, or output file for a single image.")
@click.option(
    "--format",
    "suffix",
    type=click.Choice(["png", "jpg", "webp", "npy", "gif", "nii.gz"]),
    default="png",
    show_default=True,
    help="Format of the files in an output folder; npy holds the raw values. Volumes: gif shows the slices one after "
    "the other, nii.gz holds the values in the space of the volume.",
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
    """Explain the prediction for IMAGES (files, folders, globs or URLs) and write one attribution map per image.

    Networks of signals, volumes and video take .npy, .nii.gz, DICOM and video files, and folders of slices or frames.

    A JSON file beside each map records how it was made.
    """
    from .. import registry
    from ..api import explain_each, saved_each
    from ..naming import file_words
    from ..results import Failure

    drawing = {k: choice.pop(k) for k in ("style", "colormap", "alpha", "color_bar")}
    spec: Any = None if method == "auto" else registry.get(method)
    options += tuple(f"{k}={v}" for k in METHOD_OPTIONS if (v := choice.pop(k)) is not None)
    own = {} if spec is None else options_of(options, spec)
    _check_drawing(drawing)
    sources = images_of(images)
    if out.suffix and len(sources) > 1:
        raise click.UsageError(f"--out names one file, but there are {len(sources)} images. Give a folder.")
    model = load_model(choice, len(sources))
    sources = sources if model.rank == 2 else inputs_of(model, images)
    if spec is None:
        from ..evaluation.recommend import recommended

        chosen, layer, own = recommended(model, layer, {})
        spec = registry.get(chosen)
        own |= options_of(options, spec)
    if spec.caution:
        click.echo(f"Caution: {spec.name} {spec.caution}.", err=True)
    name = spec.name.replace(" ", "_") + (f"_{file_words(target)}" if target else "")
    files = destinations(sources, out, name, suffix)
    failures: list[tuple[str, str]] = []
    done = 0
    with quiet_warnings():
        found = explain_each(model, sources, spec, target=target_of(target), layer=layer, score=score, **own)
        written = saved_each(found, files, depth=2 * model.batch_size, **drawing)
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
    """Say in one line what was predicted, what was explained, and where the map is.

    Args:
        source: the image's name.
        result: the explanation.
        written: path of the written image, None if there is none.

    Returns:
        The text.
    """
    answer = ""
    if result.predictions:
        best = result.predictions[0]
        answer = f"{best.label} ({best.confidence})"
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


def destinations(sources: list[str], out: Path, name: str, suffix: str) -> list[Path]:
    """Return one file per image, named after it; images of one name get a number.

    Args:
        sources: files, folders, patterns, arrays or images.
        out: the output folder or file.
        name: what is put after the image's name: the method, and the target if one is given.
        suffix: ending of the file name.
    """
    if out.suffix and not out.is_dir():
        return [out]
    used: dict[str, int] = {}
    files = []
    for source in sources:
        stem = stem_of(source)
        used[stem] = used.get(stem, 0) + 1
        number = f"_{used[stem]}" if used[stem] > 1 else ""
        files.append(out / f"{stem}{number}_{name}.{suffix}")
    return files
