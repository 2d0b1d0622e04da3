"""shisen evaluate, recommend, sanity, metrics"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .common import LONG, finish, images_of, load_model, quiet_warnings, wrote
from .model_options import model_options
from .options import baseline_option, lang_option, layer_option, n_images_option, out_option, seed_option, target_option
from .progress import Bar
from .tables import table
from .values import names_of, seconds_of, target_of, value_of


@click.command()
@click.argument("images", nargs=-1, required=True)
@model_options
@click.option(
    "--methods",
    default="grad_cam",
    show_default=True,
    help="Comma-separated method names; name@layer sets the layer of one.",
)
@click.option(
    "--metrics",
    default="deletion,insertion,adcc",
    show_default=True,
    help="Comma-separated metric names from `shisen metrics`.",
)
@layer_option("Layer for methods named without one (the default layer if omitted).")
@target_option("Target class (the top class of each image by default).")
@baseline_option
@n_images_option()
@seed_option
@click.option("--regions", default=None, help="Boxes or masks: COCO .json, VOC .xml, .csv, or a folder of .xml files.")
@click.option("--reference", default=None, help="Method that the others are compared with (the first by default).")
@lang_option("report")
@out_option("evaluation")
def evaluate(
    images: tuple[str, ...], methods: str, metrics: str, regions: str | None, lang: str, out: Path, **choice: Any
) -> int:
    """Evaluate attribution methods on IMAGES (files, folders or globs), with confidence intervals and control maps.

    Maps and scores are kept in the output folder; the same command resumes an interrupted run.
    """
    from ..evaluation.annotations import read_regions
    from ..evaluation.report import FEW, TOO_FEW, cautions
    from ..evaluation.runner import evaluate as run

    settings = {k: choice.pop(k) for k in ("layer", "reference", "seed")}
    settings |= {"target": target_of(choice.pop("target")), "baseline": value_of(choice.pop("baseline"))}
    settings["n_images"] = choice.pop("n_images")
    sources = images_of(images)
    boxes = None if regions is None else read_regions(regions)
    model = load_model(choice, LONG)
    with quiet_warnings(), Bar() as progress:
        scores = run(
            model,
            sources,
            names_of(methods),
            names_of(metrics),
            out=out,
            regions=boxes,
            progress=progress,
            **settings,
        )
        page = scores.save(out, lang=lang)
    click.echo(scores.table())
    click.echo(
        f"\n{scores.facts['n_images']} images; 95 % intervals; * significantly different from {scores.reference}."
    )
    for found in scores.differences:
        if found.method not in scores.control_maps:
            click.echo(found.sentence)
    if scores.facts["n_images"] < FEW and scores.differences:
        click.echo(TOO_FEW)
    for words in cautions(scores):
        click.echo(words)
    wrote(page, out / "scores.csv", out / "scores.json")
    return finish(scores.failures, scores.facts["n_images"])


@click.command()
@click.argument("images", nargs=-1, required=True)
@model_options
@click.option("--budget", default="60s", show_default=True, help="Time budget, such as 60s or 5m.")
@n_images_option(least=4)
@seed_option
@out_option("recommendation.json", "Output file (.json).")
def recommend(images: tuple[str, ...], budget: str, n_images: int | None, seed: int, out: Path, **choice: Any) -> None:
    """Find the best method, layer and options for a model on IMAGES; `explain --method auto` then uses them."""
    from ..evaluation.recommend import recommend as run
    from ..evaluation.recommend import saved_at

    seconds = seconds_of(budget)
    sources = images_of(images)
    model = load_model(choice, LONG)
    with quiet_warnings(), Bar() as progress:
        found = run(model, sources, budget=seconds, n_images=n_images, seed=seed, out=out, progress=progress)
    table(
        "Evaluated settings",
        ["setting", "images", "insertion − deletion", "ADCC"],
        [[name, str(n), f"{a:.3f}", f"{b:.1f}"] for name, n, a, b in found.tried],
        ["images", "insertion − deletion", "ADCC"],
    )
    for sentence in found.explanation:
        click.echo(sentence)
    wrote(saved_at(model), out)


@click.command()
@click.argument("images", nargs=-1)
@model_options
@click.option("--methods", default=None, help="Comma-separated method names (every fast method by default).")
@n_images_option(default=8)
@seed_option
def sanity(images: tuple[str, ...], methods: str | None, n_images: int, seed: int, **choice: Any) -> None:
    """Test whether the maps of a method depend on what the model has learned, by randomizing weights of a copy.

    Without IMAGES, smooth random patterns are explained.
    """
    from ..evaluation.checks import check_sanity

    sources = images_of(images) if images else None
    model = load_model(choice)
    names = None if methods is None else names_of(methods)
    with quiet_warnings(), Bar() as progress:
        found = check_sanity(model, sources, names, n_images=n_images, seed=seed, progress=progress)
    table(
        f"{model.name}: similarity of maps with those of the weight-randomized model",
        ["method", "rank correlation", "95 % interval", "structural similarity", "verdict"],
        [
            [
                v.method,
                f"{v.similarity.value:.2f}",
                f"{v.similarity.low:.2f} to {v.similarity.high:.2f}",
                f"{v.ssim:.2f}",
                v.words,
            ]
            for v in found
        ],
        ["rank correlation", "structural similarity"],
    )


@click.command()
def metrics() -> None:
    """List the evaluation metrics: unit, direction and reference."""
    from ..evaluation.metrics import METRICS

    rows = [[m.name, m.family, m.summary, m.unit, m.direction, m.paper] for m in METRICS.values()]
    table(f"{len(rows)} metrics", ["name", "family", "description", "unit", "direction", "paper"], rows)
