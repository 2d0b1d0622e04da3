from __future__ import annotations

from math import floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shisen.errors import InputError
from shisen.types import Attribution, Frame, Target
from shisen.viz import scale


def attribution(values, shows="evidence"):
    return Attribution(
        np.asarray(values, dtype=np.float32), "toy", "logit", signed=True, shows=shows, target=Target("cat")
    )


def whole(height, width):
    return Frame((height, width), (224, 224), (0.0, 0.0, float(width), float(height)))


def slow_place(values, frame):
    """Twin for upsampling: one pixel at a time, straight from the formula."""
    (height, width), (h, w) = frame.image, values.shape
    left, top, right, bottom = frame.box
    out = np.zeros((height, width))
    for i in range(height):
        for j in range(width):
            if not (top <= i + 0.5 <= bottom and left <= j + 0.5 <= right):
                continue
            y = min(max((i + 0.5 - top) / (bottom - top) * h - 0.5, 0.0), h - 1.0)
            x = min(max((j + 0.5 - left) / (right - left) * w - 0.5, 0.0), w - 1.0)
            r, c = floor(y), floor(x)
            r2, c2, fy, fx = min(r + 1, h - 1), min(c + 1, w - 1), y - r, x - c
            upper = values[r, c] * (1 - fx) + values[r, c2] * fx
            lower = values[r2, c] * (1 - fx) + values[r2, c2] * fx
            out[i, j] = upper * (1 - fy) + lower * fy
    return out


FRAMES = {
    "stretch": Frame((30, 45), (224, 224), (0.0, 0.0, 45.0, 30.0)),
    "crop wide": Frame((30, 45), (224, 224), (9.375, 1.875, 35.625, 28.125)),
    "crop tall": Frame((45, 30), (224, 224), (1.875, 9.375, 28.125, 35.625)),
    "pad": Frame((30, 45), (224, 224), (0.0, -7.5, 45.0, 37.5)),
    "one row": Frame((1, 40), (224, 224), (0.0, 0.0, 40.0, 1.0)),
}


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES.keys())
def test_upsampling_equals_the_slow_twin(frame):
    values = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
    if frame.image[0] == 1:
        values = values[:1]
    np.testing.assert_allclose(scale.on_image(values, frame), slow_place(values, frame), atol=1e-6)


def test_oracle_two_cells_over_four_pixels():
    placed = scale.on_image(np.array([[0.0, 4.0]]), Frame((1, 4), (8, 8), (0.0, 0.0, 4.0, 1.0)))
    np.testing.assert_array_equal(placed, [[0.0, 1.0, 3.0, 4.0]])


def test_a_map_of_the_images_size_is_left_alone():
    values = np.random.default_rng(1).normal(size=(6, 9)).astype(np.float32)
    np.testing.assert_allclose(scale.on_image(values, Frame((6, 9), (6, 9), (0.0, 0.0, 9.0, 6.0))), values, atol=1e-6)


def test_downsampling_is_the_mean_over_the_pixel():
    values = np.random.default_rng(2).normal(size=(12, 20)).astype(np.float32)
    placed = scale.on_image(values, Frame((4, 5), (12, 20), (0.0, 0.0, 5.0, 4.0)))
    np.testing.assert_allclose(placed, values.reshape(4, 3, 5, 4).mean(axis=(1, 3)), atol=1e-6)


def test_downsampling_by_a_broken_factor_keeps_the_mean():
    values = np.random.default_rng(3).random((10, 10)).astype(np.float32)
    placed = scale.on_image(values, Frame((7, 3), (10, 10), (0.0, 0.0, 3.0, 7.0)))
    assert placed.mean() == pytest.approx(values.mean(), abs=1e-6)


def test_a_constant_stays_constant_inside_and_zero_outside():
    frame = FRAMES["crop wide"]
    placed = scale.on_image(np.full((7, 7), 3.0, np.float32), frame)
    rows, columns = scale.seen(frame)
    assert (rows, columns) == (slice(2, 28), slice(9, 36))
    np.testing.assert_allclose(placed[rows, columns], 3.0, rtol=1e-6)
    assert placed.sum() == pytest.approx(3.0 * 26 * 27, rel=1e-6)


@pytest.mark.parametrize(("height", "width"), [(300, 1200), (1200, 300), (40, 30), (3, 2)])
def test_a_bright_spot_lands_where_it_belongs(height, width):
    side = min(height, width) * 0.875
    left, top = (width - side) / 2, (height - side) / 2
    frame = Frame((height, width), (224, 224), (left, top, left + side, top + side))
    values = np.zeros((7, 7), np.float32)
    values[1, 5] = 1.0
    placed = scale.on_image(values, frame)
    i, j = np.unravel_index(placed.argmax(), placed.shape)
    cell = max(side / 7, 1.0)
    assert abs(i + 0.5 - (top + 1.5 / 7 * side)) <= cell / 2 + 0.5
    assert abs(j + 0.5 - (left + 5.5 / 7 * side)) <= cell / 2 + 0.5


def test_a_box_without_any_pixel_center_still_marks_its_pixel():
    frame = Frame((8, 1), (224, 224), (0.0625, 3.5625, 0.9375, 4.4375))
    placed = scale.on_image(np.full((7, 7), 2.0, np.float32), frame)
    np.testing.assert_allclose(placed[:, 0], [0, 0, 0, 0, 2, 0, 0, 0], atol=1e-6)


def test_a_box_without_extent_is_refused():
    with pytest.raises(InputError, match="left < right"):
        scale.on_image(np.ones((2, 2)), Frame((4, 4), (2, 2), (3.0, 0.0, 3.0, 4.0)))


def test_only_one_maps_places_are_accepted():
    with pytest.raises(InputError, match=r"shape \(2, 2, 3\)"):
        scale.on_image(np.ones((2, 2, 3)), whole(4, 4))


def test_channels_add_up_as_evidence_and_compete_as_sensitivity():
    values = np.array([[[1.0, -3.0, 0.5], [2.0, 0.0, -1.0]]], np.float32)
    np.testing.assert_array_equal(scale.reduce_channels(values, "evidence"), [[-1.5, 1.0]])
    np.testing.assert_array_equal(scale.reduce_channels(values, "sensitivity"), [[3.0, 2.0]])
    with pytest.raises(InputError, match="sensitivity"):
        scale.reduce_channels(values, "saliency")


def test_heatmap_of_evidence_is_the_positive_part_over_the_maximum():
    heat = scale.heatmap(attribution([[-4.0, 1.0], [0.0, 2.0]]), whole(2, 2))
    np.testing.assert_allclose(heat, [[0.0, 0.5], [0.0, 1.0]], atol=1e-7)


def test_heatmap_of_sensitivity_ends_at_the_percentile():
    values = np.linspace(-1.0, 0.5, 40 * 50).reshape(40, 50)
    heat = scale.heatmap(attribution(values, "sensitivity"), whole(40, 50))
    expected = np.minimum(np.abs(values) / np.percentile(np.abs(values), 99.5), 1.0)
    np.testing.assert_allclose(heat, expected, atol=1e-5)
    assert np.count_nonzero(heat == 1.0) == pytest.approx(10, abs=2)


def test_sensitivity_of_a_single_pixel_is_still_visible():
    values = np.zeros((40, 50))
    values[3, 4] = -7.0
    heat = scale.heatmap(attribution(values, "sensitivity"), whole(40, 50))
    assert heat[3, 4] == 1.0
    assert heat.sum() == pytest.approx(1.0, abs=1e-6)


def test_signed_keeps_signs_and_sums_channels():
    frame = whole(1, 2)
    values = [[[1.0, 1.0, 0.0], [-4.0, 0.0, 0.0]]]
    for shows in ("evidence", "sensitivity"):
        np.testing.assert_allclose(scale.signed(attribution(values, shows), frame), [[0.5, -1.0]], atol=1e-7)


@pytest.mark.parametrize("values", [np.zeros((7, 7)), np.full((7, 7), 3.5), np.full((7, 7), 1e30), [[2.0]], [[-2.0]]])
@pytest.mark.parametrize("shows", ["evidence", "sensitivity"])
def test_zero_and_constant_maps_are_drawn_as_no_evidence(values, shows):
    a, frame = attribution(values, shows), whole(20, 31)
    np.testing.assert_array_equal(scale.heatmap(a, frame), np.zeros((20, 31)))
    np.testing.assert_array_equal(scale.signed(a, frame), np.zeros((20, 31)))
    assert scale.limits(a, frame) == (0.0, 0.0)
    assert scale.says_nothing(a.values, shows) is not None


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([[0.0, 0.0]], "zero everywhere"),
        ([[2.0, 2.0]], "same value everywhere"),
        ([[2.0]], "single cell"),
        ([[np.nan, 1.0]], "1 of 2 values of the map are not finite"),
        ([[np.inf, -np.inf]], "2 of 2"),
        ([[-1.0, -2.0]], "nowhere positive"),
    ],
)
def test_empty_maps_are_named_in_words(values, words):
    assert words in str(scale.says_nothing(np.array(values, np.float32)))


def test_maps_with_evidence_need_no_warning():
    assert scale.says_nothing(np.array([[0.0, 1.0]])) is None
    assert scale.says_nothing(np.array([[-1.0, -2.0]]), "sensitivity") is None


def test_values_that_are_not_finite_count_as_nothing():
    heat = scale.heatmap(attribution([[np.nan, 1.0], [np.inf, 2.0]]), whole(2, 2))
    np.testing.assert_allclose(heat, [[0.0, 0.5], [0.0, 1.0]], atol=1e-7)


def test_limits_are_raw_values():
    a, frame = attribution([[-6.0, 1.0], [0.0, 2.5]]), whole(2, 2)
    assert scale.limits(a, frame) == pytest.approx((0.0, 2.5))
    assert scale.limits(a, frame, diverging=True) == pytest.approx((-6.0, 6.0))


def test_unseen_pixels_become_nan():
    frame = FRAMES["crop wide"]
    marked = scale.unseen_as_nan(np.ones((30, 45), np.float32), frame)
    assert np.isnan(marked).sum() == 30 * 45 - 26 * 27
    assert np.isfinite(marked[2:28, 9:36]).all()


def test_float_extremes_do_not_overflow():
    for size in (1e-44, 3e38):
        heat = scale.heatmap(attribution([[0.0, size], [-size, size / 2]]), whole(5, 5))
        assert heat.max() == 1.0
        assert heat.min() == 0.0


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3])),
    image=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    shows=st.sampled_from(["evidence", "sensitivity"]),
)
def test_heat_is_in_range_and_scale_free(seed, shape, image, shows):
    values = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    frame = whole(*image)
    heat = scale.heatmap(attribution(values, shows), frame)
    assert heat.dtype == np.float32
    assert heat.shape == image
    assert 0.0 <= heat.min() <= heat.max() <= 1.0
    np.testing.assert_allclose(scale.heatmap(attribution(values * 1024.0, shows), frame), heat, atol=1e-6)
    turned = scale.signed(attribution(-values, shows), frame)
    np.testing.assert_allclose(turned, -scale.signed(attribution(values, shows), frame), atol=1e-6)
