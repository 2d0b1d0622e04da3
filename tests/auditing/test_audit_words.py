"""Every finding says what decided and what to do; sums add up; one thing in two classes is one card."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("pyarrow")
pytest.importorskip("sklearn")

from shisen._core.i18n import translator
from shisen.auditing.finding_words import away_from, sentences
from shisen.auditing.shared import lowered, lowers_own, shared
from shisen.auditing.shifts import shifts
from shisen.auditing.words import DECIDE, REASONS


def test_every_reason_has_what_would_decide_it() -> None:
    assert set(DECIDE) == set(REASONS) - {"not_used"}


def one_hot(predicted: list[int]) -> np.ndarray:
    return np.eye(3)[predicted]


def test_a_class_that_loses_more_than_with_the_control_is_lowered() -> None:
    labels = np.asarray([0] * 20 + [1] * 20)
    before = one_hot([0] * 20 + [1] * 20)
    after = one_hot([2] * 12 + [1] * 2 + [0] * 6 + [1] * 20)
    (loss,) = shifts(labels, before, after, before)
    assert (loss.label, loss.n, loss.before, loss.after, loss.gains) == (0, 20, 20, 6, 2)
    assert loss.p == pytest.approx(0.5**14)
    assert loss.lowers
    (with_control,) = shifts(labels, before, after, one_hot([2] * 11 + [0] * 9 + [1] * 20))
    assert not with_control.lowers, "its control lowers the class as much"
    (slight,) = shifts(labels, before, one_hot([2] * 2 + [0] * 18 + [1] * 20), before)
    assert not slight.lowers
    assert shifts(labels, before, before, None) == ()


def test_the_cards_say_what_to_do_and_how_sure_it_is(toy_audit: Any) -> None:
    result = toy_audit(True)
    card = result.cards[0]
    assert card["todo"].startswith("What to do: remove or cover it in the training images of “warm”")
    assert "95 % confidence" in card["makes"]
    for one in result.cards:
        assert one["todo"].startswith(("What to do", "What would decide it"))
        assert one["lines"] == [*one["main"], *one["more"]]


def test_the_numbers_of_the_verdict_add_up(toy_audit: Any) -> None:
    for cheats in (True, False):
        page = Path(toy_audit(cheats).report).read_text("utf-8")
        found = re.search(
            r"Tested: (\d+) candidates\. The model uses (\d+) of them and does not use (\d+); for (\d+), that could "
            r"not be decided; (\d+) go",
            page,
        )
        assert found is not None
        total, *parts = (int(n) for n in found.groups())
        assert total == sum(parts)
        assert parts[0] == sum(f.used for f in toy_audit(cheats).findings)


def test_one_thing_in_two_classes_is_one_card(toy_audit: Any) -> None:
    stamp = toy_audit(True).findings[0]
    other = replace(stamp, candidate=replace(stamp.candidate, label=0))
    assert shared([stamp, other]) == ((0, 1),)
    assert shared([stamp, stamp]) == (), "twice in one class is not two classes"
    assert shared([stamp, replace(other, state="not_decided")]) == ()
    say = sentences(stamp, ("cold", "warm"), translator("en"), [other])
    assert any(line.startswith("The same goes with “cold”") for line in say.main)


def test_what_pushes_away_is_said_with_both_classes(toy_audit: Any) -> None:
    stamp = toy_audit(True).findings[0]
    loss = shifts(np.zeros(20, int), one_hot([0] * 20), one_hot([2] * 20), None)
    pushing = replace(stamp, effect=replace(stamp.effect, shifts=loss, kept=0.2, undone=0.9, undone_tested=15))
    labels = ("cold", "warm", "hot")
    assert [s.label for s in lowered(pushing)] == [0]
    assert lowers_own(pushing)
    assert away_from(pushing, labels) == ["warm", "cold"]
    say = " ".join(sentences(pushing, labels, translator("en")).main)
    assert "pushes images away from “cold”" in say
    assert "predicted as “hot”" in say
    assert not lowered(stamp), "images that turn to the class itself are its effect"
    assert not lowers_own(stamp)


def test_metadata_groups_and_duplicates_are_in_the_report_and_the_record(tmp_path: Path) -> None:
    import json

    import shisen
    from auditing import toy

    images = toy.folder(tmp_path / "images", each=24)
    rows = ["path,label,site"]
    for label in ("cold", "warm"):
        for i in range(24):
            site = "north" if (i % 4 == 0) == (label == "warm") else "south"
            rows.append(f"{label}/{i:03d}.png,{label},{site}")
    twice = images / "cold" / "copy.png"
    twice.write_bytes((images / "warm" / "003.png").read_bytes())
    rows.append("cold/copy.png,cold,north")
    (images / "labels.csv").write_text("\n".join(rows))
    train = tmp_path / "train" / "warm"
    train.mkdir(parents=True)
    (train / "leaked.png").write_bytes((images / "warm" / "005.png").read_bytes())
    result = shisen.audit(
        toy.model(True), images / "labels.csv", tmp_path / "out", groups=("site",), train=train.parent, lang="ja"
    )
    record = json.loads((tmp_path / "out" / "findings.json").read_text("utf-8"))
    site = next(a for a in record["metadata"]["associations"] if a["name"] == "site" and a["against"] == "label")
    assert site["state"] == "not_tested"
    assert {g["name"] for g in record["groups"][0]["groups"]} == {"north", "south"}
    kinds = {(p["first"], p["other"], p["other_in"]): p["how"] for p in record["duplicates"]["pairs"]}
    assert kinds["warm/005.png", "warm/leaked.png", "train"] == "same_file"
    assert kinds["cold/copy.png", "warm/003.png", "audited"] == "same_file"
    assert record["duplicates"]["accuracy_without_leaked"]["n"] == 48
    page = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert "重複している画像" in page
    assert "グループごとの正解率" in page
    assert "画像の集め方" in page
    assert [g.column for g in result.context.groups] == ["site"]
