"""One table of right and wrong: attribution maps held against what is known to decide.

    python -m benchmarks.truth [--cache FOLDER] [--only hand_set deletion] [--quick] [--docs PAGE]

hand_set: networks whose weights are set by hand (`hand_set.py`). deletion: a network fine-tuned on drawn creatures;
the truth is how much of the logit is lost when a part is not drawn (`deletion.py`). Rows of every competitor are kept
in the cache, so a stopped run continues. Intervals are 95 % bootstrap intervals over images.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch

import shisen
from benchmarks.truth import deletion, hand_set, scores
from benchmarks.truth.competitors import Question, competitors

BENCHES = ("hand_set", "deletion")
Row = dict[str, Any]


def tensor(images: Any) -> torch.Tensor:
    """Return images `(n, h, w, c)` as a contiguous tensor `(n, c, h, w)`."""
    return torch.from_numpy(np.ascontiguousarray(np.asarray(images).transpose(0, 3, 1, 2)))


def interval(values: list[float], seed: int = 0) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of a mean.

    Args:
        values: one an image.
        seed: random seed of the resampling.
    """
    array = np.asarray(values)
    means = array[np.random.default_rng(seed).integers(0, len(array), (2000, len(array)))].mean(axis=1)
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


def hand_set_rows(quick: bool) -> Iterator[Row]:
    """Yield what every competitor gets on every rule."""
    for puzzle in hand_set.puzzles(12 if quick else 48):
        model = shisen.wrap(puzzle.net, labels=["no", "yes"])
        asked = Question(model, puzzle.net, tensor, puzzle.net.act, puzzle.images, (1,) * len(puzzle.images), "act")
        for library, name, run in competitors(model, quick=quick):
            yield attempt(
                f"hand_set: {puzzle.name}",
                (library, name),
                lambda run=run, asked=asked, puzzle=puzzle: scores.relevance_mass(run(asked), puzzle.truth).tolist(),
            )


def attempt(bench: str, who: tuple[str, str], measure: Callable[[], list[float]]) -> Row:
    """Return a row of values, or of the reason why there is none."""
    start = perf_counter()
    row: Row = {"bench": bench, "library": who[0], "method": who[1]}
    try:
        values = measure()
    except Exception as problem:  # what does not suit the network, or another library's failure
        return {**row, "left_out": f"{type(problem).__name__}: {' '.join(str(problem).split())[:140]}"}
    return {**row, "values": values, "seconds": perf_counter() - start}


def table(rows: list[Row]) -> str:
    """Return a Markdown table: a line for each competitor, a column for each bench, best first by the mean of all."""
    benches = list(dict.fromkeys(row["bench"] for row in rows))
    cells: dict[tuple[str, str], dict[str, Row]] = {}
    for row in rows:
        cells.setdefault((row["library"], row["method"]), {})[row["bench"]] = row

    def mean(who: tuple[str, str]) -> float:
        return float(np.mean([np.mean(r["values"]) for r in cells[who].values() if "values" in r] or [-1.0]))

    lines = [f"| library | method | {' | '.join(benches)} |", "|---|---|" + "---|" * len(benches)]
    for who in sorted(cells, key=mean, reverse=True):
        shown = []
        for bench in benches:
            row = cells[who].get(bench, {})
            if "values" not in row:
                shown.append("–")
                continue
            low, high = interval(row["values"])
            shown.append(f"{np.mean(row['values']):.2f} ({low:.2f}–{high:.2f})")
        lines.append(f"| {who[0]} | `{who[1]}` | {' | '.join(shown)} |")
    reasons = {f"{r['library']} {r['method']}: {r['left_out']}" for r in rows if "left_out" in r}
    return "\n".join([*lines, "", *(f"- left out: {reason}" for reason in sorted(reasons))])


def put(page: Path, text: str) -> None:
    """Replace what stands between the marks of the table on a page."""
    start, end = "<!-- truth: start -->", "<!-- truth: end -->"
    before, rest = page.read_text("utf-8").split(start)
    page.write_text(f"{before}{start}\n\n{text}\n\n{end}{rest.split(end)[1]}", "utf-8")


def main() -> None:
    """Run the benches and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=Path("shisen-out/truth"), help="keeps network and rows")
    parser.add_argument("--only", nargs="+", choices=BENCHES, default=BENCHES)
    parser.add_argument("--quick", action="store_true", help="fewer images, no methods of many passes")
    parser.add_argument("--seed", type=int, default=0, help="random seed of the creatures and their network")
    parser.add_argument("--docs", type=Path, default=None, help="page whose table is replaced")
    choice = parser.parse_args()
    choice.cache.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    for bench in choice.only:
        file = choice.cache / f"rows-{bench}-{choice.seed}{'-quick' if choice.quick else ''}.json"
        if not file.is_file():
            made = hand_set_rows(choice.quick) if bench == "hand_set" else deletion.rows(choice, attempt, tensor)
            file.write_text(json.dumps(list(made)))
        rows += json.loads(file.read_text())
    print(table(rows))
    if choice.docs is not None:
        put(choice.docs, table(rows))


if __name__ == "__main__":
    main()
