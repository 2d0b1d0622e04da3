"""Planted shortcuts: train, audit, and compare what the audit says with what the model measurably does.

    python benchmarks/shortcuts/run.py --scenes ../shared/data/scenes --cache /tmp/shortcuts [--cases a clean]

Every artefact in a class is a case. Truth is the model's: the share of test pictures of other classes that turn to the
culprit when they are given the real artefact. Used: at least 10 points; not used: below 2; the rest is not scored.
Training, audits and true effects are kept in the cache, so a stopped benchmark continues.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from make import Case, Planted, build, draw_for
from PIL import Image
from plants import PLANTS

import shisen

CASES = (
    Case(
        "a",
        (
            Planted("text", "sea", 0.5),
            Planted("box", "forest", 0.25),
            Planted("tint", "street", 0.5),
            Planted("jpeg", "mountain", 0.5),
        ),
    ),
    Case("clean", ()),
    Case(
        "b",
        (
            Planted("timestamp", "buildings", 0.5),
            Planted("logo", "street", 0.1),
            Planted("border", "glacier", 0.25),
            Planted("blur", "sea", 0.5),
        ),
    ),
    Case("twin", (Planted("text", "*", 0.25), Planted("box", "*", 0.25))),
    Case(
        "c",
        (
            Planted("text", "street", 1.0),
            Planted("box", "sea", 0.5),
            Planted("wandering_box", "glacier", 0.5),
            Planted("background", "mountain", 0.25),
        ),
    ),
    Case(
        "d",
        (
            Planted("logo", "forest", 0.5),
            Planted("jpeg", "buildings", 0.25),
            Planted("border", "sea", 1.0),
            Planted("text", "glacier", 0.1),
        ),
    ),
)
KINDS = {"tint": ("warmth", "greenness", "saturation"), "blur": ("sharpness",), "jpeg": ("compression", "sharpness")}


def true_effect(model: Any, folder: Path, planted: Planted, label: str) -> float:
    """Return the change of the share of pictures of other classes predicted as the culprit."""
    before, after = [], []
    for other in sorted(p for p in folder.iterdir() if p.is_dir() and p.name != label):
        plain, altered = [], []
        for file in sorted(other.iterdir()):
            image = Image.open(file).convert("RGB")
            given, _ = PLANTS[planted.plant](image, draw_for(f"{other.name}/{file.name}"))
            for images, one in ((plain, image), (altered, given)):
                images.append(model.prepare(model.read(one))[0])
        before.append(np.asarray(model.activations(np.stack(plain))).argmax(1))
        after.append(np.asarray(model.activations(np.stack(altered))).argmax(1))
    culprit = model.find(label)
    return float((np.concatenate(after) == culprit).mean() - (np.concatenate(before) == culprit).mean())


def run_case(case: Case, scenes: Path, cache: Path, size: int, epochs: int) -> list[dict[str, Any]]:
    """Return one row of figures for every case that shares this model."""
    home = cache / case.name
    build(scenes / "train", home / "train", case, "train")
    carried = build(scenes / "test", home / "test", case, "test")
    seconds = {}
    if not (home / "run" / "shisen.json").is_file():
        start = time.perf_counter()
        shisen.finetune(home / "train", home / "test", epochs=epochs, size=size, out=home / "run", smoothing=0.0)
        seconds["train"] = time.perf_counter() - start
    model = shisen.load(str(home / "run"))
    start = time.perf_counter()
    result = shisen.audit(model, home / "test", home / "audit")
    seconds["audit"] = time.perf_counter() - start
    record = json.loads((home / "audit" / "findings.json").read_text())
    truths = home / "truth.json"
    known = json.loads(truths.read_text()) if truths.is_file() else {}
    rows = []
    for planted in case.plants:
        for label in [planted.label] if planted.label != "*" else sorted(model.labels):
            key = f"{planted.plant}/{label}"
            if key not in known:
                known[key] = true_effect(model, scenes / "test", planted, label)
                truths.write_text(json.dumps(known, indent=1))
            rows.append(score(case, planted, label, known[key], (record, set(carried[planted.plant]))))
    culprits = {p.label for p in case.plants if p.label != "*"}
    for label in model.labels:  # classes without an artefact: any finding called used is a false alarm
        if label not in culprits and not any(p.label == "*" for p in case.plants):
            alarms = [f for f in record["findings"] if f["used"] and f["class"] == label]
            rows.append({"case": case.name, "plant": "none", "class": label, "true": 0.0, "alarm": bool(alarms)})
    print(case.name, f"accuracy {result.confusion.accuracy.value:.3f}", {k: round(v) for k, v in seconds.items()})
    return rows


def score(case: Case, planted: Planted, label: str, true: float, facts: tuple[Any, set[str]]) -> dict[str, Any]:
    """Compare the findings about a class with the artefact planted there."""
    record, carried = facts
    kinds = KINDS.get(planted.plant, ("patch",))
    own = [f for f in record["findings"] if f["class"] == label]
    fits = [f for f in own if f["kind"] in kinds and _overlap(f, carried, label) > 0]
    named = max(fits, key=lambda f: (f["used"], _overlap(f, carried, label)), default=None)
    used = [f for f in own if f["used"]]
    return {
        "case": case.name,
        "plant": planted.plant,
        "class": label,
        "prevalence": planted.prevalence,
        "true": true,
        "first": bool(used) and used[0] in fits,
        "listed": named is not None and named["in_data"],
        "alarm": bool(used),
        "effect": None if named is None or named["effect"] is None else named["effect"]["effect"],
        "f1": 0.0 if named is None else _overlap(named, carried, label),
    }


def _overlap(finding: Any, carried: set[str], label: str) -> float:
    """Return the F1 of the finding's pictures of the class against those that carry the artefact."""
    members = {m for m in finding["members"] if m.startswith(f"{label}/")}
    own = {c for c in carried if c.startswith(f"{label}/")}
    return 2 * len(members & own) / max(len(members) + len(own), 1)


def main() -> None:
    """Run the cases asked for and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--cases", nargs="*", default=[c.name for c in CASES])
    parser.add_argument("--size", type=int, default=112)
    parser.add_argument("--epochs", type=int, default=3)
    choice = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for case in CASES:
        if case.name in choice.cases:
            rows += run_case(case, choice.scenes, choice.cache, choice.size, choice.epochs)
            (choice.cache / "scores.json").write_text(json.dumps(rows, indent=1))
    for row in rows:
        print({k: round(v, 2) if isinstance(v, float) else v for k, v in row.items()})
    used = [r for r in rows if r["true"] >= 0.10]
    unused = [r for r in rows if r["true"] < 0.02]
    print(f"used: culprit and artefact first {sum(r['first'] for r in used)}/{len(used)}")
    print(f"not used: called used {sum(r['alarm'] for r in unused)}/{len(unused)}")
    close = [r for r in used if r["effect"] is not None and abs(r["effect"] - r["true"]) <= 0.10]
    print(f"used: effect within 10 points {len(close)}/{len(used)}")
    listed = [r for r in unused if r.get("prevalence", 0) >= 0.5]
    print(f"planted at 50 % or more, not used: listed as in the data {sum(r['listed'] for r in listed)}/{len(listed)}")


if __name__ == "__main__":
    main()
