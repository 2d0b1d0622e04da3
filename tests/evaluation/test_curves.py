from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.samples import SIDE, important, logits, probability, sample, sample_image
from reference import metrics as twin
from shisen.errors import InputError
from shisen.evaluation.control_maps import control_map
from shisen.evaluation.curves import area, deletion, insertion, insertion_deletion
from shisen.evaluation.requests import run_metric
from shisen.evaluation.sample import Sample


def ties(seed: int) -> np.ndarray:
    return sample(np.ones((SIDE, SIDE)), seed).rng("ties").random(SIDE * SIDE)


@pytest.mark.parametrize("steps", [1, 3, 16])
@pytest.mark.parametrize("baseline", ["network_zero", "black", "mean", "blur", 0.3])
@pytest.mark.parametrize("removing", [True, False])
def test_curves_equal_their_slow_twin(steps: int, baseline: str | float, removing: bool) -> None:
    values = np.random.default_rng(1).integers(0, 4, (SIDE, SIDE))  # with ties
    one = sample(values, 3)
    metric = deletion if removing else insertion
    found = run_metric(metric(one, baseline=baseline, n_steps=steps), logits)
    want = twin.curve(one.image, one.heat, one.pixels(baseline), ties(3), probability, steps=steps, removing=removing)
    np.testing.assert_allclose(found.curve, want, atol=1e-6)
    assert found.value == pytest.approx(twin.area(want), abs=1e-6)


@pytest.mark.parametrize("removing", [True, False])
def test_curves_with_inpainting_continue_what_is_kept(removing: bool) -> None:
    one = sample(important(), 1)
    metric = deletion if removing else insertion
    asked: list[np.ndarray] = []

    def watched(images):
        asked.extend(images)
        return logits(images)

    found = run_metric(metric(one, baseline="inpaint", n_steps=4), watched)
    assert np.isfinite(found.curve).all()
    assert (asked[0] == 0.0).all()  # nothing is kept
    for image, count in zip(asked[1:], (16, 32, 48), strict=True):
        kept = np.zeros(SIDE * SIDE, dtype=bool)
        kept[one.ranks[count:] if removing else one.ranks[:count]] = True
        kept = kept.reshape(SIDE, SIDE)
        np.testing.assert_array_equal(image[kept], one.image[kept])
        low, high = one.image[kept].min(axis=0), one.image[kept].max(axis=0)
        assert (image[~kept] >= low - 1e-3).all()
        assert (image[~kept] <= high + 1e-3).all()


def test_by_hand_on_a_image_of_four_pixels() -> None:
    # the probability is the mean brightness: logits (0, ln(m / (1 − m)))
    def mean_is_the_chance(images):
        m = np.clip(np.asarray(images, dtype=np.float64).mean(axis=(1, 2, 3)), 1e-9, 1 - 1e-9)
        return np.stack([np.zeros_like(m), np.log(m / (1 - m))], axis=1)

    image = np.array([[0.8, 0.4], [0.2, 0.6]], dtype=np.float32)[:, :, None]
    one = Sample(image, np.array([[4.0, 2.0], [1.0, 3.0]]), 1, mean_is_the_chance(image[None])[0], zero=(0.0,))
    # removed in the order 0.8, 0.6, 0.4, 0.2: means 0.5, 0.3, 0.15, 0.05, 0
    found = run_metric(deletion(one, n_steps=4), mean_is_the_chance)
    np.testing.assert_allclose(found.curve, [0.5, 0.3, 0.15, 0.05, 0.0], atol=1e-6)
    assert found.value == pytest.approx((0.5 / 2 + 0.3 + 0.15 + 0.05 + 0.0 / 2) / 4, abs=1e-6)
    # inserted into black in the same order: 0, 0.2, 0.35, 0.45, 0.5
    found = run_metric(insertion(one, baseline="black", n_steps=4), mean_is_the_chance)
    assert found.value == pytest.approx((0.2 + 0.35 + 0.45 + 0.25) / 4, abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_a_constant_map_scores_exactly_like_the_random_map(seed: int) -> None:
    image = sample_image(seed)
    flat, noise = sample(np.full((SIDE, SIDE), 7.0), seed), sample(control_map("random", image, seed), seed)
    for metric in (deletion, insertion, insertion_deletion):
        assert run_metric(metric(flat), logits).value == run_metric(metric(noise), logits).value


def test_ties_are_not_decided_by_where_pixels_are_stored() -> None:
    first = np.concatenate([sample(np.zeros((SIDE, SIDE)), s).ranks[:8] for s in range(40)])
    # an order by position would give 0 … 7 every time; the mean place of random ones is about 31.5
    assert 25 < first.mean() < 38
    assert len(set(first.tolist())) > 50


def test_perfect_beats_random_beats_inverted() -> None:
    noise = [np.random.default_rng(k).random((SIDE, SIDE)) for k in range(20)]

    def from_black(one: Sample):
        return insertion(one, baseline="black")

    for metric, sign in ((deletion, -1), (from_black, 1), (insertion_deletion, 1)):
        good = sign * run_metric(metric(sample(important())), logits).value
        bad = sign * run_metric(metric(sample(-important())), logits).value
        middle = sign * np.mean([run_metric(metric(sample(v)), logits).value for v in noise])
        assert good > middle + 0.05
        assert middle > bad + 0.05


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["affine", "cube", "exp"]))
def test_an_increasing_rescaling_changes_nothing(seed: int, how: str) -> None:
    values = np.random.default_rng(seed).integers(-6, 7, (SIDE, SIDE)).astype(np.float64)
    change = {"affine": lambda v: 3 * v - 2, "cube": lambda v: v**3, "exp": np.exp}[how]
    for metric in (deletion, insertion):
        one, other = (run_metric(metric(sample(v)), logits).value for v in (values, change(values)))
        assert one == other


def test_the_difference_is_that_of_the_two() -> None:
    one = sample(np.random.default_rng(5).random((SIDE, SIDE)))
    both = run_metric(insertion_deletion(one), logits)
    assert both.value == pytest.approx(
        run_metric(insertion(one), logits).value - run_metric(deletion(one), logits).value
    )
    assert both.parts["deletion"] == run_metric(deletion(one), logits).value


def test_the_area_of_known_curves() -> None:
    assert area(np.array([1.0, 1.0, 1.0])) == 1.0
    assert area(np.array([1.0, 0.0])) == 0.5
    assert area(np.array([0.0, 1.0, 0.0])) == 0.5


def test_wrong_settings_say_what_to_try() -> None:
    with pytest.raises(InputError, match="at least one step"):
        run_metric(deletion(sample(important()), n_steps=0), logits)
    with pytest.raises(InputError, match="blur"):
        run_metric(deletion(sample(important()), baseline="blurr"), logits)
