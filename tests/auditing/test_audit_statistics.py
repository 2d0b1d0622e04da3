"""Intervals, enrichment, permutation tests and false-discovery control against hand-made and slow twins."""

from __future__ import annotations

from itertools import product
from math import comb

import numpy as np
import pytest

from shisen.auditing.statistics import benjamini_hochberg, bootstrap_mean, enrichment, sign_flip, wilson


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


def test_sign_flip_agrees_with_all_flips() -> None:
    d = np.array([0.3, -0.1, 0.4, 0.2, 0.25, -0.05, 0.5])
    every = [np.dot(signs, d) for signs in product((-1, 1), repeat=len(d))]
    want = np.mean(np.asarray(every) >= d.sum() - 1e-12)
    assert sign_flip(d, draws=20000) == pytest.approx(want, abs=0.006)
    assert sign_flip(np.zeros(4)) == 1.0
    assert sign_flip(-d) > 0.9


def test_bootstrap_holds_the_mean_and_repeats() -> None:
    v = np.random.default_rng(0).normal(0.3, 1.0, 400)
    low, high = bootstrap_mean(v)
    assert low < v.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * v.std() / 20, rel=0.1)
    assert bootstrap_mean(v) == (low, high)
