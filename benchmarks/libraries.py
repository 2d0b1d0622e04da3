"""Compare with other libraries: the cost of each, and whether it gives the same map; imports no framework."""

from __future__ import annotations

import ctypes
import gc
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.timing import in_turns, ratio
from shisen.registry import METHODS
from shisen.targets import ClassObjective, to_numpy

SAME = 0.99
Thing = Callable[[], Any]


def alike(a: Any, b: Any) -> float:
    """Return the least correlation of two maps over the images."""
    rows = [np.asarray(m.detach() if hasattr(m, "detach") else m, np.float64).reshape(len(m), -1) for m in (a, b)]
    return float(min(np.corrcoef(x, y)[0, 1] for x, y in zip(*rows, strict=True)))


def most_varied(model: Any, images: Any, layer: str) -> int:
    """Return the class, of the first four, whose flattest Grad-CAM map of two of the images varies the most."""

    def least(k: int) -> float:
        objective = ClassObjective("class", ((1.0, (k,)),))
        maps = to_numpy(METHODS["grad_cam"](model, images[:2], objective, layer=layer).values)
        return float(maps.std(axis=(1, 2)).min())

    return max(range(4), key=least)


def peak(thing: Thing) -> tuple[Any, float | None]:
    """Return what a run gives, and by how many MiB it raised what the process holds, where the system tells."""
    status, clear = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    try:
        gc.collect()
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        clear.write_text("5")  # forget the peak so far
        before = _mebibytes(status, "VmRSS")
    except (OSError, AttributeError):
        return thing(), None
    found = thing()
    return found, _mebibytes(status, "VmHWM") - before


def _mebibytes(status: Path, name: str) -> float:
    line = next(line for line in status.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024


class Table:
    """What is timed, once each has run: the peak of memory, r of each library's map with ours, and what was left out.

    Args:
        forward: the plain forward of the same batch, the unit of time.
    """

    def __init__(self, forward: Thing) -> None:
        self.things: dict[str, Thing] = {}
        self.memory: dict[str, float | None] = {}
        self.likeness: dict[str, float] = {}
        self.out: list[str] = []
        forward()  # what a first pass leaves behind is nobody's
        self.add("forward", forward)

    def add(self, name: str, thing: Thing) -> Any:
        """Take in a thing and return what it gives."""
        found, self.memory[name] = peak(thing)
        self.things[name] = thing
        return found

    def compare(self, name: str, make: Callable[[], Thing], ours: Any, *, least: float = SAME) -> None:
        """Measure another library's method if its map equals ours; otherwise record why it was left out.

        Args:
            name: the library and its name for the method.
            make: makes the thing.
            ours: our map, `(n, …)`.
            least: what the correlation must reach on every image.
        """
        try:
            r = alike(ours, self.add(name, make()))
        except Exception as problem:  # one that is not installed, or fails on this network
            self.things.pop(name, None)
            self.out.append(f"{name}: {type(problem).__name__}: {' '.join(str(problem).split())[:120]}")
            return
        self.likeness[name] = r
        if not r >= least:
            del self.things[name]
            self.out.append(f"{name}: different map, r {r:.3f}: time not listed")

    def measured(self, layer: str, rounds: int, *, before: str | None = None) -> dict[str, Any]:
        """Return the rows, timed in turns: in forwards by processor and clock, milliseconds, MiB, r with ours."""
        times = in_turns(self.things, rounds, before=before, warm=False)
        rows = {
            name: {
                "processor": ratio(times, name, "forward", 1),
                "clock": ratio(times, name, "forward"),
                "ms": median(t[0] for t in times[name]) * 1e3,
                "mib": self.memory[name],
                "r": self.likeness.get(name),
            }
            for name in self.things
        }
        return {"layer": layer, "rounds": rounds, "left out": self.out, "rows": rows}


def show(title: str, found: dict[str, Any]) -> None:
    """Print the rows of one network at one batch size."""
    print(f"\n{title}, at {found['layer']}, {found['rounds']} rounds: in forwards of the same batch")
    print(f"{'':34s} processor  clock        ms  MiB more  r with ours")
    for what, row in found["rows"].items():
        mib = "" if row["mib"] is None else f"{row['mib']:8.0f}"
        r = "" if row["r"] is None else f"{row['r']:.4f}"
        print(f"{what:34s} {row['processor']:9.2f} {row['clock']:6.2f} {row['ms']:9.1f}  {mib:8s}  {r}")
    for line in found["left out"]:
        print(f"  {line}", flush=True)


def measure(keys: Iterable[str], measured: Callable[[str], dict[str, Any]], out: Path | None) -> None:
    """Measure and show every key; what a JSON file holds already is not measured again.

    Args:
        keys: "network, batch n", in order.
        measured: gives the rows of one of them.
        out: the file, written after each; None to keep nothing.
    """
    kept: dict[str, Any] = json.loads(out.read_text(encoding="utf-8")) if out and out.is_file() else {}
    for key in keys:
        if key not in kept:
            kept[key] = measured(key)
            if out:
                out.parent.mkdir(parents=True, exist_ok=True)
                out.write_text(json.dumps(kept, indent=1), encoding="utf-8")
        show(key, kept[key])
