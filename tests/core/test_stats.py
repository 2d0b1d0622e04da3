"""Intervals, enrichment, permutation tests and false-discovery control against hand-made and slow twins."""

from __future__ import annotations

import itertools
import math
from math import comb

import numpy as np
import pytest

from shisen._core.stats import (
    benjamini_hochberg,
    bootstrap,
    enrichment,
    evenly_spaced,
    fraction,
    net_fraction,
    sign_flip,
    wilson,
)


def test_wilson_solves_its_defining_equation() -> None:
    # the bounds are the shares whose own normal interval just reaches the observed share
    for hits, n in ((3, 10), (81, 263), (1, 7)):
        for bound in wilson(hits, n):
            assert (hits / n - bound) ** 2 == pytest.approx(1.959963984540054**2 * bound * (1 - bound) / n)
    assert wilson(0, 5)[0] == 0.0
    assert wilson(5, 5)[1] == 1.0
    assert wilson(0, 0) == (0.0, 1.0)


def test_enrichment_counts_draws() -> None:
    want = sum(comb(5, k) * comb(15, 6 - k) for k in range(3, 6)) / comb(20, 6)
    assert enrichment(3, 5, 6, 20) == pytest.approx(want)


def test_benjamini_hochberg_by_hand() -> None:
    p = [0.04, 0.01, 0.5, 0.02]
    assert benjamini_hochberg(p) == pytest.approx([0.16 / 3, 0.04, 0.5, 0.04])
    assert benjamini_hochberg([]).size == 0


def flips(d: np.ndarray, two_sided: bool) -> float:
    """The fraction of all patterns of signs with a mean at least that of the differences."""
    sums = np.asarray([np.dot(signs, d) for signs in itertools.product((-1, 1), repeat=len(d))])
    return float(np.mean((np.abs(sums) >= abs(d.sum()) - 1e-9) if two_sided else (sums >= d.sum() - 1e-9)))


@pytest.mark.parametrize("two_sided", [True, False])
def test_sign_flips_agree_with_all_patterns_counted_or_drawn(two_sided: bool) -> None:
    few = np.array([0.3, -0.1, 0.4, 0.2, 0.25, -0.05, 0.5])
    assert sign_flip(few, two_sided=two_sided) == flips(few, two_sided)
    many = np.random.default_rng(4).normal(0.3, 1.0, 14)
    assert sign_flip(many, two_sided=two_sided, n_draws=40_000) == pytest.approx(flips(many, two_sided), abs=0.006)
    assert sign_flip(np.zeros(20), two_sided=two_sided) == 1.0
    assert sign_flip(np.full(20, np.nan)) != sign_flip(np.full(20, np.nan))


def test_a_mean_that_no_draw_reaches_has_the_least_p_value_and_not_zero() -> None:
    for n_draws in (99, 1999):
        assert sign_flip(np.ones(64), two_sided=False, n_draws=n_draws) == 1 / (1 + n_draws)
    d = np.random.default_rng(0).normal(0.2, 1.0, 30)
    rng = np.random.default_rng(7)
    signs = rng.integers(0, 2, (200, 30)) * 2 - 1
    hits = int(sum(float(np.dot(row, d)) >= d.sum() for row in signs))
    assert 0 < hits < 200
    assert sign_flip(d, two_sided=False, n_draws=200, seed=7) == (1 + hits) / 201
    against = int(sum(float(np.dot(row, -d)) >= -d.sum() for row in signs))
    assert sign_flip(-d, two_sided=False, n_draws=200, seed=7) == (1 + against) / 201
    assert sign_flip(-d, n_draws=200, seed=7) == sign_flip(d, n_draws=200, seed=7)


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


def test_two_sided_sign_flips_of_few_images_are_counted_exactly() -> None:
    d = np.array([1.0, 2.0, 3.0, -0.5])
    want = np.mean([abs(np.dot(s, d)) >= abs(d.sum()) - 1e-9 for s in itertools.product([1, -1], repeat=4)])
    assert sign_flip(d) == want
    assert sign_flip(np.ones(5)) == 2 / 32


def test_a_false_alarm_is_as_rare_as_it_claims() -> None:
    rng = np.random.default_rng(2)
    alarms = sum(sign_flip(rng.normal(size=30), n_draws=4000, seed=k) < 0.05 for k in range(300))
    assert 3 <= alarms <= 30


@pytest.mark.parametrize("n_resamples", [200, 1300])
def test_the_ends_are_the_percentiles_of_the_resampled_means(n_resamples: int) -> None:
    x = np.random.default_rng(2).gamma(2.0, size=25)
    rng = np.random.default_rng(3)
    means = sorted(float(np.mean([x[i] for i in rng.integers(0, 25, 25)])) for _ in range(n_resamples))
    found = bootstrap(x, n_resamples=n_resamples, seed=3)
    for end, level in ((found.low, 0.025), (found.high, 0.975)):
        at = level * (n_resamples - 1)
        low, high = means[int(at)], means[int(at) + 1]
        assert end == pytest.approx(low + (at - int(at)) * (high - low))
    assert found.n == 25


def test_an_interval_excludes_zero_on_either_side() -> None:
    for shift, excludes in ((3.0, True), (-3.0, True), (0.0, False)):
        x = np.concatenate([np.full(20, 1.0), np.full(20, -1.0)]) + shift
        assert bootstrap(x).excludes_zero is excludes


def test_rows_are_spread_evenly_over_all() -> None:
    assert evenly_spaced(np.arange(10), 20).tolist() == list(range(10))
    assert evenly_spaced(np.arange(0, 200, 2), 4).tolist() == [0, 66, 132, 198]


def test_the_interval_of_a_fraction_has_a_width_where_none_or_all_are_hits() -> None:
    none, every = fraction(np.zeros(80, bool)), fraction(np.ones(80, bool))
    assert (none.value, none.low, none.high) == (0.0, *wilson(0, 80))
    assert none.high == pytest.approx(0.0458, abs=1e-3)
    assert (every.value, every.low, every.high) == (1.0, *wilson(80, 80))
    assert math.isnan(fraction(np.zeros(0, bool)).value)


def test_the_interval_of_gains_less_losses_covers_and_is_symmetric() -> None:
    still = net_fraction(np.zeros(80))
    assert (still.value, still.low, still.high) == (0.0, -wilson(0, 80)[1], wilson(0, 80)[1])
    assert math.isnan(net_fraction(np.zeros(0)).value)
    rng = np.random.default_rng(0)
    for gain, loss in ((0.02, 0.01), (0.3, 0.1), (0.5, 0.4), (0.95, 0.0)):
        draws = rng.choice([1.0, -1.0, 0.0], (2000, 60), p=(gain, loss, 1 - gain - loss))
        found = [net_fraction(row) for row in draws]
        mirrored = net_fraction(-draws[0])
        assert (mirrored.low, mirrored.high) == pytest.approx((-found[0].high, -found[0].low))
        covered = np.mean([one.low <= gain - loss <= one.high for one in found])
        assert 0.93 <= covered <= 1.0
        deviation = np.sqrt((gain + loss - (gain - loss) ** 2) / 60)
        assert np.mean([one.high - one.low for one in found]) < 2 * 1.96 * deviation + 0.06
