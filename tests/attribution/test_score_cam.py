"""Score-CAM from fewer passes: the bound holds whatever the scores are, and the estimate is the textbook's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shisen.adapters.torch.adapter import TorchClassifier
from shisen.adapters.wrappers import Batched, Passes, Watched
from shisen.attribution import score_cam_sampling
from shisen.errors import InputError
from shisen.registry import METHODS
from shisen.score_functions import CotangentObjective
from shisen.targets import ClassObjective, MixedObjective, to_numpy

from .. import nets

SEED = ClassObjective("class 2", ((1.0, (2,)),))


def ask(model: Any, x: Any, objective: Any = SEED, **options: Any) -> Any:
    return METHODS["score_cam"](model, x, objective, layer="act2", **options)


def mostly_silent() -> Any:
    """The toy with channels that fade, so that there is something to leave out."""
    import torch

    net = nets.Toy()
    with torch.no_grad():
        for c in range(8):
            net.conv2.weight[c] *= 0.3**c
            net.conv2.bias[c] *= 0.3**c
    return net


@pytest.mark.parametrize("options", [{}, {"variant": "increase", "baseline": 0.5}, {"baseline": "blur"}])
@pytest.mark.parametrize("tolerance", [0.02, 0.3])
def test_no_place_is_further_off_than_the_bound(options: dict[str, Any], tolerance: float) -> None:
    x, model = nets.images(3), Batched(TorchClassifier(mostly_silent()), 1)
    exact, found = ask(model, x, **options), ask(model, x, tolerance=tolerance, **options)
    want, got = to_numpy(exact.values), to_numpy(found.values)
    for i, bound in enumerate(found.notes["bound"]):
        assert np.abs(got[i] - want[i]).max() <= (bound + 1e-5) * want[i].max()
        assert bound <= tolerance or found.notes["masks"][i] == exact.notes["masks"][i]
    if "variant" not in options:  # an increase may have any sign, so little is certain of it
        assert sum(found.notes["masks"]) < sum(exact.notes["masks"]), "nothing was left out"


def test_without_tolerance_and_with_enough_passes_the_map_is_exact() -> None:
    x, model = nets.images(), TorchClassifier(nets.Toy())
    want = to_numpy(ask(model, x).values)
    none, enough = ask(model, x, tolerance=0.0), ask(model, x, max_evals=8)
    assert none.notes["bound"] == [0.0] * len(x)
    assert enough.notes["leave_one_out_correlation"] == [1.0] * len(x)
    for found in (none, enough):
        np.testing.assert_allclose(to_numpy(found.values), want, rtol=1e-5, atol=1e-7)


def test_no_more_is_asked_than_passes() -> None:
    x, count = nets.images(1), Passes()
    found = ask(Watched(TorchClassifier(nets.Toy()), count), x, max_evals=3)
    assert found.notes["masks"] == [3]
    assert count.total == 3 + 1  # the image itself


def test_one_target_a_image() -> None:
    x, model = nets.images(2), Batched(TorchClassifier(nets.Toy()), 2)
    objectives = [SEED, ClassObjective("0 or not 1", ((1.0, (0,)), (-1.0, (1,))))]
    both = ask(model, x, MixedObjective(tuple(objectives)), tolerance=0.3)
    for i, objective in enumerate(objectives):
        alone = ask(model, x[i : i + 1], objective, tolerance=0.3)
        np.testing.assert_allclose(to_numpy(both.values)[i], to_numpy(alone.values)[0], rtol=1e-5, atol=1e-7)
    assert score_cam_sampling.limits(ClassObjective("", objectives[1].terms, "probability")) == (-1.0, 1.0)


@pytest.mark.parametrize(
    "options", [{"max_evals": 1}, {"tolerance": 1.0}, {"tolerance": -0.1}, {"tolerance": 0.1, "max_evals": 4}]
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        ask(TorchClassifier(nets.Toy()), nets.images(1), **options)


def test_a_score_without_limits_has_no_bound() -> None:
    own = CotangentObjective(lambda y: y * 0 + 1)
    with pytest.raises(InputError, match="limits"):
        ask(TorchClassifier(nets.Toy()), nets.images(1), own, tolerance=0.1)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.integers(1, 40), st.floats(0, 0.9), st.sampled_from([(0.0, 1.0), (-1.0, 1.0)]))
def test_the_bound_holds_for_any_scores(state: int, kinds: int, tolerance: float, limits: tuple[float, float]) -> None:
    rng = np.random.default_rng(state)
    sums = rng.normal(size=(kinds, 9)) * np.exp(3 * rng.normal(size=(kinds, 1)))
    weights = rng.choice(limits, kinds) if state % 2 else rng.uniform(*limits, kinds)
    found, bound = score_cam_sampling.bounded(
        sums, lambda some: weights[some], low=limits[0], high=limits[1], tolerance=tolerance, portion=4
    )
    exact = np.maximum(weights @ sums, 0)
    off = np.abs(np.maximum(found @ sums, 0) - exact).max()
    assert off <= (bound + 1e-9) * exact.max() + 1e-9 * np.abs(sums).max()
    assert bound <= tolerance


def textbook(cov: Any, asked: Any, y: Any, noise: float) -> Any:
    """Ordinary kriging as one linear system with a Lagrange multiplier, one mask at a time."""
    k = len(asked)
    system = np.ones((k + 1, k + 1))
    system[:k, :k] = cov[np.ix_(asked, asked)] + noise * np.eye(k)
    system[k, k] = 0
    return np.asarray([np.linalg.solve(system, np.append(cov[asked, m], 1.0))[:k] @ y for m in range(len(cov))])


def setting(kinds: int = 12) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(1)
    points = rng.random((kinds, 5))
    cov = score_cam_sampling._matern(score_cam_sampling._distances(points, points))
    return points, cov, rng.normal(size=(kinds, 4)) * np.exp(rng.normal(size=(kinds, 1)))


def test_distances_and_kriging_are_the_textbooks() -> None:
    points, cov, _ = setting()
    slow = np.asarray([[np.linalg.norm(a - b) for b in points] for a in points])
    np.testing.assert_allclose(score_cam_sampling._distances(points, points), slow, atol=1e-7)
    asked = np.asarray([3, 7, 1, 9])
    y = np.sin(points[asked].sum(axis=1) * 3)
    found = score_cam_sampling._kriged(cov[np.ix_(asked, asked)], cov[:, asked], 0.01, y)
    np.testing.assert_allclose(found, textbook(cov, asked, y, 0.01), rtol=1e-8)
    _, predicted = score_cam_sampling._left_out(cov[np.ix_(asked, asked)], 0.01, y)
    for i in range(4):
        rest = np.delete(np.arange(4), i)
        assert predicted[i] == pytest.approx(textbook(cov, asked[rest], y[rest], 0.01)[asked[i]])


def test_the_masks_asked_leave_the_least_expected_error() -> None:
    _, cov, sums = setting()
    chosen: list[int] = []
    for _ in range(5):
        left = {}
        for k in set(range(len(cov))) - set(chosen):
            asked = [*chosen, k]
            after = cov - cov[:, asked] @ np.linalg.solve(cov[np.ix_(asked, asked)], cov[asked])
            left[k] = np.trace(sums.T @ after @ sums)
        chosen.append(min(left, key=lambda k: left[k]))
    assert score_cam_sampling._most_informative(cov, sums, 5).tolist() == chosen


def test_smooth_scores_are_predicted_and_noise_is_not() -> None:
    rng = np.random.default_rng(0)
    masks = rng.random((300, 2, 3)).astype(np.float32)
    sums = np.abs(rng.normal(size=(300, 16)))
    smooth = np.exp(-((masks.reshape(300, -1) - 0.2) ** 2) @ rng.random(6))
    weights, told = score_cam_sampling.estimated(masks, sums, lambda some: smooth[some], 64)
    assert np.corrcoef(weights, smooth)[0, 1] > 0.98
    assert told > 0.95
    rough = rng.random(300)
    assert score_cam_sampling.estimated(masks, sums, lambda some: rough[some], 64)[1] < 0.4
    same, told = score_cam_sampling.estimated(masks, sums, lambda some: np.full(len(some), 0.3), 64)
    np.testing.assert_allclose(same, 0.3, rtol=1e-6)
