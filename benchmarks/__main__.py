"""All figures of the README and the docs: one command, one report, with other libraries in the same process.

    python -m benchmarks [--quick] [--only speed gpu] [--photos FOLDER] [--scenes FOLDER] [--docs]

Every part is a command of its own, whose output is kept under --out; a part that is done is not done again unless
--again is given, so a run that was stopped goes on. In the end stand report.md, report.json and speed.png, and the
tables on the terminal; --docs writes those of the parts that ran into README.md and docs/performance.md, each between
its own markers. Parts that need photos (with labels.csv), scenes (train/ and test/, a folder a class) or the Keras
environment that `make bench` makes are left out where there are none, and the report says so. --quick leaves out what
takes more than a few minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.report import write_report

KERAS = Path(".venv-keras/bin/python")


@dataclass(frozen=True)
class Part:
    """One command of the report.

    Attributes:
        name: by which it is asked for with --only.
        command: module or file, and its words; {out}, {photos} and {scenes} are filled in.
        needs: "", "photos", "scenes" or "keras".
        quick: the command's words for --quick, None to leave it out then.
    """

    name: str
    command: str
    needs: str = ""
    quick: str | None = None


SPEED = "benchmarks.speed --out {out}/speed{quick}.json"
KERAS_SPEED = "benchmarks.keras_speed --out {out}/keras_speed{quick}.json"
PARTS = (
    Part("speed", SPEED, quick=f"{SPEED} --quick"),
    Part("gpu", "benchmarks.gpu --out {out}/gpu.json", quick="benchmarks.gpu --out {out}/gpu.json"),
    Part("startup", "benchmarks.startup", quick="benchmarks.startup --rounds 3"),
    Part(
        "many_passes",
        "benchmarks.many_passes --out {out}/many_passes.json",
        quick="benchmarks.many_passes --quick --out {out}/many_passes.json",
    ),
    Part("many_passes_vgg16", "benchmarks.many_passes --network vgg16 --out {out}/many_passes.json"),
    Part(
        "growth",
        "benchmarks.growth --out {out}/growth.json --plot {out}/growth.png",
        quick="benchmarks.growth --quick --out {out}/growth_quick.json --plot {out}/growth.png",
    ),
    Part("keras", f"{KERAS_SPEED} --score-cam", "keras", quick=f"{KERAS_SPEED} --quick"),
    Part("fast", "benchmarks.fast {photos} --out {out}/fast.json", "photos"),
    Part("compiled", "benchmarks.compiled"),
    Part("methods", "benchmarks.methods_speed --out {out}/methods_speed.json"),
    Part("memory", "benchmarks.methods_memory"),
    Part("chunks", "benchmarks.batch_size"),
    Part("folder_jpg", "benchmarks.folder {photos} --format jpg", "photos"),
    Part("folder_png", "benchmarks.folder {photos}", "photos"),
    Part("large", "benchmarks.large {photos}", "photos"),
    Part("score_cam_fast", "benchmarks.score_cam_fast {photos} --out {out}/score_cam_fast.json", "photos"),
    Part("rise", "benchmarks.rise {photos} --reference {out}/rise.npz --out {out}/rise.json", "photos"),
    Part("stop", "benchmarks.stop {photos} --out {out}/stop.json", "photos"),
    Part("filters", "benchmarks.filters"),
    Part("web", "benchmarks.web --out {out}/web.json"),
    Part("evaluate_speed", "benchmarks.evaluate_speed {photos}", "photos"),
    Part("evaluate_parity", "benchmarks.evaluate_parity {photos}", "photos"),
    Part("collages", "benchmarks.collages {photos} --out {out}/collages.json --page docs/collages.md", "photos"),
    Part("trust", "benchmarks.trust {photos}", "photos"),
    Part("volumes", "benchmarks.volumes"),
    Part("architectures", "benchmarks.architectures --docs docs/architectures.md"),
    Part("parity", "benchmarks.parity --keep {out}/parity"),
    Part("audit", "benchmarks.audit_speed {scenes}/test", "scenes"),
    Part("transformers", "benchmarks.transformers {scenes} --out {out}/transformers.json", "scenes"),
    Part("listed", "benchmarks/shortcuts/listed.py {scenes}/test", "scenes"),
    Part("shortcuts", "benchmarks/shortcuts/run.py --scenes {scenes} --cache {out}/shortcuts", "scenes"),
)


def words_of(part: Part, given: argparse.Namespace) -> list[str] | None:
    """Return the command of a part as it is to be run, None if it is left out of a quick run."""
    text = part.quick if given.quick else part.command
    if text is None and part.name in (given.only or ()):
        text = part.command
    if text is None:
        return None
    places = {
        "out": given.out,
        "photos": given.photos,
        "scenes": given.scenes,
        "quick": "_quick" if given.quick else "",
    }
    first, *rest = text.format(**places).split()
    python = str(given.keras) if part.needs == "keras" else sys.executable
    return [python, *([first] if first.endswith(".py") else ["-m", first]), *rest]


def missing(part: Part, given: argparse.Namespace) -> str:
    """Return why a part cannot be run here, "" if it can."""
    if part.needs == "keras":
        return "" if given.keras.is_file() else f"there is no {given.keras}, which `make bench` makes"
    if part.needs and getattr(given, part.needs) is None:
        return f"it needs --{part.needs} FOLDER"
    return ""


def run(part: Part, words: list[str], file: Path) -> dict[str, Any]:
    """Run a part, show what it prints as it comes, and keep it."""
    shown = " ".join(["python", *words[1:]])
    print(f"\n== {shown}", flush=True)
    start, lines = perf_counter(), []
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment) as ran:
        assert ran.stdout is not None
        for line in ran.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    record = {
        "part": part.name,
        "command": shown,
        "code": ran.returncode,
        "seconds": perf_counter() - start,
        "output": "".join(lines)[-20000:],
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
    }
    file.write_text(json.dumps(record, indent=1), encoding="utf-8")
    return record


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="what takes a few minutes in all")
    parser.add_argument("--only", nargs="*", choices=[p.name for p in PARTS], default=None)
    parser.add_argument("--again", action="store_true", help="do again what is done")
    parser.add_argument("--photos", type=Path, default=None, help="folder with photos and labels.csv")
    parser.add_argument("--scenes", type=Path, default=None, help="folder with train/ and test/, a folder a class")
    parser.add_argument(
        "--keras", type=Path, default=KERAS, help="a Python with TensorFlow and the libraries to compare with"
    )
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--docs", action="store_true", help="write the tables into README.md and docs/performance.md")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    records: list[dict[str, Any]] = []
    for part in PARTS:
        words = words_of(part, given) if not given.only or part.name in given.only else None
        if words is None:
            continue
        why = missing(part, given)
        if why:
            print(f"\n== {part.name}: left out, {why}", flush=True)
            records.append({"part": part.name, "left out": why})
            continue
        file = given.out / f"part_{part.name}.json"
        kept = json.loads(file.read_text(encoding="utf-8")) if file.is_file() and not given.again else {}
        done = kept.get("code") == 0 and kept.get("command") == " ".join(["python", *words[1:]])
        if given.again and "--out" in words:  # what a part's own file holds it would not measure again
            Path(words[words.index("--out") + 1]).unlink(missing_ok=True)
        records.append(kept if done else run(part, words, file))
    failed = [r["part"] for r in records if r.get("code")]
    write_report(records, given.out, quick=given.quick, docs=Path() if given.docs else None)
    if failed:
        print(f"\nFailed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
