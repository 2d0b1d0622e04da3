"""RISE with balanced masks, by regression, and until two halves agree."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import nets
from reference import perturbations
from shisen.adapters.torch.adapter import TorchClassifier
from shisen.adapters.wrappers import Batched, Passes, Watched
from shisen.attribution import rise_masks, rise_regression
from shisen.attribution.convergence import agreement
from shisen.attribution.rise_masks import Balanced, Directions, Grids
from shisen.errors import InputError
from shisen.registry import METHODS
from shisen.targets import ClassObjective, MixedObjective, to_numpy

KINDS: list[dict[str, Any]] = [
    {"masks": "balanced"},
    {"estimate": "regression"},
    {"masks": "balanced", "estimate": "regression"},
    {"masks": "balanced", "estimate": "regression", "p": 0.3},
]


def one_hot(*classes: int) -> ClassObjective:
    return ClassObjective("class", ((1.0, classes or (1,)),))


def ask(model: Any, x: Any, objective: Any = None, name: str = "rise", **options: Any) -> Any:
    return METHODS[name](model, x, one_hot() if objective is None else objective, **options)


def maps(model: Any, x: Any, **options: Any) -> Any:
    return to_numpy(ask(model, x, **options).values).astype(np.float64)


def likeness(a: Any, b: Any) -> float:
    return float(np.corrcoef(np.ravel(a), np.ravel(b))[0, 1])


class Linear(nn.Module):
    """A score that is a weighted sum of pixels."""

    def __init__(self, h: int, w: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.head = nn.Linear(3 * h * w, 3)

    def forward(self, x: Any) -> Any:
        return self.head(x.flatten(1))


@lru_cache(maxsize=4)
def expected(linear: bool, p: float) -> tuple[Any, Any]:
    """Return a network for images of 8 × 12 pixels, and the expectation of RISE's map of the first for class 1."""
    net = Linear(8, 12) if linear else nets.Toy(bent=True)
    return net, perturbations.rise_expected(nets.Pixels(net), nets.images(1, 8, 12)[0], 1, 2, p)


@given(st.integers(1, 9), st.sampled_from([0.5, 0.3, 0.75]), st.integers(1, 150), st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_every_cell_is_visible_in_its_share_of_the_masks(cells: int, p: float, half: int, state: int) -> None:
    plan = Balanced((20, 31), cells, p, 2 * half, state)
    shown = plan.grids.sum(axis=0)
    assert set(np.unique(plan.grids)) <= {0.0, 1.0}
    assert (np.abs(shown - p * 2 * half) < (1e-9 if p == 0.5 else 1.0)).all()
    assert ((plan.shifts >= 0) & (plan.shifts < np.asarray(plan.sides)[:, None])).all()
    again = Balanced((20, 31), cells, p, 2 * half, state)
    assert np.array_equal(plan.grids, again.grids)
    assert np.array_equal(plan.shifts, again.shifts)


def test_balanced_masks_are_pairs_of_complements_and_blocks_without_correlation() -> None:
    x = np.zeros((1, 24, 30, 3), np.float32)
    plan = Balanced((24, 30), 7, 0.5, 256, 3)
    masks = plan.masks(range(256), x)
    np.testing.assert_allclose(masks[::2] + masks[1::2], 1.0, atol=1e-6)
    signs = 2.0 * plan.grids[:128].reshape(128, -1) - 1.0
    assert np.array_equal(signs.T @ signs, 128 * np.eye(49))
    assert not np.array_equal(plan.grids, Balanced((24, 30), 7, 0.5, 256, 4).grids)
    for axis, side in enumerate(plan.sides):  # 128 draws by chance would differ by about ten
        counts = np.bincount(plan.shifts[axis], minlength=side) / 2
        assert np.ptp(counts) <= 6


def test_directions_have_no_correlation_over_all_masks() -> None:
    plan = Grids((6, 8), 2, 0.3, 2, 0)
    every = np.stack(np.meshgrid(*[[0, 1]] * 4, range(3), range(4), indexing="ij")).reshape(6, -1)
    plan.grids, plan.shifts = every[:4].T.reshape(-1, 2, 2).astype(np.float32), every[4:]
    chance = np.prod(np.where(every[:4] > 0, 0.3, 0.7), axis=0) / 12
    directions = Directions(plan)
    z = directions.features(range(every.shape[1]))
    np.testing.assert_allclose(chance @ z, 0.0, atol=1e-6)
    np.testing.assert_allclose((z * chance[:, None]).T @ z, np.eye(z.shape[1]), atol=1e-5)
    # any score whatever: its covariance with the features paints its covariance with the masks
    y = np.random.default_rng(0).normal(size=every.shape[1])
    masks = plan.masks(range(len(y)), np.zeros((1, 6, 8, 3), np.float32)).astype(np.float64)
    want = np.einsum("i,ihw->hw", chance * (y - chance @ y), masks) / 0.3
    found = directions.painted((chance * y) @ z)  # less the least directions, a thousandth of the variance
    np.testing.assert_allclose(found, want, atol=0.05 * np.abs(want).max())


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("linear", [True, False])
def test_all_kinds_have_the_expectation_of_the_papers_map(kind: dict[str, Any], linear: bool) -> None:
    x = nets.images(1, 8, 12)
    net, want = expected(linear, kind.get("p", 0.5))
    found = np.mean(
        [maps(TorchClassifier(net), x, n_samples=600, cells=2, seed=s, **kind)[0] for s in range(4)], axis=0
    )
    assert likeness(found, want) > 0.99
    assert np.sum(found * want) / np.sum(want * want) == pytest.approx(1.0, abs=0.06)


def test_a_linear_network_is_solved_from_few_masks() -> None:
    x = nets.images(1, 8, 12)
    net, want = expected(True, 0.5)
    for kind in ("paper", "balanced"):
        few = maps(TorchClassifier(net), x, n_samples=200, cells=2, masks=kind, estimate="regression")[0]
        assert np.abs(few - want).max() < 0.05 * np.abs(want).max()


def test_the_regression_equals_its_dual_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rise_masks, "LEAST", 1e-7)
    rise_masks._axes.cache_clear()
    net, x = nets.Toy(bent=True), nets.images(1)
    h, w = x.shape[1:3]
    drawn = perturbations.rise_masks(h, w, 60, 3, 0.4)
    scores = [perturbations.logit(nets.Pixels(net), x[0] * np.float32(m)[:, :, None], 1) for m in drawn]
    want = perturbations.rise_regression(drawn, scores, 3, 0.4, rise_regression.RATIOS)
    found = maps(TorchClassifier(net), x, n_samples=60, cells=3, p=0.4, estimate="regression")[0]
    rise_masks._axes.cache_clear()
    np.testing.assert_allclose(found, want, atol=1e-3 * np.abs(want).max())


@pytest.mark.parametrize("kind", [{}, *KINDS], ids=str)
@pytest.mark.parametrize("stop", [None, 0.9])
def test_a_batch_equals_its_images_however_it_is_cut(kind: dict[str, Any], stop: float | None) -> None:
    model, x = TorchClassifier(nets.Toy(bent=True)), nets.images(3)
    options = {"n_samples": 160, "cells": 3, "stop": stop, **kind}
    whole = ask(model, x, one_hot(0, 3, 4), **options)
    values = to_numpy(whole.values)
    mixed = MixedObjective((one_hot(0), one_hot(3), one_hot(4)))
    for cut in (ask(Batched(model, 1), x, mixed, **options), ask(Batched(model, 7), x, mixed, **options)):
        np.testing.assert_allclose(to_numpy(cut.values), values, atol=1e-4 * np.abs(values).max())
        assert cut.notes.get("n_samples") == whole.notes.get("n_samples")
    for i, k in enumerate((0, 3, 4)):
        alone = ask(model, x[i : i + 1], one_hot(k), **options)
        np.testing.assert_allclose(to_numpy(alone.values)[0], values[i], atol=1e-4 * np.abs(values).max())
        assert float(alone.notes["uncertainty"][0]) == pytest.approx(float(whole.notes["uncertainty"][i]), rel=1e-3)
        if stop:
            assert alone.notes["n_samples"] == whole.notes["n_samples"][i : i + 1]


@pytest.mark.parametrize("kind", [{}, *KINDS], ids=str)
def test_it_stops_where_two_halves_agree(kind: dict[str, Any]) -> None:
    passes, x = Passes(), nets.images(1)
    model = Watched(TorchClassifier(nets.Toy(bent=True)), passes)
    found = ask(model, x, n_samples=2000, cells=3, stop=0.9, **kind)
    count = found.notes["n_samples"][0]
    assert found.notes["agreement"][0] >= 0.9
    assert 128 <= count < 2000
    assert count % 32 == 0
    assert passes.total == count + 1  # and the image itself
    other = maps(model, x, n_samples=2000, cells=3, seed=1, **kind)[0]
    assert likeness(to_numpy(found.values)[0], other) > 0.85  # beside many other masks


def test_what_is_not_reached_is_said() -> None:
    found = ask(TorchClassifier(nets.Toy()), nets.images(2), n_samples=100, stop=0.99999)
    assert found.notes["n_samples"] == [100, 100]
    assert all(0.0 <= r < 0.99999 for r in found.notes["agreement"])
    few = ask(TorchClassifier(nets.Toy()), nets.images(1), n_samples=8, stop=0.5)
    assert (few.notes["n_samples"], few.notes["agreement"]) == ([8], [0.0])
    whole = maps(TorchClassifier(nets.Toy()), nets.images(1), n_samples=8)
    np.testing.assert_allclose(to_numpy(few.values), whole, atol=1e-6 * np.abs(whole).max())


def test_no_more_is_held_than_the_chunk() -> None:
    largest = 0

    def watch(_: str, rows: int) -> None:
        nonlocal largest
        largest = max(largest, rows)

    model = Watched(Batched(TorchClassifier(nets.Toy()), 6), watch)
    ask(model, nets.images(3), n_samples=200, masks="balanced", estimate="regression", stop=0.999)
    assert largest == 6


def test_a_score_that_never_changes_gives_an_empty_map() -> None:
    net = Linear(8, 12)
    with torch.no_grad():
        net.head.weight.zero_()
    for kind in ({}, *KINDS):
        found = ask(TorchClassifier(net), nets.images(1, 8, 12), n_samples=200, cells=2, stop=0.9, **kind)
        np.testing.assert_allclose(to_numpy(found.values), 0.0, atol=1e-6)
        assert found.notes["agreement"] == [0.0]


def test_agreement_is_spearman_browns() -> None:
    rng = np.random.default_rng(0)
    truth, noise = rng.normal(size=100_000), rng.normal(size=(4, 100_000))
    halves = [truth + noise[0], truth + noise[1]]
    others = [truth + noise[2], truth + noise[3]]
    assert agreement(*halves) == pytest.approx(likeness(sum(halves), sum(others)), abs=0.01)
    assert agreement(truth, -truth) == agreement(truth, 0 * truth) == 0.0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"masks": "other"}, "balanced"),
        ({"estimate": "other"}, "regression"),
        ({"masks": "balanced", "n_samples": 7}, "even"),
        ({"estimate": "regression", "variant": "paper"}, "mean score"),
        ({"stop": 1.0}, "correlation"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        ask(TorchClassifier(nets.Toy()), nets.images(1), **options)
    if "stop" in options:
        with pytest.raises(InputError, match=words):
            ask(TorchClassifier(nets.Toy()), nets.images(1), name="smooth_grad", **options)


@pytest.mark.parametrize("antithetic", [False, True])
@pytest.mark.parametrize("statistic", ["mean", "square", "variance"])
def test_smooth_grad_stops_too(antithetic: bool, statistic: str) -> None:
    model, x = TorchClassifier(nets.Toy("relu6", bent=True)), nets.images(2)
    options = {"name": "smooth_grad", "antithetic": antithetic, "statistic": statistic}
    found = ask(model, x, one_hot(0, 3), n_samples=800, stop=0.9, **options)
    for i, k in enumerate((0, 3)):
        count = found.notes["n_samples"][i]
        assert found.notes["agreement"][i] >= 0.9
        assert count % 32 == 0
        assert count < 800
        same = to_numpy(ask(Batched(model, 3), x[i : i + 1], one_hot(k), n_samples=count, **options).values)[0]
        np.testing.assert_allclose(to_numpy(found.values)[i], same, atol=1e-4 * np.abs(same).max())


def test_noise_of_both_signs_leaves_out_what_is_odd_in_it() -> None:
    class Square(nn.Module):
        def forward(self, x: Any) -> Any:
            return (x * x).flatten(1).sum(dim=1, keepdim=True) + torch.zeros(1, 3)

    x = nets.images(1)
    both = to_numpy(ask(TorchClassifier(Square()), x, name="smooth_grad", n_samples=4, antithetic=True).values)
    np.testing.assert_allclose(both, 2.0 * x, atol=1e-5)
    plain = to_numpy(ask(TorchClassifier(Square()), x, name="smooth_grad", n_samples=4).values)
    assert np.abs(plain - 2.0 * x).max() > 0.01
