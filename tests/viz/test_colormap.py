from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from shisen.errors import UnknownName
from shisen.viz import colormap


def test_ends_of_known_maps():
    np.testing.assert_array_equal(colormap.color(np.array([[0.0, 1.0]]), "jet"), [[[0, 0, 128], [128, 0, 0]]])
    np.testing.assert_array_equal(colormap.color(np.array([[0.0, 1.0]]), "gray"), [[[0] * 3, [255] * 3]])


def test_gray_levels_are_rounded_not_cut():
    values = np.array([[0.0, 0.5 / 255 + 1e-4, 127.4 / 255, 254.6 / 255]], np.float32)
    np.testing.assert_array_equal(colormap.index(values), [[0, 1, 127, 255]])


@settings(max_examples=100, deadline=None)
@given(arrays(np.float32, 20, elements=st.floats(width=32, allow_nan=False)))
def test_hotter_never_gets_a_lower_index_and_nothing_wraps(values):
    ordered = np.sort(values)
    level = colormap.index(ordered).astype(int)
    assert (np.diff(level) >= 0).all()
    assert (level[ordered >= 1.0] == 255).all()
    assert (level[ordered <= 0.0] == 0).all()


def test_nan_is_cold_and_the_input_is_not_changed():
    values = np.array([[np.nan, 2.0, -1.0]], np.float32)
    np.testing.assert_array_equal(colormap.index(values), [[0, 255, 0]])
    np.testing.assert_array_equal(values, [[np.nan, 2.0, -1.0]])


def test_unknown_map_is_answered_with_the_nearest():
    with pytest.raises(UnknownName, match="'viridis'"):
        colormap.color(np.zeros((1, 1)), "virdis")


@pytest.mark.parametrize(("name", "yes"), [("coolwarm", True), ("RdBu_r", True), ("jet", False), ("viridis_r", False)])
def test_diverging(name, yes):
    assert colormap.is_diverging(name) is yes


@pytest.mark.parametrize("name", ["coolwarm", "RdBu_r", "bwr", "PiYG"])
def test_zero_is_neutral_in_a_diverging_map(name):
    middle = colormap.color(colormap.centered(np.array([[0.0]], np.float32), name), name)[0, 0].astype(int)
    assert middle.max() - middle.min() <= 6  # gray
    assert middle.min() > 210


def test_centring_leaves_sequential_maps_alone():
    heat = np.array([[0.25, 1.0]], np.float32)
    np.testing.assert_array_equal(colormap.centered(heat, "jet"), heat)
    np.testing.assert_array_equal(colormap.centered(heat, "bwr"), [[0.625, 1.0]])


def test_tables_are_shared_and_cannot_be_written():
    assert colormap.table("inferno") is colormap.table("inferno")
    with pytest.raises(ValueError, match="read-only"):
        colormap.table("inferno")[0] = 1


def test_the_default_map_is_matplotlibs_without_matplotlib() -> None:
    import matplotlib

    want = np.rint(np.asarray(matplotlib.colormaps["jet"](np.linspace(0, 1, 256)))[:, :3] * 255).astype(np.uint8)
    np.testing.assert_array_equal(colormap.table("jet"), want)
