"""One self-contained page: figures, curves, examples and plain words."""

from __future__ import annotations

import base64
import html
import io
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import require
from ..registry import METHODS
from ..viz.overlay import overlay
from .cache import write_whole
from .metrics import METRICS
from .scores import Example, Scores, arrow, figure
from .words import CAUTIONS_JA, METRIC_WORDS_JA, texts

FEW = 6
"""Images of which a sign-flip test can find p < 0.05 at all: 2 / 2⁶."""

COLORS = ("#0b6e99", "#c4451c", "#3d7a2a", "#7a3d91", "#b07c00", "#00796b", "#ad1457", "#5d4037", "#455a64", "#9e9d24")


def write_report(scores: Scores, path: str | Path, *, lang: str = "en") -> Path:
    """Write the page.

    Args:
        scores: the result of an evaluation.
        path: of the `.html` file; it refers to nothing outside of itself.
        lang: "en" or "ja".

    Returns:
        The path.

    Raises:
        MissingDependency: without jinja2.
    """
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as problem:
        raise require("jinja2", "evaluate", "The report") from problem
    environment = Environment(
        loader=PackageLoader("shisen.evaluation", "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("report.html").render(content(scores, lang))
    write_whole(Path(path), page.encode("utf-8"))
    return Path(path)


def content(scores: Scores, lang: str = "en") -> dict[str, Any]:
    """Return what the page says, as plain data."""
    words = texts(lang)
    return {
        "lang": lang,
        "t": words,
        "facts": scores.facts,
        "reference": scores.reference,
        "heads": [(k, arrow(k)) for k in scores.metrics],
        "table": table(scores),
        "cautions": cautions(scores, lang),
        "few": scores.facts.get("n_images", FEW) < FEW,
        "differences": [(d, words[d.verdict]) for d in scores.differences if d.method not in scores.control_maps],
        "curves": [
            (k, curves(scores, k)) for k in scores.metrics if any(scores.curve(m, k).size for m in scores.methods)
        ],
        "legend": [(m, COLORS[i % len(COLORS)], m in scores.control_maps) for i, m in enumerate(scores.methods)],
        "by": judged_by(scores),
        "examples": examples(scores),
        "agreement": [
            (a, b, f"{r:.2f}", f"{s:.2f}")
            for (a, b), (r, s) in scores.agreement.items()
            if a not in scores.control_maps or b not in scores.control_maps
        ],
        "metrics": [(k, METRICS[k], _meaning(k, lang), _direction(k, words)) for k in scores.metrics],
        "failures": scores.failures,
    }


def cautions(scores: Scores, lang: str = "en") -> list[str]:
    """Return what a reader of the evaluated methods' maps must know, a sentence a method that needs one."""
    found: dict[str, str] = {}
    for setting in scores.facts.get("settings", ()):
        words = METHODS[setting["method"]].caution if setting["method"] in METHODS else ""
        if words:
            found[setting["method"]] = CAUTIONS_JA.get(words, words) if lang == "ja" else words
    return [texts(lang)["caution"].format(method, words) for method, words in found.items()]


def _meaning(metric: str, lang: str) -> str:
    return METRIC_WORDS_JA.get(metric, METRICS[metric].summary) if lang == "ja" else METRICS[metric].summary


def _direction(metric: str, words: dict[str, str]) -> str:
    return words[{True: "higher", False: "lower", None: "neither"}[METRICS[metric].higher_is_better]]


def table(scores: Scores) -> list[tuple[str, bool, list[tuple[str, bool]]]]:
    """Return (method, whether a floor, cells with whether the best of the methods)."""
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
    """Return the figures as an HTML table, for notebooks."""
    head = "".join(f"<th>{html.escape(k)} {arrow(k)}</th>" for k in scores.metrics)
    body = ""
    for m, floor, cells in table(scores):
        drawn = "".join(f"<td>{'<b>' if best else ''}{c}{'</b>' if best else ''}</td>" for c, best in cells)
        body += f"<tr><th>{html.escape(m)}{' (floor)' if floor else ''}</th>{drawn}</tr>"
    return f"<table><tr><th></th>{head}</tr>{body}</table>"


def curves(scores: Scores, metric: str) -> list[dict[str, Any]]:
    """Return the mean curves of a metric as points of an SVG of 300 × 160 units."""
    found = []
    for i, m in enumerate(scores.methods):
        y = scores.curve(m, metric)
        if y.size > 1:
            x = np.linspace(0.0, 300.0, y.size)
            clipped = np.clip(y, 0.0, 1.0)
            points = " ".join(f"{a:.1f},{160.0 * (1.0 - b):.1f}" for a, b in zip(x, clipped, strict=True))
            found.append(
                {"method": m, "points": points, "color": COLORS[i % len(COLORS)], "floor": m in scores.control_maps}
            )
    return found


def judged_by(scores: Scores) -> str:
    """Return the metric by which examples are chosen: the first that says something about quality."""
    preferred = ("insertion_deletion", "adcc", "insertion", "deletion")
    return next(
        (k for k in (*preferred, *scores.metrics) if k in scores.metrics and METRICS[k].higher_is_better is not None),
        scores.metrics[0],
    )


def examples(scores: Scores) -> list[dict[str, Any]]:
    """Return the best, the middle and the worst image of every method, as embedded images."""
    metric = judged_by(scores)
    sign = 1.0 if METRICS[metric].higher_is_better is not False else -1.0
    found = []
    for m in scores.methods:
        if m in scores.control_maps:
            continue
        rows = [r for r in scores.of(m, metric).values() if np.isfinite(r.value) and r.image in scores.examples]
        rows.sort(key=lambda r: -sign * r.value)
        if not rows:
            continue
        chosen = {"best_case": rows[0], "median_case": rows[len(rows) // 2], "worst_case": rows[-1]}
        cases = []
        for kind, row in chosen.items():
            exhibit = scores.examples[row.image]
            cases.append(
                {
                    "kind": kind,
                    "value": f"{row.value:.3g}",
                    "label": f"{exhibit.label} ({exhibit.chance:.0%})",
                    "source": Path(exhibit.source).name,
                    "image": drawn(exhibit, m),
                }
            )
        found.append({"method": m, "cases": cases})
    return found


def drawn(exhibit: Example, method: str) -> str:
    """Return the image with the map over it, as a data address."""
    return data_address(overlay(exhibit.pixels, exhibit.heats[method].astype(np.float32) / 255.0, "blend"))


def data_address(image: Any) -> str:
    """Return a PIL image as a data address."""
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, format="JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


__all__ = ["content", "html_table", "write_report"]
