from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from shisen.errors import InputError, UnknownName
from shisen.viz import overlay as module
from shisen.viz.colormap import color, table
from shisen.viz.overlay import STYLES, displayable, overlay


def array(image):
    return np.asarray(image).astype(int)


def gray(height, width, level=128):
    return np.full((height, width, 3), level, np.uint8)


def ramp(height=6, width=200):
    return np.tile(np.linspace(0.0, 1.0, width, dtype=np.float32), (height, 1))


def test_blend_is_the_weighted_mean():
    pixels = np.array([[[10, 200, 30], [0, 0, 0]]], np.uint8)
    got = array(overlay(pixels, np.array([[1.0, 0.0]], np.float32), alpha=0.4))
    np.testing.assert_array_equal(got, [[[57, 120, 18], [0, 0, 51]]])  # jet ends: (0, 0, 128), (128, 0, 0)


def test_heatmap_is_the_colors_alone():
    np.testing.assert_array_equal(array(overlay(gray(6, 200), ramp(), "heatmap")), color(ramp(), "jet"))


def test_mask_is_lit_between_its_percentiles():
    heat = np.linspace(0.0, 1.0, 1001, dtype=np.float32)[None]
    got = array(overlay(gray(1, 1001, 200), heat, "mask"))[0, :, 0]
    assert set(got[:101]) == {round(200 * module.UNLIT)}
    assert set(got[900:]) == {200}
    assert got[500] == round(200 * (module.UNLIT + (1 - module.UNLIT) * 0.5))


def test_a_sparse_mask_is_stretched_to_its_maximum():
    heat = np.zeros((20, 20), np.float32)
    heat[3, 4], heat[8, 8] = 0.5, 0.25
    got = array(overlay(gray(20, 20, 200), heat, "mask"))[..., 0]
    assert got[3, 4] == 200
    assert got[8, 8] == round(200 * (module.UNLIT + (1 - module.UNLIT) * 0.5))


def temperature(image, style, colormap, level, alpha):
    """How hot a pixel looks: the place in the color table that explains it, or its brightness."""
    seen = array(image)[0]
    if style == "mask":
        return seen.sum(axis=1)
    colors = table(colormap).astype(float)
    if style == "blend":
        colors = (1 - alpha) * level + alpha * colors
    return np.abs(seen[:, None] - colors[None]).sum(axis=2).argmin(axis=1)


@settings(max_examples=80, deadline=None)
@given(
    values=st.lists(st.floats(0, 1, width=32), min_size=2, max_size=40),
    style=st.sampled_from(["blend", "mask", "heatmap"]),
    colormap=st.sampled_from(["jet", "viridis", "inferno", "coolwarm"]),
    level=st.sampled_from([0, 17, 128, 255]),
)
def test_a_map_never_looks_colder_where_it_is_hotter(values, style, colormap, level):
    heat = np.sort(np.array([values], np.float32))
    alpha = 0.8  # strong enough for neighboring colors of the table to stay apart after rounding
    heat = np.tile(heat, (3, 1))  # no room for words
    hot = temperature(
        overlay(gray(3, len(values), level), heat, style, colormap=colormap, alpha=alpha), style, colormap, level, alpha
    )
    # neighbors in the table may round to the same color; the nearest then lies one beside
    assert (np.diff(hot) >= (0 if style == "mask" else -2)).all()


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 1), (2, 2), (33, 20)])
def test_every_style_keeps_the_images_size(style, size):
    heat = np.random.default_rng(0).random(size).astype(np.float32)
    image = overlay(np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8), heat, style)
    assert image.size == (size[1], size[0])
    assert image.mode == "RGB"


def test_bands_are_seamless(monkeypatch):
    heat = np.random.default_rng(0).random((50, 40)).astype(np.float32)
    pixels = np.random.default_rng(1).integers(0, 256, (50, 40, 3), dtype=np.uint8)
    for style in STYLES:
        whole = array(overlay(pixels, heat, style))
        with monkeypatch.context() as m:
            m.setattr(module, "_bands", lambda h, w: (slice(i, i + 7) for i in range(0, h, 7)))
            np.testing.assert_array_equal(array(overlay(pixels, heat, style)), whole)


@pytest.mark.parametrize("style", STYLES)
def test_what_was_not_seen_is_not_tinted(style):
    pixels = np.random.default_rng(1).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    heat = np.full((40, 60), np.nan, np.float32)
    heat[:, 10:50] = ramp(40, 40)
    got = array(overlay(pixels, heat, style))[:, :5]
    light = {"mask": module.UNLIT, "heatmap": 0.0}.get(style, module.UNSEEN)
    expected = np.full((40, 5, 3), module.NOWHERE) if style == "heatmap" else np.floor(pixels[:, :5] * light)
    np.testing.assert_allclose(got, expected, atol=1)


def test_zero_is_the_middle_of_a_diverging_map():
    heat = np.array([[-1.0, 0.0, 1.0]], np.float32)
    got = array(overlay(gray(1, 3), heat, "heatmap", colormap="bwr"))[0]
    np.testing.assert_allclose(got, [[0, 0, 255], [255, 255, 255], [255, 0, 0]], atol=3)


def test_negative_values_are_cold_in_a_sequential_map():
    got = array(overlay(gray(1, 3), np.array([[-1.0, 0.0, 1.0]], np.float32), "heatmap"))[0]
    np.testing.assert_array_equal(got[0], got[1])


def test_contours_lie_where_the_map_has_their_level():
    pixels = gray(60, 401, 255)
    got = array(overlay(pixels, ramp(60, 401), "contour"))[30]
    inked = np.flatnonzero((got != 255).any(axis=1))
    for level in (100, 200, 300):
        assert np.abs(inked - level).min() <= 1
    assert all(np.abs(np.array([100, 200, 300]) - i).min() <= 4 for i in inked)
    strong = [tuple(got[i]) for i in (100, 200, 300)]
    expected = color(np.array([[0.25, 0.5, 0.75]]), "jet")[0]
    np.testing.assert_allclose(strong, expected, atol=12)


def test_contours_of_a_coarsened_map_stay_in_place():
    heat = np.tile(np.linspace(0, 1, 3001, dtype=np.float32), (40, 1))
    got = array(overlay(gray(40, 3001, 255), heat, "contour"))[20]
    inked = np.flatnonzero((got != 255).any(axis=1))
    for level in (750, 1500, 2250):
        assert np.abs(inked - level).min() <= 1


@pytest.mark.parametrize("style", STYLES)
def test_a_map_without_evidence_says_so(style):
    pixels = gray(120, 200)
    empty = array(overlay(pixels, np.zeros((120, 200), np.float32), style))
    words = empty[90:, :110]
    assert (words == 255).all(axis=2).any()  # white letters
    upper = empty[:80]
    assert (upper == upper[0, 0]).all()
    nothing = array(overlay(pixels, np.full((120, 200), np.nan, np.float32), style))
    assert (nothing[90:, :110] == 255).all(axis=2).any()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (np.array([[[1, 2, 3]]], np.uint8), [1, 2, 3]),
        (np.array([[0.0, 1.0]], np.float32), [0, 0, 0, 255, 255, 255]),
        (np.array([[True, False]]), [255] * 3 + [0] * 3),
        (np.array([[0, 256, 65535]], np.uint16), [0] * 3 + [1] * 3 + [255] * 3),
        (np.array([[0, 7]], np.int64), [0] * 3 + [7] * 3),
        (np.array([[0.0, 128.0]], np.float64), [0] * 3 + [128] * 3),
        (np.array([[-2.0, 0.0, 2.0]]), [0] * 3 + [128] * 3 + [255] * 3),
        (np.array([[np.nan, 0.5, np.inf]]), [0] * 3 + [128] * 3 + [255] * 3),
        (np.array([[[10, 20, 30, 40, 50]]], np.uint8), [30] * 3),
        (np.array([[3e4, -3e4]], np.float16), [255] * 3 + [0] * 3),
        (np.full((1, 1), -5.0), [0] * 3),
    ],
)
def test_displayable(given, expected):
    shown = displayable(given)
    assert shown.dtype == np.uint8
    np.testing.assert_array_equal(shown.reshape(-1), expected)


def test_what_cannot_be_shown_is_refused():
    with pytest.raises(InputError, match="channels last"):
        displayable(np.zeros((2, 3, 4, 5)))
    with pytest.raises(InputError, match="numbers"):
        displayable(np.array([["a"]]))


def test_wrong_use_is_explained():
    pixels, heat = gray(4, 4), np.ones((4, 4), np.float32)
    with pytest.raises(UnknownName, match="'contour'"):
        overlay(pixels, heat, "contours")
    with pytest.raises(UnknownName, match="'turbo'"):
        overlay(pixels, heat, colormap="trubo")
    with pytest.raises(InputError, match="between 0 and 1"):
        overlay(pixels, heat, alpha=40)
    with pytest.raises(InputError, match=r"\(4, 4\).*\(2, 2\)"):
        overlay(pixels, np.ones((2, 2), np.float32))


def test_the_given_arrays_are_not_changed():
    pixels, heat = gray(30, 40), ramp(30, 40)
    heat[:5] = np.nan
    before = heat.copy()
    for style in STYLES:
        overlay(pixels, heat, style)
    np.testing.assert_array_equal(heat, before)
    assert (pixels == 128).all()


def test_a_real_photograph_stays_recognizable(shared):
    with Image.open(shared / "photos_extra" / "elephants.jpg") as opened:
        pixels = np.asarray(opened.convert("RGB"))
    got = array(overlay(pixels, ramp(*pixels.shape[:2]), "blend"))
    inside = pixels.astype(float)
    assert np.corrcoef(got.mean(axis=2).ravel(), inside.mean(axis=2).ravel())[0, 1] > 0.8
