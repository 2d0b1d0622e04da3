"""The report: one HTML file that needs nothing else, in plain words, the verdict first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .._core.html import render
from .._core.i18n import Translator, translator
from .._core.io import write_file
from ..targets import to_numpy
from .artefacts.base import Images, box_of
from .context_sections import sections_of
from .finding_words import away_from, headline, sentences, signed
from .findings import Finding
from .report_sections import class_pages, mistakes, pairs, percent
from .scanned import map_layer
from .shared import lowered, lowers_own, shared
from .testing import LEAST_IMAGES
from .thumbnails import opened, thumbnail
from .versus import identity
from .words import MAKES, STATES

if TYPE_CHECKING:
    from ..models.model import Model
    from .confusion import Confusion, Fraction
    from .record import Audit
    from .scanned import Scan

CARDS, GLANCE = 12, 3
METHODS = {"grad_cam": "Grad-CAM", "layer_cam": "LayerCAM", "guided_backprop": "Guided backprop"}


def write_report(
    result: Audit,
    images: Images,
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
        images: the images, and the audited network.
        scan: what is kept of every image.
        record: as in findings.json.
        considered: how many candidates were tested.
        path: the file.
        lang: its language.

    Returns:
        What the report shows of the first findings: headline, severity, sentences, images before and after.
    """
    _, model = translator(lang), images.model
    worst = result.worst()
    layer = map_layer(model) or "–"
    maps = (
        _("method {method}", method=record["method"])
        if record["method"]
        else _("gradient × activation at the layer {layer}, in the same pass", layer=layer)
    )
    nature = [f for f in result.findings if f.nature and not f.used]
    listed = _listed(result.findings)
    rest = listed[CARDS:]
    cards = tuple(_card(images, scan, f, others, result.labels, _) for f, others in listed[:CARDS])
    page = render(
        "shisen.auditing",
        "report.html",
        lang,
        extra="audit",
        worst=worst,
        verdict=_verdict(result, worst, _),
        few=_few(result, _),
        sums=_sums(result, considered, _),
        accuracy=_fraction(result.confusion.accuracy),
        cards=cards,
        idle=sum(f.used for f, _others in listed[:CARDS]),
        names=METHODS,
        hardest=_hardest(result.confusion),
        glance=[{**c, "index": i} for i, c in enumerate(cards[:GLANCE]) if c["pairs"]],
        more=[_brief(result.labels, f, _) for f, _others in rest],
        nature=[_brief(result.labels, f, _) for f in nature],
        confusion=_matrix(result.confusion),
        other=None if result.other is None else _beside(model, scan, result, _),
        mistakes=mistakes(model, scan, result.confusion),
        pairs=pairs(model, scan, result.confusion),
        classes=class_pages(model, scan, result.confusion),
        beside=sections_of(result, model, scan, lang),
        unreadable=result.unreadable,
        record=record,
        considered=considered,
        maps=maps,
    )
    write_file(path, page)
    return cards


def _fraction(fraction: Fraction) -> dict[str, Any]:
    low, high = fraction.interval
    return {"value": f"{100 * fraction.value:.1f} %", "hits": fraction.hits, "n": fraction.n,
            "low": percent(low), "high": percent(high)}  # fmt: skip


def _verdict(result: Audit, worst: str, _: Translator) -> str:
    """Return the headline; it counts only what was tested."""
    used = sum(f.used for f, _others in _listed(result.findings))
    if worst == "high":
        return _.plural(
            "Do not trust this model yet: it relies on a shortcut.",
            "Do not trust this model yet: it relies on {n} shortcuts.",
            used,
        )
    if worst == "medium":
        return _.plural(
            "Check this model: its predictions are influenced by one thing that need not belong to the class.",
            "Check this model: its predictions are influenced by {n} things that need not belong to the class.",
            used,
        )
    if not result.findings and len(result.too_few) == sum(s.n > 0 for s in result.confusion.recall):
        return _("Too few images to tell: no class has the {n} images that an audit needs at least.", n=LEAST_IMAGES)
    if worst == "none":
        return _("No shortcut was found in these images.")
    cleared, n = sum(f.state == "not_used" for f in result.findings), len(result.findings)
    return _(
        "No shortcut was shown. {n} things go with a class in these images: the model does not use {cleared} of them; "
        "for {open}, that could not be decided.",
        n=n,
        cleared=cleared,
        open=n - cleared,
    )


def _listed(found: Sequence[Finding]) -> list[tuple[Finding, list[Finding]]]:
    """Return the findings that get a card, each with those of other classes that are the same thing.

    What the model uses comes first, then what pushes images away from a class; the nature of a class is left out.
    """
    groups = {g[0]: [found[i] for i in g[1:]] for g in shared(found)}
    inside = {id(f) for others in groups.values() for f in others}
    listed = [(f, groups.get(i, [])) for i, f in enumerate(found) if (f.used or not f.nature) and id(f) not in inside]
    return sorted(listed, key=lambda one: (not one[0].used, not (lowered(one[0]) or lowers_own(one[0]))))


def _sums(result: Audit, considered: int, _: Translator) -> str:
    """Return how many candidates there were and what became of them; the numbers add up."""
    states = [f.state for f in result.findings]
    text = _(
        "Tested: {n} candidates. The model uses {used} of them and does not use {not_used}; for {not_decided}, that "
        "could not be decided; {rest} go with a class no more than by chance.",
        n=considered,
        rest=considered - len(states),
        used=states.count("used"),
        not_used=states.count("not_used"),
        not_decided=states.count("not_decided"),
    )
    if not result.not_reached:
        return text
    n = result.not_reached
    unreached = _("{n} of those not decided were not reached within the budget; run the audit again for these.", n=n)
    return f"{text} {unreached}"


def _few(result: Audit, _: Translator) -> str:
    """Return which classes have too few images to say anything about them."""
    if not result.too_few:
        return ""
    names = ", ".join(result.too_few[:12]) + (" …" if len(result.too_few) > 12 else "")
    return _(
        "Too few images to tell for {n} classes, which have fewer than {least} images: {names}.",
        n=len(result.too_few),
        least=LEAST_IMAGES,
        names=names,
    )


def _brief(labels: Sequence[str], finding: Finding, _: Translator) -> str:
    return f"{headline(labels, finding, _)} – {_status(finding, _)}"


def _status(finding: Finding, _: Translator) -> str:
    return _(STATES[finding.state])


def _card(
    images: Images, scan: Scan, finding: Finding, others: Sequence[Finding], labels: Sequence[str], _: Translator
) -> dict[str, Any]:
    c, e = finding.candidate, finding.effect
    say = sentences(finding, labels, _, others)
    label = labels[c.label]
    own = [i for i in c.members if scan.true[i] == c.label] or list(c.members)
    return {
        "headline": headline(labels, finding, _),
        "severity": finding.severity,
        "makes": ""
        if e is None
        else _(
            MAKES,
            label=label,
            before=percent(e.before),
            after=percent(e.after),
            n=e.tested,
            low=signed(e.low),
            high=signed(e.high),
        ),
        "tags": [
            _("in the data") if finding.in_data else _("association with the label not proven"),
            _status(finding, _),
            *(_("pushes away from “{label}”", label=name) for name in away_from(finding, labels)),
        ],
        "lines": [*say.main, *say.more],
        "main": say.main,
        "more": say.more,
        "todo": say.todo,
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
    """Return examples before and after, put on as it was measured, with the prediction for each."""
    if finding.effect is None or finding.effect.inside:
        return []
    how = finding.candidate.artefact.intervention(finding.candidate, images).ways[finding.effect.way]
    alter = (how if how.scaled is None else how.scaled(finding.effect.amount)).apply
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
                "predicted": [f"{p[0].label} {percent(p[0].probability)}" for p in predicted],
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


def _beside(model: Model, scan: Scan, result: Audit, _: Translator) -> dict[str, Any]:
    """Return a second model beside the first: accuracies, candidates and images that only one of them gets right."""
    other = result.other
    assert other is not None
    theirs = {identity(f.candidate): f for f in other.findings}
    ours = {identity(f.candidate): f for f in result.findings}
    table = []
    for which in [*ours, *(k for k in theirs if k not in ours)]:
        one = ours.get(which) or theirs[which]
        table.append({"headline": headline(result.labels, one, _), "cells": [
            _cell(found.get(which), _) for found in (ours, theirs)
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


def _cell(finding: Finding | None, _: Translator) -> dict[str, Any]:
    if finding is None:
        return {"used": False, "words": _("not proven")}
    if finding.effect is None:
        return {"used": False, "words": _status(finding, _)}
    size = _("{effect} points", effect=signed(finding.effect.effect))
    return {"used": finding.used, "words": f"{_status(finding, _)} ({size})"}
