"""Comparison figures and contact sheets: many small images that a person can take in at once."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from .._core.io import write_file
from ..errors import InputError, explain_error
from .legend import number
from .overlay import displayable
from .text import LATIN, covered, families, legible, width, wrap

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, SOFT = "#262626", "#6b6b6b"
TITLE, HEAD, BODY, NOTE = 13.0, 9.5, 8.0, 7.5  # points
LINE = 1.3 / 72.0  # height of a line in inches a point
GAP, MARGIN = 0.16, 0.22  # inches
CELL = 2.1  # longer side of a panel in inches
DPI = 160
FORMATS = ("png", "svg", "pdf")
BOLD = 1.17  # how much wider bold type is, at most


@dataclass(frozen=True)
class Panel:
    """One image of a figure.

    Attributes:
        image: `(H, W, 3)` uint8, or what `displayable` makes of it.
        title: above the panel.
        subtitle: below the title, smaller: such as the target and its score.
    """

    image: npt.NDArray[Any]
    title: str
    subtitle: str = ""


@dataclass(frozen=True)
class ColorBar:
    """The scale beside a figure.

    Attributes:
        colormap: the color map that the panels were drawn with.
        unit: what it measures, such as "fraction of the strongest evidence".
        low: number at the cold end.
        high: number at the hot end.
    """

    colormap: str
    unit: str
    low: float = 0.0
    high: float = 1.0


@dataclass(frozen=True)
class _Layout:
    """Sizes of a figure in inches, all known before anything is drawn."""

    cell: tuple[float, float]  # width, height of a panel
    heads: tuple[float, ...]  # height of the text above each row
    foot: float
    top: float
    left: float
    right: float
    columns: int
    subtitles: tuple[int, ...]  # lines in each row, so that titles stand on one line

    @property
    def size(self) -> tuple[float, float]:
        wide = self.left + self.columns * self.cell[0] + (self.columns - 1) * GAP + self.right
        high = self.top + sum(self.heads) + len(self.heads) * self.cell[1] + (len(self.heads) - 1) * GAP + self.foot
        return wide, high

    def corner(self, row: int, column: int) -> tuple[float, float]:
        """Return left and upper edge of a panel, in inches from the upper left corner of the figure."""
        x = self.left + column * (self.cell[0] + GAP)
        return x, self.top + sum(self.heads[: row + 1]) + row * (self.cell[1] + GAP)


def _em(points: float) -> float:
    return points / 72.0


def grid_figure(
    rows: Sequence[Sequence[Panel | None]],
    *,
    row_titles: Sequence[str] = (),
    title: str = "",
    notes: Sequence[str] = (),
    color_bar: ColorBar | tuple[str, str] | None = None,
) -> Figure:
    """Return a figure of panels in rows and columns; put the image itself first.

    All sizes follow from the text, so nothing is clipped and nothing overlaps. It is a bare matplotlib figure: no
    window, no state of pyplot, nothing to close.

    Args:
        rows: panels, row by row; None leaves a cell empty.
        row_titles: one a row, written upwards at its left.
        title: above everything.
        notes: one a column, below it: time and number of passes.
        color_bar: the scale of all maps, or color map and unit of one from 0 to 1.

    Returns:
        a matplotlib figure; write it with `save_figure`.

    Raises:
        InputError: if there is no panel.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = [panel for row in rows for panel in row if panel is not None]
    if not panels:
        raise InputError(explain_error("A figure needs a panel.", "none", "Pass at least one method and one target."))
    layout = _plan(rows, row_titles, title, notes, color_bar)
    wide, high = layout.size
    figure = Figure(figsize=(wide, high), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)

    def write(x: float, y: float, text: str, size: float, **style: Any) -> None:
        style = {"color": INK, "ha": "center", "va": "top", "multialignment": style.get("ha", "center"), **style}
        fonts = [LATIN] if style.get("weight") == "bold" else list(families())
        style |= {"fontsize": size, "family": fonts, "parse_math": False, "usetex": False}
        figure.text(x / wide, 1.0 - y / high, text, **style)

    if title:
        write(MARGIN, MARGIN, _heading(title, wide), TITLE, ha="left", weight=_weight(legible(title)))
    for r, row in enumerate(rows):
        for c, panel in enumerate(row):
            if panel is not None:
                x, y = layout.corner(r, c)
                _draw(figure, panel, (x, y, *layout.cell))
                words, small = _texts(panel, layout.cell[0])
                base = y - 0.08 - layout.subtitles[r] * BODY * LINE
                write(x + layout.cell[0] / 2, base, words, HEAD, va="baseline")
                if small:
                    write(x + layout.cell[0] / 2, base + 0.045, small, BODY, color=SOFT)
        if r < len(row_titles) and row_titles[r]:
            words = _side(row_titles[r], layout.cell[1])
            y = layout.corner(r, 0)[1] + layout.cell[1] / 2
            write(
                layout.left - 0.1,
                y,
                words,
                HEAD,
                ha="right",
                va="center",
                rotation=90,
                weight=_weight(words),
                multialignment="center",
            )
    bottom = layout.corner(len(rows) - 1, 0)[1] + layout.cell[1]
    for c, note in enumerate(notes[: layout.columns]):
        x = layout.corner(0, c)[0] + layout.cell[0] / 2
        write(x, bottom + 0.07, wrap(legible(note), layout.cell[0] / _em(NOTE)), NOTE, color=SOFT)
    if color_bar is not None:
        bar = _scale(color_bar)
        first = layout.corner(0, 0)[1]
        tall = min(bottom - first, 2.0 * CELL)
        _bar(figure, bar, (wide - layout.right + 0.16, (first + bottom - tall) / 2, 0.13, tall), write)
    return figure


def _scale(color_bar: ColorBar | tuple[str, str]) -> ColorBar:
    return color_bar if isinstance(color_bar, ColorBar) else ColorBar(*color_bar)


def _weight(words: str) -> str:
    """Return bold where the Latin font has it all; fonts for Japanese seldom come in bold."""
    return "bold" if covered(words) else "normal"


def _heading(title: str, wide: float) -> str:
    return wrap(legible(title), (wide - 2 * MARGIN) / _em(TITLE * BOLD))


def _side(title: str, high: float) -> str:
    return wrap(legible(title), high / _em(HEAD * BOLD))


def _texts(panel: Panel, room: float) -> tuple[str, str]:
    small = wrap(legible(panel.subtitle), room / _em(BODY)) if panel.subtitle else ""
    return wrap(legible(panel.title), room / _em(HEAD)), small


def _plan(
    rows: Sequence[Sequence[Panel | None]],
    row_titles: Sequence[str],
    title: str,
    notes: Sequence[str],
    color_bar: ColorBar | tuple[str, str] | None,
) -> _Layout:
    panels = [panel for row in rows for panel in row if panel is not None]
    ratios = [float(np.clip(p.image.shape[0] / p.image.shape[1], 0.1, 4.0)) for p in panels]
    tallest = max(ratios)
    cell = (CELL, CELL * tallest) if tallest <= 1.0 else (max(CELL / tallest, 1.1), CELL)
    heads, subtitles = [], []
    for row in rows:
        texts = [_texts(p, cell[0]) for p in row if p is not None]
        words = max((w.count("\n") + 1 for w, _ in texts), default=0)
        small = max((s.count("\n") + 1 for _, s in texts if s), default=0)
        subtitles.append(small)
        heads.append(words * HEAD * LINE + small * BODY * LINE + 0.1)
    columns = max(len(row) for row in rows)
    foot = MARGIN
    if any(notes):
        deepest = max(wrap(legible(n), cell[0] / _em(NOTE)).count("\n") + 1 for n in notes)
        foot += deepest * NOTE * LINE + 0.05
    left = MARGIN
    if any(row_titles):
        deepest = max(_side(t, cell[1]).count("\n") + 1 for t in row_titles)
        left += deepest * HEAD * LINE + 0.06
    right = MARGIN
    if color_bar is not None:
        bar = _scale(color_bar)
        right = 0.34 + _em(NOTE) * max(width(number(v)) for v in _ticks(bar)) + 0.1
        right += (_unit(bar).count("\n") + 1) * BODY * LINE + 0.12
    layout = _Layout(cell, tuple(heads), foot, MARGIN, left, right, columns, tuple(subtitles))
    if title:
        lines = _heading(title, layout.size[0]).count("\n") + 1
        layout = replace(layout, top=MARGIN + lines * TITLE * LINE + 0.1)
    return layout


def _draw(figure: Figure, panel: Panel, box: tuple[float, float, float, float]) -> None:
    """Draw a panel into left, top, width, height in inches; it keeps its own proportions, centered."""
    wide, high = (float(v) for v in figure.get_size_inches())
    x, y, width, height = box
    pixels = displayable(panel.image)
    h, w = pixels.shape[:2]
    scale = min(width / w, height / h)
    inner = (w * scale, h * scale)
    x, y = x + (width - inner[0]) / 2, y + (height - inner[1]) / 2
    axes = figure.add_axes((x / wide, 1.0 - (y + inner[1]) / high, inner[0] / wide, inner[1] / high))
    # shrunk once and well: a file of twenty photographs stays small, and thin lines do not flicker
    fine = (max(1, round(inner[0] * DPI * 2)), max(1, round(inner[1] * DPI * 2)))
    if w > fine[0]:
        pixels = np.asarray(Image.fromarray(pixels).resize(fine, Image.Resampling.LANCZOS))
    small = pixels.shape[1] < inner[0] * DPI / 2
    axes.imshow(pixels, interpolation="nearest" if small else "antialiased", aspect="auto", origin="upper")
    axes.set_axis_off()


def _bar(figure: Figure, bar: ColorBar, box: tuple[float, float, float, float], write: Any) -> None:
    from .colormap import table

    wide, high = (float(v) for v in figure.get_size_inches())
    x, y, broad, height = box
    axes = figure.add_axes((x / wide, 1.0 - (y + height) / high, broad / wide, height / high))
    axes.imshow(table(bar.colormap)[::-1][:, None], aspect="auto", interpolation="bilinear", origin="upper")
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_linewidth(0.5)
        side.set_color(INK)
    for fraction, value in zip((1.0, 0.5, 0.0), _ticks(bar), strict=True):
        write(x + broad + 0.05, y + fraction * height, number(value), NOTE, ha="left", va="center")
    write(wide - 0.12, y + height / 2, _unit(bar), BODY, ha="right", va="center", rotation=90, multialignment="center")


def _ticks(bar: ColorBar) -> tuple[float, float, float]:
    return bar.low, (bar.low + bar.high) / 2.0, bar.high


def _unit(bar: ColorBar) -> str:
    return wrap(legible(bar.unit), 1.1 / _em(BODY)) if bar.unit else ""


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> Path:
    """Write a figure as PNG, SVG or PDF, by the suffix; whole or not at all.

    Args:
        figure: from `grid_figure`, or any matplotlib figure.
        path: where to; folders that are missing are created.

    Returns:
        the path written.

    Raises:
        InputError: if the suffix is another one.
    """
    import io

    import matplotlib

    target = Path(path)
    kind = target.suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise InputError(
            explain_error(
                "A figure's file name must end in .png, .svg or .pdf.", repr(target.name), "Use .png if in doubt."
            )
        )
    buffer = io.BytesIO()
    # text stays text in PDF and becomes outlines in SVG, which then looks the same everywhere; no dates, so that
    # equal figures are equal files
    stamp = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[kind]
    settings = {"svg.fonttype": "path", "pdf.fonttype": 42, "svg.hashsalt": "shisen", "savefig.bbox": None}
    with matplotlib.rc_context({**settings, "savefig.dpi": "figure", "savefig.facecolor": "auto"}):
        figure.savefig(buffer, format=kind, metadata=stamp)
    write_file(target, buffer.getvalue())
    return target
