"""The command: what it prints, and its exit status."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("pyarrow")
pytest.importorskip("sklearn")

from auditing import toy
from shisen.cli.main import main

from .conftest import Home


def called(home: Home, *options: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["repair", str(home.audit), "--model", "toy", "--data", str(home.data), *options])
    return int(ended.value.code or 0)


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let the command load the toy, honest or not."""

    def which(cheats: bool) -> None:
        monkeypatch.setattr("shisen.cli.repair.load_model", lambda *_: toy.model(cheats))

    return which


def test_a_removed_shortcut_is_status_0(home: Home, loads: Any, capsys: pytest.CaptureFixture[str]) -> None:
    loads(True)
    assert called(home, "--out", str(home.root / "cli")) == 0
    said = capsys.readouterr().out
    assert "Finding 1, warm: removed" in said
    assert "effect as in the audit: +" in said
    assert "at 1.4 times its size" in said
    assert f"Wrote {home.root / 'cli'}" in said
    assert (home.root / "cli" / "weights.safetensors").is_file()


def test_a_dry_run_says_what_would_be_done(home: Home, loads: Any, capsys: pytest.CaptureFixture[str]) -> None:
    loads(True)
    assert called(home, "--out", str(home.root / "plan"), "--dry-run", "--finding", "1") == 0
    said = capsys.readouterr().out
    assert "finding 1: warm" in said
    assert not (home.root / "plan").exists()


def test_nothing_to_repair_is_status_2(home: Home, loads: Any, capsys: pytest.CaptureFixture[str]) -> None:
    loads(True)
    assert called(home, "--out", str(home.root / "plan"), "--finding", "3") == 2
    assert "The model uses these: 1." in capsys.readouterr().err
    assert not Path(home.root / "plan").exists()
