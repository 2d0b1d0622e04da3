"""What several commands do alike: load the model, find the images, report warnings, failures and files."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .._core.malloc import collector_paused

if TYPE_CHECKING:
    from ..models.model import Model

LONG = 1000
"""Stands for many images where nobody has counted them: enough that tuning the batch size pays off."""


def load_model(choice: dict[str, Any], images: int = 1) -> Model:
    """Return the model that the options name; takes its own options out of `choice`.

    Args:
        choice: the options of the command.
        images: about how many will be sent through it; for many the batch size is tuned.
    """
    with collector_paused():
        from ..models.loading import load
        from ..models.preprocess_names import OPTIONS, fields_of_options

    fields = fields_of_options({k: choice.pop(k) for k in OPTIONS if k in choice})
    name, batch_size, top = choice.pop("model"), choice.pop("batch_size"), not choice.pop("no_top")
    settings = {k: choice.pop(k) for k in ("framework", "weights", "labels", "device", "head", "fast", "trust")}
    with quiet_warnings(), collector_paused():
        model = load(name, preprocess=fields or None, top=top, **settings)
    if model.values_assumed:
        click.echo(
            f"Note: {model.name}: the range of pixel values is not known; values from 0 to 1 go in. If the network was "
            "trained otherwise, pass --range, --mean and --std, or --preprocess.",
            err=True,
        )
    if batch_size is not None:
        model = model.batched(batch_size)
    elif images > 1:
        from ..models.batch_size import MANY, tuned

        model = tuned(model) if images >= MANY else model
    if model.precision != "float32":
        click.echo(f"Note: the network runs in {model.precision}; results differ slightly from float32.", err=True)
    return model


def images_of(sources: Sequence[str]) -> list[str]:
    """Return every image that files, folders, globs and URLs stand for."""
    from ..models.sources import find_images

    found = find_images(list(sources))
    if not found:
        raise click.UsageError(f"No image found in: {', '.join(sources)}. Give files, folders or globs.")
    return found


def inputs_of(model: Model, sources: Sequence[str]) -> list[str]:
    """Return every input that files, folders, globs and URLs stand for; a folder may be one volume or video.

    Args:
        model: what they are for.
        sources: files, folders, globs and URLs.
    """
    from ..models.volume_io import find_volumes

    return images_of(sources) if model.rank == 2 else find_volumes(sources, model.rank)


def stem_of(source: str) -> str:
    """Return the name of an image file or URL without its suffix."""
    name = source.split("?")[0]
    return Path(name.removesuffix(".gz") if name.endswith(".nii.gz") else name).stem or "image"


@contextmanager
def quiet_warnings() -> Iterator[None]:
    """Print warnings meant for the reader as one line each, and keep the frameworks' own out of the way."""
    from ..errors import ShisenWarning

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        yield
    seen = set()
    for warning in caught:
        text = str(warning.message)
        if issubclass(warning.category, ShisenWarning) and text not in seen:
            seen.add(text)
            click.echo(f"Note: {text}", err=True)


def wrote(*files: Path | str) -> None:
    """Print which files a command has written."""
    click.echo(f"Wrote {', '.join(map(str, files))}")


def finish(failures: Sequence[tuple[str, str]], done: int) -> int:
    """List what failed and return the exit code: 0 all done, 1 done with failures.

    Args:
        failures: (file, reason) of what failed.
        done: number of finished images.

    Returns:
        The exit code: 0 if all is done, 1 if something failed.
    """
    if failures:
        click.echo(f"\n{len(failures)} of {len(failures) + done} images could not be used:", err=True)
        for source, error in failures:
            click.echo(f"  {source}: {error}", err=True)
        return 1
    return 0
