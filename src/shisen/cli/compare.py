"""shisen compare"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .common import images_of, load_model, quiet_warnings, wrote
from .model_options import model_options
from .options import drawing_options, layer_option, method_options, out_option, score_option, target_option
from .progress import Bar
from .tables import table
from .values import names_of, shared_options, target_of


@click.command()
@click.argument("image")
@model_options
@click.option("--methods", default="all", show_default=True, help="Comma-separated method names, or all.")
@target_option(
    "Target class, 'a / b' for a contrast, or top2 for the second most probable class; may be repeated.",
    multiple=True,
)
@click.option(
    "--top", default=None, type=click.IntRange(min=1), help="Explain this number of most probable classes instead."
)
@layer_option("Layer for methods of the CAM family (the default layer if omitted).")
@score_option
@method_options
@drawing_options
@click.option(
    "--alone",
    is_flag=True,
    help="Run every method on its own, without shared forward passes, so that run times are comparable.",
)
@out_option("comparison.png", "Output file: .png, .svg or .pdf.")
def compare(
    image: str, methods: str, target: tuple[str, ...], top: int | None, layer: str | None, out: Path, **choice: Any
) -> int:
    """Explain one IMAGE with several methods and for several classes, in one figure with run times."""
    from ..comparison import compare as run
    from ..naming import top as of_rank
    from ..registry import get, suiting

    if top and target:
        raise click.UsageError("--target and --top exclude each other.")
    targets = [of_rank(k) for k in range(top)] if top else [target_of(t) for t in target or ("top1",)]
    drawing = {k: choice.pop(k) for k in ("style", "colormap", "alpha")}
    score, alone = choice.pop("score"), choice.pop("alone")
    (source,) = images_of([image])[:1]
    model = load_model(choice)
    specs = [get(name) for name in (suiting(model) if methods == "all" else names_of(methods))]
    options = shared_options(choice, specs)
    with quiet_warnings(), Bar() as bar:
        names = [spec.name for spec in specs]
        found = run(
            model, source, names, targets, layer=layer, score=score, options=options, reuse=not alone, progress=bar
        )
        written = found.save(out, **drawing)
    table(
        f"{found.model}: {' | '.join(found.targets)}",
        ["method", "seconds", "passes", "unit", "error"],
        found.table(),
        numeric=["seconds", "passes"],
    )
    for spec in specs:
        if spec.caution:
            click.echo(f"Caution: {spec.name} {spec.caution}.")
    wrote(written, written.with_suffix(".json"))
    return 1 if found.failures and methods != "all" else 0
