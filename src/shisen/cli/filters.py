"""shisen filters"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .common import images_of, load_model, quiet_warnings, wrote
from .model_options import model_options
from .options import lang_option, layer_option, out_option, seed_option
from .progress import Bar
from .values import numbers_of


@click.command()
@model_options
@layer_option("Layer of the channels, or 'logits' for classes (the default layer if omitted).")
@click.option(
    "--grid", default=8, show_default=True, type=click.IntRange(min=1), help="Images per row; the first N × N channels."
)
@click.option("--channel", "-c", "channels", multiple=True, help="Channel or class indices such as 0-15,40.")
@click.option(
    "--recipe",
    type=click.Choice(["modern", "strong", "maco", "article"]),
    default="modern",
    show_default=True,
    help="Optimization recipe.",
)
@click.option(
    "--image-size",
    default=128,
    show_default=True,
    type=click.IntRange(min=8),
    help="Size of the generated images in pixels.",
)
@click.option(
    "--n-steps",
    default=None,
    type=click.IntRange(min=1),
    help="Number of optimization steps (set by the recipe by default).",
)
@seed_option
@click.option(
    "--examples", default=None, help="Folder of photos; the crops that maximally activate each channel are added."
)
@click.option(
    "--site", default=None, type=click.Path(path_type=Path), help="Also write one HTML page per channel to this folder."
)
@lang_option("pages")
@out_option("filters.png", "Output file: .png, .jpg or .webp.")
def filters(layer: str | None, out: Path, **choice: Any) -> None:
    """Visualize features: generate images that maximally activate the channels of a layer.

    With --examples, generated images are compared with real photos; one that activates its channel less is crossed out.
    """
    from ..inspect.feature_visualization import filters as verb

    keys = ("grid", "channels", "recipe", "image_size", "n_steps", "seed", "examples", "site", "lang")
    own = {k: choice.pop(k) for k in keys}
    photos = images_of([own["examples"]]) if own["examples"] else []
    model = load_model(choice)
    where = layer or model.default_layer
    wanted = numbers_of(own["channels"]) or _first(model, where, own["grid"] ** 2)
    with quiet_warnings(), Bar() as bar:
        made = verb(
            model,
            where,
            wanted,
            recipe=own["recipe"],
            size=own["image_size"],
            n_steps=own["n_steps"],
            seed=own["seed"],
            progress=bar,
        )
    examples = None
    if photos:
        from ..inspect.examples import crops

        examples = crops(model, where, wanted, photos)
        made = made.marked(made.compare(photos))
    files = [made.save(out, per_row=own["grid"])]
    click.echo(f"{int(made.fired.sum())} of {len(wanted)} channels of {where} fired")
    if made.ratio is not None:
        triple = int((made.ratio >= 3).sum())
        click.echo(
            f"{triple} of {len(wanted)} activate their channel at least 3 × as much as any of {len(photos)} photos"
        )
    if examples is not None:
        files.append(out.with_name(f"{out.stem}_examples{out.suffix}"))
        examples.save(files[-1], made)
    if own["site"] is not None:
        from ..inspect.site import site

        files.append(site([(made, examples)], own["site"], lang=own["lang"]))
    wrote(*files)


def _first(model: Any, layer: str, count: int) -> range:
    from ..errors import unknown

    if layer == "logits":
        return range(min(count, len(model.labels) or count))
    sizes = {point.path: point.shape[-1] for point in model.layers}
    if layer not in sizes:
        raise unknown("layer", layer, sizes, "See `shisen layers`.")
    return range(min(count, sizes[layer]))
