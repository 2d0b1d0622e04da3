"""Small formulas that an audit consists of, each against values worked out by hand or a slow way to the same."""

from __future__ import annotations

import base64
import io
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("scipy")
pytest.importorskip("sklearn")

from shisen.auditing.artefacts.base import Candidate, Images, box_of, position_of
from shisen.auditing.artefacts.feature_group import Transfer, _direction
from shisen.auditing.artefacts.fixed_patch import FixedPatch
from shisen.auditing.artefacts.property import GlobalProperty, _far_cut, best_cut
from shisen.auditing.clusters import clusters, mean_map
from shisen.auditing.compositing import blended, extended, removed, with_rim, without_edge
from shisen.auditing.confusion import Fraction, confusion
from shisen.auditing.embedding import _pooled
from shisen.auditing.evidence import _coarse, background, reliance
from shisen.auditing.fidelity import fidelity, returned, visible_difference
from shisen.auditing.matched_filter import apart, detail, gathered, likeness, matched
from shisen.auditing.middle import middle_layer
from shisen.auditing.scanned import Scan, confusion_of, label_of, probabilities_of, sample
from shisen.auditing.testing import ENOUGH, affected
from shisen.auditing.thumbnails import SIDE, heat, thumbnail
from shisen.auditing.versus import compared, identity

STEPS = np.array([-2.0, -1, 0, 1, 2]) / np.sqrt(2.5)  # five values of variance one


def seen_by(features: np.ndarray, labels: np.ndarray, asked: list[list[int]] | None = None) -> Images:
    """Images of which only the labels and what the network sees are known."""

    def pooled(rows: Any) -> np.ndarray:
        if asked is not None:
            asked.append(list(rows))
        return features[list(rows)]

    none = np.zeros((0, 8, 8, 3), np.uint8)
    return Images(None, (), labels, np.zeros((len(labels), 2)), none, np.zeros(0, np.int64), pooled)  # type: ignore[arg-type]


def having(members: range | list[int], label: int = 0) -> Candidate:
    return Candidate(GlobalProperty("contrast", 1, 1.0, 1.0), label, tuple(members), len(members), 0.01, 10)


def test_a_difference_is_in_standard_deviations_without_what_chance_adds() -> None:
    delta = np.array([1.5, 0.0])
    scale = np.array([1.0, 3.0])  # the least deviation is raised by a twentieth of their mean
    features = np.concatenate([STEPS[:, None] * scale + delta, STEPS[:, None] * scale, np.full((3, 2), 50.0)])
    images = seen_by(features, np.array([0] * 10 + [1] * 3))
    found = visible_difference(having(range(5)), images)
    assert found is not None
    difference, deviation, length = found
    np.testing.assert_allclose(deviation, scale + 0.05 * 2.0)
    np.testing.assert_allclose(difference, delta / (scale + 0.1))
    assert length == pytest.approx((1.5 / 1.1) ** 2 - (1 / 1.1**2 + 9 / 3.1**2) * (1 / 5 + 1 / 5))
    assert visible_difference(having(range(4)), images) is None, "four are too few"
    assert visible_difference(having(range(6)), images) is None, "four others are too few"


def test_groups_of_unequal_size_are_weighted_by_their_degrees_of_freedom() -> None:
    many = np.tile(3.0 * STEPS, 3)  # the sum of squares is 3 · 9 · 4
    features = np.concatenate([STEPS, many])[:, None]
    found = visible_difference(having(range(5)), seen_by(features, np.zeros(20, np.int64)))
    assert found is not None
    within = (4 + 108) / 18
    assert found[1][0] == pytest.approx(1.05 * np.sqrt(within))
    assert found[2] == pytest.approx(-(1 / 5 + 1 / 15) / 1.05**2)


def test_large_groups_are_looked_at_in_part() -> None:
    asked: list[list[int]] = []
    images = seen_by(np.random.default_rng(0).normal(0, 1, (400, 2)), np.zeros(400, np.int64), asked)
    visible_difference(having(range(150)), images)
    assert [len(rows) for rows in asked] == [120, 120]
    assert asked[0][0] == 0
    assert asked[0][-1] == 149, "evenly from all of them"


@pytest.mark.parametrize(("square", "wanted"), [(0.45, None), (0.5, 0.5)])
def test_a_copy_is_as_faithful_as_far_as_it_moves_features(square: float, wanted: float | None) -> None:
    """Chance adds 0.4 to the square of a difference of two groups of five; 15 per cent of it must be left."""
    delta = np.sqrt(square)
    images = seen_by(np.concatenate([STEPS + delta, STEPS])[:, None], np.zeros(10, np.int64))
    before = np.array([[3.0], [-1.0], [7.0]])
    after = before + delta / 2
    found = fidelity(having(range(5)), images, before, after)
    assert found == (None if wanted is None else pytest.approx(wanted * square / (square - 0.4)))


def test_what_the_network_does_not_see_is_copied_well_by_anything_if_twelve_images_say_so() -> None:
    flat = seen_by(np.tile(STEPS, 8)[:, None], np.zeros(40, np.int64))
    for count, wanted in ((11, None), (12, 1.0)):
        rows = list(range(0, 40, 40 // count))[:count]
        values = np.tile(STEPS, 8)[:, None]
        values[rows] = 0.0
        images = seen_by(values, np.zeros(40, np.int64))
        assert fidelity(having(rows), images, np.zeros((2, 1)), np.ones((2, 1))) == wanted
    assert fidelity(having(range(3)), flat, np.zeros((2, 1)), np.ones((2, 1))) is None


def test_taken_off_and_put_on_again() -> None:
    original = np.stack([STEPS, 3 * STEPS], 1) * np.sqrt(5 / 4)  # deviations of 1 and 3, so 1.1 and 3.1 are used
    way = np.array([1.0, 2.0])
    again = original - way + [0.5, 2.0]
    wanted = (0.5 / 1.1**2 + 4 / 3.1**2) / (1 / 1.1**2 + 4 / 3.1**2)
    assert returned(original, original - way, again) == pytest.approx(wanted)
    assert returned(original, original - way, original) == pytest.approx(1.0)
    assert returned(original, original - 0.0005, original) is None, "nothing was taken off"
    assert returned(original, original - 0.003, original) == pytest.approx(1.0)


def test_maps_are_averaged_down_to_28() -> None:
    values = np.arange(56 * 71, dtype=np.float32).reshape(1, 56, 71)
    coarse = _coarse(values)
    assert coarse.shape == (1, 18, 23)
    assert coarse[0, 2, 5] == values[0, 6:9, 15:18].mean()
    assert _coarse(values[:, :28, :28]) is not None
    np.testing.assert_array_equal(_coarse(values[:, :28, :28]), values[:, :28, :28])
    assert _coarse(values[:, :29, :20]).shape == (1, 14, 10)


def test_what_touches_the_border_is_background_and_what_does_not_is_none() -> None:
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[12:28, 20:40] = (200, 180, 40)
    degree = background(pixels)
    assert degree[20, 30] == 0.0
    assert degree[2, 2] == degree[38, 57] == 1.0
    apart_by_color = np.zeros((40, 40, 3), np.uint8)
    apart_by_color[:] = (100, 50, 0)
    apart_by_color[10:30, 10:30] = (0, 100, 0)  # as bright, and of another color
    assert background(apart_by_color)[20, 20] == 0.0
    for color in ((77, 77, 77), (10, 200, 30)):  # one color is one group, and touches the whole border
        assert (background(np.full((56, 80, 3), color, np.uint8)) == 1.0).all()


def test_evidence_in_the_background_is_a_fraction_of_the_positive_evidence() -> None:
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[12:28, 20:40] = 255
    values = np.zeros((40, 60), np.float32)
    values[1, 1], values[20, 30], values[3, 3] = 3.0, 1.0, -50.0
    evidence, area = reliance(values, pixels)
    assert evidence == pytest.approx(0.75)
    assert area == pytest.approx(float(background(pixels).mean()))
    assert reliance(-values * 0, pixels) == (0.0, area)
    large = pixels.repeat(4, 0).repeat(4, 1)  # 160 × 240: looked at in half the size
    half = np.asarray(Image.fromarray(large).reduce(2))
    assert reliance(np.ones((10, 15), np.float32), large)[1] == pytest.approx(float(background(half).mean()))
    medium = pixels.repeat(2, 0).repeat(2, 1)  # 80 × 120: as it is
    assert reliance(np.ones((10, 15), np.float32), medium)[1] == pytest.approx(float(background(medium).mean()))


def test_detail_is_what_differs_from_the_mean_of_nine_by_nine() -> None:
    flat = np.full((1, 20, 20, 3), (90, 120, 30), np.uint8)
    assert np.abs(detail(flat)).max() < 1e-3, "also at the border"
    spot = flat.copy()
    spot[0, 10, 10] += np.array([20, 0, 10], np.uint8)
    fine = detail(spot)  # 0.3 · 20 + 0.1 · 10, and red − blue
    assert fine[0, 10, 10] == pytest.approx([7 * 80 / 81, 10 * 80 / 81], abs=1e-3)
    assert fine[0, 14, 6] == pytest.approx([-7 / 81, -10 / 81], abs=1e-3)
    assert np.abs(fine[0, 15, 10]).max() < 1e-3
    spot[0, 10, 10] = (255, 255, 0)
    assert detail(spot)[0, 10, 10].tolist() == [48.0, 48.0]


def test_likeness_and_matched_filter_the_slow_way() -> None:
    draw = np.random.default_rng(0)
    fine, own = draw.normal(5, 6, (14, 9)).astype(np.float32), np.arange(14) < 6
    mean, variance = fine[6:].mean(0), fine[6:].var(0) + 16
    common = likeness(fine, own)
    for i in range(14):
        for j in range(14):
            wanted = sum((fine[i] - mean) * (fine[j] - mean) / variance)
            if i < 6 and j < 6:  # both are compared with one mean of eight images
                wanted -= sum((variance - 16) / variance) / 7
            assert common[i, j] == pytest.approx(wanted, rel=1e-3, abs=1e-3)
    group = np.isin(np.arange(14), [0, 2, 5])
    scores = matched(common, group)
    for i in range(14):
        others = [j for j in (0, 2, 5) if j != i]
        assert scores[i] == pytest.approx(np.mean([common[i, j] for j in others]), rel=1e-4)
    alone = np.arange(14) == 3
    assert matched(common, alone)[4] == pytest.approx(common[4, 3])
    assert matched(common, alone)[3] == 0.0


def test_as_many_are_chosen_as_stand_apart_most() -> None:
    others = np.tile([-1.0, 1.0], 10)  # of mean zero and deviation one
    for scores, wanted in (([9.0, 8, 7, 3.9, 3], 4), ([9.0, 8, 7, 3, 3], 3), ([1.0, 0, 0, -3, -3], 3), ([5.0] * 5, 5)):
        own = np.arange(25) < 5
        chosen, strength = apart(np.concatenate([scores, others]), own)
        by_count = {k: sum(scores[:k]) / np.sqrt(k) for k in (3, 4, 5)}
        assert max(by_count, key=lambda k: by_count[k]) == wanted
        assert strength == pytest.approx(by_count[wanted], rel=1e-4)
        assert chosen[:5].sum() == wanted
        assert chosen[5:].sum() == (others >= scores[wanted - 1]).sum(), "others that score as high belong to it too"
    none, strength = apart(np.zeros(22), np.arange(22) < 2)
    assert not none.any()
    assert strength == 0.0
    shifted, _ = apart(np.concatenate([[29.0, 28, 27, 23.9, 23], 20 + others]), own)
    assert shifted[:5].sum() == 4, "beside the mean of the others"
    two, _ = apart(np.concatenate([[9.0, 8], others]), np.arange(22) < 2, least=2)
    assert two[:2].all()


def test_gathering_stops_where_too_few_are_left() -> None:
    draw = np.random.default_rng(4)
    fine = draw.normal(0, 20, (60, 40)).astype(np.float32)
    fine[:8] += 2 * draw.normal(0, 20, 40).astype(np.float32)
    own = np.arange(60) < 20
    common = likeness(fine, own)
    start = np.isin(np.arange(60), [0, 1, 2])
    members, strength = gathered(common, own, start)
    assert np.flatnonzero(members).tolist() == list(range(8))
    chosen, wanted = apart(matched(common, members), own)
    assert (chosen & own == members).all(), "gathering again changes nothing"
    assert strength == pytest.approx(wanted)
    few, strength = gathered(common, np.arange(60) < 2, start)
    assert not few.any()
    assert strength == 0.0


def test_a_rim_of_one_pixel_is_kept_where_it_is_more_than_chance() -> None:
    alpha, raw = np.zeros((9, 9), np.float32), np.full((9, 9), 0.25, np.float32)
    alpha[3:6, 3:6] = 0.8
    raw[2, 2], raw[2, 3] = 0.12, 0.09
    rim = with_rim(alpha, raw, 0.0)
    assert rim[2, 2] == np.float32(0.12)
    assert rim[2, 3] == 0.0, "too faint"
    assert rim[2:7, 2:7].astype(bool).sum() == 24
    assert np.count_nonzero(rim) == 24, "one pixel wide"
    assert rim[4, 4] == np.float32(0.8)
    assert np.count_nonzero(with_rim(alpha, raw, 0.2)) == 23
    assert np.count_nonzero(with_rim(alpha, raw, 0.3)) == 9


def test_a_control_fades_out_where_the_patch_ends() -> None:
    alpha = np.zeros((64, 64), np.float32)
    alpha[20:40, 20:40] = 0.8
    soft = without_edge(alpha)
    assert soft[30, 30] == pytest.approx(0.8, abs=0.01)
    assert soft[30, 17] == pytest.approx(0.4, abs=0.15), "two pixels beyond, half of it"
    assert soft[30, 19] / 0.8 > 0.3
    assert soft[30, 10] < 0.01
    assert (soft[20:40, 20:40] > 0.6 * 0.8).all(), "it covers the whole patch"
    assert np.abs(np.diff(soft, axis=1)).max() < 0.35


def test_images_are_mixed_as_opacity_says_and_enlarged_without_other_colors() -> None:
    image = np.full((4, 4, 3), 100, np.uint8)
    template, alpha = np.zeros((4, 4, 3), np.float32), np.zeros((4, 4), np.float32)
    template[1, 1], alpha[1, 1] = (300.0, 200.0, -20.0), 0.75
    mixed = blended(image, template, alpha)
    assert mixed[1, 1].tolist() == [216, 175, 25]  # held to 255 and 0 first
    assert (mixed[alpha == 0] == 100).all()
    grown = extended(template, np.pad(np.ones((1, 1), np.float32), ((1, 2), (1, 2))))
    np.testing.assert_allclose(grown, np.broadcast_to(template[1, 1], grown.shape), rtol=1e-5)
    gradient = np.zeros((9, 9, 3), np.float32)
    known = np.zeros((9, 9), np.float32)
    gradient[:, 0], gradient[:, 8], known[:, 0], known[:, 8] = 10.0, 90.0, 1.0, 0.35
    across = extended(gradient, known)[4, :, 0]
    np.testing.assert_allclose(across[:4], 10, atol=1e-3)
    np.testing.assert_allclose(across[5:], 90, atol=1e-3)
    assert across[4] == pytest.approx(50, abs=1e-3)


def test_a_hole_is_filled_from_its_sides_in_large_images_too() -> None:
    image = np.full((50, 80, 3), 40, np.uint8)
    image[:, 40:] = 200
    mask = np.zeros((25, 40), bool)
    mask[10:14, 17:23] = True
    out = removed(image, mask)
    changed = (out != image).any(-1)
    assert not changed[:16].any()
    assert not changed[32:].any()
    assert out[24, 34:46, 0].min() >= 40
    assert out[24, 34:46, 0].max() <= 200
    assert (np.diff(out[24, 30:50, 0].astype(int)) >= 0).all()


def test_boxes_and_their_names() -> None:
    mask = np.zeros((20, 40), bool)
    mask[5:10, 8:12] = True
    assert box_of(mask) == (0.2, 0.25, 0.3, 0.5)
    names = [["top_left", "top_middle", "top_right"], ["left", "center", "right"],
             ["bottom_left", "bottom_middle", "bottom_right"]]  # fmt: skip
    for row, y in enumerate((36, 49, 62)):  # centers at 0.37, 0.5 and 0.63
        for column, x in enumerate((36, 49, 62)):
            one = np.zeros((100, 100), bool)
            one[y : y + 2, x : x + 2] = True
            assert position_of(one) == names[row][column]
    for y in (38, 61):  # 0.39 and 0.62
        one = np.zeros((100, 100), bool)
        one[y : y + 2, y : y + 2] = True
        assert position_of(one) == "center"
    frame = np.ones((100, 100), bool)
    frame[10:90, 10:90] = False
    assert position_of(frame) == "around"
    frame[30:35, 30:70] = True  # an eighth of the middle
    assert position_of(frame) == "around"
    frame[35:37, 30:70] = True
    assert position_of(frame) == "everywhere"
    wide = np.zeros((100, 100), bool)
    wide[40:60] = True
    assert position_of(wide) == "center"


def test_probabilities_of_both_kinds_of_heads() -> None:
    logits = np.array([[1000.0, 1000 + np.log(3)], [0, 0]], np.float32)
    softmax = probabilities_of(SimpleNamespace(head="softmax"), logits)  # type: ignore[arg-type]
    np.testing.assert_allclose(softmax, [[0.25, 0.75], [0.5, 0.5]], atol=1e-4)
    sigmoid = probabilities_of(SimpleNamespace(head="sigmoid"), np.log([[3.0, 1.0]]))  # type: ignore[arg-type]
    np.testing.assert_allclose(sigmoid, [[0.75, 0.5]])
    model: Any = SimpleNamespace(labels=("cat",))
    assert (label_of(model, 0), label_of(model, 1)) == ("cat", "class 1")


def scan(true: list[int], logits: Any, good: list[bool] | None = None) -> Scan:
    n = len(true)
    names = tuple(f"{i}.png" for i in range(n))
    return Scan(None, names, names, np.asarray(true), np.asarray(good or [True] * n),  # type: ignore[arg-type]
                np.asarray(logits, np.float32), np.zeros((n, 0)), {})  # fmt: skip


def test_rows_are_sampled_evenly_from_every_class() -> None:
    labels = np.repeat([0, 2, -1], [5, 401, 7])
    rows = sample(labels)
    assert (np.diff(rows) > 0).all()
    assert rows[:5].tolist() == [0, 1, 2, 3, 4]
    own = rows[5:]
    assert len(own) == 200
    assert (own[0], own[-1]) == (5, 405)
    assert set(np.diff(own).tolist()) <= {2, 3}


def test_only_classes_that_occur_are_confused() -> None:
    model: Any = SimpleNamespace(head="softmax", labels=("a", "b", "c", "d"))
    found = confusion_of(model, scan([1, 3, 3, -1, 0], np.eye(4)[[1, 1, 3, 0, 0]] * 5, [True, True, True, True, False]))
    assert found.labels == ("b", "d")
    assert found.counts == ((1, 0), (1, 1))
    assert found.mistakes == (1,)


def test_ten_bins_and_ten_confusions() -> None:
    n = 12
    true, said = np.repeat(np.arange(n), np.arange(1, n + 1)), np.repeat((np.arange(n) + 1) % n, np.arange(1, n + 1))
    found = confusion([chr(97 + i) for i in range(n)], true, said, np.full(len(true), 1.0))
    assert len(found.largest) == 10
    assert found.largest[0] == (12, "l", "a")
    assert found.calibration == ((1.0, 0.0, len(true)),)
    assert found.calibration_error == 1.0
    twice = confusion(["a"], np.zeros(4, int), np.zeros(4, int), np.array([0.19, 0.1, 0.2, 0.09]))
    assert [b[2] for b in twice.calibration] == [1, 2, 1]
    empty = confusion(["a"], np.array([-1]), np.array([0]), np.array([1.0]))
    assert empty.calibration_error == 0.0
    assert Fraction(0, 0).value == 0.0
    assert Fraction(1, 4).value == 0.25


def test_two_models_are_compared_where_one_of_them_is_right() -> None:
    models: Any = tuple(SimpleNamespace(head="softmax", labels=("a", "b"), name=n) for n in ("one", "two"))
    a, b = np.array([2.0, 0]), np.array([0, 2.0])
    first = scan([0, 0, 0, 1, 1, -1, 0], [a, 3 * a, a, b, a, a, 2 * a])
    other = scan([0, 0, 0, 1, 1, -1, -1], [b, b, a, a, b, b, b])
    found = compared(models, (first, other), ())
    assert found.only_first == (1, 0, 3), "the surest first; the last has no label for one of them"
    assert found.only_other == (4,)
    assert found.p == pytest.approx(2 * (1 + 4) / 2**4)
    assert found.name == "two"
    assert compared(models, (first, first), ()).p == 1.0
    assert identity(having([3, 1])) == ("contrast", 1, (3, 1))


def test_few_images_have_no_clusters_and_maps_are_scaled_before_their_mean() -> None:
    features = np.eye(2, dtype=np.float32)[np.repeat([0, 1], 6)] + np.random.default_rng(0).normal(0, 0.01, (12, 2))
    assert clusters(features[:11].astype(np.float32), np.zeros((11, 4), np.float32)) == []
    found = clusters(features.astype(np.float32), np.zeros((12, 4), np.float32))
    assert sorted(found) == [tuple(range(6)), tuple(range(6, 12))]
    scaled = features * np.arange(1, 13)[:, None]
    assert sorted(clusters(scaled.astype(np.float32), np.zeros((12, 4), np.float32))) == sorted(found), "directions"
    mean = mean_map([[1, 2, 4, -8], [3, 0, 0, 3]], (2, 2))
    np.testing.assert_allclose(mean, [[(1 / 8 + 1) / 2, 1 / 8], [1 / 4, 0]])
    assert not mean_map([], (2, 2)).any()
    assert not mean_map([[0, 0, 0, 0]], (2, 2)).any()


def decoded(address: str) -> np.ndarray:
    head, _, data = address.partition(",")
    assert head == "data:image/jpeg;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")).astype(float)


def test_thumbnails_keep_their_proportions_and_heat_is_warm() -> None:
    assert decoded(thumbnail(np.zeros((100, 300, 3), np.uint8))).shape == (round(SIDE / 3), SIDE, 3)
    assert decoded(thumbnail(np.zeros((4, 900, 3), np.uint8), 60)).shape == (1, 60, 3)
    levels = np.array([[4.0, 2.0, 0.0, -9.0]], np.float32).repeat(4, 0)
    plain = decoded(heat(levels))
    assert plain.shape == (SIDE, SIDE, 3)
    middle = [plain[SIDE // 2, round((i + 0.5) * SIDE / 4)] for i in range(4)]
    np.testing.assert_allclose(middle[0], 0.35 * 32 + 0.65 * 255 * np.array([1, 1, 0]), atol=8)
    np.testing.assert_allclose(middle[1], 32 * 0.675 + 0.325 * 255 * np.array([1, 0, 0.05]), atol=8)
    np.testing.assert_allclose(middle[3], [32, 32, 32], atol=5)
    over = decoded(heat(levels, np.full((40, 40, 3), 200, np.uint8)))
    np.testing.assert_allclose(over[SIDE // 2, -4], [120, 120, 120], atol=5)
    np.testing.assert_allclose(over[SIDE // 2, 3], 0.35 * 120 + 0.65 * 255 * np.array([1, 1, 0]), atol=8)
    np.testing.assert_allclose(decoded(heat(np.zeros((3, 3), np.float32))), 32, atol=3)


def test_what_other_classes_use_is_left_out_where_enough_images_remain() -> None:
    labels = np.repeat([0, 1, 2, -1], [30, 30, 30, 5])
    mine, one, two = having(range(5), 0), having([30, 31, 5], 1), having(range(60, 90), 2)
    assert affected([mine, one], 0, labels).tolist() == [30, 31], "of other classes, that have what is used for theirs"
    assert affected([one, two], 0, labels).tolist() == [30, 31], "without the third class too few would be left"
    assert ENOUGH == 40
    for gone, held in ((20, 20), (21, 0)):  # 40 or 39 images are left
        assert len(affected([having(range(30, 30 + gone), 1)], 0, labels)) == held


@pytest.mark.parametrize(
    ("paths", "last", "wanted"),
    [
        (["a", "b", "c", "d"], "d", "b"),  # the second of the three upstream, at 0.55 · 2
        (["a", "b"], "b", "b"),
        (["a", "b", "c"], "c", "b"),
        (["stem", "f.0", "f.0.conv", "f.1", "f.2", "f.2.conv", "f.3", "f.4", "f.5"], "f.5", "f.2"),
        ([], None, None),
    ],
)  # fmt: skip
def test_the_middle_is_a_block(paths: list[str], last: str | None, wanted: str | None, monkeypatch: Any) -> None:
    layers = [SimpleNamespace(path=p, spatial=True) for p in paths] + [SimpleNamespace(path="head", spatial=False)]
    monkeypatch.setattr("shisen.auditing.middle.map_layer", lambda model: last)
    assert middle_layer(SimpleNamespace(layers=layers)) == wanted  # type: ignore[arg-type]


def test_pooled_features_tell_rows_and_columns() -> None:
    a = np.random.default_rng(0).normal(0, 1, (2, 6, 9, 4))
    found = _pooled(a)
    assert found.shape == (2, 8 * 4)
    np.testing.assert_allclose(found[1, :8], [*a[1].mean((0, 1)), *a[1].std((0, 1))])
    np.testing.assert_allclose(found[1, 8:12], a[1, :2].mean((0, 1)))
    np.testing.assert_allclose(found[1, 16:20], a[1, 4:].mean((0, 1)))
    np.testing.assert_allclose(found[1, 20:24], a[1, :, :3].mean((0, 1)))
    np.testing.assert_allclose(found[1, 28:], a[1, :, 6:].mean((0, 1)))


def test_a_transfer_matches_mean_and_lowers_the_spread() -> None:
    inside = np.arange(10) < 5
    maps = np.zeros((10, 1, 1, 2), np.float32)
    maps[:5, 0, 0], maps[5:, 0, 0] = np.stack([2 * STEPS + 7, 0.5 * STEPS + 1], 1), np.stack([STEPS, STEPS + 3], 1)
    found = Transfer.of(maps, inside)
    np.testing.assert_allclose(found.scale[0, 0], [1.0, 0.5], rtol=1e-4)
    np.testing.assert_allclose(found.shift[0, 0], [7.0, 1 - 0.5 * 3], rtol=1e-4)


def test_the_direction_between_groups_is_fisher_s_shrunk_by_a_tenth() -> None:
    draw = np.random.default_rng(0)
    points = draw.normal(0, 1, (40, 3)) * [1, 2, 0.5]
    chosen = np.arange(40) < 15
    a, b = points[chosen] - points[chosen].mean(0), points[~chosen] - points[~chosen].mean(0)
    within = (a.T @ a + b.T @ b) / 38
    within += 0.1 * np.trace(within) / 3 * np.eye(3)
    wanted = np.linalg.inv(within) @ (points[chosen].mean(0) - points[~chosen].mean(0))
    np.testing.assert_allclose(_direction(points, chosen), wanted)


def test_the_best_cut_the_slow_way() -> None:
    from scipy.stats import hypergeom

    draw = np.random.default_rng(0)
    for _ in range(20):
        own = draw.random(60) < np.where(np.arange(60) < 12, 0.8, 0.25)
        values = np.round(np.sort(draw.normal(0, 3, 60))[::-1])
        tried = [
            (hypergeom.sf(own[: i + 1].sum() - 1, 60, own.sum(), i + 1), i)
            for i in range(60)
            if own[i] and own[: i + 1].sum() >= 3 and (i == 59 or values[i + 1] != values[i])
        ]
        found = best_cut(values, own)
        p = min(1.0, min(tried)[0] * len(tried) * 2) if tried else 1.0
        assert (found is None) == (p > 0.05)
        if found is not None:
            assert found.p == pytest.approx(p)
            assert found.last == min(tried)[1]
    assert best_cut(np.arange(200.0)[::-1], np.arange(200) < 2) is None, "three at least"
    hundred = np.zeros(400, bool)
    hundred[:4], hundred[201:397] = True, True
    found = best_cut(np.arange(400.0)[::-1], hundred)
    assert found is None or found.last > 4, "three per cent of a class of two hundred are six"


def test_what_stands_out_lies_four_deviations_from_the_other_classes() -> None:
    others = np.concatenate([np.full(10, -1.0), np.full(20, 0.0), np.full(10, 1.0)]) + 5  # half of them within one half
    spread = np.where(np.arange(40) % 2, 1.0, -1.0) + 5  # median absolute deviation 1: deviation 1.4826
    limit = 5 + 4 * 1.4826
    for above, wanted in (([0.01] * 6, 5), ([-0.01] * 6, None), ([0.01, 0.01, -0.01, -0.01, -0.01, -0.01], None)):
        values = np.concatenate([np.sort(limit + np.asarray(above))[::-1], np.sort(spread)[::-1]])
        own = np.arange(len(values)) < 6
        found = _far_cut(values, own)
        assert (None if found is None else found.last) == wanted, above
    values = np.concatenate([[99.0] * 3, np.sort(others)[::-1]])
    found = _far_cut(values, np.arange(43) < 3)
    assert found is not None
    assert found.p == pytest.approx(2 * 9 / (43 * 42 * 41 / 6)), "nine properties tell how images are made, both ways"


def test_a_patch_is_described_by_where_it_is_solid() -> None:
    alpha = np.zeros((20, 20), np.float32)
    alpha[:10, :5] = 0.35
    patch = FixedPatch(np.full((20, 20, 3), 2.0, np.float32), alpha)
    assert patch.describe() == {"box": [0.0, 0.0, 0.25, 0.5], "area": 50 / 400, "template": 50 * 6}
