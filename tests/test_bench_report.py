"""`python -m benchmarks`: what is left out says why, what is done is not done again, what ran renews its tables."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks import __main__ as bench
from benchmarks import report
from benchmarks.libraries import Table, measure

ROOT = Path(__file__).resolve().parents[1]


def row(processor: float, r: float | None = None) -> dict[str, Any]:
    return {"processor": processor, "clock": 2 * processor, "ms": 3.0, "mib": 40.4, "r": r}


def measured(rows: dict[str, Any], *out: str) -> dict[str, Any]:
    return {"layer": "l", "rounds": 2, "left out": list(out), "rows": {"forward": row(1.0), **rows}}


KERAS = {
    "lite0, batch 1": measured(
        {"grad_cam": row(1.05), "gradient": row(2.1), "tf-keras-vis Gradcam": row(15.5, 0.9999)},
        "Xplique GradCAM: different map, r 0.500: time not listed",
    ),
    "mobilenet_v2, batch 64": measured({"grad_cam": row(1.01), "gradient": row(2.0), "Xplique GradCAM": row(1.2, 1.0)}),
    "lite0, Score-CAM": measured({"score_cam": row(300.0), "tf-keras-vis Scorecam": row(900.0, 0.999)}),
}
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
    inner = {"__main__", "parity_maps", "evaluate_plain", "mutation"}  # run by others, or a tool without figures
    assert runnable - inner <= {c.split(".")[-1] for c in commands}


def test_tables_hold_what_was_measured_and_nothing_else() -> None:
    lines = report.speed_table(SPEED)
    assert lines[0] == "| | EfficientNet-Lite0, batch 8 | ViT-B/16-shaped, batch 1 |"
    assert "| Grad-CAM | 1.04 (2.08) |  |" in lines
    assert "| pytorch-grad-cam GradCAM | 3.50 (7.00) |  |" in lines
    assert "| forward | 40 | 40 |" in report.memory_table(SPEED)
    assert report.left_out(SPEED) == ["zennit Gradient: ImportError: none"]


def test_the_keras_side_has_time_memory_and_what_was_left_out() -> None:
    text = "\n".join(report.sections("keras", KERAS, short=False))
    assert "| | EfficientNet-Lite0, batch 1 | MobileNetV2, batch 64 |" in text
    assert "| tf-keras-vis Gradcam | 15.50 (31.00) |  |" in text
    assert "| Xplique GradCAM |  | 1.20 (2.40) |" in text
    assert "| tf-keras-vis Gradcam | 40 |  |" in report.memory_table(KERAS)
    assert "* Xplique GradCAM: different map, r 0.500: time not listed" in text
    assert "images/keras_speed.png" in text
    short = report.sections("keras", KERAS, short=True)
    assert "| | EfficientNet-Lite0, batch 1 |" in short
    assert not any("MobileNetV2" in line for line in short)


def test_a_page_is_renewed_between_its_markers_only() -> None:
    begin, end = report.marks("speed")
    page = f"above\n{begin}\nold\n{end}\nbelow\n"
    assert report.between(page, ["new", "lines"], "speed") == f"above\n{begin}\nnew\nlines\n{end}\nbelow\n"
    assert report.between(page, ["new"], "keras") == page
    for name in ("README.md", "docs/performance.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert all(text.count(mark) == 1 for part in report.PARTS for mark in report.marks(part)), name


def record(part: str, code: int = 0) -> dict[str, Any]:
    return {"part": part, "command": f"python -m {part}", "code": code, "seconds": 2.0, "output": "done\n"}


@pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="needs matplotlib")
def test_only_what_ran_without_failing_is_renewed_in_the_pages(tmp_path: Path) -> None:
    (tmp_path / "docs/images").mkdir(parents=True)
    both = "".join(f"{begin}\nold {part}\n{end}\n" for part in report.PARTS for begin, end in [report.marks(part)])
    pages = [tmp_path / "README.md", tmp_path / "docs/performance.md"]
    for page in pages:
        page.write_text(both)
    (tmp_path / "speed.json").write_text(json.dumps(SPEED))  # of a run before
    (tmp_path / "keras_speed.json").write_text(json.dumps(KERAS))
    report.write_report([record("keras", code=1)], tmp_path, quick=False, docs=tmp_path)
    assert all(page.read_text() == both for page in pages)
    report.write_report([record("keras")], tmp_path, quick=False, docs=tmp_path)
    for page in pages:
        text = page.read_text()
        assert "old speed" in text
        assert "old keras" not in text
        assert "tf-keras-vis Gradcam | 15.50" in text
        assert "pytorch-grad-cam" not in text
    assert [file.name for file in (tmp_path / "docs/images").iterdir()] == ["keras_speed.png"]
    report.write_report([record("gpu")], tmp_path, quick=True, docs=tmp_path)  # nothing measured: nothing lost
    assert "tf-keras-vis Gradcam | 15.50" in pages[1].read_text()


def test_the_keras_side_runs_where_there_is_no_torch() -> None:
    code = "import sys; sys.modules['torch'] = None; import benchmarks.keras_speed"
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_another_library_counts_only_with_our_map() -> None:
    ours = np.random.default_rng(0).random((2, 5, 5))
    other = ours.copy()
    other[1] = ours[1].T  # one image of two is enough
    made = Table(lambda: None)
    made.add("grad_cam", lambda: ours)
    made.compare("same", lambda: lambda: 3 * ours + 1, ours)
    made.compare("other", lambda: lambda: other, ours)
    made.compare("flat", lambda: lambda: np.zeros_like(ours), ours)
    made.compare("none", lambda: importlib.import_module("not_there"), ours)
    found = made.measured("head", 1)
    assert set(found["rows"]) == {"forward", "grad_cam", "same"}
    assert found["rows"]["same"]["r"] == pytest.approx(1.0)
    assert [line.split(":")[0] for line in found["left out"]] == ["other", "flat", "none"]


def test_what_is_measured_is_not_measured_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = []

    def once(key: str) -> dict[str, Any]:
        asked.append(key)
        return measured({})

    measure(["a, batch 1"], once, tmp_path / "new/k.json")
    measure(["a, batch 1", "b, batch 1"], once, tmp_path / "new/k.json")
    assert asked == ["a, batch 1", "b, batch 1"]
    assert "b, batch 1, at l" in capsys.readouterr().out


@pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="needs matplotlib")
def test_a_report_is_written_with_what_was_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "speed_quick.json").write_text(json.dumps(SPEED))
    (tmp_path / "keras_speed_quick.json").write_text(json.dumps(KERAS))
    records = [
        {**record("gpu"), "output": "Skipped: no GPU\n"},
        {"part": "trust", "left out": "it needs --photos FOLDER"},
    ]
    report.write_report(records, tmp_path, quick=True, docs=None)
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "Skipped: no GPU" in text
    assert "Left out: it needs --photos FOLDER." in text
    kept = json.loads((tmp_path / "report.json").read_text())
    assert (kept["speed"], kept["keras"], kept["parts"]) == (SPEED, KERAS, records)
    assert (tmp_path / "speed.png").read_bytes().startswith(b"\x89PNG")
    shown = capsys.readouterr().out
    assert "pytorch-grad-cam GradCAM" in shown
    assert "tf-keras-vis Gradcam" in shown


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
    words = bench.words_of(by_name["keras"], given)
    assert words == ["k", "-m", "benchmarks.keras_speed", "--out", "o/keras_speed_quick.json", "--quick"]
    assert "make bench" in bench.missing(by_name["keras"], given)
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


def test_again_measures_again_what_a_part_has_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "PARTS", (bench.Part("one", "benchmarks.gpu --out {out}/gpu.json"),))
    monkeypatch.setattr(bench, "run", lambda part, words, file: record(part.name))
    (tmp_path / "gpu.json").write_text("{}")
    monkeypatch.setattr("sys.argv", ["bench", "--out", str(tmp_path)])
    assert bench.main() == 0
    assert (tmp_path / "gpu.json").is_file()
    monkeypatch.setattr("sys.argv", ["bench", "--again", "--out", str(tmp_path)])
    assert bench.main() == 0
    assert not (tmp_path / "gpu.json").is_file()
