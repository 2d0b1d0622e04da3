"""shisen predict"""

from __future__ import annotations

import json
from typing import Any

import click

from .common import finish, images_of, load_model, model_options, progress, table


@click.command()
@click.argument("images", nargs=-1, required=True)
@model_options
@click.option("--top", default=5, show_default=True, type=click.IntRange(min=1), help="How many classes.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per image and line, for programs.")
@click.option(
    "--quick",
    is_flag=True,
    help="Decode large JPEG photos at a part of their size: about four times as quick at 12 megapixels; probabilities "
    "differ a little.",
)
def predict(images: tuple[str, ...], top: int, as_json: bool, quick: bool, **choice: Any) -> int:
    """Name the most probable classes of IMAGES (files, folders, globs or addresses)."""
    from ..models.predicting import predict_each

    sources = images_of(images)
    model = load_model(choice, len(sources))
    failures: list[tuple[str, str]] = []
    done = 0
    for source, answer in progress(predict_each(model, sources, top, quick=quick), len(sources), "Predicting"):
        if isinstance(answer, str):
            failures.append((source, answer))
            continue
        done += 1
        if as_json:
            click.echo(json.dumps({"image": source, "predictions": [vars(p) for p in answer]}, ensure_ascii=False))
            continue
        table(
            source,
            ["class", "label", "WordNet id", "probability", "logit"],
            [[str(p.index), p.label, p.wordnet_id or "", f"{p.probability:.2%}", f"{p.logit:.3f}"] for p in answer],
            numeric=["class", "probability", "logit"],
        )
    return finish(failures, done)
