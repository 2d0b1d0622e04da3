"""The report: one HTML file that needs nothing else, in plain words, the verdict first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .._core.html import render
from .._core.io import write_file
from ..targets import to_numpy
from .artefacts.base import Artefact, Images, box_of
from .artefacts.compound import pieces
from .findings import Finding
from .report_sections import class_pages, mistakes, pairs, percent
from .scanned import map_layer
from .testing import LEAST_IMAGES, images_of
from .thumbnails import opened, thumbnail
from .versus import identity
from .words import LANGUAGES, verdict_used

if TYPE_CHECKING:
    from ..models.model import Model
    from .confusion import Confusion, Fraction
    from .record import Audit
    from .scanned import Scan

CARDS, GLANCE = 12, 3
NAMES = {"grad_cam": "Grad-CAM", "layer_cam": "LayerCAM", "guided_backprop": "Guided backprop"}


def write_report(
    result: Audit,
    model: Model,
    scan: Scan,
    *,
    record: Mapping[str, Any],
    considered: int,
    path: Path,
    lang: str,
) -> tuple[dict[str, Any], ...]:
    """Write the report, and return its cards, one a finding.

    Args:
        result: what was found.
        model: the audited network.
        scan: what is kept of every image.
        record: as in findings.json.
        considered: how many candidates were tested.
        path: the file.
        lang: its language.

    Returns:
        What the report shows of the first findings: headline, severity, sentences, images before and after.
    """
    words = LANGUAGES[lang]
    worst = result.worst()
    maps = words["maps_chosen" if record["method"] else "maps_usual"]
    images = images_of(model, scan)
    nature = [f for f in result.findings if f.nature and not f.used]
    listed = [f for f in result.findings if not f.nature or f.used]
    rest = listed[CARDS:]
    cards = tuple(_card(images, scan, f, result.labels, words) for f in listed[:CARDS])
    page = render(
        "shisen.auditing",
        "report.html",
        lang,
        extra="audit",
        w=words,
        worst=worst,
        verdict=_verdict(result, worst, lang),
        few=_few(result, words),
        accuracy=_fraction(result.confusion.accuracy),
        cards=cards,
        idle=sum(f.used for f in listed[:CARDS]),
        names=NAMES,
        hardest=_hardest(result.confusion),
        glance=[{**c, "index": i} for i, c in enumerate(cards[:GLANCE]) if c["pairs"]],
        more=[_brief(result.labels, f, words) for f in rest],
        nature=[_brief(result.labels, f, words) for f in nature],
        confusion=_matrix(result.confusion),
        other=None if result.other is None else _beside(model, scan, result, words),
        mistakes=mistakes(model, scan, result.confusion),
        pairs=pairs(model, scan, result.confusion),
        classes=class_pages(model, scan, result.confusion),
        unreadable=result.unreadable,
        record=record,
        considered=considered,
        how=words["how"].format(maps=maps.format(layer=map_layer(model) or "–", method=record["method"])),
    )
    write_file(path, page)
    return cards


def _fraction(fraction: Fraction) -> dict[str, Any]:
    low, high = fraction.interval
    return {"value": f"{100 * fraction.value:.1f} %", "hits": fraction.hits, "n": fraction.n,
            "low": percent(low), "high": percent(high)}  # fmt: skip


def _verdict(result: Audit, worst: str, lang: str) -> str:
    """Return the headline; it counts only what was tested."""
    if worst in ("high", "medium"):
        return verdict_used(worst, sum(f.used for f in result.findings), lang)
    words = LANGUAGES[lang]
    if not result.findings and len(result.too_few) == sum(s.n > 0 for s in result.confusion.recall):
        return str(words["verdict_few"].format(n=LEAST_IMAGES))
    cleared = sum(f.state == "not_used" for f in result.findings)
    n = len(result.findings)
    return str(words[f"verdict_{worst}"].format(n=n, cleared=cleared, open=n - cleared))


def _few(result: Audit, words: Any) -> str:
    """Return which classes have too few images to say anything about them."""
    if not result.too_few:
        return ""
    names = ", ".join(result.too_few[:12]) + (" …" if len(result.too_few) > 12 else "")
    return str(words["few_classes"].format(n=len(result.too_few), least=LEAST_IMAGES, names=names))


def what(finding: Finding, words: Any) -> str:
    """Return what was found, in words.

    Args:
        finding: the finding.
        words: the texts of the report.
    """
    return named(finding.candidate.artefact, words)


def named(artefact: Artefact, words: Any) -> str:
    """Return the name of an artefact, in words.

    Args:
        artefact: the artefact.
        words: the texts of the report.
    """
    key, fills = artefact.words()
    text = words.get(key, key)  # a kind of another package may name itself
    return str(text.format(**{name: words[value] for name, value in fills.items()}))


def _headline(labels: Sequence[str], finding: Finding, words: Any) -> str:
    return str(words["headline"].format(label=labels[finding.candidate.label], what=what(finding, words)))


def _brief(labels: Sequence[str], finding: Finding, words: Any) -> str:
    return f"{_headline(labels, finding, words)} – {_status(finding, words)}"


def _status(finding: Finding, words: Any) -> str:
    return str(words[finding.state])


def _signed(value: float) -> str:
    """Return a fraction as points with their sign, and none at zero."""
    return f"{100 * value:+.0f}" if abs(value) >= 0.005 else "0"


def _lines(finding: Finding, label: str, words: Any) -> list[str]:
    """Return what was counted, what interventions did and what decided, in sentences."""
    c, e = finding.candidate, finding.effect
    lines = [words["associated"].format(n=len(c.members), inside=c.inside, label=label)]
    others = [named(a, words) for a in pieces(c.artefact)[1:]]
    if others:
        lines.append(words["also"].format(what="; ".join(dict.fromkeys(others))))
    if e is None:
        return [*lines, words[f"why_{finding.reason}"]]
    points = {k: _signed(getattr(e, k)) for k in ("effect", "low", "high")}
    fractions = {k: percent(getattr(e, k)) for k in ("before", "after", "control")}
    put_on = words["put_on" if finding.used else "put_on_idle"].format(n=e.tested, label=label, **points, **fractions)
    control = words.get(c.artefact.control_words, c.artefact.control_words).format(**fractions)
    lines.append(f"{put_on} {control}" if e.controlled and (finding.used or e.control > e.before) else put_on)
    if e.witness is not None:
        lines.append(words["witness"].format(witness=_signed(e.witness)))
    if e.undone_tested:
        kept, undone = percent(e.kept), percent(e.undone)
        taken = words["taken_off_same" if kept == undone else "taken_off"]
        lines.append(taken.format(n=e.undone_tested, label=label, kept=kept, undone=undone))
    if not finding.used:
        likeness = percent(min(max(e.fidelity or 0.0, 0.0), 1.0))
        decided = words[f"why_{finding.reason or finding.state}"]
        lines.append(decided.format(fidelity=likeness, upper=f"{100 * e.upper:.1f}", **fractions))
    return lines


def _card(images: Images, scan: Scan, finding: Finding, labels: Sequence[str], words: Any) -> dict[str, Any]:
    c, e = finding.candidate, finding.effect
    label = labels[c.label]
    own = [i for i in c.members if scan.true[i] == c.label] or list(c.members)
    return {
        "headline": _headline(labels, finding, words),
        "severity": finding.severity,
        "makes": ""
        if e is None
        else words["makes"].format(label=label, before=percent(e.before), after=percent(e.after)),
        "tags": [
            words["in_data"] if finding.in_data else words["not_in_data"],
            _status(finding, words),
        ],
        "lines": _lines(finding, label, words),
        "members": [thumbnail(_marked(images, i, finding)) for i in own[:5]],
        "pairs": _pairs(images, finding) if finding.used else [],
    }


def _marked(images: Images, row: int, finding: Finding) -> Any:
    """Return an image with a frame around the patch."""
    from PIL import Image, ImageDraw

    pixels = images.read(row)
    mask = finding.candidate.artefact.mask_in(row)
    if mask is None or not mask.any():
        return pixels
    box = box_of(mask)
    image = Image.fromarray(pixels).resize((264, round(264 * pixels.shape[0] / pixels.shape[1])))
    if box[2] - box[0] > 0.95 and box[3] - box[1] > 0.95:
        return pixels  # a frame would hide what lies at the edges
    size = (image.width, image.height) * 2
    edges = [v * s + d for v, s, d in zip(box, size, (-4, -4, 4, 4), strict=True)]
    frame = [min(max(v, 0), s - 1) for v, s in zip(edges, size, strict=True)]
    ImageDraw.Draw(image).rectangle(frame, outline=(255, 60, 0), width=4)
    return np.asarray(image)


def _pairs(images: Images, finding: Finding) -> list[dict[str, Any]]:
    """Return examples before and after, with the prediction for each."""
    if finding.effect is None:
        return []
    alter = finding.candidate.artefact.intervention(finding.candidate, images).apply
    if alter is None:
        return []
    model, found = images.model, []
    from ..types import InputImage

    for row in finding.effect.examples:
        pixels = images.read(row)
        altered = alter(pixels, row)
        both = np.stack([model.prepare(InputImage(p, "array"))[0] for p in (pixels, altered)])
        predicted = model.predictions(to_numpy(model.activations(both)), 1)
        found.append(
            {
                "before": thumbnail(pixels), "after": thumbnail(altered),
                "predicted": [f"{p[0].label} {percent(p[0].probability)}".replace(" %", "\u00a0%") for p in predicted],
            }
        )  # fmt: skip
    return found


def _hardest(matrix: Confusion) -> list[tuple[str, str]]:
    """Return the three classes recognized least often, where any is not always recognized."""
    order = sorted(zip(matrix.labels, matrix.recall, strict=True), key=lambda one: (one[1].value, one[0]))
    return [(label, percent(fraction.value)) for label, fraction in order if fraction.n and fraction.value < 1][:3]


def _matrix(matrix: Confusion) -> dict[str, Any]:
    fractions = [[v / max(sum(row), 1) for v in row] for row in matrix.counts]
    return {
        "labels": matrix.labels,
        "counts": matrix.counts,
        "shades": [[f"{0.85 * v:.3f}" for v in row] for row in fractions],
        "recall": [_fraction(s) for s in matrix.recall],
        "largest": matrix.largest[:5],
        "accuracy": _fraction(matrix.accuracy),
        "calibration": [
            (percent(c), percent(a), n, 100 * c, 100 * a, 3 + 6 * (n / max(matrix.accuracy.n, 1)) ** 0.5)
            for c, a, n in matrix.calibration
        ],
        "error": f"{100 * matrix.calibration_error:.1f}",
    }  # fmt: skip


def _beside(model: Model, scan: Scan, result: Audit, words: Any) -> dict[str, Any]:
    """Return a second model beside the first: accuracies, candidates and images that only one of them gets right."""
    other = result.other
    assert other is not None
    theirs = {identity(f.candidate): f for f in other.findings}
    ours = {identity(f.candidate): f for f in result.findings}
    table = []
    for which in [*ours, *(k for k in theirs if k not in ours)]:
        one = ours.get(which) or theirs[which]
        table.append({"headline": _headline(result.labels, one, words), "cells": [
            _cell(found.get(which), words) for found in (ours, theirs)
        ]})  # fmt: skip
    return {
        **_matrix(other.confusion),
        "name": other.name,
        "p": "< 0.001" if other.p < 0.001 else f"= {other.p:.3f}",
        "candidates": table[:CARDS],
        "only": [
            {"who": who, "n": len(rows), "images": [_named(model, scan, i) for i in rows[:6]]}
            for who, rows in ((model.name, other.only_first), (other.name, other.only_other))
        ],
    }  # fmt: skip


def _named(model: Model, scan: Scan, row: int) -> dict[str, str]:
    return {"image": thumbnail(opened(model, scan.paths[row])), "name": scan.names[row]}


def _cell(finding: Finding | None, words: Any) -> dict[str, Any]:
    if finding is None:
        return {"used": False, "words": words["not_proven"]}
    if finding.effect is None:
        return {"used": False, "words": _status(finding, words)}
    size = words["points"].format(effect=_signed(finding.effect.effect))
    return {"used": finding.used, "words": f"{_status(finding, words)} ({size})"}
