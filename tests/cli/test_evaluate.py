from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from evaluation.nets import model, spots
from shisen.cli import evaluate as commands
from shisen.cli import main


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    net = model()

    def load(choice: dict[str, Any], *_: Any, **__: Any) -> Any:
        choice.clear()
        return net

    monkeypatch.setattr(commands, "load_model", load)
    place = tmp_path / "photos"
    place.mkdir()
    for k, image in enumerate(spots(8)):
        Image.fromarray(image).save(place / f"{k}.png")
    return place


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(list(words))
    return int(end.value.code or 0)


def test_evaluate_writes_its_files_and_goes_on(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = folder.parent / "eval"
    words = ["evaluate", str(folder), "--methods", "grad_cam,gradient", "--metrics", "deletion,adcc", "-n", "5"]
    assert run(*words, "--out", str(out)) == 0
    said = capsys.readouterr().out
    assert "random (control map)" in said
    assert "gradient against grad_cam by deletion" in said
    assert {p.name for p in out.iterdir()} >= {"report.html", "scores.csv", "scores.json", "rows.jsonl", "maps"}
    lines = (out / "rows.jsonl").read_text().count("\n")
    assert lines == 5 * 7 * 2
    assert run(*words, "--out", str(out), "--lang", "ja") == 0
    assert (out / "rows.jsonl").read_text().count("\n") == lines
    assert 'lang="ja"' in (out / "report.html").read_text(encoding="utf-8")


def test_recommend_and_auto(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("recommend", str(folder), "--budget", "5s", "--out", str(folder.parent / "r.json")) == 0
    said = capsys.readouterr().out
    assert "insertion − deletion" in said
    assert (folder.parent / "r.json").is_file()
    assert run("recommend", str(folder), "--budget", "soon") == 2


def test_sanity_names_the_edge_detector(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("sanity", str(folder), "--methods", "grad_cam", "-n", "3") == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("edges" in line and "does not depend" in line for line in lines)


def test_metrics_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("metrics") == 0
    said = capsys.readouterr().out
    for name in ("insertion_deletion", "weight_randomization", "grid_game"):
        assert name in said


def test_an_unknown_metric_is_wrong_usage(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("evaluate", str(folder), "--metrics", "deletoin") == 2
    assert "deletion" in capsys.readouterr().err


def test_auto_on_the_command_line(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    from shisen.cli import explain as command
    from shisen.evaluation.recommend import recommend
    from shisen.evaluation.settings import Setting

    monkeypatch.setattr(command, "load_model", commands.load_model)
    out = folder.parent / "maps"
    assert run("explain", str(folder / "0.png"), "--method", "auto", "--out", str(out)) == 2
    assert "shisen recommend" in capsys.readouterr().err
    recommend(model(), spots(8), settings=[Setting("random_patches"), Setting("grad_cam", augment={"flip": True})])
    assert run("explain", str(folder / "0.png"), "--method", "auto", "--out", str(out)) == 0
    assert (out / "0_augmented_grad_cam.png").is_file()


def test_one_baseline_for_methods_and_metrics(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, words = folder.parent / "eval", ["evaluate", str(folder), "-n", "3", "--methods", "occlusion"]
    assert run(*words, "--metrics", "deletion,insertion,complexity", "--baseline", "gray", "--out", str(out)) == 0
    facts = json.loads((out / "scores.json").read_text(encoding="utf-8"))["facts"]
    assert facts["metric_options"] == {
        "deletion": {"baseline": "gray"},
        "insertion": {"baseline": "gray"},
        "complexity": {},
    }
    assert facts["settings"][0]["options"] == {"baseline": "gray"}
    assert run("evaluate", str(folder), "--methods", "grad_cam", "--metrics", "complexity", "--baseline", "gray") == 2
    assert "baseline" in capsys.readouterr().err
    assert run(*words, "--metrics", "deletion", "--baseline", "grey", "--out", str(out)) == 2
    assert "gray" in capsys.readouterr().err
