from __future__ import annotations

import itertools
import xml.etree.ElementTree as ElementTree

import matplotlib
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from shisen.errors import InputError
from shisen.viz.figure import ColorBar, Panel, grid_figure, save_figure

RED = np.full((30, 40, 3), (200, 10, 10), np.uint8)


def extents(figure):
    """Boxes of all words that were written, in pixels."""
    renderer = figure.canvas.get_renderer()
    return {(i, t.get_text()): t.get_window_extent(renderer) for i, t in enumerate(figure.texts) if t.get_text()}


def assert_tidy(figure):
    boxes = extents(figure)
    wide, high = figure.get_size_inches() * figure.dpi
    for (_, words), box in boxes.items():
        assert box.x0 >= -1, words
        assert box.y0 >= -1, words
        assert box.x1 <= wide + 1, words
        assert box.y1 <= high + 1, words
    for (a, one), (b, two) in itertools.combinations(boxes.items(), 2):
        across = min(one.x1, two.x1) - max(one.x0, two.x0)
        down = min(one.y1, two.y1) - max(one.y0, two.y0)
        assert across <= 1 or down <= 3, (a, b)
    panels = [axes.get_window_extent() for axes in figure.axes]
    for name, box in boxes.items():
        for panel in panels:
            across = min(box.x1, panel.x1) - max(box.x0, panel.x0)
            down = min(box.y1, panel.y1) - max(box.y0, panel.y0)
            assert across <= 1 or down <= 1, name


words = st.text(alphabet="abgjW_ méß視線\U0010fffd$", max_size=60)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    titles=st.lists(st.tuples(words, words, words), min_size=1, max_size=3),
    size=st.sampled_from([(30, 40), (90, 30), (30, 30), (20, 80)]),
    heading=words,
    row_title=words,
    unit=words,
)
@example([("a", "long subtitle " * 9, "note " * 30)] * 2, (30, 40), "title " * 40, "row title " * 9, "unit " * 20)
def test_nothing_is_clipped_and_nothing_overlaps(titles, size, heading, row_title, unit):
    image = np.zeros((*size, 3), np.uint8)
    rows = [[Panel(image, a, b) for a, b, _ in titles] for _ in range(2)]
    figure = grid_figure(
        rows,
        row_titles=[row_title, "cat"],
        title=heading,
        notes=[note for _, _, note in titles],
        color_bar=ColorBar("jet", unit, -0.00123, 12345.0),
    )
    assert_tidy(figure)


def test_every_word_is_there():
    figure = grid_figure(
        [[Panel(RED, "image"), Panel(RED, "grad_cam", "cat · logit 9.3"), None]],
        row_titles=["cat"],
        title="Where toy looks",
        notes=["", "0.03 s · 1 pass"],
        color_bar=("viridis", "logit"),
    )
    written = {words for _, words in extents(figure)}
    assert written == {
        *("image", "grad_cam", "cat · logit 9.3", "cat", "Where toy looks", "0.03 s · 1 pass"),
        *("0", "0.5", "1", "logit"),
    }
    assert len(figure.axes) == 3
    assert_tidy(figure)


def test_titles_of_a_row_stand_on_one_line():
    figure = grid_figure([[Panel(RED, "score_cam"), Panel(RED, "grad"), Panel(RED, "gap", "two\nlines")]])
    heights = {t.get_position()[1] for t in figure.texts if t.get_text() in ("score_cam", "grad", "gap")}
    assert len(heights) == 1


def test_panels_keep_their_proportions_and_colors(tmp_path):
    figure = grid_figure([[Panel(RED, "a"), Panel(RED.transpose(1, 0, 2), "b")]])
    area = 0.0
    for axes, ratio in zip(figure.axes, (40 / 30, 30 / 40), strict=True):
        box = axes.get_window_extent()
        assert box.width / box.height == pytest.approx(ratio, rel=1e-6)
        area += box.width * box.height
    path = save_figure(figure, tmp_path / "a.png")
    with Image.open(path) as opened:
        pixels = np.asarray(opened.convert("RGB"))
    assert np.all(pixels == (200, 10, 10), axis=2).sum() == pytest.approx(area, rel=0.01)


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_figures_are_written_whole_and_the_same_each_time(tmp_path, suffix):
    def make(name):
        figure = grid_figure([[Panel(RED, "視線 cost $5 and $6")]], color_bar=("jet", "logit"))
        return save_figure(figure, tmp_path / "new" / name).read_bytes()

    one, two = make(f"a.{suffix}"), make(f"b.{suffix}")
    assert one == two
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == [f"a.{suffix}", f"b.{suffix}"]
    if suffix == "svg":
        assert ElementTree.fromstring(one).tag.endswith("svg")
    else:
        assert one.startswith({"png": b"\x89PNG", "pdf": b"%PDF"}[suffix])


def test_settings_of_the_user_do_not_change_the_figure(tmp_path):
    plain = save_figure(grid_figure([[Panel(RED, "a")]]), tmp_path / "a.png").read_bytes()
    with matplotlib.rc_context({"savefig.bbox": "tight", "image.origin": "lower", "savefig.dpi": 30}):
        other = save_figure(grid_figure([[Panel(RED, "a")]]), tmp_path / "b.png").read_bytes()
    assert plain == other


def test_large_images_are_shrunk_before_they_are_stored():
    figure = grid_figure([[Panel(np.zeros((3000, 4000, 3), np.uint8), "a")]])
    assert max(figure.axes[0].images[0].get_array().shape) < 1000


def test_wrong_use_is_explained(tmp_path):
    with pytest.raises(InputError, match="needs a panel"):
        grid_figure([[None]])
    with pytest.raises(InputError, match=r"'a.bmp'"):
        save_figure(grid_figure([[Panel(RED, "a")]]), tmp_path / "a.bmp")
