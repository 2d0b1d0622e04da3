"""Other tools on the planted shortcuts: SpRAy (CoRelAy), clusters of embeddings, cleanlab's check of image properties.

    pip install -r benchmarks/shortcuts/requirements.txt
    python benchmarks/shortcuts/other_tools.py --cache CACHE [--set dev] [--table docs/shortcuts.md]

CACHE is that of run.py, which trains the models and measures what they use. A tool's statement is a class, a score and
images. A used case (true effect of at least 10 points) is detected if the statement about its class passes the tool's
threshold and its images agree with those that carry the artefact (F1 of at least 0.2). The threshold lets as many
classes pass that do not use anything (true effect below 2 points) as the audit raises alarms there. Of a
tool's settings, the one that does best in these cases is shown, which favors it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from cases import Sample, cases
from groups import correlated, embedded, relevance, spray
from run import code, kept
from scores import UNUSED, USED, f1, precision, put

import shisen
from shisen.adapters.torch.io import network_input, to_tensor
from shisen.targets import to_numpy

TOOLS = {"spray": "SpRAy (CoRelAy)", "embedding": "clusters of embeddings", "cleanlab": "cleanlab"}
VERSION = 2


def looked(home: Path) -> dict[str, Any]:
    """Return what the tools are given: files, classes, answers, features before the last layer, and maps."""
    model = shisen.load(str(home / "run"))
    files = sorted((home / "test").glob("*/*"))
    own = np.asarray([model.find(file.parent.name) for file in files])
    network = model.network
    images = np.stack([model.prepare(model.read(f))[0] for f in files])
    logits, seen, maps = relevance(
        network.net, to_numpy(network_input(network.net, network.scaling, to_tensor(images, "cpu"))), own
    )
    weights = to_numpy(network.net.classifier.weight)[own]
    return {
        "labels": list(model.labels),
        "names": [f"{f.parent.name}/{f.name}" for f in files],
        "files": [str(f) for f in files],
        "own": own,
        "right": logits.argmax(1) == own,
        "features": seen.mean((2, 3)),
        "maps": {"activation × gradient": np.einsum("nchw,nc->nhw", seen, weights), "LRP": maps},
    }


def statements(tool: str, seen: dict[str, Any]) -> list[dict[str, Any]]:
    """Return `{class, setting, score, images}` of one tool on one model; images nearest to the group first."""
    found: list[dict[str, Any]] = []
    if tool == "cleanlab":
        said = correlated(seen["files"], seen["own"])
        for k, scores in said["classes"].items():
            name = min(scores, key=lambda key: scores[key])
            one = {"class": seen["labels"][k], "setting": "best property", "score": -scores[name], "images": None}
            found.append({**one, "property": name, "whole": said["whole"]})
        return found
    for k in np.unique(seen["own"]):
        rows = np.flatnonzero(seen["own"] == k)
        own = (
            spray({name: m[rows] for name, m in seen["maps"].items()})
            if tool == "spray"
            else embedded(seen["features"][rows], seen["right"][rows])
        )
        for setting, score, members in own:
            images = [seen["names"][rows[i]] for i in members]
            found.append({"class": seen["labels"][int(k)], "setting": setting, "score": score, "images": images})
    return found


def rows_of(case: Sample, home: Path, tools: dict[str, list[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    """Yield one row for every class of a model that is scored: its truth, our answer and every tool's statements."""
    carried = json.loads((home / "test.json").read_text())
    for row in json.loads((home / f"rows-{code()}.json").read_text()):
        if UNUSED <= row["true"] < USED:
            continue
        planted = next((p for p in case.plants if (p.plant, p.label) == (row["plant"], row["class"])), None)
        members = set(carried[case.key(planted)]) if planted else set()
        said = {
            (tool, one["setting"]): {**one, **_agrees(one["images"], members)}
            for tool, own in tools.items()
            for one in own
            if one["class"] == row["class"]
        }
        yield {**row, "case": home.name, "is": row["true"] >= USED, "said": said}


def _agrees(images: list[str] | None, members: set[str]) -> dict[str, Any]:
    if images is None:  # a tool that names none is not held to it
        return {"named": True, "ap": None}
    return {"named": f1(set(images), members) >= 0.2, "ap": precision(images, members) if members else None}


def rated(rows: list[dict[str, Any]], key: tuple[str, str], alarms: int) -> dict[str, Any]:
    """Return what a tool in one setting detects with so many false alarms."""
    own = [{**row["said"][key], "is": row["is"]} for row in rows if key in row["said"]]
    used = [r for r in own if r["is"]]
    idle = sorted((r["score"] for r in own if not r["is"]), reverse=True)
    limit = idle[alarms] if alarms < len(idle) else -np.inf
    hits = [r for r in used if r["score"] > limit and r["named"]]
    scores = np.asarray([r["score"] for r in used])
    area = float(np.mean([(s > np.asarray(idle)).mean() + (s == np.asarray(idle)).mean() / 2 for s in scores]))
    aps = [r["ap"] for r in hits if r["ap"] is not None]
    return {
        "setting": key[1],
        "detected": len(hits),
        "of": len(used),
        "alarms": sum(s > limit for s in idle),
        "idle": len(idle),
        "area": area,
        "ap": float(np.mean(aps)) if aps else None,
    }


def compared(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one line a tool: detections at our number of false alarms and at one in twenty, in its best setting."""
    used, idle = [r for r in rows if r["is"]], [r for r in rows if not r["is"]]
    ours = sum(bool(r["alarm"]) for r in idle)
    twentieth = len(idle) // 20
    hits = [r for r in used if r["used"]]
    lines = [
        {
            "tool": "shisen", "setting": "", "detected": len(hits), "of": len(used), "alarms": ours,
            "idle": len(idle), "often": len(hits) if ours <= twentieth else None, "area": None,
            "ap": float(np.mean([r["ap"] for r in hits])) if hits else None,
        }
    ]  # fmt: skip
    for tool, name in TOOLS.items():
        keys = sorted({key for row in rows for key in row["said"] if key[0] == tool})
        every = [(rated(rows, key, ours), rated(rows, key, twentieth)) for key in keys]
        for same, often in every:
            print(f"{name} [{same['setting']}]: {same['detected']}/{same['of']} at {same['alarms']} false alarms, "
                  f"{often['detected']} at {often['alarms']}, area {same['area']:.2f}, AP {same['ap']}")  # fmt: skip
        if every:
            same, often = max(every, key=lambda two: (two[0]["detected"], two[1]["detected"], two[0]["area"]))
            most = max(often["detected"] for _, often in every)
            lines.append({**same, "tool": name, "often": most})
    return lines


def table(lines: list[dict[str, Any]], page: Path, models: int) -> None:
    """Put the comparison between its marks of a page."""
    first = lines[0]
    text = [
        f"{models} models: {first['of']} used cases, {first['idle']} classes without a used artifact.",
        "",
        f"| | detected, at {first['alarms']} false alarms | at {first['idle'] // 20} (5 %) | area under ROC "
        "| AP of the images, where detected | best setting |",
        "|---|---|---|---|---|---|",
    ]
    for line in lines:
        often, area, ap = (line[k] for k in ("often", "area", "ap"))
        rate = 100 * line["detected"] / max(line["of"], 1)
        text.append(
            f"| {line['tool']} | {line['detected']} of {line['of']} ({rate:.0f} %) | "
            f"{'–' if often is None else often} | {'–' if area is None else f'{area:.2f}'} | "
            f"{'–' if ap is None else f'{ap:.2f}'} | {line['setting'] or '–'} |"
        )
    put(text, page, "tools")


def main() -> None:
    """Run the tools on every trained model, and compare them where the audit is done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--set", default="scored")
    parser.add_argument("--table", type=Path, default=None, help="page whose comparison is replaced")
    choice = parser.parse_args()
    rows: list[dict[str, Any]] = []
    models = 0
    for case in cases(choice.set):
        home = choice.cache / "cases" / case.name
        if not (home / "train-seconds.json").is_file():
            continue
        seen: list[dict[str, Any]] = []

        def made(tool: str, home: Path = home, seen: list[dict[str, Any]] = seen) -> Any:
            if not seen:
                seen.append(looked(home))
            return statements(tool, seen[0])

        tools = {tool: kept(home / f"tool-{tool}-{VERSION}.json", lambda tool=tool: made(tool)) for tool in TOOLS}
        print(f"{case.name}: done", flush=True)
        if (home / f"rows-{code()}.json").is_file():
            rows += rows_of(case, home, tools)
            models += 1
    if not any(row["is"] for row in rows) or all(row["is"] for row in rows):
        print("no audited models to compare with yet: run run.py first")
        return
    lines = compared(rows)
    for line in lines:
        print(line)
    if choice.table is not None:
        table(lines, choice.table, models)


if __name__ == "__main__":
    main()
