"""Planted shortcuts: train, audit, and compare what the audit says with what the model measurably does.

    python benchmarks/shortcuts/run.py --scenes FOLDER --cache FOLDER [--set dev] [--only train] [--table PAGE]

FOLDER holds train/CLASS and test/CLASS. Every artefact in a class is a case. Truth is the model's: the fraction of test
images of other classes that turn to the culprit when they are given the real artefact, on plain images ("true") and
on those of the audited folder, some of which carry the artefact of another class ("here"). Used: at least 10 points;
not used: below 2; the rest is not scored. Training, audits and true effects are kept in the cache, so a stopped
benchmark continues; an audit is made again when the audit's code has changed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
from cases import PREVALENCES, Planted, Sample, cases, draw_for
from make import build, plain
from PIL import Image
from scores import clean_rows, planted_row, put, rates, summary, table

import shisen

SIZE, EPOCHS = 112, 5


def code() -> str:
    """Return a digest of everything an audit's answer depends on."""
    digest = hashlib.sha256()
    for file in sorted(Path(shisen.__file__).parent.glob("auditing/**/*.py")):
        if file.name not in ("report.py", "words.py", "images.py"):
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def kept(file: Path, make: Any) -> Any:
    """Return what a file holds, made first where it is not there."""
    if not file.is_file():
        made = make()
        partial = file.with_name(f".{file.name}")
        partial.write_text(json.dumps(made, indent=1))
        partial.replace(file)
    return json.loads(file.read_text())


def train(case: Sample, cache: Path) -> float:
    """Train the model of a case on cached activations; return the seconds it took."""
    home, start = cache / "cases" / case.name, time.perf_counter()
    for part in ("train", "test"):
        build(cache / part, home / part, case, part)
    shisen.finetune(
        home / "train", home / "test", epochs=EPOCHS, size=SIZE, out=home / "run", cache=cache / "activations",
        label_smoothing=0.0, seed=case.seed,
    )  # fmt: skip
    return time.perf_counter() - start


def answers(model: Any, files: list[Path], plant: Any = None) -> Any:
    """Return the number of the class that is predicted for each image, with a plant put on it or without."""
    said, batch = [], []
    for i, file in enumerate(files):
        image = Image.open(file).convert("RGB")
        if plant is not None:
            image, _ = plant(image, draw_for(f"{file.parent.name}/{file.name}"))
        batch.append(model.prepare(model.read(image))[0])
        if len(batch) == 50 or i == len(files) - 1:
            said += np.asarray(model.activations(np.stack(batch))).argmax(1).tolist()
            batch = []
    return np.asarray(said)


def effects(model: Any, folder: Path, planted: Planted, plain: dict[Path, Any]) -> dict[str, float]:
    """Return, for every class, the change of the fraction of images of other classes that are predicted as it."""
    files = sorted(folder.glob("*/*"))
    own = np.asarray([model.find(file.parent.name) for file in files])
    if folder not in plain:
        plain[folder] = answers(model, files)
    given, found = answers(model, files, planted.make()), {}
    for k, label in enumerate(model.labels):
        other = own != k
        found[label] = float((given[other] == k).mean() - (plain[folder][other] == k).mean())
    return found


def run_case(case: Sample, cache: Path, row_of: Any = planted_row) -> list[dict[str, Any]]:
    """Return one row of figures for every case that shares this model."""
    home = cache / "cases" / case.name
    carried = json.loads((home / "test.json").read_text())
    model = shisen.load(str(home / "run"))
    truths, here, plain = {}, {}, {}
    for p in case.plants:
        for found, folder, name in ((truths, cache / "test", "true"), (here, home / "test", "here")):
            file = home / f"{name}-{case.key(p)}.json"
            found[case.key(p)] = kept(file, lambda p=p, folder=folder: effects(model, folder, p, plain))
    for old in (home / "audit" / "work").glob("*/effects"):  # of other code
        shutil.rmtree(old)
    start = time.perf_counter()
    result = shisen.audit(model, home / "test", home / "audit")
    seconds = time.perf_counter() - start
    rows = []
    masks = home / "test-masks"
    for planted in case.plants:
        if planted.label != "*":
            key = case.key(planted)
            facts = (result, set(carried[key]), masks / key)
            true, there = (t[key][planted.label] for t in (truths, here))
            rows.append({**row_of(planted, true, facts), "here": there})
    rows += clean_rows(case, result, truths)
    accuracy = result.confusion.accuracy.value
    return [{"case": case.name, "accuracy": accuracy, "seconds": seconds, **row} for row in rows]


def main() -> None:
    """Run the cases and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--set", default="scored", help="scored, or another name for other draws")
    parser.add_argument("--first", type=int, default=None, help="only so many models, in their random order")
    parser.add_argument("--planted", action="store_true", help="without the clean models and the twins")
    parser.add_argument("--prevalence", type=float, nargs="+", default=PREVALENCES, help="for a set of your own name")
    parser.add_argument("--only", choices=("train", "audit", "table"), default=None, help="of what is there already")
    parser.add_argument("--table", type=Path, default=None, help="page whose figures are replaced")
    parser.add_argument("--pool", nargs="*", default=[], help="names of further sets that were run: figures of all")
    choice = parser.parse_args()
    for part in ("train", "test"):
        plain(choice.scenes / part, choice.cache / part)
    rows: list[dict[str, Any]] = []
    chosen = cases(choice.set, tuple(choice.prevalence))
    if choice.planted:
        chosen = [case for case in chosen if any(p.label != "*" for p in case.plants)]
    chosen = chosen[: choice.first]
    for case in chosen:
        home = choice.cache / "cases" / case.name
        home.mkdir(parents=True, exist_ok=True)
        needed = {"audit": "train-seconds.json", "table": f"rows-{code()}.json"}.get(choice.only or "", "")
        if not (home / needed).exists():
            continue
        took = kept(home / "train-seconds.json", lambda case=case: train(case, choice.cache))
        if choice.only == "train":
            print(f"{case.name}: trained in {took:.0f} s", flush=True)
            continue
        found = kept(home / f"rows-{code()}.json", lambda case=case: run_case(case, choice.cache))
        for row in found:
            print({k: round(v, 2) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
        rows += [{**row, "train": took} for row in found]
    if not rows:
        return
    (choice.cache / f"scores-{choice.set}.json").write_text(json.dumps(rows, indent=1))
    own = rows
    print(summary(own))
    for name in choice.pool:
        rows = rows + json.loads((choice.cache / f"scores-{name}.json").read_text())
    if choice.pool:
        print(f"\nWith {', '.join(choice.pool)}:\n{summary(rows)}")
    if choice.table is not None:
        table(own, choice.table, len(chosen))
        if choice.pool:
            put(rates(rows), choice.table, "pooled")


if __name__ == "__main__":
    main()
