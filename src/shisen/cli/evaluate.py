"""shisen evaluate, recommend, sanity, metrics"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from .common import LONG, finish, images_of, load_model, model_options, quiet_warnings, table, target_of


@contextmanager
def bar() -> Iterator[Callable[[int, int, str], None]]:
    """Give a function that moves a progress bar on the terminal; silent when the output is not one."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda done, total, words: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as drawn:
        task = drawn.add_task("Loading", total=None)
        yield lambda done, total, words: drawn.update(task, completed=done, total=total, description=words)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _seconds(text: str) -> float:
    number, unit = (text[:-1], text[-1]) if text[-1:] in "smh" else (text, "s")
    try:
        seconds = float(number) * {"s": 1.0, "m": 60.0, "h": 3600.0}[unit]
    except ValueError:
        seconds = 0.0
    if seconds <= 0.0:
        raise click.BadParameter(f"a budget must be a time such as 60s or 5m; received {text!r}.")
    return seconds


@click.command()
@click.argument("images", nargs=-1, required=True)
@model_options
@click.option(
    "--methods", default="grad_cam", show_default=True, help="Names divided by commas; name@layer for a layer."
)
@click.option("--metrics", default="deletion,insertion,adcc", show_default=True, help="Names from `shisen metrics`.")
@click.option("--layer", default=None, help="For methods named without one; the default layer if left out.")
@click.option("--target", "-t", default=None, help="The class explained; each image's top class if left out.")
@click.option("--n-images", "-n", default=None, type=click.IntRange(min=1), help="Number of images, drawn at random.")
@click.option("--seed", default=0, show_default=True, help="Of every random draw.")
@click.option("--regions", default=None, help="Boxes or masks: COCO .json, VOC .xml, .csv, or a folder of .xml.")
@click.option("--reference", default=None, help="What the others are compared with; the first method if left out.")
@click.option("--lang", type=click.Choice(["en", "ja"]), default="en", show_default=True, help="Of the report.")
@click.option("--out", default="shisen_out/evaluation", show_default=True, type=click.Path(path_type=Path))
def evaluate(
    images: tuple[str, ...],
    methods: str,
    metrics: str,
    regions: str | None,
    lang: str,
    out: Path,
    **choice: Any,
) -> int:
    """Measure explanations on IMAGES (files, folders or globs), with intervals, floors and a report.

    Maps and figures are kept in the folder; the same command goes on where it was stopped.
    """
    from ..evaluation.annotations import read_regions
    from ..evaluation.report import FEW, cautions
    from ..evaluation.runner import evaluate as run
    from ..evaluation.words import texts

    settings = {k: choice.pop(k) for k in ("layer", "reference")}
    target, n_images, seed = target_of(choice.pop("target")), choice.pop("n_images"), choice.pop("seed")
    sources = images_of(images)
    boxes = None if regions is None else read_regions(regions)
    model = load_model(choice, LONG)
    with quiet_warnings(), bar() as progress:
        scores = run(
            model,
            sources,
            _names(methods),
            _names(metrics),
            target=target,
            n_images=n_images,
            seed=seed,
            out=out,
            regions=boxes,
            progress=progress,
            **settings,
        )
        page = scores.save(out, lang=lang)
    click.echo(scores.table())
    click.echo(f"\n{scores.facts['n_images']} images; 95 % intervals; * clearly different from {scores.reference}.")
    for found in scores.differences:
        if found.method not in scores.control_maps:
            click.echo(found.sentence)
    if scores.facts["n_images"] < FEW and scores.differences:
        click.echo(texts("en")["few"])
    for words in cautions(scores):
        click.echo(words)
    click.echo(f"→ {page}, {out / 'scores.csv'}, {out / 'scores.json'}")
    return finish(scores.failures, scores.facts["n_images"])


@click.command()
@click.argument("images", nargs=-1, required=True)
@model_options
@click.option("--budget", default="60s", show_default=True, help="Time, such as 60s or 5m.")
@click.option("--n-images", "-n", default=None, type=click.IntRange(min=4), help="Number of images, drawn at random.")
@click.option("--seed", default=0, show_default=True, help="Of every random draw.")
@click.option(
    "--out", default=None, type=click.Path(path_type=Path), help="Also write the recommendation to this file."
)
def recommend(
    images: tuple[str, ...], budget: str, n_images: int | None, seed: int, out: Path | None, **choice: Any
) -> None:
    """Find the best method, layer and variant for the model on IMAGES; `explain --method auto` then uses it."""
    from ..evaluation.recommend import recommend as run
    from ..evaluation.recommend import saved_at

    seconds = _seconds(budget)
    sources = images_of(images)
    model = load_model(choice, LONG)
    with quiet_warnings(), bar() as progress:
        found = run(model, sources, budget=seconds, n_images=n_images, seed=seed, out=out, progress=progress)
    table(
        "Tried",
        ["setting", "images", "insertion − deletion", "ADCC"],
        [[name, str(n), f"{a:.3f}", f"{b:.1f}"] for name, n, a, b in found.tried],
        ["images", "insertion − deletion", "ADCC"],
    )
    for sentence in found.explanation:
        click.echo(sentence)
    click.echo(f"→ {saved_at(model)}" + (f", {out}" if out else ""))


@click.command()
@click.argument("images", nargs=-1)
@model_options
@click.option("--methods", default=None, help="Names divided by commas; every fast method if left out.")
@click.option("--n-images", "-n", default=8, show_default=True, type=click.IntRange(min=1), help="Number of images.")
@click.option("--seed", default=0, show_default=True, help="Of every random draw.")
def sanity(images: tuple[str, ...], methods: str | None, n_images: int, seed: int, **choice: Any) -> None:
    """Tell which methods depend on what the model has learned, by shuffling the weights of a copy.

    Without IMAGES smooth random patterns are explained.
    """
    from ..evaluation.checks import check_sanity

    sources = images_of(images) if images else None
    model = load_model(choice)
    with quiet_warnings(), bar() as progress:
        found = check_sanity(
            model,
            sources,
            None if methods is None else _names(methods),
            n_images=n_images,
            seed=seed,
            progress=progress,
        )
    table(
        f"{model.name}: likeness of maps to those of a network with shuffled weights",
        ["method", "rank correlation", "95 % interval", "structural similarity", "verdict"],
        [
            [
                v.method,
                f"{v.likeness.value:.2f}",
                f"{v.likeness.low:.2f} to {v.likeness.high:.2f}",
                f"{v.ssim:.2f}",
                v.words,
            ]
            for v in found
        ],
        ["rank correlation", "structural similarity"],
    )


@click.command()
def metrics() -> None:
    """List the metrics of explanations: unit, direction, paper."""
    from ..evaluation import fill_registry
    from ..evaluation.metrics import METRICS

    fill_registry()
    rows = [[m.name, m.family, m.summary, m.unit, m.direction, m.paper] for m in METRICS.values()]
    table(f"{len(rows)} metrics", ["name", "family", "what it measures", "unit", "direction", "paper"], rows)
