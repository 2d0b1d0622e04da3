"""What the audit says about an artefact of any kind, held against what the model does.

A kind that nobody listed has no name that a finding could carry. So a finding is about a planted artefact if it is
about its class and its images: F1 with those that carry it at least `RIGHT`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from cases import Planted
from lot import FAMILIES
from scores import UNUSED, USED, f1, strength

RIGHT, ABOUT = 0.8, 0.5
"""Least F1 of a finding with the right images, and of one that a reader would take for the artefact."""
STRONG, CLOSE = 0.30, 0.15
Row = dict[str, Any]


def kind_row(planted: Planted, true: float, facts: tuple[Any, set[str], Path]) -> Row:
    """Compare the findings about a class with the artefact planted there.

    Args:
        planted: the artefact.
        true: its effect on clean images of other classes.
        facts: the audit, names of the images that carry the artefact, and the folder of masks.

    Returns:
        What was found: `first` if the first finding called used has the right images; `state` of the finding with
        the images most like these, "" for none; `cleared` if a reader is told that it is not used.
    """
    result, carried, _ = facts
    own = [f for f in result.findings if result.labels[f.candidate.label] == planted.label]
    match = {id(f): f1({result.names[i] for i in f.candidate.members}, carried) for f in own}
    used = [f for f in own if f.used]
    about = [f for f in own if match[id(f)] >= ABOUT and not f.nature]
    named = max(about, key=lambda f: (f.used, match[id(f)]), default=None)
    top = max(own, key=lambda f: (strength(f), match[id(f)]), default=None)
    effect = None if named is None or named.effect is None else named.effect.effect
    return {
        "plant": planted.plant,
        "family": next((name for name, kinds in FAMILIES.items() if planted.plant in kinds), "plant"),
        "class": planted.label,
        "prevalence": planted.prevalence,
        "true": true,
        "first": bool(used) and match[id(used[0])] >= RIGHT,
        "used": bool(used),
        "state": "" if named is None else named.state,
        "reason": "" if named is None else named.reason,
        "cleared": named is not None and named.state == "not_used",
        "f1": 0.0 if named is None else match[id(named)],
        "effect": effect,
        "strength": 0.0 if top is None or match[id(top)] < RIGHT else strength(top),
        "alarm": bool(used),
    }


def _rate(rows: Sequence[Row], key: str) -> str:
    hits = sum(bool(r[key]) for r in rows)
    return f"{hits} of {len(rows)}" + (f" ({100 * hits / len(rows):.0f} %)" if rows else "")


def whole(rows: Sequence[Row]) -> list[Row]:
    """Return one row for each clean model and each twin: whether anything is called used, and the clearest finding.

    Args:
        rows: of the benchmark, one a class of such models.
    """
    found: dict[str, Row] = {}
    for row in rows:
        if "prevalence" not in row and row["case"].split("-")[1] in ("clean", "twin"):
            model = found.setdefault(row["case"], {"case": row["case"], "alarm": False, "strength": 0.0})
            model["alarm"] = model["alarm"] or row["alarm"]
            model["strength"] = max(model["strength"], row["strength"])
    return list(found.values())


def curve(used: Sequence[float], others: Sequence[float], allowed: Sequence[float]) -> list[float]:
    """Return the fraction of used artefacts that are found where so many clean models may have a false alarm.

    Args:
        used: strength of the finding of each used artefact; 0 where none has the right images.
        others: largest strength in each clean model or twin.
        allowed: fractions of these that may lie above the threshold.

    Returns:
        One fraction for each of `allowed`.
    """
    ranked = sorted(others, reverse=True)
    found = []
    for fraction in allowed:
        passed = int(fraction * len(ranked))
        least = ranked[passed] if passed < len(ranked) else 0.0
        found.append(float(np.mean([s > least for s in used])) if len(used) else 0.0)
    return found


def lines(rows: Sequence[Row]) -> list[tuple[str, str, str]]:
    """Return the question, the target and the measured value.

    Args:
        rows: of the benchmark.
    """
    planted = [r for r in rows if "prevalence" in r]
    used, idle = ([r for r in planted if r["true"] >= USED], [r for r in planted if r["true"] < UNUSED])
    strong = [r for r in used if r["true"] >= STRONG]
    near = [{**r, "close": r["effect"] is not None and abs(r["effect"] - r["true"]) <= CLOSE} for r in used]
    clean = whole(rows)
    at = curve([r["strength"] for r in used], [r["strength"] for r in clean], (0.0, 0.01, 0.05))
    beside = [r for r in rows if "prevalence" not in r and r["case"].split("-")[1] not in ("clean", "twin")]
    undecided = [{**r, "undecided": r["state"] == "not_decided"} for r in used]
    families = [
        (f"the same, family {name}", "", _rate([r for r in used if r["family"] == name], "first")) for name in FAMILIES
    ]
    halves = [
        (f"the same, in {fraction:.0%} of the class", "",
         _rate([r for r in used if r["prevalence"] == fraction], "first"))
        for fraction in sorted({r["prevalence"] for r in planted})
    ]  # fmt: skip
    return [
        ("used (10 points and more): found first, with the right images", "≥ 75 %", _rate(used, "first")),
        *families,
        *halves,
        ("used, effect of 30 points and more: the same", "≥ 90 %", _rate(strong, "first")),
        ("used: any finding of the class called used", "", _rate(used, "used")),
        ("used, but called not used", "≤ 2 %", _rate(used, "cleared")),
        ("used, but not decided", "", _rate(undecided, "undecided")),
        ("used and found: effect within ±15 points", "≥ 70 %", _rate([r for r in near if r["first"]], "close")),
        ("used: effect within ±15 points, found or not", "", _rate(near, "close")),
        ("not used (below 2 points): called used", "", _rate(idle, "used")),
        ("clean and balanced models with anything called used", "≤ 5 %", _rate(clean, "alarm")),
        ("classes without an artefact beside planted ones: anything called used", "", _rate(beside, "alarm")),
        *[(f"found where {100 * a:.0f} % of clean and balanced models may have a false alarm", "", f"{100 * d:.0f} %")
          for a, d in zip((0.0, 0.01, 0.05), at, strict=True)],
    ]  # fmt: skip


def summary(rows: Sequence[Row]) -> str:
    """Return the figures as text.

    Args:
        rows: of the benchmark.
    """
    planted = [r for r in rows if "prevalence" in r]
    models = len({r["case"] for r in rows})
    used = sum(r["true"] >= USED for r in planted)
    head = f"{models} models; {len(planted)} planted artefacts, {used} of them used by the model"
    return "\n".join(
        [head, *[f"{what}: {got}" + (f"  [{hoped}]" if hoped else "") for what, hoped, got in lines(rows)]]
    )


def named(kind: str) -> str:
    """Return the name of a kind as the docs write it."""
    return kind.replace("_", " ").replace(" place", " position")


def table(rows: Sequence[Row], commit: str, models_in_all: int) -> list[str]:
    """Return the figures as lines of Markdown.

    Args:
        rows: of the benchmark.
        commit: what was measured.
        models_in_all: how many models the side has.
    """
    planted = [r for r in rows if "prevalence" in r]
    models = {r["case"] for r in rows}
    used, clean = sum(r["true"] >= USED for r in planted), len(whole(rows))
    head = (
        f"Commit `{commit[:9]}`; {len(models)} of {models_in_all} models, {clean} of them clean or balanced; "
        f"{len(planted)} planted artifacts, {used} used by the model."
    )
    cases = [
        f"| {named(r['plant'])} | {r['family']} | {r['prevalence']:.0%} | {100 * r['true']:+.0f} | "
        f"{'–' if r['effect'] is None else format(100 * r['effect'], '+.0f')} | "
        f"{r['state'].replace('_', ' ') or 'not listed'} | {r['f1']:.2f} | {'yes' if r['first'] else 'no'} |"
        for r in sorted(planted, key=lambda r: -r["true"])
    ]
    return [
        head,
        "",
        "| | target | measured |",
        "|---|---|---|",
        *[f"| {what} | {hoped} | {got} |" for what, hoped, got in lines(rows)],
        "",
        "| artifact | family | prevalence | true effect | reported effect | state | F1 of the images | ranked first |",
        "|---|---|---|---|---|---|---|---|",
        *cases,
    ]
