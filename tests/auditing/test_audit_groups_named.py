"""Groups that the user names: accuracy of each, and a probe that only counts what is within the classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

pytest.importorskip("sklearn")

from shisen.auditing.groups import grouped
from shisen.auditing.metadata import Attribute
from shisen.auditing.probe import auc, probe
from shisen.errors import InputError

LABELS = np.repeat([0, 1], 60)
SITES = np.asarray(["A" if i % 60 < (45 if i < 60 else 15) else "B" for i in range(120)])


def features(site: float, seed: int = 0) -> np.ndarray:
    draw = np.random.default_rng(seed)
    values = draw.normal(0, 1, (120, 12)).astype(np.float32)
    values[:, 0] += 6.0 * LABELS  # the class is plain to see, and goes with the site
    values[:, 1] += site * (SITES == "A")
    return values


def test_accuracy_by_group_with_its_interval_and_what_the_classes_explain() -> None:
    right = np.asarray([not (s == "B" and i % 2) for i, s in enumerate(SITES)])
    values = features(0.0)
    made = grouped(("site",), [Attribute("column", "site", tuple(SITES))], LABELS, right, lambda rows: values[rows])[0]
    by_name = {g.name: g for g in made.groups}
    assert by_name["A"].accuracy.value == 1.0
    assert by_name["B"].accuracy.hits == right[SITES == "B"].sum()
    low, high = by_name["B"].accuracy.interval
    assert low < by_name["B"].accuracy.value < high
    usual = right[LABELS == 0].mean() * 45 + right[LABELS == 1].mean() * 15
    assert by_name["A"].expected == pytest.approx(usual / 60)
    assert made.worst == "B"


def test_the_probe_tells_a_site_and_is_not_misled_by_the_class() -> None:
    there, absent = (probe(SITES, LABELS, features(s).__getitem__) for s in (2.5, 0.0))
    assert there is not None
    assert absent is not None
    assert there.auc > 0.9
    assert there.tells
    assert there.low <= there.auc <= there.high
    assert absent.low < 0.5
    assert not absent.tells


def test_the_probe_stays_at_chance_over_many_draws() -> None:
    found = [probe(SITES, LABELS, features(0.0, seed).__getitem__) for seed in range(12)]
    assert np.mean([f.auc for f in found if f]) == pytest.approx(0.5, abs=0.06)
    assert sum(f.tells for f in found if f) <= 2


def test_without_two_groups_in_a_class_there_is_no_probe() -> None:
    apart = np.asarray(["A"] * 60 + ["B"] * 60)

    def unused(rows: Sequence[int]) -> np.ndarray:
        raise AssertionError

    assert probe(apart, LABELS, unused) is None


def test_a_missing_value_is_a_group_and_rare_groups_count_as_one() -> None:
    values = tuple(None if i < 20 else f"s{i}" if i < 60 else "common" for i in range(120))
    made = grouped(
        ("site",), [Attribute("column", "site", values)], LABELS, np.ones(120, bool), lambda rows: features(0.0)[rows]
    )[0]
    assert [g.name for g in made.groups[:2]] == ["common", "(none)"]
    assert made.groups[-1].name == "(other)"
    assert sum(g.accuracy.n for g in made.groups) == 120


def test_a_column_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(InputError, match="scanner"):
        grouped(
            ("site",),
            [Attribute("column", "scanner", ("1",) * 120)],
            LABELS,
            np.ones(120, bool),
            lambda rows: features(0),
        )


def test_the_area_under_the_curve_counts_pairs() -> None:
    inside, outside = np.asarray([3.0, 1.0]), np.asarray([2.0, 1.0, 0.0])
    pairs = [(a > b) + 0.5 * (a == b) for a in inside for b in outside]
    assert auc(inside, outside) == pytest.approx(np.mean(pairs))
