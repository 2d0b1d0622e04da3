"""One self-contained page: scores, curves, examples and explanations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .._core.html import data_uri, render
from .._core.i18n import N_, translator
from .._core.io import write_file
from .._core.writers import writer
from ..registry import METHODS
from ..viz.overlay import overlay
from .metrics import METRICS
from .score_text import arrow, table
from .scores import Example, Scores

FEW = 6
"""Images of which a sign-flip test can find p < 0.05 at all: 2 / 2⁶."""

TOO_FEW = N_("With fewer than 6 images no difference can be significant, however large it is.")

COLORS = ("#0b6e99", "#c4451c", "#3d7a2a", "#7a3d91", "#b07c00", "#00796b", "#ad1457", "#5d4037", "#455a64", "#9e9d24")


@writer("Scores", ".html")
def write_report(scores: Scores, path: str | Path, *, lang: str = "en") -> Path:
    """Write the page.

    Raises:
        MissingDependency: without jinja2.
    """
    page = render("shisen.evaluation", "report.html", lang, extra="evaluate", **content(scores, lang))
    write_file(Path(path), page)
    return Path(path)


def content(scores: Scores, lang: str = "en") -> dict[str, Any]:
    """Return what the page says, as plain data.

    Args:
        scores: the scores.
        lang: language of the text, such as "en" or "ja".
    """
    _ = translator(lang)
    measured = [(k, METRICS[k]) for k in scores.metrics]
    return {
        "facts": scores.facts,
        "reference": scores.reference,
        "heads": [(k, arrow(k)) for k in scores.metrics],
        "table": table(scores),
        "cautions": cautions(scores, lang),
        "few": TOO_FEW if scores.facts.get("n_images", FEW) < FEW else "",
        "differences": [(d, _(d.verdict)) for d in scores.differences if d.method not in scores.control_maps],
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
        "metrics": [(k, m, *map(_, (m.summary, m.unit, m.direction))) for k, m in measured],
        "failures": scores.failures,
    }


def cautions(scores: Scores, lang: str = "en") -> list[str]:
    """Return what a reader of the evaluated methods' maps must know, a sentence a method that needs one.

    Args:
        scores: the scores.
        lang: language of the text, such as "en" or "ja".
    """
    found: dict[str, str] = {}
    for setting in scores.facts.get("settings", ()):
        words = METHODS[setting["method"]].caution if setting["method"] in METHODS else ""
        if words:
            found[setting["method"]] = words
    _ = translator(lang)
    return [_("Caution – {method}: {words}.", method=m, words=_(words)) for m, words in found.items()]


def curves(scores: Scores, metric: str) -> list[dict[str, Any]]:
    """Return the mean curves of a metric as points of an SVG of 300 × 160 units.

    Args:
        scores: the scores.
        metric: name of the metric.
    """
    found = []
    for i, m in enumerate(scores.methods):
        y = scores.curve(m, metric)
        if y.size > 1:
            x = np.linspace(0.0, 300.0, y.size)
            clipped = np.clip(y, 0.0, 1.0)
            points = " ".join(f"{a:.1f},{160.0 * (1.0 - b):.1f}" for a, b in zip(x, clipped, strict=True))
            found.append(
                {"method": m, "points": points, "color": COLORS[i % len(COLORS)], "control": m in scores.control_maps}
            )
    return found


def judged_by(scores: Scores) -> str:
    """Return the metric by which examples are chosen: the first with a direction."""
    preferred = ("insertion_deletion", "adcc", "insertion", "deletion")
    return next(
        (k for k in (*preferred, *scores.metrics) if k in scores.metrics and METRICS[k].higher_is_better is not None),
        scores.metrics[0],
    )


def examples(scores: Scores) -> list[dict[str, Any]]:
    """Return the best, the median and the worst image of every method, as embedded images."""
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
        chosen = {N_("best"): rows[0], N_("median"): rows[len(rows) // 2], N_("worst"): rows[-1]}
        samples = []
        for kind, row in chosen.items():
            example = scores.examples[row.image]
            samples.append(
                {
                    "kind": kind,
                    "value": f"{row.value:.3g}",
                    "label": f"{example.label} ({example.probability:.0%})",
                    "source": Path(example.source).name,
                    "image": drawn(example, m),
                }
            )
        found.append({"method": m, "samples": samples})
    return found


def drawn(example: Example, method: str) -> str:
    """Return the image with the map over it, as a data URI.

    Args:
        example: an evaluated image with its maps.
        method: name of the setting.
    """
    image = overlay(example.pixels, example.heats[method].astype(np.float32) / 255.0, "blend")
    return data_uri(image.convert("RGB"), "jpeg", quality=85)


__all__ = ["content", "write_report"]
