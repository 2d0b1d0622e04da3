"""shisen filters"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from .common import images_of, load_model, model_options, quiet_warnings


@click.command()
@model_options
@click.option("--layer", "-l", default=None, help="Where the channels are, or 'logits'; the default layer if left out.")
@click.option("--grid", default=8, show_default=True, type=click.IntRange(min=1), help="Images a row; N × N channels.")
@click.option("--channels", "-c", default=None, help="Channel numbers instead, such as 0-15,40 or class numbers.")
@click.option(
    "--recipe", type=click.Choice(["modern", "strong", "maco", "article"]), default="modern", show_default=True
)
@click.option("--pixels", default=128, show_default=True, type=click.IntRange(min=8), help="Side of the images.")
@click.option("--steps", default=None, type=click.IntRange(min=1), help="How many; the recipe's own if left out.")
@click.option("--seed", default=0, show_default=True)
@click.option("--examples", default=None, help="A folder of photos: crops that excite a channel most, beside it.")
@click.option("--site", default=None, type=click.Path(path_type=Path), help="Write a page a unit into this folder.")
@click.option("--out", default="filters.png", show_default=True, type=click.Path(path_type=Path))
def filters(layer: str | None, out: Path, **choice: Any) -> None:
    """Make the images that the channels of a layer like best.

    With --examples they are compared with real photos: an image that excites its channel less is crossed out.
    """
    from ..inspect.feature_visualization import filters as verb

    keys = ("grid", "channels", "recipe", "pixels", "steps", "seed", "examples", "site")
    own = {k: choice.pop(k) for k in keys}
    photos = images_of([own["examples"]]) if own["examples"] else []
    model = load_model(choice)
    where = layer or model.default_layer
    wanted = _numbers(own["channels"]) if own["channels"] else _first(model, where, own["grid"] ** 2)
    with quiet_warnings(), climbing(f"Making {len(wanted)} images for {where}") as told:
        made = verb(
            model,
            where,
            wanted,
            recipe=own["recipe"],
            size=own["pixels"],
            steps=own["steps"],
            seed=own["seed"],
            progress=told,
        )
    examples = None
    if photos:
        from ..inspect.examples import crops

        examples = crops(model, where, wanted, photos)
        made = made.marked(made.compare(photos))
    made.save(out, per_row=own["grid"])
    click.echo(f"{int(made.fired.sum())} of {len(wanted)} channels of {where} fired → {out}")
    if made.ratio is not None:
        triple = int((made.ratio >= 3).sum())
        words = f"of {len(wanted)} excite their channel at least 3 × as much as any of {len(photos)} photos"
        click.echo(f"{triple} {words}")
    if examples is not None:
        beside = out.with_name(f"{out.stem}_examples{out.suffix}")
        examples.save(beside, made)
        click.echo(str(beside))
    if own["site"] is not None:
        from ..inspect.site import site

        click.echo(str(site([(made, examples)], own["site"])))


@contextmanager
def climbing(words: str) -> Iterator[Callable[[int, int, float], None]]:
    """Show steps and the rising objective on the terminal; silent when the output is not one."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("objective {task.fields[mean]:.3g}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(words, total=None, mean=0.0)
        yield lambda done, total, mean: bar.update(task, completed=done, total=total, mean=mean)


def _numbers(text: str) -> list[int]:
    found: list[int] = []
    try:
        for part in text.replace(" ", "").split(","):
            first, dash, last = part.partition("-")
            found += range(int(first), int(last) + 1) if dash else [int(first)]
    except ValueError as problem:
        raise click.BadParameter(f"channels must look like 0-15,40; received {text!r}.") from problem
    return found


def _first(model: Any, layer: str, count: int) -> range:
    from ..errors import unknown

    if layer == "logits":
        return range(min(count, len(model.labels) or count))
    sizes = {point.path: point.shape[-1] for point in model.layers}
    if layer not in sizes:
        raise unknown("layer", layer, sizes, "See `shisen layers`.")
    return range(min(count, sizes[layer]))
