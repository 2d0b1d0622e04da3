"""How long an audit takes, how much memory, and what the maps cost beside plain inference.

    python -m benchmarks.audit_speed FOLDER [--model RUN] [--images 600] [--rounds 5]

FOLDER has one folder a class. Without a run folder, a linear head is fitted on EfficientNet-Lite0 first (not timed).
The map pass and plain inference read and scale the same images in the same way, by turns; the ratio is the median
over the rounds. The audit runs in a process of its own, whose peak memory is reported.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from .timing import in_turns, ratio

KINDS = {"plain": False, "maps": True}
CHILD = """
import resource, sys, time
import shisen
from shisen._core.malloc import keep_freed_memory
keep_freed_memory()  # as the command does
model = shisen.load(sys.argv[1])
start = time.perf_counter()
result = shisen.audit(model, sys.argv[2], sys.argv[3])
seconds = time.perf_counter() - start
used = resource.getrusage(resource.RUSAGE_SELF)
print(seconds, used.ru_maxrss / 2**20, len(result.names), used.ru_utime + used.ru_stime)
"""


def chosen(folder: Path, target: Path, count: int) -> None:
    """Link so many images, evenly from all classes."""
    files = sorted(folder.glob("*/*"))
    for i in np.linspace(0, len(files) - 1, min(count, len(files))).astype(int):
        new = target / files[i].parent.name / files[i].name
        new.parent.mkdir(parents=True, exist_ok=True)
        new.symlink_to(files[i].resolve())


def one_round(model: Any, files: list[Path], maps: bool) -> None:
    """Decode and predict all images, with or without the maps."""
    from shisen._core.prefetch import prefetched
    from shisen.auditing.scan import look

    batch: list[Any] = []

    def done() -> None:
        images = np.stack(batch)
        if maps:
            look(model, model.default_layer, images, [0] * len(images))
        else:
            model.activations(images)
        batch.clear()

    for image in prefetched(lambda f: model.prepare(model.read(str(f)))[0], files):
        batch.append(image)
        if len(batch) == 32:
            done()
    if batch:
        done()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default=None, help="run folder of a model that knows the classes")
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=None)
    choice = parser.parse_args()
    import shisen

    with tempfile.TemporaryDirectory() as place:
        home = Path(place)
        chosen(choice.folder, home / "images", choice.images)
        run = choice.model
        if run is None:
            run = str(home / "run")
            shisen.finetune(home / "images", None, epochs=0, blocks=0, out=run)
        words = [sys.executable, "-c", CHILD, str(run), str(home / "images"), str(home / "audit")]
        answer = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()
        model = shisen.load(str(run))
        files = sorted((home / "images").glob("*/*"))[:: max(1, choice.images // 96)]
        things = {name: lambda maps=maps: one_round(model, files, maps) for name, maps in KINDS.items()}
        times = in_turns(things, choice.rounds)
    figures = {
        "images": int(answer[2]),
        "seconds": float(answer[0]),
        "processor seconds, start included": float(answer[3]),
        "peak GiB": float(answer[1]),
        "map pass, fraction of plain throughput": ratio(times, "plain", "maps"),
        "the same in processor time": ratio(times, "plain", "maps", 1),
        "plain, ms an image": 1000 * median(wall for wall, _ in times["plain"]) / len(files),
        "map pass, ms an image": 1000 * median(wall for wall, _ in times["maps"]) / len(files),
    }
    for name, value in figures.items():
        print(f"{name}: {value:.2f}" if isinstance(value, float) else f"{name}: {value}")
    if choice.out is not None:
        choice.out.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
