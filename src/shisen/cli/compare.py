"""shisen compare"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .common import images_of, load_model, model_options, quiet_warnings, table, target_of


@click.command()
@click.argument("image")
@model_options
@click.option("--methods", default="all", show_default=True, help="Names divided by commas, or all.")
@click.option(
    "--targets",
    default="top1",
    show_default=True,
    help="Classes divided by semicolons, 'a / b' for a contrast, or top2 for the two top classes.",
)
@click.option("--layer", default=None, help="The point at which CAMs work.")
@click.option(
    "--score",
    type=click.Choice(["logit", "probability", "log_probability"]),
    default="logit",
    show_default=True,
    help="What is explained of the class.",
)
@click.option(
    "--style",
    type=click.Choice(["blend", "mask", "heatmap", "contour"]),
    default="blend",
    show_default=True,
    help="How the maps are drawn.",
)
@click.option("--colormap", default="jet", show_default=True, help="Any matplotlib name.")
@click.option("--alpha", default=0.4, show_default=True, type=click.FloatRange(0, 1), help="Strength of the colors.")
@click.option("--alone", is_flag=True, help="Let every method do all its work itself, so that the times compare.")
@click.option(
    "--out",
    default="shisen_out/comparison.png",
    show_default=True,
    type=click.Path(path_type=Path),
    help="PNG, SVG or PDF.",
)
def compare(
    image: str, methods: str, targets: str, layer: str | None, score: str, alone: bool, out: Path, **choice: Any
) -> int:
    """Explain one IMAGE by several methods and for several classes, in one figure with times."""
    from .. import attribution as _fill_registry  # noqa: F401
    from ..comparison import compare as run
    from ..registry import METHODS, suiting
    from .progress import steps

    drawing = {k: choice.pop(k) for k in ("style", "colormap", "alpha")}
    (source,) = images_of([image])[:1]
    model = load_model(choice)
    names = suiting(model) if methods == "all" else [m.strip() for m in methods.split(",")]
    with quiet_warnings(), steps(len(names), "Comparing") as step:
        found = run(model, source, names, targets_of(targets), layer=layer, score=score, share=not alone, progress=step)
        written = found.save(out, **drawing)
    table(
        f"{found.model}: {' | '.join(found.targets)}",
        ["method", "seconds", "passes", "unit", "why not"],
        found.table(),
        numeric=["seconds", "passes"],
    )
    for name in names:
        if name in METHODS and METHODS[name].caution:
            click.echo(f"Caution: {name} {METHODS[name].caution}.")
    click.echo(f"Written: {written} and {written.with_suffix('.json')}")
    return 1 if found.failures and methods != "all" else 0


def targets_of(text: str) -> list[Any]:
    """Read "top2" as the two top classes, else classes divided by semicolons."""
    from ..naming import top

    word = text.strip().lower()
    if word.startswith("top") and word[3:].isdigit():
        return [top(k) for k in range(int(word[3:]))]
    return [target_of(part) for part in text.split(";") if part.strip()]
