from __future__ import annotations

import itertools

import numpy as np
import pytest

from shisen.evaluation.statistics import bootstrap, difference, sign_flip_p


def test_intervals_cover_the_truth_about_95_times_in_100() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for k in range(300):
        found = bootstrap(rng.normal(2.0, 1.0, 40), seed=k)
        covered += found.low <= 2.0 <= found.high
    assert 0.90 <= covered / 300 <= 0.98


def test_the_width_is_that_of_the_standard_error() -> None:
    x = np.random.default_rng(1).normal(size=400)
    found = bootstrap(x)
    assert found.value == pytest.approx(x.mean())
    assert found.high - found.low == pytest.approx(2 * 1.96 * x.std() / 20, rel=0.08)


def test_missing_values_and_few_images() -> None:
    assert bootstrap(np.array([1.0, np.nan, 3.0])).n == 2
    one = bootstrap(np.array([5.0]))
    assert (one.value, one.n) == (5.0, 1)
    assert np.isnan(one.low)
    assert np.isnan(bootstrap(np.array([])).value)


def test_sign_flips_of_few_images_are_counted_exactly() -> None:
    d = np.array([1.0, 2.0, 3.0, -0.5])
    want = np.mean([abs(np.dot(s, d)) >= abs(d.sum()) - 1e-9 for s in itertools.product([1, -1], repeat=4)])
    assert sign_flip_p(d) == want
    assert sign_flip_p(np.ones(5)) == 2 / 32


def test_a_false_alarm_is_as_rare_as_it_claims() -> None:
    rng = np.random.default_rng(2)
    alarms = sum(sign_flip_p(rng.normal(size=30), k) < 0.05 for k in range(300))
    assert 3 <= alarms <= 30


def test_verdicts() -> None:
    rng = np.random.default_rng(3)
    base = rng.normal(size=30)
    better = np.stack([base + 0.5 + 0.1 * rng.normal(size=30), base], axis=1)
    assert difference("a", "b", "m", better, True).verdict == "better"
    assert difference("a", "b", "m", better, False).verdict == "worse"
    assert difference("a", "b", "m", better, None).verdict == "different"
    same = np.stack([base, rng.permutation(base)], axis=1)
    found = difference("a", "b", "m", same, True)
    assert found.verdict == "no clear difference"
    assert found.interval.value == pytest.approx(0.0, abs=1e-12)
    assert "no clear difference" in found.sentence
