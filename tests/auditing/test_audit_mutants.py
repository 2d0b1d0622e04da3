"""Constants and formulas that a verdict depends on, each held by figures worked out by hand."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("sklearn")

from shisen._core.stats import enrichment, log_enrichment
from shisen.auditing.artefacts import REGISTERED, kinds, register
from shisen.auditing.artefacts.base import Evidence, searched_candidate
from shisen.auditing.artefacts.fixed_patch import FixedPatch
from shisen.auditing.clusters import clusters
from shisen.auditing.evidence import background

PATCH = FixedPatch(np.zeros((8, 8, 3), np.float32), np.pad(np.ones((4, 4), np.float32), 2))


def test_a_patch_s_p_value_is_corrected_for_two_hundred_searches() -> None:
    labels = np.repeat([0, 1], 20)
    evidence = Evidence(labels, np.zeros((40, 8, 8, 3), np.uint8), np.arange(40), np.zeros((40, 0)))
    one = searched_candidate(evidence, 0, PATCH, [0, 1, 2, 3, 4, 5, 6, 7, 8, 25])
    tail = sum(comb(20, k) * comb(20, 10 - k) for k in (9, 10)) / comb(40, 10)
    assert one.inside == 9
    assert one.p == pytest.approx(200 * tail)
    assert one.p > 0.05, "nine of ten in one class of two is little, among so many windows"


def test_enrichment_is_a_tail_that_counts_what_was_seen() -> None:
    tail = sum(comb(20, k) * comb(20, 10 - k) for k in (9, 10)) / comb(40, 10)
    assert enrichment(9, 20, 10, 40) == pytest.approx(tail)
    assert np.exp(log_enrichment(np.array([9]), 20, np.array([10]), 40))[0] == pytest.approx(tail)
    assert enrichment(0, 20, 10, 40) == pytest.approx(1.0)


def test_boundary_connectivity_grows_with_the_root_of_the_area() -> None:
    pixels = np.zeros((40, 40, 3), np.uint8)
    pixels[:, :10] = 255  # a quarter of the image, and of the border: 10 + 10 + 38 of 156 pixels
    degree = background(pixels)
    touching = (10 + 10 + 38) / 156
    assert degree[20, 2] == pytest.approx(touching / 0.25**0.5, abs=0.04)  # without the root: 1
    assert degree[20, 30] == pytest.approx((1 - touching) / 0.75**0.5, abs=0.04)


def test_maps_alone_make_no_clusters() -> None:
    draw = np.random.default_rng(0)
    features = draw.normal(0, 1, (60, 6))
    maps = np.eye(2)[np.repeat([0, 1], 30)]  # at ten times the weight, they would decide
    found = clusters(features.astype(np.float32), maps.astype(np.float32))
    assert sorted(found) != [tuple(range(30)), tuple(range(30, 60))]
    features = np.eye(6)[np.repeat([0, 1], 30)] + draw.normal(0, 0.05, (60, 6))
    maps = draw.normal(0, 1, (60, 6))
    found = clusters(features.astype(np.float32), np.abs(maps).astype(np.float32))
    assert sorted(found) == [tuple(range(30)), tuple(range(30, 60))]


def test_other_packages_can_add_a_kind_of_artefact() -> None:
    class Sticker(FixedPatch):
        pass

    before = kinds()
    try:
        assert register(Sticker) is Sticker
        assert kinds() == (*before, Sticker)
        register(Sticker)
        assert kinds() == (*before, Sticker), "once is enough"
    finally:
        REGISTERED.remove(Sticker)
