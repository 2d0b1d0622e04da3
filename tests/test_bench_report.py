"""`python -m benchmarks`: what is left out says why, what is done is not done again, the tables stand in the pages."""

from __future__ import annotations

import argparse
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from benchmarks import __main__ as bench
from benchmarks import report

ROOT = Path(__file__).resolve().parents[1]


def row(processor: float, r: float | None = None) -> dict[str, Any]:
    return {"processor": processor, "clock": 2 * processor, "ms": 3.0, "mib": 40.4, "r": r}


SPEED = {
    "lite0, batch 8": {
        "layer": "head",
        "rounds": 2,
        "left out": ["zennit Gradient: ImportError: none"],
        "rows": {"forward": row(1.0), "grad_cam": row(1.04), "pytorch-grad-cam GradCAM": row(3.5, 0.9999)},
    },
    "vit_b_16, batch 1": {
        "layer": "l",
        "rounds": 2,
        "left out": [],
        "rows": {"forward": row(1.0), "gradient": row(2.0)},
    },
}


def test_every_part_names_a_file_that_is_there_and_every_benchmark_is_a_part() -> None:
    commands = [part.command.split()[0] for part in bench.PARTS]
    for command in commands:
        file = ROOT / command if command.endswith(".py") else ROOT / (command.replace(".", "/") + ".py")
        assert file.is_file(), command
    runnable = {p.stem for p in (ROOT / "benchmarks").glob("*.py") if "def main()" in p.read_text(encoding="utf-8")}
    inner = {"__main__", "parity_maps", "evaluate_plain"}  # run by others
    assert runnable - inner <= {c.split(".")[-1] for c in commands}


def test_tables_hold_what_was_measured_and_nothing_else() -> None:
    lines = report.speed_table(SPEED)
    assert lines[0] == "| | EfficientNet-Lite0, batch 8 | ViT-B/16-shaped, batch 1 |"
    assert "| Grad-CAM | 1.04 (2.08) |  |" in lines
    assert "| pytorch-grad-cam GradCAM | 3.50 (7.00) |  |" in lines
    assert "| forward | 40 | 40 |" in report.memory_table(SPEED)
    assert report.left_out(SPEED) == ["zennit Gradient: ImportError: none"]


def test_a_page_is_renewed_between_its_markers_only() -> None:
    begin, end = report.MARKS
    page = f"above\n{begin}\nold\n{end}\nbelow\n"
    assert report.between(page, ["new", "lines"]) == f"above\n{begin}\nnew\nlines\n{end}\nbelow\n"
    assert report.between("no markers", ["new"]) == "no markers"
    for name in ("README.md", "docs/performance.md"):
        assert all(mark in (ROOT / name).read_text(encoding="utf-8") for mark in report.MARKS), name


@pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="needs matplotlib")
def test_a_report_is_written_with_what_was_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "speed_quick.json").write_text(json.dumps(SPEED))
    records = [
        {
            "part": "gpu",
            "command": "python -m benchmarks.gpu",
            "code": 0,
            "seconds": 2.0,
            "output": "Skipped: no GPU\n",
        },
        {"part": "trust", "left out": "it needs --photos FOLDER"},
    ]
    report.write_report(records, tmp_path, quick=True, docs=False)
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "Skipped: no GPU" in text
    assert "Left out: it needs --photos FOLDER." in text
    assert json.loads((tmp_path / "report.json").read_text())["speed"] == SPEED
    assert (tmp_path / "speed.png").read_bytes().startswith(b"\x89PNG")
    assert "Grad-CAM" in capsys.readouterr().out


def test_a_quick_run_leaves_out_what_takes_long_unless_it_is_named() -> None:
    given = argparse.Namespace(
        quick=True, only=None, out=Path("o"), photos=Path("p"), scenes=None, keras=Path("k"), again=False
    )
    by_name = {part.name: part for part in bench.PARTS}
    assert bench.words_of(by_name["trust"], given) is None
    words = bench.words_of(by_name["speed"], given)
    assert words is not None
    assert words[1:] == ["-m", "benchmarks.speed", "--out", "o/speed_quick.json", "--quick"]
    given.only = ["trust"]
    words = bench.words_of(by_name["trust"], given)
    assert words is not None
    assert words[1:] == ["-m", "benchmarks.trust", "p"]
    assert "scenes" in bench.missing(by_name["audit"], given)


def test_what_is_done_is_not_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = []
    monkeypatch.setattr(bench, "PARTS", (bench.Part("one", "benchmarks.gpu", quick="benchmarks.gpu"),))
    real = bench.run

    def run(part: Any, words: list[str], file: Path) -> Any:
        done.append(part.name)
        return real(part, [words[0], "-c", "print('hello')"], file)

    monkeypatch.setattr(bench, "run", run)
    monkeypatch.setattr("sys.argv", ["bench", "--out", str(tmp_path)])
    assert bench.main() == 0
    kept = json.loads((tmp_path / "part_one.json").read_text())
    assert kept["output"] == "hello\n"
    kept["command"] = "python -m benchmarks.gpu"  # as the part would have been run
    (tmp_path / "part_one.json").write_text(json.dumps(kept))
    assert bench.main() == 0
    assert done == ["one"]
