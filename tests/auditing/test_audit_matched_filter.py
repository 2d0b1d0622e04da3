"""Groups are found by what they have in common, and cut where the likeness ends."""

from __future__ import annotations

import numpy as np
import pytest

from shisen._core.stats import log_enrichment
from shisen.auditing.matched_filter import apart, gathered, likeness, matched

OWN = np.arange(120) < 40


def made(affected: int, strength: float = 1.0) -> np.ndarray:
    draw = np.random.default_rng(affected)
    fine = draw.normal(0, 20, (120, 60)).astype(np.float32)
    fine[:affected] += strength * draw.normal(0, 20, 60).astype(np.float32)
    return fine


@pytest.mark.parametrize("affected", [4, 10, 40])
def test_a_group_is_gathered_from_a_few_of_it(affected: int) -> None:
    common = likeness(made(affected), OWN)
    start = np.zeros(120, bool)
    start[[0, 1, 2, 39]] = True  # one of them may be wrong
    members, strength = gathered(common, OWN, start)
    assert set(np.flatnonzero(members).tolist()) >= set(range(affected))
    assert members.sum() <= affected + 1
    assert strength > 5


def test_noise_of_a_class_does_not_stand_apart() -> None:
    """All images of the class are compared with one mean of the others, and share its error."""
    draw, own = np.random.default_rng(0), np.arange(60) < 20
    found = []
    for _ in range(30):
        scores = matched(likeness(draw.normal(0, 12, (60, 300)).astype(np.float32), own), own)
        found.append((scores[own].mean() - scores[~own].mean()) / scores[~own].std())
    assert abs(float(np.mean(found))) < 0.3, "1.7 standard deviations without the correction"


def test_a_member_does_not_vouch_for_itself() -> None:
    noise = np.random.default_rng(0).normal(0, 20, (120, 2000)).astype(np.float32)
    common = likeness(noise, OWN)
    group = np.zeros(120, bool)
    group[:3] = True
    scores = matched(common, group)
    spread = scores[~OWN].std()
    assert np.abs(scores[group] - scores[~OWN].mean()).max() < 5 * spread


def test_the_one_that_stands_apart_least_decides() -> None:
    scores = np.concatenate([[8.0, 7.5, 7.0, 6.5], np.zeros(36), np.random.default_rng(1).normal(0, 1, 80)])
    chosen, _ = apart(scores, OWN)
    assert np.flatnonzero(chosen).tolist() == [0, 1, 2, 3]


def test_log_enrichment_is_the_hypergeometric_tail() -> None:
    stats = pytest.importorskip("scipy.stats")
    draw = np.random.default_rng(0)
    members = draw.integers(1, 300, 50)
    inside = np.minimum(draw.integers(0, 50, 50), members)
    expected = stats.hypergeom.logsf(inside - 1, 300, 50, members)
    finite = np.isfinite(expected)
    got = log_enrichment(inside, 50, members, 300)
    assert np.allclose(got[finite], expected[finite], atol=1e-9)
    assert not np.isfinite(got[~finite]).any()
