"""shisen attention"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .common import images_of, load_model, model_options, quiet_warnings


@click.command()
@click.argument("image")
@model_options
@click.option(
    "--out",
    default="shisen_out/heads.png",
    show_default=True,
    type=click.Path(path_type=Path),
    help="An image (.png, .jpg, .webp), or a page with sliders (.html).",
)
@click.option("--lang", type=click.Choice(["en", "ja"]), default="en", show_default=True, help="Of the page.")
def attention(image: str, out: Path, lang: str, **choice: Any) -> None:
    """Show where every head of every layer looks in one IMAGE, and the rollout through all of them.

    In networks with windows (Swin, MaxViT): what each place receives within its window; there is no rollout.

    For transformers: timm:vit_small_patch16_224, hf:google/vit-base-patch16-224, torchvision:swin_t.
    """
    from ..inspect.attention_maps import attention as verb

    if out.suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp", ".html"):
        raise click.UsageError(f"--out must end in .png, .jpg, .webp or .html; received {str(out)!r}.")
    (source,) = images_of([image])[:1]
    model = load_model(choice)
    with quiet_warnings():
        found = verb(model, source)
        written = found.save(out, lang)
    told = found.manifest()
    heads = told["heads"] if isinstance(told["heads"], int) else f"{min(told['heads'])} to {max(told['heads'])}"
    click.echo(f"{source}: {len(found.layers)} layers × {heads} heads, seen from the {told['read by']} → {written}")
