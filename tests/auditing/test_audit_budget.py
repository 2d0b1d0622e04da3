"""A budget: the most promising candidates first, what was not reached is said, and the next run reaches it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("pyarrow")
pytest.importorskip("sklearn")

import shisen
from auditing import toy
from shisen.auditing.budget import ESTIMATES, Budget, seconds_of
from shisen.errors import InputError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90.0), ("10m", 600.0), ("1h", 3600.0), ("1h30m", 5400.0), ("45", 45.0), ("1.5 min", 90.0)],
)
def test_durations(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "-5m", "ten", "5 days", "m", "nan"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="90s, 10m or 1h"):
        seconds_of(text)


@pytest.mark.parametrize("seconds", [0, -1.0, float("nan"), float("inf")])
def test_a_budget_must_be_above_zero(seconds: float) -> None:
    with pytest.raises(InputError, match="above 0"):
        Budget(seconds)


def test_the_strongest_of_each_class_come_first_with_a_budget_only() -> None:
    made: list[Any] = [
        SimpleNamespace(label=label, p=p, inside=10)
        for label, p in ((0, 0.01), (0, 1e-9), (1, 0.02), (0, 1e-5), (1, 1e-3))
    ]
    assert Budget().ordered(made) == [0, 1, 2, 3, 4]
    assert Budget(1.0).ordered(made) == [1, 4, 3, 2, 0]


def test_time_is_counted_from_the_start() -> None:
    now = [0.0]
    budget = Budget(10.0, lambda: now[0])
    assert not budget.spent
    now[0] = 9.9
    assert not budget.spent
    now[0] = 10.0
    assert budget.spent
    assert not Budget(None, lambda: now[0]).spent


def test_a_spent_budget_says_what_was_not_reached_and_the_next_run_goes_on(tmp_path: Path) -> None:
    images = toy.folder(tmp_path / "images")
    said: list[str] = []
    short = shisen.audit(
        toy.model(True), images, tmp_path / "out", budget=1e-6, progress=lambda done, total, words: said.append(words)
    )
    assert short.findings
    assert all((f.state, f.reason) == ("not_decided", "not_reached") for f in short.findings if f.candidate.inside >= 5)
    record = json.loads((tmp_path / "out" / "findings.json").read_text("utf-8"))
    assert record["not_reached"] == short.not_reached > 0
    assert record["budget"] == 1e-6
    page = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert "not reached within the budget" in page
    assert "No shortcut was found" not in page
    assert {getattr(words, "template", "") for words in said} >= set(ESTIMATES)
    whole = shisen.audit(toy.model(True), images, tmp_path / "out")
    fresh = shisen.audit(toy.model(True), images, tmp_path / "fresh")
    assert whole.not_reached == 0
    assert whole.findings[0].used
    assert [f.state for f in whole.findings] == [f.state for f in fresh.findings]
    for name in ("index.html", "findings.json", "images.parquet"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "fresh" / name).read_bytes()
