"""Shortcuts of many kinds: development kinds to work with, confirmation kinds for the figures that are quoted.

    python benchmarks/shortcuts/kinds.py --scenes FOLDER --cache FOLDER [--side confirmation] [--first N] [--only train]

Which kind stands on which side is decided by lot (`lot.py`). Every kind is planted `ROUNDS` times, each time with other
settings, in one class of a model, in half or all of its images; clean models, and twins (a kind equally frequent in all
classes), stand between. Truth is measured as in `run.py`. The confirmation side names the commit before it starts and
needs a clean checkout, so that the figures belong to code that had not seen these kinds. A stopped run continues.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from cases import LABELS, Planted, Sample, draw_for
from kinds_scores import kind_row, summary, table
from lot import confirmation, development
from make import plain
from plants import PLANTS
from run import code, kept, run_case, train
from scores import put

ROUNDS, A_MODEL, PREVALENCES = 2, 4, (0.5, 1.0)
CLEAN, TWINS = 10, 10
ROOT = Path(__file__).resolve().parents[2]


def cases(side: str) -> list[Sample]:
    """Return the models of a side, planted ones and others by turns; the first few are a fair choice of all."""
    names = confirmation() if side == "confirmation" else [n for n in development() if n not in PLANTS]
    draw = draw_for(f"kinds/{side}")
    rounds = [[names[i] for i in draw.permutation(len(names))] for _ in range(ROUNDS)]
    queue = [(name, number) for number, some in enumerate(rounds) for name in some]
    found = []
    for number, start in enumerate(range(0, len(queue), A_MODEL)):
        labels = [LABELS[i] for i in draw.permutation(len(LABELS))]
        plants = []
        for (name, turn), label in zip(queue[start : start + A_MODEL], labels, strict=False):
            prevalence = PREVALENCES[int(draw.integers(len(PREVALENCES)))]
            plants.append(Planted(name, label, prevalence, f"kinds/{side}/{name}/{turn}"))
        found.append(Sample(f"{side}-{number:02d}", tuple(plants), number))
    rest = [Sample(f"{side}-clean-{n}", (), 100 + n) for n in range(CLEAN)]
    for n, i in enumerate(draw.permutation(len(names))[:TWINS]):
        twin = Planted(names[i], "*", 0.5, f"kinds/{side}/twin/{names[i]}")
        rest.append(Sample(f"{side}-twin-{n}", (twin,), 200 + n))
    rest = [rest[i] for i in draw.permutation(len(rest))]
    return [case for pair in zip_longest(found, rest) for case in pair if case is not None]


def commit() -> str:
    """Return the commit that is checked out.

    Raises:
        SystemExit: where files have been changed since.
    """
    changed = subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True, check=True)
    if changed.stdout.strip():
        raise SystemExit("The confirmation side needs a checkout without changes; commit them first.")
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)
    return head.stdout.strip()


def main() -> None:
    """Run the models of a side and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=Path, required=True, help="holds train/CLASS and test/CLASS")
    parser.add_argument("--cache", type=Path, required=True, help="keeps models, audits and effects")
    parser.add_argument("--side", choices=("development", "confirmation"), default="development")
    parser.add_argument("--first", type=int, default=None, help="only so many models, in their drawn order")
    parser.add_argument("--only", choices=("train", "audit"), default=None, help="one step, of what is there already")
    parser.add_argument("--table", type=Path, default=None, help="page whose figures are replaced")
    choice = parser.parse_args()
    head = commit() if choice.side == "confirmation" else "development"
    print(f"commit {head}", flush=True)
    for part in ("train", "test"):
        plain(choice.scenes / part, choice.cache / part)
    rows: list[dict[str, Any]] = []
    for case in cases(choice.side)[: choice.first]:
        home = choice.cache / "cases" / case.name
        home.mkdir(parents=True, exist_ok=True)
        if choice.only == "audit" and not (home / "train-seconds.json").exists():
            continue
        took = kept(home / "train-seconds.json", lambda case=case: train(case, choice.cache))
        planted = ", ".join(f"{p.plant} in {p.label} ({p.prevalence:.0%})" for p in case.plants) or "nothing planted"
        print(f"{case.name}: {planted}; trained in {took:.0f} s", flush=True)
        if choice.only == "train":
            continue
        found = kept(home / f"rows-{code()}.json", lambda case=case: run_case(case, choice.cache, kind_row))
        for row in found:
            print({k: round(v, 2) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
        rows += found
    if rows:
        (choice.cache / f"scores-{choice.side}.json").write_text(json.dumps(rows, indent=1))
        seconds = [row["seconds"] for row in rows]
        print(summary(rows), f"median audit {np.median(seconds):.0f} s", sep="\n")
        if choice.table is not None:
            put(table(rows, head, len(cases(choice.side))), choice.table, "confirmation")


if __name__ == "__main__":
    main()
