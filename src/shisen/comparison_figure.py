"""A comparison as one figure: the image first, targets in rows, methods in columns, and the record beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ._core.io import write_file
from ._core.writers import writer
from .results import Failure
from .viz.colormap import is_diverging
from .viz.figure import ColorBar, Panel, grid_figure, save_figure
from .viz.files import to_json
from .viz.overlay import displayable

if TYPE_CHECKING:
    from .comparison import Comparison


def figure(
    found: Comparison, *, style: str = "blend", colormap: str = "jet", alpha: float = 0.4, columns: int = 6
) -> Any:
    """Draw all maps in one matplotlib figure, with time and passes under each.

    Args:
        found: the comparison.
        style: as in `Explanation.overlay`.
        colormap: as in `Explanation.overlay`.
        alpha: as in `Explanation.overlay`.
        columns: number of methods side by side before a new band begins.

    Returns:
        The figure.
    """
    rows: list[list[Panel | None]] = []
    names: list[str] = []
    bands = [found.methods[i : i + columns] for i in range(0, len(found.methods), columns)]
    for b, band in enumerate(bands):
        for t, target in enumerate(found.targets):
            row: list[Panel | None] = [_image_panel(found) if b == 0 else None]
            row += [_panel(found, t, method, style, colormap, alpha) for method in band]
            rows.append(row + [None] * (1 + min(columns, len(found.methods)) - len(row)))
            names.append(target)
    low = -1.0 if is_diverging(colormap) else 0.0
    return grid_figure(
        rows,
        row_titles=names,
        title=f"{found.model}: {Path(found.image.source).name}",
        color_bar=ColorBar(colormap, "fraction of the map's largest value", low, 1.0),
    )


def _image_panel(found: Comparison) -> Panel:
    h, w = found.image.size
    return Panel(displayable(found.image.pixels), "image", f"{w} × {h}")


def _panel(found: Comparison, row: int, method: str, style: str, colormap: str, alpha: float) -> Panel:
    cell = found[row, method]
    if isinstance(cell, Failure):
        gray = (displayable(found.image.pixels).astype(np.float32) * 0.15 + 200).astype(np.uint8)
        return Panel(gray, method, "not applicable to this model")
    where = f" at {cell.layer}" if cell.layer else ""
    cost = str(found.timings[method]) if method in found.timings else ""
    return Panel(np.asarray(cell.overlay(style, colormap, alpha)), f"{method}{where}", cost)


@writer("Comparison", ".png", ".svg", ".pdf")
def write_figure(found: Comparison, path: Path, **drawing: Any) -> Path:
    """Write the figure, with a JSON record of every panel beside it.

    Args:
        **drawing: as in `figure`.
    """
    file = save_figure(figure(found, **drawing), path)
    record = {
        "model": found.model,
        "image": {"source": found.image.source, "sha256": found.image.sha256},
        "timings": {m: {"seconds": t.seconds, "passes": t.passes} for m, t in found.timings.items()},
        "failures": found.failures,
        "panels": [cell.manifest() for row in found.cells for cell in row if not isinstance(cell, Failure)],
    }
    write_file(file.with_suffix(".json"), (to_json(record) + "\n"))
    return file
