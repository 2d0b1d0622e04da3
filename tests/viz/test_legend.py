from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from shisen.viz.colormap import table
from shisen.viz.legend import SMALLEST, badge, color_bar, number, type_size
from shisen.viz.text import MISSING, families, legible, width, wrap


@pytest.mark.parametrize("size", [(1, 1), (32, 32), (640, 360), (50, 900)])
def test_the_image_stays_as_it_is_beside_the_bar(size):
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    out = color_bar(Image.fromarray(pixels), unit="logit per unit of pixel value", limits=(0.0, 12.5))
    top = (out.height - size[1]) // 2
    np.testing.assert_array_equal(np.asarray(out)[top : top + size[1], : size[0]], pixels)
    assert out.height >= 9 * SMALLEST


def test_the_bar_runs_from_cold_below_to_hot_above():
    out = np.asarray(color_bar(Image.new("RGB", (300, 300)), colormap="viridis", limits=(0.0, 1.0)))
    size = type_size(300, 300)
    column = out[:, 300 + round(0.8 * size) + 4]
    inside = column[size + 1 : 300 - size - 1].astype(int)
    colors = table("viridis").astype(int)
    place = np.abs(inside[:, None] - colors[None]).sum(axis=2).argmin(axis=1)
    assert (np.diff(place) <= 0).all()
    assert place[0] >= 253
    assert place[-1] <= 2


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (12.5, "12.5"), (-3.0, "−3"), (0.00012345, "0.000123"), (1.5e-9, "1.5e−9"), (123456.0, "1.23e5")],
)
def test_numbers_are_short(value, text):
    assert number(value) == text


def test_words_are_left_out_where_they_do_not_fit():
    tiny = Image.new("RGB", (20, 20), (9, 9, 9))
    assert badge(tiny, "no evidence") is tiny
    big = np.asarray(badge(Image.new("RGB", (400, 300), (9, 9, 9)), "no evidence"))
    assert (big[:, 200:] == 9).all()
    assert big[240:, :200].max() == 255


def test_type_grows_with_the_image_within_bounds():
    assert [type_size(s, s) for s in (1, 240, 480, 10_000)] == [SMALLEST, SMALLEST, 20, 96]


def test_lines_fit_their_room():
    text = "integrated_gradients of Cavalier King Charles spaniel rather than Blenheim"
    lines = wrap(text, 12.0, lines=9).split("\n")
    assert all(width(line) <= 12.0 for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert wrap("cat", 12.0) == "cat"


def test_words_longer_than_a_line_are_cut_and_nothing_is_lost():
    lines = wrap("a " + "m" * 40, 5.0, lines=99).split("\n")
    assert all(width(line) <= 5.0 for line in lines)
    assert "".join(lines).replace(" ", "") == "a" + "m" * 40
    assert wrap("mmm", 0.1, lines=9) == "m\nm\nm"


def test_too_many_lines_end_in_an_ellipsis():
    out = wrap("one two three four five six seven eight", 5.0, lines=2)
    assert out.count("\n") == 1
    assert out.endswith("…")
    assert width(out.split("\n")[1]) <= 5.0


def test_japanese_breaks_between_characters():
    assert wrap("注視点可視化", 2.0, lines=9) == "注視\n点可\n視化"


def test_characters_without_a_font_become_boxes():
    assert legible("cat −3 · ½") == "cat −3 · ½"
    assert legible("\U0010fffd") == MISSING
    if len(families()) == 1:
        assert legible("視線 cat") == MISSING * 2 + " cat"
    else:
        assert legible("視線 cat") == "視線 cat"
