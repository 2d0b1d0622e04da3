"""The searches for patches and treatments, part by part, each against a slow way to the same or values by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("scipy")

from scipy import stats

from shisen._core.stats import enrichment
from shisen.auditing import patch_search
from shisen.auditing.artefacts.base import Candidate, Evidence, Images, Intervention, shrunk
from shisen.auditing.artefacts.compound import Compound, _same_cause, _together, explained, merged, pieces
from shisen.auditing.artefacts.fixed_patch import FixedPatch, overlaid, taken_finer
from shisen.auditing.artefacts.moving_patch import (
    MARGIN,
    WIDE,
    MovingPatch,
    Roaming,
    _chance,
    _crops,
    _held,
    _nearest,
    _standing_out,
    _windows,
)
from shisen.auditing.artefacts.property import GlobalProperty, property_candidates
from shisen.auditing.artefacts.text_overlay import TextOverlay, _columns, _high, _opacity
from shisen.auditing.artefacts.transform import Scores, Treatment, _cross_fitted, reduced
from shisen.auditing.compositing import without_edge
from shisen.auditing.interventions import answers
from shisen.auditing.patch_search import Background, Patch
from shisen.auditing.properties import PROPERTIES
from shisen.types import InputImage

# ---- common patches


def test_windows_are_cut_with_four_pixels_around_and_meet_where_a_third_of_the_smaller_is_covered() -> None:
    fine = np.arange(20 * 30 * 2, dtype=np.float32).reshape(1, 20, 30, 2)
    np.testing.assert_array_equal(patch_search._cut(fine, (6, 10, 5, 7)), fine[:, 2:15, 6:21].reshape(1, -1))
    np.testing.assert_array_equal(patch_search._cut(fine, (1, 0, 5, 7)), fine[:, :10, :11].reshape(1, -1))
    for shift, meets in ((6, True), (7, False), (10, False)):  # 40 % and 30 % of ten columns are common
        assert patch_search._meet((0, 0, 10, 10), (0, shift, 10, 20)) is meets
        assert patch_search._meet((shift, 0, 10, 10), (0, 0, 10, 10)) is meets
    assert not patch_search._meet((0, 0, 4, 4), (8, 8, 4, 4))
    assert patch_search._alike({1, 2, 3}, {2, 3})
    assert not patch_search._alike({1, 2}, {2, 3, 4, 1})


@pytest.mark.parametrize(
    ("length", "side", "wanted"),
    [(32, 16, [0, 8, 16]), (30, 9, [0, 4, 8, 12, 16, 20, 21]), (9, 9, [0]), (3, 1, [0, 1, 2])],
)
def test_windows_lie_at_halves_of_their_side(length: int, side: int, wanted: list[int]) -> None:
    assert patch_search._positions(length, side) == wanted


def test_the_background_is_mean_and_deviation_over_images() -> None:
    images = np.random.default_rng(0).uniform(0, 255, (5, 3, 4, 3)).astype(np.float32)
    found = Background.of(images)
    np.testing.assert_allclose(found.mean[1, 2], images[:, 1, 2].mean(0), rtol=1e-5)
    np.testing.assert_allclose(found.deviation[1, 2], images[:, 1, 2].std(0).mean() + 4, rtol=1e-5)


def test_patches_are_the_same_if_images_and_region_are() -> None:
    def patch(members: range, rows: slice) -> Patch:
        alpha = np.zeros((20, 20), np.float32)
        alpha[rows, :10] = 0.35
        return Patch(np.zeros((20, 20, 3), np.float32), alpha, tuple(members), len(members))

    one = patch(range(10), slice(0, 10))
    assert patch_search._same(one, patch(range(7), slice(6, 10))), "seven of ten images, the whole of the smaller"
    assert not patch_search._same(one, patch(range(6), slice(0, 10))), "six of ten"
    assert not patch_search._same(one, patch(range(10), slice(7, 17))), "three of ten rows"
    assert patch_search._same(one, patch(range(10), slice(6, 16)))


def test_seeds_the_slow_way() -> None:
    draw = np.random.default_rng(0)
    fine = draw.normal(0, 12, (20, 28, 28, 2)).astype(np.float32)
    fine[:5, 8:24, 8:24] += draw.normal(0, 18, (16, 16, 2)).astype(np.float32)
    n, m = 8, 12
    wanted: dict[Any, set[tuple[float, int, tuple[int, ...]]]] = {}
    for high, wide in ((16, 16), (28, 28), (9, 28), (28, 9)):
        for y in sorted({*range(0, 28 - high + 1, max(1, high // 2)), 28 - high}):
            for x in sorted({*range(0, 28 - wide + 1, max(1, wide // 2)), 28 - wide}):
                cut = fine[:, y : y + high, x : x + wide].reshape(20, -1)
                norms = np.linalg.norm(cut, axis=1) + 2 * np.sqrt(cut.shape[1])
                for least in (0.4, 0.6, 0.8):
                    best: tuple[float, int, tuple[int, ...]] = (0.0, -1, ())
                    for i in range(n):
                        alike = [j for j in range(20) if cut[i] @ cut[j] / norms[i] / norms[j] > least]
                        k, o = sum(j < n for j in alike), sum(j >= n for j in alike)
                        s = k * np.log(max((k / n) / ((o + 1) / (m + 1)), 1.0)) if k >= 3 else 0.0
                        if s > best[0] + 1e-9:
                            best = (s, i, tuple(j for j in alike if j < n))
                    if best[0] > 0:
                        wanted.setdefault((y, x, high, wide), set()).add((round(best[0], 4), best[1], best[2]))
    found: dict[Any, set[tuple[float, int, tuple[int, ...]]]] = {}
    for s, i, window, group in patch_search._seeds(fine, n):
        found.setdefault(window, set()).add((round(s, 4), i, group))
    assert found == wanted
    assert (0, 1, 2, 3, 4) in {group for one in found.values() for _, _, group in one}


def drawn(count: int, seed: int = 0, level: float = 128.0, deviation: float = 40.0) -> np.ndarray:
    values = np.random.default_rng(seed).normal(level, deviation, (count, 40, 40, 3))
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def overlaid_on(images: np.ndarray, opacity: float, rows: slice, columns: slice, color: float = 30.0) -> np.ndarray:
    out = images.astype(np.float32)
    out[:, rows, columns] = (1 - opacity) * out[:, rows, columns] + opacity * color
    return np.rint(out).astype(np.uint8)


def test_opacity_is_one_minus_the_ratio_of_deviations() -> None:
    natural = drawn(200, 1)
    region = np.s_[10:20, 12:24]
    group = overlaid_on(drawn(60, 2), 0.8, *region)
    canvases = np.concatenate([group, natural])
    background = Background.of(natural.astype(np.float32))
    found = patch_search._overlay(canvases, np.arange(60), np.arange(60), (8, 8, 16, 16), background)
    assert found is not None
    template, alpha = found
    ratio = np.sqrt(60 / 59) * group.astype(float).std(0).mean(-1) / background.deviation
    np.testing.assert_allclose(alpha[region], (1 - ratio)[region], atol=1e-3)
    assert (alpha > 0).sum() == 120, "and nothing else"
    assert np.median(alpha[region]) == pytest.approx(1 - 0.2 * 38.5 / 42.5, abs=0.015)  # four levels are noise
    assert np.abs(template[region] - 30).mean() < 8
    nothing = patch_search._overlay(drawn(260, 3), np.arange(60), np.arange(60), (8, 8, 16, 16), background)
    assert nothing is None
    small = overlaid_on(drawn(60, 2), 0.8, slice(10, 13), slice(12, 15))  # nine pixels
    both = np.concatenate([small, natural])
    assert patch_search._overlay(both, np.arange(60), np.arange(60), (8, 8, 16, 16), background) is None


def test_an_overlay_is_connected_with_its_window() -> None:
    natural = drawn(200, 1)
    group = overlaid_on(overlaid_on(drawn(60, 2), 0.9, slice(4, 12), slice(4, 12)), 0.9, slice(28, 36), slice(28, 36))
    canvases, background = np.concatenate([group, natural]), Background.of(natural.astype(np.float32))

    def parts(window: tuple[int, int, int, int], **options: Any) -> tuple[bool, bool]:
        found = patch_search._overlay(canvases, np.arange(60), np.arange(60), window, background, **options)
        assert found is not None
        return bool(found[1][8, 8] > 0), bool(found[1][32, 32] > 0)

    assert parts((0, 0, 16, 16)) == (True, False)
    assert parts((24, 24, 16, 16)) == (False, True)
    assert parts((0, 0, 40, 40), whole=True) == (True, True)


def test_what_all_of_a_class_have_is_no_patch_of_a_group() -> None:
    natural = drawn(200, 1)
    region = np.s_[10:20, 12:24]
    class_ = overlaid_on(drawn(60, 2), 0.6, *region)
    canvases, background = np.concatenate([class_, natural]), Background.of(natural.astype(np.float32))
    for members in (np.arange(30), np.arange(52)):
        assert patch_search._overlay(canvases, np.arange(60), members, (8, 8, 16, 16), background) is None
    assert patch_search._overlay(canvases, np.arange(60), np.arange(53), (8, 8, 16, 16), background) is not None, (
        "seven others are too few to tell"
    )


def test_few_images_must_agree_better() -> None:
    natural = drawn(200, 1)
    background = Background.of(natural.astype(np.float32))
    for count, opacity, found in ((4, 0.5, False), (40, 0.5, True)):
        chance = 1 - np.sqrt(stats.chi2.ppf(0.01, count - 1) / (count - 1))
        assert bool(chance > opacity) is not found
        group = overlaid_on(drawn(count, 4), opacity, slice(8, 20), slice(8, 20))
        canvases = np.concatenate([group, natural])
        made = patch_search._overlay(canvases, np.arange(count), np.arange(count), (8, 8, 12, 12), background)
        covered = 0 if made is None else (made[1] > 0)[8:20, 8:20].mean()
        assert bool(covered > 0.9) is found


def test_images_under_a_color_are_told_by_it() -> None:
    """No detail is added anywhere: the likelihood of the colors decides."""
    natural = drawn(400, 1)
    images = drawn(40, 2)
    color = np.float32([200, 20, 90])
    images[:12] = np.rint(0.4 * images[:12] + 0.6 * color)
    canvases = np.concatenate([images, natural])
    background = Background.of(natural.astype(np.float32))
    alpha, template = np.full((40, 40), 0.6, np.float32), np.broadcast_to(color, (40, 40, 3))
    own = np.arange(440) < 40
    carried, scores = patch_search._affected(canvases, own, np.arange(12), template, alpha, background)
    assert np.flatnonzero(carried).tolist() == list(range(12))
    sd, mean = background.deviation[..., None], background.mean
    expected, left = 0.6 * color + 0.4 * mean, np.sqrt((0.4 * sd) ** 2 + 4**2)
    for i in (0, 20, 70, 400):
        x = canvases[i].astype(np.float32)
        likelier = ((x - mean) / sd) ** 2 - ((x - expected) / left) ** 2 + 2 * np.log(sd / left)
        assert scores[i] == pytest.approx(float(likelier.mean()), rel=1e-3)


# ---- patches that move


def test_windows_are_described_by_the_colors_of_their_cells() -> None:
    canvases = np.random.default_rng(0).integers(0, 256, (2, 20, 20, 3)).astype(np.uint8)
    found, grid = _windows(canvases, 3)
    assert grid == 3
    assert found.shape == (2, 9, 48)
    for window in (0, 5):
        y, x = divmod(window, 3)
        cells = [
            canvases[1, 3 * (y + i) : 3 * (y + i) + 3, 3 * (x + j) : 3 * (x + j) + 3].mean((0, 1))
            for i in range(WIDE)
            for j in range(WIDE)
        ]
        np.testing.assert_allclose(found[1, window], np.concatenate(cells), rtol=1e-5)


def test_the_nearest_window_of_every_image_the_slow_way() -> None:
    windows = np.random.default_rng(0).uniform(0, 255, (5, 7, 12)).astype(np.float32)
    seeds = [(i % 5, (3 * i) % 7) for i in range(18)]  # more than go at a time
    found = list(_nearest(windows, seeds))
    assert [seed for seed, _, _ in found] == seeds
    for seed, distance, position in found:
        slow = np.sqrt(np.square(windows - windows[seed]).mean(-1))
        np.testing.assert_allclose(distance, slow.min(1), atol=0.2)
        assert position[seed[0]] == seed[1]
        np.testing.assert_allclose(slow[np.arange(5), position], slow.min(1), atol=0.2)


def test_windows_of_rare_colors_stand_out_apart_from_each_other() -> None:
    draw = np.random.default_rng(0)
    grid = 10
    windows = draw.uniform(100, 110, (6, grid * grid, 48)).astype(np.float32)
    own = np.arange(6) < 2
    for image, rare in ((0, 37), (1, 82)):
        windows[image, rare] = np.tile([250, 20, 240], 16)
    found = _standing_out(windows, own, grid)
    assert found[0] == (0, 37)
    assert next(p for i, p in found if i == 1) == 82
    for image in (0, 1):
        taken = [divmod(p, grid) for i, p in found if i == image]
        assert len(taken) == 6
        assert all(max(abs(a - c), abs(b - d)) >= 2 for a, b in taken for c, d in taken if (a, b) != (c, d))
    assert {i for i, _ in found} == {0, 1}
    patterned = windows.copy()
    patterned[0, 37] = np.tile([255, 0, 255, 245, 40, 225], 8)  # the same mean, with detail
    patterned[0, 62] = np.tile([250, 20, 240], 16)
    assert _standing_out(patterned, own, grid)[0] == (0, 62)


def test_crops_go_on_beyond_the_image() -> None:
    canvas = np.arange(75, dtype=np.uint8).reshape(1, 5, 5, 3)
    found = _crops(canvas, np.array([[-1, 3]]), 3)
    np.testing.assert_array_equal(found[0, :, 0], canvas[0, [0, 0, 1], 3])
    np.testing.assert_array_equal(found[0, 2], canvas[0, 1, [3, 4, 4]])


def test_a_patch_that_is_known_is_not_found_again() -> None:
    mask = np.zeros((20, 20), bool)
    mask[:10] = True
    rows, middles = np.arange(10), np.stack([np.where(np.arange(10) < 5, 3, 15), np.full(10, 4)], 1)
    assert _held(rows, middles, [(mask, set(range(10)))])
    assert not _held(rows, middles, [(mask, set(range(4)))]), "four of ten are not most"
    assert not _held(rows, middles, [(~mask.T, set(range(10)))])
    assert not _held(rows, middles, [])


def test_the_chance_of_a_group_is_its_enrichment() -> None:
    chosen, own = np.arange(30) < 8, (np.arange(30) < 6) | (np.arange(30) > 25)
    assert _chance(chosen, own) == pytest.approx(enrichment(6, 10, 8, 30))


def test_a_moving_patch_is_laid_out_inside_the_canvas() -> None:
    template, alpha = np.full((6, 6, 3), 9.0, np.float32), np.full((6, 6), 0.8, np.float32)
    made = Roaming(template, alpha, (0, 1, 2), ((-2, 3), (4, 5), (20, 1)), 3, 0.01)
    found = MovingPatch.laid_out(made, 20, [7, 8, 9])
    assert (found.alpha[4:10, 5:11] == np.float32(0.8)).all()
    assert found.alpha.sum() == pytest.approx(36 * 0.8, rel=1e-5)
    assert dict(found.offsets) == {7: (-6, -2), 8: (0, 0), 9: (16, -4)}
    outside = MovingPatch.laid_out(Roaming(template, alpha, (0,), ((-2, 17),), 1, 0.01), 20, [7])
    assert (outside.alpha[:6, 14:] == np.float32(0.8)).all(), "the nearest position that is inside"
    assert dict(outside.offsets) == {7: (-2, 3)}
    assert not found.at(9)[1].any()
    assert found.describe()["area"] == 36 / 400
    assert found.describe()["template"] == 36 * 27
    for row in (1, 2, 5):  # one of the members' positions, the same for the same row
        offset = list(found.offsets.values())[(7 * row + 3) % 3]
        np.testing.assert_array_equal(found.at(row)[1], MovingPatch(template, found.alpha, {0: offset}).at(0)[1])
    assert MARGIN == 8


# ---- text


def test_ink_is_measured_on_the_way_from_the_background() -> None:
    part = np.full((30, 40, 3), (60, 80, 100), np.float32)
    ink = np.array([260.0, 80.0, 100.0])
    for row, fraction in ((5, 1.0), (10, 0.5), (15, 0.16), (20, 0.14)):
        part[row, 10:30] += fraction * (ink - (60, 80, 100))
    part[25, 10:30] += (100.0, 45.0, 0.0)  # off the line
    part[27, 10:30] += (100.0, 35.0, 0.0)
    found = _opacity(part, ink, 3)
    np.testing.assert_allclose(found[[5, 10, 15, 20, 25, 27], 20], [1.0, 0.5, 0.16, 0.0, 0.0, 0.5], atol=1e-5)
    assert found[:, 2].max() == 0
    pale = np.full((30, 40, 3), (60, 80, 100), np.float32)
    pale[5, 10:30] += 20.0
    assert _opacity(pale, np.array([80.0, 100.0, 120.0]), 3).max() == 0, "ink like its background"
    assert _opacity(pale, np.array([90.0, 110.0, 130.0]), 3).max() == pytest.approx(2 / 3), "a little more is told"


def test_a_line_of_text_goes_on_over_small_gaps() -> None:
    own, others, core = np.zeros((4, 8, 60)), np.zeros((4, 8, 60)), np.zeros((8, 60), bool)
    core[3:5, 30:32] = True
    own[:, :, [20, 24, 28, 36, 50]] = 0.5
    found = _columns(own.astype(np.float32), others.astype(np.float32), core, 4)
    assert np.flatnonzero(found).tolist() == list(range(20, 37)), "up to gaps as wide as a line is high"
    same = _columns(own.astype(np.float32), own.astype(np.float32), core, 4)
    assert np.flatnonzero(same).tolist() == [30, 31], "others have it too"
    more = _columns(own.astype(np.float32), 0.4 * own.astype(np.float32), core, 4)
    assert found.tolist() == more.tolist(), "twice as much ink as elsewhere, and a little"


def test_text_is_low_and_written_as_one_member_has_it() -> None:
    mask = np.zeros((40, 40), bool)
    mask[10:14, 3:20] = True
    assert _high(mask) == 0.1
    patch = FixedPatch(np.zeros((40, 40, 3), np.float32), mask.astype(np.float32))
    high = FixedPatch(np.zeros((40, 40, 3), np.float32), np.pad(np.ones((13, 40), np.float32), ((0, 27), (0, 0))))
    read: list[int] = []

    def seen(row: int) -> np.ndarray:
        read.append(row)
        return np.zeros((40, 40, 3), np.uint8)

    evidence = Evidence(
        np.repeat([0, 1], 20), np.zeros((0, 8, 8, 3), np.uint8), np.arange(40), np.zeros((40, 0)), read=seen
    )
    candidate = Candidate(high, 0, tuple(range(10)), 10, 0.01, 20)
    assert TextOverlay.propose(evidence, 0, [candidate]) == [candidate]
    assert read == [], "a third of the image's height is no line of text"
    strokes = tuple((np.zeros((40, 40, 3), np.float32), np.full((40, 40), k / 10, np.float32)) for k in range(4))
    overlay = TextOverlay(patch, strokes)
    assert overlay.describe() == patch.describe()
    assert overlay.words() == patch.words()
    images = Images(None, (), np.zeros(0), np.zeros(0), np.zeros((1, 8, 8, 3), np.uint8), np.array([99]), len)  # type: ignore[arg-type]
    how = overlay.intervention(candidate, images)
    assert how.apply is not None
    for row in range(5):
        out = how.apply(np.full((40, 40, 3), 100, np.uint8), row)
        assert out[0, 0, 0] == round(100 * (1 - (7 * row + 3) % 4 / 10))


# ---- putting on


def test_a_control_is_the_same_region_of_an_image_without_it() -> None:
    alpha = np.zeros((40, 40), np.float32)
    alpha[10:20, 10:20] = 1.0
    controls = np.stack([np.full((40, 40, 3), v, np.uint8) for v in (10, 90, 170, 250)])
    images = Images(None, (), np.zeros(0), np.zeros(0), controls, np.array([0, 1, 2, 3]), len)  # type: ignore[arg-type]
    candidate = Candidate(FixedPatch(np.zeros((40, 40, 3), np.float32), alpha), 0, (1, 7), 2, 0.01, 9)
    mask = alpha > 0

    def put(row: int) -> Any:
        return np.full((40, 40, 3), 200.0, np.float32), alpha

    for moves in (False, True):
        how = overlaid(put, lambda row: mask, candidate, images, moves=moves)
        assert how.reduce
        assert how.possible
        assert how.apply is not None
        assert how.control is not None
        assert how.remove is not None
        image = np.full((40, 40, 3), 120, np.uint8)
        assert how.apply(image, 0)[15, 15, 0] == 200
        for row in range(4):
            value = (10, 170, 250)[(7 * row + 3) % 3]
            soft = float(without_edge(alpha)[15, 15])
            assert how.control(image, row)[15, 15, 0] == pytest.approx(120 * (1 - soft) + value * soft, abs=1)
        assert (how.remove(how.apply(image, 0), 0) == 120).all()
    own = Images(None, (), np.zeros(0), np.zeros(0), controls[:1], np.array([1]), len)  # type: ignore[arg-type]
    assert overlaid(put, lambda row: mask, candidate, own, moves=False).control is None
    assert not Intervention().possible
    assert Intervention(inside=lambda rows: np.zeros((0, 2))).possible


def test_a_patch_is_taken_from_enough_images_at_their_usual_size() -> None:
    labels = np.repeat([0, 1, -1], [12, 20, 4])
    alpha = np.zeros((20, 20), np.float32)
    alpha[8:14, 8:14] = 1.0
    patch = FixedPatch(np.zeros((20, 20, 3), np.float32), alpha)
    stamped = drawn(36, 5)
    stamped[:6, 16:28, 16:28] = (250, 10, 200)
    read: list[int] = []

    def reader(row: int) -> np.ndarray:
        read.append(row)
        return stamped[row]

    found = taken_finer(patch, Candidate(patch, 0, tuple(range(6)), 6, 0.01, 12), labels, reader)
    assert found is not None
    assert sorted(set(read)) == list(range(32)), "those without a label are left out"
    assert found.alpha.shape == (40, 40)
    assert (len(found.affected), len(found.others)) == (6, 20)
    assert np.abs(found.template[18:26, 18:26] - (250, 10, 200)).max() < 3
    assert taken_finer(patch, Candidate(patch, 0, (0, 1, 30), 2, 0.01, 12), labels, reader) is None, "two are too few"
    few = np.repeat([0, 1, -1], [12, 7, 17])
    assert taken_finer(patch, Candidate(patch, 0, tuple(range(6)), 6, 0.01, 12), few, reader) is None


class Plain:
    """A model that answers by the mean of an image."""

    head, layers = "softmax", ()
    preprocess: Any = SimpleNamespace(sides=(4, 4))

    def __init__(self, images: list[np.ndarray]) -> None:
        self.images = images
        self.batches: list[tuple[int, ...]] = []

    @property
    def default_layer(self) -> str:
        from shisen.errors import ModelError

        raise ModelError("none")

    def read(self, path: str) -> InputImage:
        return InputImage(self.images[int(path)], path)

    def prepare(self, image: InputImage) -> tuple[np.ndarray, None]:
        return np.asarray(image.pixels, np.float32) / 255, None

    def activations(self, x: np.ndarray, points: list[str]) -> list[np.ndarray]:
        assert points == ["logits"]
        self.batches.append(x.shape)
        mean = x.mean((1, 2, 3))
        return [np.stack([np.zeros_like(mean), 10 * mean - 5], 1)]


def test_altered_images_go_in_by_size_and_by_32() -> None:
    images = [np.full((8, 8, 3), 5 * i, np.uint8) for i in range(34)] + [np.full((8, 6, 3), 51, np.uint8)] * 2
    model = Plain(images)
    none = np.zeros((0, 8, 8, 3), np.uint8)
    given = Images(model, [str(i) for i in range(36)], np.zeros(36), np.zeros((36, 2)), none, np.zeros(0), len)  # type: ignore[arg-type]
    found = answers(given, list(range(36)), None)
    assert model.batches == [(32, 8, 8, 3), (2, 8, 8, 3), (2, 8, 6, 3)]
    means = np.array([5 * i for i in range(34)] + [51, 51]) / 255
    np.testing.assert_allclose(found.probabilities[:, 1], 1 / (1 + np.exp(5 - 10 * means)), rtol=1e-5)
    np.testing.assert_allclose(found.pooled[:, 1], 10 * means - 5, atol=1e-5)
    brighter = answers(given, [3, 1], lambda pixels, row: pixels + np.uint8(51 * row))
    np.testing.assert_allclose(brighter.pooled[:, 1], [10 * (15 + 153) / 255 - 5, 10 * (5 + 51) / 255 - 5], atol=1e-5)


def test_only_images_far_larger_than_the_input_are_reduced_before_they_are_altered() -> None:
    seen: list[tuple[int, ...]] = []

    def alter(pixels: np.ndarray, row: int) -> np.ndarray:
        seen.append(pixels.shape)
        return pixels

    images = [np.zeros((600, 300, 3), np.uint8)]
    none = np.zeros((0, 8, 8, 3), np.uint8)
    for sides, reduce, wanted in (((4, 4), True, (448, 224, 3)), ((4, 4), False, (600, 300, 3)),
                                  ((100, 250), True, (500, 250, 3)), ((320, 10), True, (600, 300, 3))):  # fmt: skip
        model = Plain(images)
        model.preprocess = SimpleNamespace(sides=sides)
        answers(Images(model, ["0"], np.zeros(1), np.zeros((1, 2)), none, np.zeros(0), len), [0], alter, reduce=reduce)  # type: ignore[arg-type]
        assert seen[-1] == wanted
    assert shrunk(np.zeros((3, 900, 3), np.uint8), 100).shape == (1, 100, 3)


# ---- properties and treatments


def test_a_treatment_is_proposed_by_what_its_detector_says() -> None:
    n = 100
    labels = np.repeat([0, 1], 50)
    images = np.full(n, -5.0)
    images[:10] = np.linspace(9, 5, 10)

    def proposed(images: np.ndarray, copies: np.ndarray, **more: Any) -> list[Candidate]:
        evidence = Evidence(
            labels, np.zeros((n, 2, 2, 3), np.uint8), np.arange(n), np.zeros((n, 0)),
            read=lambda row: np.zeros((2, 2, 3), np.uint8), embed=lambda images: np.zeros((len(images), 1), np.float32),
            memo={
                "transforms": (np.arange(n), {"blur": Scores(images, copies), **more}),
                "plain": (np.zeros((n, 1)), np.zeros(1), np.ones(1)),
            },
        )  # fmt: skip
        return Treatment.propose(evidence, 0, [])

    (found,) = proposed(images, np.linspace(4, 10, 41))
    assert found.members == tuple(range(10))
    assert (found.inside, found.group, found.kind) == (10, 50, "transform_blur")
    assert found.p == pytest.approx(enrichment(10, 50, 10, 100) * 8 * 2), "of the eight cuts with three and more"
    assert proposed(images, np.full(41, 20.0)) == [], "no image is like a copy"
    both = images.copy()
    both[50:62] = 7.5  # as many of the other class: 12 for 10
    assert proposed(both, np.linspace(4, 10, 41)) == []
    more = {k: Scores(images, np.linspace(4, 10, 41)) for k in ("jpeg", "haze", "hue", "noise")}
    several = proposed(images, np.linspace(4, 10, 41), **more)
    assert [c.kind for c in several] == ["transform_blur", "transform_haze", "transform_hue"], "three at most"
    assert several[0].p == pytest.approx(5 * found.p)
    least = np.concatenate([[6.9], np.full(40, 9.0)])  # one copy of 41 may lie lower
    assert proposed(images, least)[:1] == [] or proposed(images, least)[0].members == ()


def test_detectors_judge_what_they_have_not_seen() -> None:
    draw = np.random.default_rng(0)
    plain = draw.normal(0, 1, (40, 6))
    chosen = np.arange(0, 40, 2)
    copies = plain[chosen] + [3, 0, 0, 0, 0, 0]
    found = _cross_fitted(plain, chosen, copies, np.arange(40) // 2 % 2)
    assert found.images.shape == (40,)
    assert found.copies.shape == (20,)
    assert np.median(found.copies) > np.quantile(found.images, 0.9)
    moved = plain.copy()
    moved[chosen[0]] += 5  # the half with the first image does not judge it
    again = _cross_fitted(moved, chosen, copies, np.arange(40) // 2 % 2)
    other_half = chosen[1::2]
    np.testing.assert_array_equal(found.images[chosen[2::2]], again.images[chosen[2::2]])
    assert (found.images[other_half] != again.images[other_half]).all()
    assert reduced(np.zeros((320, 40, 3), np.uint8)).shape == (160, 20, 3)
    assert reduced(np.zeros((100, 40, 3), np.uint8)).shape == (100, 40, 3)


def with_levels(levels: list[int], labels: list[int]) -> Images:
    model = Plain([np.full((4, 4, 3), v, np.uint8) for v in levels])
    none = np.zeros((0, 8, 8, 3), np.uint8)
    paths = [str(i) for i in range(len(levels))]
    return Images(model, paths, np.asarray(labels), np.zeros((len(labels), 2)), none, np.zeros(0), len)  # type: ignore[arg-type]


def test_a_property_is_put_on_as_members_have_it_beside_the_rest_of_their_class() -> None:
    dark = GlobalProperty("brightness", -1, -50.0, 60.0)
    candidate = Candidate(dark, 0, (0, 1, 2), 3, 0.01, 11)
    images = with_levels([60] * 3 + [110] * 8 + [200] * 10, [0] * 11 + [1] * 10)
    how = dark.intervention(candidate, images)
    assert how.strength == pytest.approx(-50, abs=1)
    assert how.apply is not None
    assert how.remove is not None
    assert how.control is not None
    ground = np.full((4, 4, 3), 128, np.uint8)
    assert how.apply(ground, 0)[0, 0, 0] == pytest.approx(78, abs=1)
    assert how.remove(ground, 0)[0, 0, 0] == how.control(ground, 0)[0, 0, 0] == pytest.approx(178, abs=1)
    few = with_levels([60] * 3 + [110] * 7 + [200] * 10, [0] * 10 + [1] * 10)
    assert dark.intervention(candidate, few).strength == pytest.approx(-128, abs=1), "else beside other classes"
    alone = with_levels([60] * 3, [0] * 3)
    assert not dark.intervention(candidate, alone).possible
    assert dark.altered(0.0) is None
    compressed = GlobalProperty("compression", 1, 1.0, 3.0)
    assert compressed.intervention(candidate, images).control is None, "it has no opposite"


def test_properties_are_proposed_with_target_and_difference() -> None:
    labels = np.repeat([0, 1], 60)
    values = np.random.default_rng(0).normal(0, 1, (120, len(PROPERTIES)))
    column = list(PROPERTIES).index("contrast")
    values[:20, column] += 9
    found = next(c for c in property_candidates(labels, values, 0) if c.kind == "contrast")
    assert set(found.members) == set(range(20))
    assert isinstance(found.artefact, GlobalProperty)
    assert found.artefact.target == pytest.approx(np.median(values[:20, column]))
    assert found.artefact.delta == pytest.approx(np.median(values[:20, column]) - np.median(values[60:, column]))
    assert found.artefact.words() == ("contrast+", {})
    assert found.members[0] == int(np.argmax(values[:, column])), "those with most of it first"
    unlabeled = np.where(np.arange(120) == 3, -1, labels)
    assert 3 not in next(c for c in property_candidates(unlabeled, values, 0) if c.kind == "contrast").members
    values[:, column] = 1.0
    assert all(c.kind != "contrast" for c in property_candidates(labels, values, 0))


# ---- pieces of one artefact


def test_a_property_that_comes_half_of_the_way_by_itself_is_a_consequence() -> None:
    assert explained(10.0, 15.0, 20.0)
    assert explained(10.0, 26.0, 20.0) is False
    assert explained(10.0, 14.9, 20.0) is False
    assert explained(10.0, 25.0, 20.0)


def test_masks_of_different_sizes_are_laid_together_at_the_larger() -> None:
    small, large = np.zeros((2, 3), bool), np.zeros((4, 4), bool)
    small[0, 2], large[3, 0] = True, True
    wanted = np.zeros((4, 4), bool)
    wanted[:2, 3] = True
    wanted[3, 0] = True
    np.testing.assert_array_equal(_together([small, large]), wanted)
    patch = FixedPatch(np.zeros((2, 2, 3), np.float32), np.ones((2, 2), np.float32))
    assert pieces(patch) == [patch]


def test_one_cause_has_nearly_the_same_images_or_its_piece_s_among_them() -> None:
    def same(a: range, b: range, group: int) -> bool:
        found = _same_cause(frozenset(a), frozenset(b), group)
        assert found == _same_cause(frozenset(b), frozenset(a), group)
        return found

    assert same(range(10), range(2, 12), 50), "eight of twelve"
    assert not same(range(10), range(4, 14), 50), "six of fourteen"
    assert same(range(6), range(12), 60), "six of six among twelve of sixty"
    assert not same(range(4), range(12), 60), "four images say little"
    assert not same(range(10), range(45), 50), "most of the class: that tells nothing"
    assert not same(range(6), range(6, 20), 60)


def test_pieces_are_joined_and_what_leads_comes_first() -> None:
    labels = np.repeat([0, 1], 50)

    def patch(members: list[int], p: float) -> Candidate:
        made = FixedPatch(np.zeros((8, 8, 3), np.float32), np.ones((8, 8), np.float32))
        return Candidate(made, 0, tuple(members), sum(m < 50 for m in members), p, 50)

    def shade(members: range, p: float, kind: str = "brightness") -> Candidate:
        return Candidate(GlobalProperty(kind, 1, 9.0, 90.0), 0, tuple(members), len(members), p, 50)

    first, second, third = patch([*range(12), 60], 1e-6), patch([*range(1, 13), 60], 1e-4), patch(list(range(12)), 1e-5)
    color, apart = shade(range(12), 1e-9), patch(list(range(30, 42)), 1e-8)
    whole, alone = sorted(merged([color, second, apart, third, first], labels, 0), key=lambda c: c.members[0])
    assert alone is apart
    assert isinstance(whole.artefact, Compound)
    assert whole.artefact.parts == (first, third, second, color), "patches, the least p first, then properties"
    assert whole.members[:11] == tuple(range(1, 12)), "first what all patches have"
    assert set(whole.members) == {*range(12), 60}, "and what most of them have"
    assert (whole.inside, whole.p, whole.group) == (12, 1e-6, 50)
    nature = shade(range(41), 1e-12)
    assert merged([patch(list(range(40)), 1e-6), nature], labels, 0)[1] is nature, "a property of most of the class"
    assert len(merged([patch(list(range(40)), 1e-6), shade(range(40), 1e-12)], labels, 0)) == 1
    again = merged([color, shade(range(11), 1e-5), shade(range(10), 1e-3, "contrast")], labels, 0)
    assert again[0].members == tuple(range(12)), "properties are those of the images that lead"
    kinds = [[c.kind for c in one.artefact.parts] for one in again if isinstance(one.artefact, Compound)]
    assert kinds == [["brightness", "contrast"]], "the same property once"
