from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evaluation.samples import SIDE, important, logits, probability, sample
from reference import metrics as twin
from shisen.evaluation import masking_metrics as m
from shisen.evaluation.metrics import METRICS
from shisen.evaluation.requests import run_metric
from shisen.evaluation.sample import normalized

ZERO = (0.0, 0.0, 0.0)


def values(seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(SIDE, SIDE))


def dimmer(images, fraction):
    """A method whose maps are the brightness: so the map of a masked image is known."""
    return np.asarray(images).mean(axis=3)


def test_masked_probabilities_equal_the_slow_twin() -> None:
    for seed in range(4):
        one = sample(values(seed), seed)
        mask = twin.mask(one.heat)
        p, q = probability(one.image), probability(twin.through(one.image, mask, ZERO))
        rest = probability(twin.through(one.image, 1 - mask, ZERO))
        near = {"abs": 1e-3}
        assert run_metric(m.average_drop(one), logits).value == pytest.approx(100 * max(0, p - q) / p, **near)
        assert run_metric(m.increase(one), logits).value == (100.0 if q > p else 0.0)
        assert run_metric(m.average_gain(one), logits).value == pytest.approx(100 * max(0, q - p) / (1 - p), **near)
        assert run_metric(m.drop_in_deletion(one), logits).value == pytest.approx(100 * max(0, p - rest) / p, **near)
        assert run_metric(m.complexity(one), logits).value == pytest.approx(100 * mask.mean(), **near)
        again = twin.mask(twin.through(one.image, mask, ZERO).mean(axis=2))
        coherency = (1 + twin.pearson(mask, again)) / 2
        assert run_metric(m.coherency(one), logits, dimmer).value == pytest.approx(100 * coherency, **near)
        terms = (coherency, 1 - mask.mean(), 1 - max(0, p - q) / p)
        whole = run_metric(m.adcc(one), logits, dimmer)
        assert whole.value == pytest.approx(100 * 3 / sum(1 / t for t in terms), **near)
        assert whole.parts["complexity"] == pytest.approx(100 * mask.mean(), **near)


def test_by_hand() -> None:
    # half of what counts is kept: the logit falls from 8·b − 4 to 4·b − 4, b the mean brightness of the quarter
    one = sample(np.kron([[1.0, 0.0], [0.0, 0.0]], np.ones((4, 4))) * np.repeat([1.0, 0.0], [2, 6])[:, None])
    b = one.image[:4, :4].mean(), one.image[:2, :4].mean()
    p, q = (1 / (1 + np.exp(-(8 * v - 4))) for v in (b[0], b[1] / 2))
    assert run_metric(m.average_drop(one), logits).value == pytest.approx(100 * (p - q) / p, abs=1e-3)
    assert run_metric(m.complexity(one), logits).value == pytest.approx(100 * 8 / 64)
    assert m.harmonic(0.5, 1.0, 0.25) == pytest.approx(3 / 7)
    assert m.harmonic(0.5, 0.0, 1.0) == 0.0


def test_a_map_of_ones_keeps_all_and_wins_nothing() -> None:
    one = sample(np.full((SIDE, SIDE), 3.0))
    assert run_metric(m.average_drop(one), logits).value == 0.0
    assert run_metric(m.increase(one), logits).value == 0.0  # the same image is no increase
    assert run_metric(m.complexity(one), logits).value == 100.0
    assert run_metric(m.adcc(one), logits, dimmer).value == 0.0


def test_a_zero_or_negative_map_keeps_nothing_and_is_no_nan() -> None:
    for v in (np.zeros((SIDE, SIDE)), -np.ones((SIDE, SIDE))):
        one = sample(v)
        assert run_metric(m.complexity(one), logits).value == 0.0
        assert run_metric(m.average_drop(one), logits).value > 90
        assert np.isfinite(run_metric(m.adcc(one), logits, dimmer).value)


def test_perfect_beats_random_beats_inverted() -> None:
    noise = [np.random.default_rng(k).random((SIDE, SIDE)) for k in range(20)]
    for metric, sign in ((m.average_drop, -1), (m.drop_in_deletion, 1)):
        good = sign * run_metric(metric(sample(important())), logits).value
        bad = sign * run_metric(metric(sample(1 - important())), logits).value
        middle = sign * np.mean([run_metric(metric(sample(v)), logits).value for v in noise])
        assert good > middle > bad


def test_positive_scaling_changes_nothing() -> None:
    for metric in (m.average_drop, m.complexity, m.adcc):
        one, other = (run_metric(metric(sample(f * values())), logits, dimmer).value for f in (1.0, 250.0))
        assert one == pytest.approx(other, rel=1e-5)


def test_correlation_of_constants() -> None:
    flat, gradient = np.ones(5), np.arange(5.0)
    assert m.correlation(flat, flat) == 1.0
    assert m.correlation(flat, gradient) == 0.0
    assert m.correlation(gradient, 2 * gradient + 1) == pytest.approx(1.0)
    assert m.correlation(gradient, -gradient) == pytest.approx(-1.0)


def test_the_mask_is_min_max_scaled_after_the_negative_part_is_cut() -> None:
    np.testing.assert_allclose(normalized(np.array([[-4.0, 0.0], [1.0, 2.0]])), [[0, 0], [0.5, 1]])
    np.testing.assert_allclose(normalized(np.array([[1.0, 2.0], [3.0, 5.0]])), [[0, 0.25], [0.5, 1]])


def test_the_parts_of_adcc_are_the_metrics_themselves() -> None:
    one = sample(values(2), 2)
    whole = run_metric(m.adcc(one), logits, dimmer)
    for name in ("coherency", "complexity", "average_drop"):
        assert whole.parts[name] == pytest.approx(run_metric(getattr(m, name)(one), logits, dimmer).value)


def test_masked_pixels_become_the_networks_zero() -> None:
    one = replace(sample(values()), zero=(0.4, 0.5, 0.6))
    keep = np.zeros((SIDE, SIDE), dtype=np.float32)
    keep[0], keep[1] = 1.0, 0.5
    (found,) = one.blended(keep[None])
    np.testing.assert_array_equal(found[0], one.image[0])
    np.testing.assert_allclose(found[1], (one.image[1] + np.float32([0.4, 0.5, 0.6])) / 2, atol=1e-6)
    np.testing.assert_allclose(found[2:], np.broadcast_to([0.4, 0.5, 0.6], found[2:].shape), atol=1e-6)


def test_every_metric_that_removes_pixels_takes_a_baseline() -> None:
    """Where the network's zero is gray, the metrics see the same images as with "gray", and not as with "black"."""
    one = replace(sample(values()), zero=(0.5,))
    takers = [spec for spec in METRICS.values() if "baseline" in spec.options]
    assert {spec.name for spec in takers} >= {"deletion", "insertion", "insertion_deletion", "adcc", "average_drop"}
    for spec in takers:
        seen: dict[str, list[np.ndarray]] = {}
        for baseline in ("network_zero", "gray", "black"):
            images = seen.setdefault(baseline, [])

            def watched(given: np.ndarray, images: list[np.ndarray] = images) -> np.ndarray:
                images.append(given)
                return logits(given)

            def explained(given: np.ndarray, fraction: float, images: list[np.ndarray] = images) -> np.ndarray:
                images.append(given)
                return dimmer(given, fraction)

            run_metric(spec.function(one, baseline=baseline), watched, explained)
        changes = []
        for zero, gray, black in zip(*seen.values(), strict=True):
            np.testing.assert_array_equal(zero, gray)
            changes.append(np.abs(gray - black).max())
        assert (max if spec.name == "arcc" else min)(changes) > 0.2  # ROAD, a part of it, interpolates
