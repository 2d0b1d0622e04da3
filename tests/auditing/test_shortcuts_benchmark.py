"""The benchmark of planted shortcuts in short: its cases, its plants and its scores."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("scipy")

HERE = Path(__file__).resolve().parents[2] / "benchmarks" / "shortcuts"


@pytest.fixture(scope="module")
def bench() -> Any:
    sys.path.insert(0, str(HERE))
    try:
        import cases
        import groups
        import listed
        import other_tools
        import plants
        import scores

        return SimpleNamespace(
            cases=cases, groups=groups, listed=listed, other_tools=other_tools, plants=plants, scores=scores
        )
    finally:
        sys.path.remove(str(HERE))


def test_every_artefact_at_every_prevalence_and_enough_clean_models(bench: Any) -> None:
    models = bench.cases.cases()
    planted = [p for m in models for p in m.plants if p.label != "*"]
    assert Counter((p.plant, p.prevalence) for p in planted) == {
        (kind, fraction): 1 for kind in bench.plants.PLANTS for fraction in (0.1, 0.25, 0.5, 1.0)
    }
    assert len(planted) >= 40
    assert sum(not m.plants or m.plants[0].label == "*" for m in models) >= 12
    assert all(len({p.label for p in m.plants}) == len(m.plants) for m in models)
    assert all(len({m.key(p) for p in m.plants}) == len(m.plants) for m in models), "each artefact has its own truth"
    seeds = {p.seed for p in planted}
    assert not seeds & {p.seed for m in bench.cases.cases("dev") for p in m.plants}
    assert [m.name for m in models] == [m.name for m in bench.cases.cases()]


def test_artefacts_keep_to_their_area(bench: Any) -> None:
    gray = Image.new("RGB", (150, 150), (120, 121, 119))
    for kind, make in bench.plants.PLANTS.items():
        for seed in range(6):
            given, mask = make(bench.cases.draw_for(f"{kind}/{seed}"))(gray, np.random.default_rng(seed))
            changed = (np.asarray(given) != np.asarray(gray)).any(-1)
            if mask is None:
                assert kind in bench.plants.KINDS
                continue
            assert changed[~mask].sum() == 0, kind
            assert 0.001 <= mask.mean() <= 0.08, kind


def test_scores_are_what_they_say(bench: Any) -> None:
    scores = bench.scores
    assert scores.precision(["a", "x", "b"], {"a", "b"}) == pytest.approx((1 + 2 / 3) / 2)
    assert scores.precision([], {"a"}) == 0.0
    assert scores.f1({"a", "b"}, {"b", "c"}) == 0.5
    base = {"case": "t-00", "plant": "box", "prevalence": 0.5, "iou": 0.5, "ap": 1.0, "listed": True}
    rows = [
        {**base, "true": 0.4, "first": True, "used": True, "alarm": True, "effect": 0.35},
        {**base, "true": 0.3, "first": False, "used": False, "alarm": False, "effect": None},
        {**base, "true": 0.0, "first": False, "used": False, "alarm": True, "effect": 0.0},
        {**base, "true": 0.05, "first": False, "used": False, "alarm": True, "effect": 0.0},
    ]
    lines = {what: got for what, _, got in scores._lines(rows)}
    assert lines["used, prevalence of 25 % and more: class and artifact ranked first"] == "1 of 2 (50 %)"
    assert lines["not used (per class and model): any artifact reported as used"] == "1 of 1 (100 %)"
    assert lines["used: effect within ±10 points of the true one"] == "1 of 2 (50 %)"
    assert lines["the same, among those found"] == "1 of 1 (100 %)"


def test_other_tools_are_allowed_as_many_false_alarms_as_ours(bench: Any) -> None:
    def row(score: float, used: bool, named: bool = True) -> dict[str, Any]:
        said = {("tool", "setting"): {"score": score, "named": named, "ap": 0.5}}
        return {"is": used, "used": used, "alarm": used, "ap": 1.0, "said": said}

    rows = [row(s, False) for s in (0.1, 0.3, 0.5)] + [row(0.4, True), row(0.6, True), row(0.7, True, named=False)]
    strict = bench.other_tools.rated(rows, ("tool", "setting"), 0)
    assert (strict["detected"], strict["of"], strict["alarms"]) == (1, 3, 0)  # the third names other images
    loose = bench.other_tools.rated(rows, ("tool", "setting"), 1)
    assert (loose["detected"], loose["alarms"]) == (2, 1)
    assert strict["area"] == pytest.approx((2 / 3 + 1 + 1) / 3)


def test_the_group_that_stands_apart_is_the_statement(bench: Any) -> None:
    draw = np.random.default_rng(0)
    points = draw.normal(0, 1, (40, 3))
    points[:8] += 9
    apart, other = np.arange(8), np.arange(20, 30)
    for score in (bench.groups.fisher, bench.groups.silhouette):
        best, members = bench.groups.stands_out(points, [other, apart], lambda g, s=score: s(points, g))
        assert sorted(members) == list(range(8))
        assert best == score(points, apart) > score(points, other)
    assert bench.groups.unlike(np.r_[np.zeros(8, bool), np.ones(32, bool)], apart) > 5


def test_an_artefact_is_listed_if_kind_images_and_place_are_named(bench: Any) -> None:
    place, elsewhere = np.zeros((8, 8), bool), np.zeros((8, 8), bool)
    place[:3, :3], elsewhere[5:, 5:] = True, True
    one = SimpleNamespace(plant="box", prevalence=0.25)

    def finding(kind: str, members: tuple[int, ...], mask: Any) -> Any:
        artefact = SimpleNamespace(mask_in=lambda _: mask)
        return SimpleNamespace(candidate=SimpleNamespace(kind=kind, members=members, artefact=artefact))

    masks = dict.fromkeys(range(4), place)
    said = [
        bench.listed.row(one, [finding(*f)], set(masks), masks)["listed"]
        for f in (
            ("fixed_patch", (0, 1, 2, 9), place),
            ("fixed_patch", (0, 1, 2, 9), elsewhere),
            ("fixed_patch", (7, 8, 9), place),
            ("cast", (0, 1, 2, 3), place),
        )
    ]
    assert said == [True, False, False, False]
    assert bench.listed.row(one, [finding("fixed_patch", (0, 9, 1), place)], set(masks), masks)["ap"] == pytest.approx(
        (1 + 2 / 3) / 4
    )


def test_figures_go_between_their_marks(bench: Any, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- lists: start -->\nold\n<!-- lists: end -->\nafter\n", encoding="utf-8")
    bench.scores.put(["one", "two"], page, "lists")
    want = "before\n<!-- lists: start -->\none\ntwo\n<!-- lists: end -->\nafter\n"
    assert page.read_text(encoding="utf-8") == want
