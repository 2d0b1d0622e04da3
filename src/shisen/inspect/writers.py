"""The files that activations, attention maps and generated images are kept in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .._core.io import write_file
from .._core.writers import writer
from ..viz.files import save_image
from . import activation_page, attention_page

if TYPE_CHECKING:
    from .activations import ActivationGrids
    from .attention_result import AttentionResult
    from .examples import Examples
    from .filters import FilterGrid

IMAGES = (".png", ".jpg", ".jpeg", ".webp")


@writer("ActivationGrids", ".html")
def write_activation_page(grids: ActivationGrids, path: Path, *, scale: str = "channel", lang: str = "en") -> Path:
    """Write the page with every channel of every layer.

    Args:
        scale: as in `ActivationGrids.grid`.
    """
    html = activation_page.page(tuple(grids.maps.values()), grids.image, grids.model.name, scale=scale, lang=lang)
    write_file(path, html)
    return path


@writer("AttentionResult", *IMAGES)
def write_attention_sheet(heads: AttentionResult, path: Path, *, lang: str = "en") -> Path:
    """Write the sheet with every head, and its manifest beside it."""
    return save_image(heads.sheet(), path, heads.manifest())


@writer("AttentionResult", ".html")
def write_attention_page(heads: AttentionResult, path: Path, *, lang: str = "en") -> Path:
    """Write the page with sliders for the layer and the head."""
    write_file(path, attention_page.page(heads, lang))
    return path


@writer("FilterGrid", *IMAGES)
def write_filters(made: FilterGrid, path: Path, *, per_row: int = 8) -> Path:
    """Write the generated images as one sheet, and the facts about every image beside it.

    Args:
        per_row: images in a row.
    """
    return save_image(made.grid(per_row=per_row), path, made.manifest())


@writer("Examples", *IMAGES)
def write_examples(found: Examples, path: Path, *, made: FilterGrid) -> Path:
    """Write the generated images beside the crops that activate the same channels most.

    Args:
        made: the generated images of the same channels.
    """
    return save_image(found.draw(made), path)
