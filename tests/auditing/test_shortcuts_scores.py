"""How kinds that nobody listed are scored: by the images of what is found, and over clean models and twins."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("scipy")

HERE = Path(__file__).resolve().parents[2] / "benchmarks" / "shortcuts"
NAMES = tuple(f"sea/{i}.png" for i in range(20))
CARRIED = set(NAMES[:10])


@pytest.fixture(scope="module")
def bench() -> Any:
    sys.path.insert(0, str(HERE))
    try:
        import cases
        import kinds_scores
        import scores

        return SimpleNamespace(cases=cases, scores=scores, kinds=kinds_scores)
    finally:
        sys.path.remove(str(HERE))


def finding(members: range, state: str, *, low: float = 0.3, control: float = 0.0, nature: bool = False) -> Any:
    effect = SimpleNamespace(effect=low + 0.1, low=low, control=control, before=0.0)
    candidate = SimpleNamespace(label=0, members=tuple(members), artefact=SimpleNamespace(least_effect=0.1))
    return SimpleNamespace(
        candidate=candidate, state=state, used=state == "used", reason="", effect=effect, nature=nature
    )


def row(bench: Any, *found: Any, true: float = 0.4) -> dict[str, Any]:
    planted = bench.cases.Planted("frame", "sea", 0.5, "seed")
    result = SimpleNamespace(findings=found, labels=("sea",), names=NAMES)
    said: dict[str, Any] = bench.kinds.kind_row(planted, true, (result, CARRIED, Path()))
    return said


def test_the_first_used_finding_must_have_the_right_images(bench: Any) -> None:
    right, wrong = finding(range(9), "used"), finding(range(5, 15), "used")
    assert row(bench, right, wrong)["first"]
    assert not row(bench, wrong, right)["first"]
    assert row(bench, wrong, right)["used"]
    assert row(bench, finding(range(12), "not_decided"), right)["first"], "what is not used stands behind"
    said = row(bench, right)
    assert said["f1"] == pytest.approx(18 / 19)
    assert said["effect"] == pytest.approx(0.4)
    assert said["family"] == "overlay"


def test_cleared_is_what_a_reader_would_take_for_the_artefact(bench: Any) -> None:
    assert row(bench, finding(range(9), "not_used"))["cleared"]
    assert not row(bench, finding(range(9), "not_decided"))["cleared"]
    assert row(bench, finding(range(9), "not_decided"))["state"] == "not_decided"
    assert not row(bench, finding(range(9), "not_used"), finding(range(8), "used"))["cleared"]
    assert not row(bench, finding(range(9), "not_used", nature=True))["cleared"], "folded away as the class's nature"
    assert not row(bench, finding(range(9, 20), "not_used"))["cleared"], "other images"
    assert row(bench)["state"] == ""


def test_strength_is_the_lower_limit_beyond_the_control_in_least_effects(bench: Any) -> None:
    assert bench.scores.strength(finding(range(9), "used", low=0.3)) == pytest.approx(3.0)
    assert bench.scores.strength(finding(range(9), "used", low=0.3, control=0.2)) == pytest.approx(1.0)
    assert bench.scores.strength(finding(range(9), "used", low=0.1, control=0.2)) == 0.0
    untested = finding(range(9), "not_decided")
    untested.effect = None
    assert bench.scores.strength(untested) == 0.0
    clearest_is_wrong = row(bench, finding(range(9), "used"), finding(range(15, 20), "used", low=0.5))
    assert clearest_is_wrong["strength"] == 0.0


def test_the_curve_allows_so_many_false_alarms(bench: Any) -> None:
    used, others = [5.0, 3.0, 1.0, 0.0], [4.0, 2.0, *[0.5] * 18]
    assert bench.kinds.curve(used, others, (0.0, 0.01, 0.05, 0.1)) == [0.25, 0.25, 0.5, 0.75]
    assert bench.kinds.curve(used, [], (0.0,)) == [0.75]
    assert bench.kinds.curve([], others, (0.0,)) == [0.0]


def test_lines_count_what_they_say(bench: Any) -> None:
    rows = [
        {"case": "development-00", **row(bench, finding(range(9), "used"), true=0.35)},
        {"case": "development-00", **row(bench, finding(range(9), "not_used"), true=0.12)},
        {"case": "development-01", **row(bench, finding(range(9), "not_decided"), true=0.9)},
        {"case": "development-01", **row(bench, finding(range(9), "used"), true=0.0)},
        *[
            {"case": f"development-clean-{i}", "true": 0.0, "alarm": i == 0, "strength": 5.0 * (i == 0)}
            for i in (0, 0, 1, 2)
        ],
    ]
    lines = {what: got for what, _, got in bench.kinds.lines(rows)}
    assert lines["used (10 points and more): found first, with the right images"] == "1 of 3 (33 %)"
    assert lines["used, effect of 30 points and more: the same"] == "1 of 2 (50 %)"
    assert lines["the same, family overlay"] == "1 of 3 (33 %)"
    assert lines["used, but called not used"] == "1 of 3 (33 %)"
    assert lines["used, but not decided"] == "1 of 3 (33 %)"
    assert lines["used and found: effect within ±15 points"] == "1 of 1 (100 %)"
    assert lines["not used (below 2 points): called used"] == "1 of 1 (100 %)"
    assert lines["clean and balanced models with anything called used"] == "1 of 3 (33 %)"
    assert lines["found where 0 % of clean and balanced models may have a false alarm"] == "0 %"
    assert "4 planted artefacts, 3 of them used" in bench.kinds.summary(rows)
    page = bench.kinds.table(rows, "0123456789abcdef", 37)
    assert page[0].startswith(
        "Commit `012345678`; 5 of 37 models, 3 of them clean or balanced; 4 planted artifacts, 3 used"
    )
    assert page[-4] == "| frame | overlay | 50% | +90 | +40 | not decided | 0.95 | no |", "largest true effect first"
