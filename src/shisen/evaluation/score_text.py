"""Scores as text: cells, the table for the terminal and the one for notebooks."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

import numpy as np

from ..types import Score
from .metrics import METRICS

if TYPE_CHECKING:
    from .scores import Scores


def arrow(metric: str) -> str:
    """Return ↑ where higher is better, ↓ where lower is, nothing elsewhere."""
    return {True: "↑", False: "↓", None: ""}[METRICS[metric].higher_is_better]


def figure(score: Score) -> str:
    """Return a mean with its interval, such as "0.41 [0.38, 0.44]"."""
    digits = 1 if METRICS[score.metric].unit == "%" else 3
    if np.isnan(score.value):
        return "–"
    if np.isnan(score.low):
        return f"{score.value:.{digits}f}"
    return f"{score.value:.{digits}f} [{score.low:.{digits}f}, {score.high:.{digits}f}]"


def text_table(scores: Scores) -> str:
    """Return the scores as text, one line per setting; * differs significantly from the reference."""
    marks = {(d.method, d.metric): d.verdict for d in scores.differences}
    lines = [["method", *(f"{k} {arrow(k)}" for k in scores.metrics)]]
    for m in scores.methods:
        cells = []
        for k in scores.metrics:
            mark = "*" if marks.get((m, k), "no clear difference") != "no clear difference" else " "
            cells.append(f"{figure(scores.score(m, k))}{mark}")
        lines.append([m + (" (control map)" if m in scores.control_maps else ""), *cells])
    widths = [max(len(row[i]) for row in lines) for i in range(len(lines[0]))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in lines)


def table(scores: Scores) -> list[tuple[str, bool, list[tuple[str, bool]]]]:
    """Return (method, whether a control map, cells with whether the best of the methods)."""
    best: dict[str, str] = {}
    for k in scores.metrics:
        own = [scores.score(m, k) for m in scores.methods if m not in scores.control_maps]
        own = [s for s in own if np.isfinite(s.value)]
        if own and METRICS[k].higher_is_better is not None:
            pick = max if METRICS[k].higher_is_better else min
            best[k] = pick(own, key=lambda s: s.value).method
    return [
        (m, m in scores.control_maps, [(figure(scores.score(m, k)), best.get(k) == m) for k in scores.metrics])
        for m in scores.methods
    ]


def html_table(scores: Scores) -> str:
    """Return the scores as an HTML table, for notebooks."""
    head = "".join(f"<th>{html.escape(k)} {arrow(k)}</th>" for k in scores.metrics)
    body = ""
    for m, control, cells in table(scores):
        drawn = "".join(f"<td>{'<b>' if best else ''}{c}{'</b>' if best else ''}</td>" for c, best in cells)
        body += f"<tr><th>{html.escape(m)}{' (control map)' if control else ''}</th>{drawn}</tr>"
    return f"<table><tr><th></th>{head}</tr>{body}</table>"
