"""The table of right and wrong: its measures on maps with known answers, and its hand-set networks."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from benchmarks.truth.__main__ import attempt, interval, put, table, tensor
from benchmarks.truth.competitors import Question, competitors
from benchmarks.truth.hand_set import puzzles
from benchmarks.truth.scores import agreement, partial_agreement, precision, relevance_mass

import shisen


def test_relevance_mass_and_precision_by_hand() -> None:
    maps = np.array([[[4.0, 1.0], [-5.0, 3.0]], [[0.0, 0.0], [0.0, 0.0]]])
    truth = np.array([[[True, False], [True, False]]] * 2)
    np.testing.assert_allclose(relevance_mass(maps, truth), [0.5, 0.5])
    # the two highest of the first are 4 (in) and 3 (out); of a flat map half of the truth's count is in
    np.testing.assert_allclose(precision(maps, truth), [0.5, 0.5])
    np.testing.assert_allclose(precision(-maps, truth), [0.5, 0.5])
    np.testing.assert_allclose(precision(truth.astype(float), truth), 1.0)
    np.testing.assert_allclose(precision(1.0 - truth, truth), 0.0)


def test_agreement_is_a_rank_correlation() -> None:
    assert agreement([1, 2, 3], [10, 20, 70]) == pytest.approx(1.0)
    assert agreement([3, 2, 1], [10, 20, 70]) == pytest.approx(0.0)
    assert agreement([1, 1, 1], [10, 20, 70]) == pytest.approx(0.5)
    assert agreement([1, 3, 2, 4], [1, 2, 3, 4]) == pytest.approx(0.5 + 0.5 * 0.8)


def test_what_only_area_explains_is_taken_out() -> None:
    draw = np.random.default_rng(0)
    area = [list(draw.permutation(6).astype(float)) for _ in range(200)]
    worth = [list(draw.permutation(6).astype(float)) for _ in range(200)]
    drops = [[a + w for a, w in zip(*rows, strict=True)] for rows in zip(area, worth, strict=True)]
    controls = [[[a] for a in row] for row in area]
    assert np.mean([agreement(a, d) for a, d in zip(area, drops, strict=True)]) > 0.7
    assert abs(partial_agreement(area, drops, controls)) < 0.1
    assert partial_agreement(drops, drops, controls) == pytest.approx(1.0)
    assert partial_agreement(worth, drops, controls) > 0.5


def test_rules_hold_only_with_the_cells_that_decide() -> None:
    for puzzle in puzzles(6):
        assert puzzle.truth.any(axis=(1, 2)).all()
        hidden = np.where(puzzle.truth[..., None], 0.0, puzzle.images).astype(np.float32)
        assert (puzzle.net(tensor(hidden)).argmax(1) == 0).all(), puzzle.name
        rest = np.where(puzzle.truth[..., None], puzzle.images, 0.0).astype(np.float32)
        assert (puzzle.net(tensor(rest)).argmax(1) == 1).all(), puzzle.name


def test_methods_with_an_answer_by_hand_get_it_and_control_maps_do_not() -> None:
    puzzle = next(p for p in puzzles(6) if p.name == "color")
    model = shisen.wrap(puzzle.net, preprocess=None, labels=["no", "yes"])
    asked = Question(model, puzzle.net, tensor, puzzle.net.act, puzzle.images, (1,) * 6, "act")
    got = {
        (library, name): relevance_mass(run(asked), puzzle.truth).mean()
        for library, name, run in competitors(model, quick=True)
        if name in ("integrated_gradients", "hires_cam", "grad_cam", "constant", "center", "IntegratedGradients")
    }
    # only the cell that is looked at has a gradient, so every method that multiplies by it pixel by pixel is exact
    assert got["shisen", "integrated_gradients"] == pytest.approx(1.0)
    assert got["shisen", "hires_cam"] == pytest.approx(1.0)
    assert got["shisen", "grad_cam"] < 0.9, "a mean gradient lights squares that the rule never sees"
    assert got["control", "constant"] == pytest.approx(1 / 16)
    assert got["control", "center"] < 0.5


def test_a_failure_is_a_row_with_its_reason_and_the_table_goes_on_a_page(tmp_path) -> None:
    def broken() -> list[float]:
        raise ValueError("no such layer")

    rows = [attempt("a", ("shisen", "x"), lambda: [0.2, 0.4]), attempt("a", ("other", "y"), broken)]
    text = table(rows)
    assert "| shisen | `x` | 0.30 (0.20–0.40) |" in text
    assert "| other | `y` | – |" in text
    assert "other y: ValueError: no such layer" in text
    page = tmp_path / "page.md"
    page.write_text("above\n<!-- truth: start -->\nold\n<!-- truth: end -->\nbelow\n")
    put(page, text)
    assert "old" not in page.read_text()
    assert page.read_text().endswith("below\n")
    low, high = interval([0.0, 1.0] * 50)
    assert 0.3 < low < 0.5 < high < 0.7
