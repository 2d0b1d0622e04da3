"""shisen predict"""

from __future__ import annotations

import json
from typing import Any

import click

from .common import finish, images_of, inputs_of, load_model, quiet_warnings
from .model_options import model_options
from .options import json_option
from .progress import progress
from .tables import table


@click.command()
@click.argument("images", nargs=-1, required=True)
@model_options
@click.option("--top", default=5, show_default=True, type=click.IntRange(min=1), help="Number of classes to print.")
@json_option
@click.option(
    "--quick",
    is_flag=True,
    help="Decode large JPEG files at reduced size: about four times as fast at 12 megapixels; probabilities differ "
    "slightly.",
)
def predict(images: tuple[str, ...], top: int, as_json: bool, quick: bool, **choice: Any) -> int:
    """Predict the most probable classes of IMAGES (files, folders, globs or URLs)."""
    from ..models.predicting import predict_each

    sources = images_of(images)
    model = load_model(choice, len(sources))
    sources = sources if model.rank == 2 else inputs_of(model, images)
    failures: list[tuple[str, str]] = []
    done = 0
    with quiet_warnings():
        for source, answer in progress(predict_each(model, sources, top, quick=quick), len(sources), "Predicting"):
            if isinstance(answer, str):
                failures.append((source, answer))
                continue
            done += 1
            if as_json:
                click.echo(json.dumps({"image": source, "predictions": [vars(p) for p in answer]}, ensure_ascii=False))
                continue
            if model.head == "none":  # numbers without probabilities
                numbers = [[str(p.index), p.label, f"{p.logit:.4g}"] for p in answer]
                table(source, ["output", "label", "value"], numeric=["output", "value"], rows=numbers)
                continue
            table(
                source,
                ["class", "label", "WordNet id", "probability", "logit"],
                [[str(p.index), p.label, p.wordnet_id or "", f"{p.probability:.2%}", f"{p.logit:.3f}"] for p in answer],
                numeric=["class", "probability", "logit"],
            )
    return finish(failures, done)
