"""shisen attention"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .common import images_of, load_model, quiet_warnings
from .model_options import model_options
from .options import lang_option, out_option

QUERIES = {
    "class_token": "attention of the class token",
    "mean": "mean attention of all positions",
    "window": "attention received within each window",
}


@click.command()
@click.argument("image")
@model_options
@out_option("attention.png", "Output file: an image (.png, .jpg, .webp), or a page with sliders (.html).")
@lang_option("page")
def attention(image: str, out: Path, lang: str, **choice: Any) -> None:
    """Show the attention of every head in every layer of a transformer for one IMAGE, and the rollout over all layers.

    In networks with windowed attention (Swin, MaxViT), a map shows what each position receives within its window,
    and there is no rollout.

    Examples of models: timm:vit_small_patch16_224, hf:google/vit-base-patch16-224, torchvision:swin_t.
    """
    from ..inspect.attention_maps import attention as verb

    if out.suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp", ".html"):
        raise click.UsageError(f"--out must end in .png, .jpg, .webp or .html; received {str(out)!r}.")
    (source,) = images_of([image])[:1]
    model = load_model(choice)
    with quiet_warnings():
        found = verb(model, source)
        written = found.save(out, lang)
    facts = found.manifest()
    heads = facts["heads"] if isinstance(facts["heads"], int) else f"{min(facts['heads'])} to {max(facts['heads'])}"
    click.echo(f"{source}: {len(found.layers)} layers × {heads} heads, {QUERIES[facts['query']]} → {written}")
