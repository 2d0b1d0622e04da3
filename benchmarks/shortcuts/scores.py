"""What the audit says about a planted artefact, held against what the model does; and all of it in one table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from cases import Planted, Sample
from PIL import Image
from plants import KINDS, PATCHES, title

from shisen.auditing.artefacts.compound import pieces

USED, UNUSED = 0.10, 0.02


def _own(finding: Any, model_label: str, labels: tuple[str, ...]) -> bool:
    return labels[finding.candidate.label] == model_label


def strength(finding: Any) -> float:
    """Return how clearly a finding counts: the lower limit of its effect beyond the control, in least effects.

    Args:
        finding: of the audit.

    Returns:
        0 for what was not tested, or what does less than its control.
    """
    e = finding.effect
    if e is None:
        return 0.0
    beyond = e.low - max(0.0, e.control - e.before)
    return max(0.0, beyond / finding.candidate.artefact.least_effect)


def f1(members: set[str], carried: set[str]) -> float:
    """Return how well two sets of images agree."""
    return 2 * len(members & carried) / max(len(members) + len(carried), 1)


def precision(ranked: list[str], carried: set[str]) -> float:
    """Return the average precision of a ranked list; what is not on it is never found."""
    hits, total = 0, 0.0
    for place, name in enumerate(ranked, 1):
        if name in carried:
            hits += 1
            total += hits / place
    return total / max(len(carried), 1)


def overlap(artefact: Any, ranked: dict[str, int], masks: Path) -> float:
    """Return the mean intersection over union of a patch with the planted masks of the images that carry it."""
    found = []
    for name, row in ranked.items():
        if (masks / name).is_file():
            mine = artefact.mask_in(row)
            if mine is None:
                continue
            mask = Image.open(masks / name).convert("L").resize(mine.shape[::-1], Image.Resampling.BOX)
            truth = np.asarray(mask) >= 128
            found.append((mine & truth).sum() / max((mine | truth).sum(), 1))
    return float(np.mean(found)) if found else 0.0


def planted_row(planted: Planted, true: float, facts: tuple[Any, set[str], Path]) -> dict[str, Any]:
    """Compare the findings about a class with the artefact planted there.

    A finding names the artefact if it is of its kind, its images agree with those that carry it (F1 at least 0.2),
    and, for a patch, its place overlaps the planted one. First: it is the first of the class's findings called used.
    """
    result, carried, masks = facts
    labels = result.labels
    own = [f for f in result.findings if labels[f.candidate.label] == planted.label]
    fits = []
    for finding in own:
        ranked = [result.names[i] for i in finding.candidate.members]
        fraction = f1(set(ranked), carried)
        kinds = KINDS.get(planted.plant, PATCHES)
        rows = dict(zip(ranked, finding.candidate.members, strict=True))
        artefact = finding.candidate.artefact
        own_kinds = {piece.kind for piece in pieces(artefact)}
        place = overlap(artefact, rows, masks) if own_kinds & set(PATCHES) else 0.0
        if own_kinds & set(kinds) and fraction >= 0.2 and (place > 0.05 or kinds is not PATCHES):
            fits.append((finding, ranked, place))
    named = max(fits, key=lambda fit: (fit[0].used, f1(set(fit[1]), carried)), default=None)
    used = [f for f in own if f.used]
    effect = None if named is None or named[0].effect is None else named[0].effect.effect
    return {
        "plant": planted.plant,
        "class": planted.label,
        "prevalence": planted.prevalence,
        "true": true,
        "first": bool(used) and any(used[0] is f for f, _, _ in fits),
        "used": named is not None and named[0].used,
        "listed": named is not None and named[0].in_data,
        "alarm": bool(used),
        "effect": effect,
        "ap": 0.0 if named is None else precision(named[1], carried),
        "iou": None if named is None or planted.plant in KINDS else named[2],
        "findings": [_said(f) for f in own],
    }


def _said(finding: Any) -> str:
    effect = "" if finding.effect is None else f" {100 * finding.effect.effect:+.0f}"
    sign = {1: "+", -1: "-"}.get(finding.candidate.artefact.direction, "")
    return f"{finding.candidate.kind}{sign}{' used' if finding.used else ''}{effect}"


def clean_rows(case: Sample, result: Any, truths: dict[str, dict[str, float]]) -> list[dict[str, Any]]:
    """Return a row for every class nothing was planted in: any finding called used is a false alarm there."""
    rows = []
    culprits = {p.label for p in case.plants}
    twin = next((p for p in case.plants if p.label == "*"), None)
    for label in result.labels:
        if label in culprits:
            continue
        own = [f for f in result.findings if result.labels[f.candidate.label] == label]
        rows.append(
            {
                "plant": "none" if twin is None else f"twin: {twin.plant}",
                "class": label,
                "true": 0.0 if twin is None else truths[twin.plant][label],
                "alarm": any(f.used for f in own),
                "strength": max((strength(f) for f in own), default=0.0),
                "findings": [_said(f) for f in own],
            }
        )
    return rows


def _rate(rows: list[dict[str, Any]], key: str) -> str:
    hits = sum(bool(r[key]) for r in rows)
    return f"{hits} of {len(rows)}" + (f" ({100 * hits / len(rows):.0f} %)" if rows else "")


def _lines(rows: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Return the question, the target and the measured value."""
    planted = [r for r in rows if "prevalence" in r]
    used, unused = [r for r in planted if r["true"] >= USED], [r for r in rows if r["true"] < UNUSED]
    often, rarely = [r for r in used if r["prevalence"] >= 0.25], [r for r in used if r["prevalence"] < 0.25]
    idle = [r for r in planted if r["true"] < UNUSED and r["prevalence"] >= 0.5]
    known = [{**r, "close": r["effect"] is not None and abs(r["effect"] - r["true"]) <= 0.1} for r in used]
    named = [r for r in used if r["effect"] is not None]
    close = [{**r, "close": abs(r["effect"] - r["true"]) <= 0.1} for r in named]
    there = [{**r, "close": abs(r["effect"] - r.get("here", r["true"])) <= 0.1} for r in named]
    whole: dict[str, dict[str, Any]] = {}
    for row in rows:
        if "prevalence" not in row and row["case"].split("-")[1] in ("clean", "twin") and row["true"] < UNUSED:
            model = whole.setdefault(row["case"], {"alarm": False})
            model["alarm"] = model["alarm"] or row["alarm"]
    ap, iou = [r["ap"] for r in used if r["used"]], [r["iou"] for r in used if r["used"] and r["iou"] is not None]
    return [
        ("used, prevalence of 25 % and more: class and artifact ranked first", "≥ 90 %", _rate(often, "first")),
        ("used, prevalence of 10 %: class and artifact ranked first", "≥ 70 %", _rate(rarely, "first")),
        ("not used (per class and model): any artifact reported as used", "≤ 5 %", _rate(unused, "alarm")),
        ("clean and balanced models with any artifact reported as used", "", _rate(list(whole.values()), "alarm")),
        ("planted in 50 % and more, not used: listed as in the data", "≥ 80 %", _rate(idle, "listed")),
        ("used: effect within ±10 points of the true one", "≥ 80 %", _rate(known, "close")),
        ("the same, among those found", "", _rate(close, "close")),
        ("of these, within ±10 points of the effect in the audited folder", "", _rate(there, "close")),
        ("average precision of the affected images, where confirmed", "≥ 0.9", _mean(ap)),
        ("overlap of patch and planted mask (IoU), where confirmed", "≥ 0.4", _mean(iou)),
    ]


def _mean(values: list[float]) -> str:
    return f"mean {np.mean(values):.2f}, median {np.median(values):.2f} (n = {len(values)})" if values else "–"


def summary(rows: list[dict[str, Any]]) -> str:
    """Return the figures as text."""
    return "\n".join(f"{what}: {got}  [{hoped}]" for what, hoped, got in _lines(rows))


def put(lines: list[str], page: Path, name: str) -> None:
    """Put lines between the marks of a name on a page."""
    start, end = f"<!-- {name}: start -->", f"<!-- {name}: end -->"
    before, rest = page.read_text("utf-8").split(start)
    page.write_text("\n".join([before + start, *lines, end]) + rest.split(end)[1], "utf-8")


def rates(rows: list[dict[str, Any]]) -> list[str]:
    """Return the table of targets and measured values."""
    return ["| | target | measured |", "|---|---|---|", *(f"| {a} | {b} | {c} |" for a, b, c in _lines(rows))]


def table(rows: list[dict[str, Any]], page: Path, models_in_all: int) -> None:
    """Put the figures of a set on a page."""
    planted = [r for r in rows if "prevalence" in r]
    models = len({r["case"] for r in rows})
    lines = [
        f"{models} of {models_in_all} models, {len(planted)} planted cases; "
        f"{sum(r['true'] >= USED for r in planted)} used by the model, {sum(r['true'] < UNUSED for r in planted)} not. "
        f"Test accuracy {min(r['accuracy'] for r in rows):.0%} to {max(r['accuracy'] for r in rows):.0%}.",
        "",
        *rates(rows),
        "",
        "| planted | class | prevalence | true effect | effect in the folder | reported effect | reported as used "
        "| ranked first | AP | IoU |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for r in sorted(planted, key=lambda r: (r["plant"], r["prevalence"])):
        effect = "–" if r["effect"] is None else f"{100 * r['effect']:+.0f}"
        iou = "" if r["iou"] is None else f"{r['iou']:.2f}"
        lines.append(
            f"| {title(r['plant'])} | {r['class']} | {r['prevalence']:.0%} | {100 * r['true']:+.0f} | "
            f"{100 * r['here']:+.0f} | {effect} | "
            f"{'yes' if r['used'] else 'no'} | {'yes' if r['first'] else 'no'} | {r['ap']:.2f} | {iou} |"
        )
    put(lines, page, "figures")
