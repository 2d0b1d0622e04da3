from __future__ import annotations

import numpy as np
import pytest

from evaluation.samples import SIDE, important, logits, sample
from reference import metrics as twin
from shisen.evaluation import infidelity, road, shape
from shisen.evaluation.requests import run_metric


def test_imputation_equals_the_dense_system() -> None:
    rng = np.random.default_rng(0)
    image = rng.random((6, 5, 3)).astype(np.float32)
    for fraction in (0.1, 0.5, 0.9):
        keep = rng.random((6, 5)) > fraction
        keep[2, 2] = True
        np.testing.assert_allclose(road.imputed(image, keep), twin.imputed(image, keep), atol=1e-5)


def test_imputation_by_hand() -> None:
    image = np.zeros((3, 3, 1), dtype=np.float32)
    image[0, 1], image[0, 0] = 6.0, 12.0  # one direct neighbor counts 1/6, one diagonal 1/12
    keep = np.ones((3, 3), dtype=bool)
    keep[1, 1] = False
    assert road.imputed(image, keep)[1, 1, 0] == pytest.approx(6 / 6 + 12 / 12)
    # in a corner two direct and one diagonal neighbor are left: (2·v/6 + w/12) / (5/12)
    keep = np.ones((3, 3), dtype=bool)
    keep[0, 0] = False
    image = np.array([[0, 5, 0], [5, 10, 0], [0, 0, 0]], dtype=np.float32)[:, :, None]
    assert road.imputed(image, keep)[0, 0, 0] == pytest.approx((10 / 6 + 10 / 12) / (5 / 12))
    np.testing.assert_array_equal(road.imputed(image, np.ones((3, 3), dtype=bool)), image)
    np.testing.assert_allclose(road.imputed(image, np.zeros((3, 3), dtype=bool)), image.mean())


def test_road_tells_perfect_from_random_from_inverted() -> None:
    # a smooth image whose quarter is dark would be refilled brightly: so brightness itself is what counts here
    def value(v):
        return run_metric(road.road(sample(v), noise=0.0), dark_quarter).value

    def dark_quarter(images):
        x = np.asarray(images, dtype=np.float64).mean(axis=3) - 0.85
        score = 60 * ((x * important()).sum(axis=(1, 2)) / important().sum())
        return np.stack([np.zeros_like(score), score], axis=1)

    noise = [value(np.random.default_rng(k).random((SIDE, SIDE))) for k in range(10)]
    assert abs(np.mean(noise)) < 0.2
    one = sample(important())
    both = run_metric(road.road(one), logits)
    least, most = run_metric(road.road_lerf(one), logits).value, run_metric(road.road_morf(one), logits).value
    assert both.value == pytest.approx((least - most) / 2)


def test_road_of_the_constant_map_is_that_of_the_random_map() -> None:
    from shisen.evaluation.control_maps import control_map

    flat = sample(np.ones((SIDE, SIDE)), 2)
    noise = sample(control_map("random", flat.image, 2), 2)
    assert run_metric(road.road(flat), logits).value == run_metric(road.road(noise), logits).value


def gradients(one) -> np.ndarray:
    """Gradient × value of the toy network: a perfect forecast for a linear network over zero."""
    return important() * one.image.mean(axis=2) * 8.0 / important().sum()


def test_infidelity_is_zero_for_the_true_slopes_of_a_linear_network() -> None:
    plain = sample(np.zeros((SIDE, SIDE)))
    assert run_metric(infidelity.infidelity(sample(gradients(plain)), scaled=False), logits).value < 1e-9
    assert run_metric(infidelity.infidelity(sample(5 * gradients(plain))), logits).value < 1e-9  # β takes the unit away
    assert run_metric(infidelity.infidelity(sample(5 * gradients(plain)), scaled=False), logits).value > 0.1
    flipped = run_metric(infidelity.infidelity(sample(gradients(plain)[::-1, ::-1])), logits).value
    assert flipped > 0.05


def test_infidelity_by_its_definition() -> None:
    one = sample(np.random.default_rng(3).normal(size=(SIDE, SIDE)))
    masks = infidelity._squares(one, 32, 2)
    a = np.array([sum(one.heat[y, x] for y, x in zip(*np.nonzero(k), strict=True)) for k in masks], dtype=np.float64)
    b = []
    for k in masks:
        gone = one.image.copy()
        gone[k] = 0.0
        b.append(logits(one.image[None])[0, 1] - logits(gone[None])[0, 1])
    beta = sum(a * b) / sum(a * a)
    want = np.mean([(beta * x - y) ** 2 for x, y in zip(a, b, strict=True)])
    assert run_metric(infidelity.infidelity(one), logits).value == pytest.approx(want, rel=1e-4)
    assert all(k.sum() == 4 for k in masks)


def test_mufidelity_of_perfect_random_and_inverted_maps() -> None:
    plain = sample(np.zeros((SIDE, SIDE)))
    assert run_metric(infidelity.mufidelity(sample(gradients(plain)), grid=8), logits).value > 0.999
    assert run_metric(infidelity.mufidelity(sample(-gradients(plain)), grid=8), logits).value < -0.999
    assert run_metric(infidelity.mufidelity(sample(np.ones((SIDE, SIDE))), grid=8), logits).value == 0.0
    noise = [np.random.default_rng(k).random((SIDE, SIDE)) for k in range(20)]
    assert abs(np.mean([run_metric(infidelity.mufidelity(sample(v), grid=8), logits).value for v in noise])) < 0.15


def test_rank_correlation_equals_its_slow_twin() -> None:
    rng = np.random.default_rng(0)
    for _ in range(10):
        a, b = rng.integers(0, 5, 30), rng.integers(0, 5, 30)
        assert infidelity.rank_correlation(a, b) == pytest.approx(twin.spearman(a, b))
    assert infidelity.rank_correlation(np.arange(9), np.exp(np.arange(9))) == pytest.approx(1.0)
    np.testing.assert_allclose(infidelity.ranked(np.array([3, 1, 3])), [1.5, 0, 1.5])


def test_max_sensitivity_by_hand() -> None:
    one = sample(np.full((SIDE, SIDE), 2.0))

    def explain(images, fraction):
        made = np.stack([np.full((SIDE, SIDE), 2.0) for _ in images])
        made[1] += 0.5  # ‖0.5‖ / ‖2‖ over all places
        return made

    assert run_metric(infidelity.max_sensitivity(one, n_samples=3), logits, explain).value == pytest.approx(0.25)
    zero = run_metric(infidelity.max_sensitivity(sample(np.zeros((SIDE, SIDE)))), logits, explain)
    assert np.isnan(zero.value)


def test_the_noise_stays_within_the_radius() -> None:
    one = sample(important())
    noise = infidelity._noisy(one, 4, 0.02) - one.image
    assert np.abs(noise).max() <= 0.02 + 1e-6
    assert np.abs(noise).max() > 0.015


def test_shapes_of_maps() -> None:
    rng = np.random.default_rng(0)
    v = rng.normal(size=(SIDE, SIDE))
    assert shape.sparseness(sample(v)).value == pytest.approx(twin.gini(sample(v).heat), abs=1e-6)
    one = np.zeros((SIDE, SIDE))
    one[3, 4] = -2.0
    assert shape.sparseness(sample(one)).value == pytest.approx(1 - 1 / 64)
    assert shape.entropy(sample(one)).value == 0.0
    two = one.copy()
    two[0, 0] = 2.0
    assert shape.entropy(sample(two)).value == pytest.approx(np.log(2) / np.log(64))
    for flat in (np.ones((SIDE, SIDE)), np.zeros((SIDE, SIDE))):
        assert shape.sparseness(sample(flat)).value == pytest.approx(0.0, abs=1e-12)
        assert shape.entropy(sample(flat)).value == pytest.approx(1.0)
