"""Every global property and its change, by values worked out by hand on images of a few pixels."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("scipy")

from shisen.auditing.properties import PROPERTIES, STEPS, Property, measured


def flat(*color: int, high: int = 4, wide: int = 4) -> np.ndarray:
    return np.full((high, wide, 3), color, np.uint8)


def gray(values: Sequence[Sequence[int]] | np.ndarray) -> np.ndarray:
    return np.repeat(np.asarray(values, np.uint8)[..., None], 3, -1)


def stripes(high: int, wide: int, period: int, width: int, level: int = 200) -> np.ndarray:
    """Vertical strokes on black."""
    return gray(np.broadcast_to(np.where(np.arange(wide) % period < width, level, 0), (high, wide)))


def measure(name: str, pixels: np.ndarray) -> float:
    return PROPERTIES[name].measure(pixels)


def alter(name: str, pixels: np.ndarray, strength: float) -> np.ndarray:
    change = PROPERTIES[name].alter
    assert change is not None
    return change(pixels, strength)


COLUMNS = np.zeros((4, 6, 3), np.uint8)
COLUMNS[:, 1::2] = (40, 20, 10)  # five steps a line to the right, none down
SPOT = np.zeros((5, 5), np.uint8)
SPOT[2, 2] = 100
BLOCKS = gray(np.broadcast_to(np.repeat([0, 10, 20], 8), (24, 24)))


@pytest.mark.parametrize(
    ("name", "pixels", "wanted"),
    [
        ("brightness", flat(10, 20, 30), 0.299 * 10 + 0.587 * 20 + 0.114 * 30),
        ("contrast", gray([[0, 100], [100, 0]]), np.log2(50 + 1)),
        ("warmth", flat(99, 7, 49), 1.0),
        ("greenness", flat(15, 127, 63), 2.0),
        ("cast", COLUMNS, np.log2(40.1 / 10.1)),
        ("cast", COLUMNS[:1], np.log2(40.1 / 10.1)),
        ("cast", COLUMNS.swapaxes(0, 1), np.log2(40.1 / 10.1)),
        ("green_cast", COLUMNS, np.log2(20.1 / np.sqrt(40.1 * 10.1))),
        ("saturation", np.stack([flat(10, 50, 30), flat(7, 7, 7)]).reshape(8, 4, 3), 20.0),
        # the Laplacian is 400 at the spot and −100 at its four neighbors; there are two steps of 100 each way
        ("sharpness", gray(SPOT), np.log2((200000 / 9 + 0.1) / (2 * 20000 / 20 + 0.1))),
        ("sharpness", gray(np.indices((6, 6)).sum(0) % 2 * 100), np.log2((400**2 + 0.1) / (2 * 100**2 + 0.1))),
        ("compression", BLOCKS, np.log2(10.25 / 0.25) / 2),
        ("compression", BLOCKS.swapaxes(0, 1), np.log2(10.25 / 0.25) / 2),
        ("compression", BLOCKS[:, 3:], np.log2(0.25 / (20 / 18 + 0.25)) / 2),
        ("compression", BLOCKS[:8, :8], 0.0),
        ("noise", gray(np.indices((7, 9)).sum(0) % 2 * 100), np.log2(200 / 2 / 0.6745 + 0.5)),
        ("noise", flat(9, 9, 9), -1.0),
        ("aspect", flat(0, 0, 0, high=2, wide=8), 2.0),
        ("resolution", flat(0, 0, 0, high=4, wide=8), 5.0),
        ("text", stripes(40, 56, 7, 2), 8 / 28 / 0.5),  # in and out of a stroke, four times in 28 pixels
        ("text", 255 - stripes(40, 56, 7, 2), 8 / 28 / 0.5),
        ("text", stripes(40, 56, 4, 2), 1.0),
        ("text", stripes(40, 56, 7, 2, level=39), 0.0),  # too faint
        ("text", stripes(40, 56, 7, 2, level=41), 8 / 28 / 0.5),
        ("text", stripes(40, 60, 10, 5), 0.0),  # too wide
    ],
)  # fmt: skip
def test_measures(name: str, pixels: np.ndarray, wanted: float) -> None:
    assert measure(name, pixels) == pytest.approx(wanted, rel=1e-4, abs=1e-4)


def test_a_line_of_text_is_seen_by_its_own_height_and_in_large_images() -> None:
    lined = np.zeros((40, 56, 3), np.uint8)
    lined[10:15] = stripes(5, 56, 7, 2)
    assert measure("text", lined) == pytest.approx(5 / 7 * 8 / 28 / 0.5)
    large = stripes(1280, 1280, 14, 4)
    assert measure("text", large) == pytest.approx(8 / 28 / 0.5, abs=0.02), "seen at 640 pixels"
    narrow = stripes(40, 14, 7, 2)  # narrower than a strip: one change is at the edge
    assert measure("text", narrow) == pytest.approx(3 / 14 / 0.5)


def test_a_line_of_the_border_is_of_one_color_within_eight_levels_and_five_per_cent() -> None:
    draw = np.random.default_rng(0)
    image = draw.integers(0, 256, (100, 100, 3)).astype(np.uint8)
    assert measure("border", image) == 0.0
    top = image.copy()
    top[0] = 90
    assert measure("border", top) == 0.25
    for off, few, wanted in ((8, 50, 0.25), (9, 4, 0.25), (9, 5, 0.0)):
        one = top.copy()
        one[0, 1 : 1 + few] = 90 + off
        assert measure("border", one) == wanted, (off, few)
    for side in (np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        one = image.copy()
        one[side] = 30
        assert measure("border", one) == 0.25


def test_colors_are_changed_by_factors_and_keep_their_brightness() -> None:
    ground = flat(100, 100, 100)
    np.testing.assert_array_equal(alter("brightness", flat(250, 100, 3), 10), flat(255, 110, 13))
    np.testing.assert_array_equal(alter("brightness", flat(250, 100, 3), -10), flat(240, 90, 0))
    np.testing.assert_array_equal(alter("contrast", gray([[90, 110]]), 1.0), gray([[80, 120]]))
    np.testing.assert_array_equal(alter("contrast", gray([[80, 120]]), -2.0), gray([[95, 105]]))
    warm = np.array([200.0, 100.0, 50.0])
    np.testing.assert_array_equal(
        alter("warmth", ground, 2.0)[0, 0], np.rint(warm * 100 / (warm @ [0.299, 0.587, 0.114]))
    )
    np.testing.assert_array_equal(alter("warmth", ground, 2.0), alter("cast", ground, 2.0))
    green = 100 * 2.0 ** np.array([-0.5, 1.0, -0.5])
    np.testing.assert_array_equal(
        alter("greenness", ground, 1.5)[0, 0], np.rint(green * 100 / (green @ [0.299, 0.587, 0.114]))
    )
    np.testing.assert_array_equal(alter("greenness", ground, 1.5), alter("green_cast", ground, 1.5))
    assert (alter("warmth", flat(0, 0, 0), 3.0) == 0).all()
    luma = 0.299 * 120 + 0.587 * 100 + 0.114 * 80
    stronger = luma + 2 * (np.array([120, 100, 80]) - luma)
    np.testing.assert_array_equal(alter("saturation", flat(120, 100, 80), 1.0)[0, 0], np.rint(stronger))
    assert np.ptp(alter("saturation", flat(255, 0, 255), -4.0)[0, 0]) == 0
    assert np.ptp(alter("saturation", flat(255, 0, 255), -3.9)[0, 0]) > 0


def test_steps_between_blocks_are_replaced_by_a_straight_way() -> None:
    across = gray(np.broadcast_to(np.repeat([0, 90, 30], 8)[:, None], (24, 24)))
    for image in (across, across.swapaxes(0, 1)):
        whole, half = alter("compression", image, -1.0), alter("compression", image, -0.5)
        if image is not across:
            whole, half = whole.swapaxes(0, 1), half.swapaxes(0, 1)
        assert whole[6:10, 3, 0].tolist() == [0, 30, 60, 90]
        assert whole[14:18, 3, 0].tolist() == [90, 70, 50, 30]
        assert half[6:10, 3, 0].tolist() == [0, 15, 75, 90]


def coded(pixels: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def test_processes_are_those_of_the_documentation() -> None:
    draw = np.random.default_rng(1)
    image = draw.integers(0, 256, (40, 60, 3)).astype(np.uint8)
    np.testing.assert_array_equal(alter("compression", image, 0.8), coded(image, 20))
    np.testing.assert_array_equal(alter("compression", image, 1.0), coded(image, 1))
    assert alter("aspect", image, 2.0).shape == (20, 120, 3)
    assert alter("resolution", image, 2.0).shape == (80, 120, 3)
    assert alter("resolution", image, -14.0).shape == (1, 1, 3)
    level = flat(128, 128, 128, high=200, wide=200)
    noisy = alter("noise", level, 12.0).astype(float) - 128
    assert noisy.std() == pytest.approx(12.0, rel=0.02)
    assert abs(np.corrcoef(noisy[..., 0].ravel(), noisy[..., 1].ravel())[0, 1]) < 0.03
    np.testing.assert_array_equal(alter("noise", level, 12.0), alter("noise", level, 12.0))
    impulse = np.zeros((31, 31, 3), np.uint8)
    impulse[15, 15] = 255
    smooth = alter("noise", impulse, -2.0)[..., 0].astype(float)  # a Gaussian of one pixel
    assert smooth[15, 15] == pytest.approx(255 / (2 * np.pi), abs=2)
    assert smooth[15, 14] / smooth[15, 15] == pytest.approx(np.exp(-0.5), abs=0.03)
    assert alter("noise", np.repeat(impulse[..., :1], 3, -1) * [1, 0, 0], -2.0)[..., 1:].max() == 0, "no color runs"


def test_sharpening_adds_what_a_blur_takes_off_and_softening_is_in_per_cent_of_the_longer_side() -> None:
    edge = gray(np.broadcast_to(np.where(np.arange(400) < 200, 100, 150), (100, 400)))
    once, twice = (alter("sharpness", edge, by)[50, :, 0].astype(float) for by in (1.0, 2.0))
    assert once.max() > 152
    np.testing.assert_allclose(twice - edge[50, :, 0], 2 * (once - edge[50, :, 0]), atol=1)
    for by in (-1.0, -2.0):
        slope = np.diff(alter("sharpness", edge, by)[50, :, 0].astype(float))
        at = np.arange(399)
        mean = (at * slope).sum() / slope.sum()
        spread = np.sqrt((np.square(at - mean) * slope).sum() / slope.sum())
        assert spread == pytest.approx(-by * 4.0, rel=0.15), "four pixels are one per cent of 400"


def test_a_border_is_two_per_cent_wide_and_is_cropped_where_that_leaves_an_image() -> None:
    image = flat(200, 100, 50, high=60, wide=100)
    framed = alter("border", image, 1.0)
    assert (framed[2:-2, 2:-2] == image[2:-2, 2:-2]).all()
    framed[2:-2, 2:-2] = 0
    assert not framed.any()
    assert alter("border", image, -1.0).shape == (56, 96, 3)
    assert alter("border", image[:9], -1.0).shape == (5, 96, 3)
    assert alter("border", image[:8], -1.0).shape == (8, 100, 3)
    assert not alter("border", image[:10, :10], 1.0)[[0, -1]].any(), "one pixel at least"


def test_a_date_is_written_at_the_lower_left() -> None:
    ground = flat(60, 60, 60, high=200, wide=300)
    written = alter("text", ground, 0.1)
    ys, xs = np.nonzero((written != 60).any(-1))
    assert written.max() == 255
    assert ys.min() >= 0.95 * 200 - 20
    assert ys.max() <= 0.95 * 200 + 5
    assert np.ptp(ys) >= 10
    assert 0.03 * 300 <= xs.min() <= 0.03 * 300 + 3
    assert (alter("text", ground, 0.02) != ground).any(), "four pixels can be read"
    assert alter("text", ground, 0.017) is ground


def shifted(pixels: np.ndarray, by: float) -> np.ndarray:
    return pixels + by


ONE = Property("level", lambda p: float(p.mean()), shifted, -10.0, 30.0)


def test_a_strength_is_found_by_halving() -> None:
    images = [np.full((2, 2, 3), float(v)) for v in (0, 1, 50)]  # the median is 1
    for target in (4.7, 19.2, 30.9, -5.3, -8.9):
        strength = ONE.strength(images, target)
        limit = 30 if target > 1 else 10
        assert abs(1 + strength - target) <= limit / 2 ** (STEPS - 1) / 2 + limit / 2**STEPS
    assert ONE.strength(images, 31.0) == 30.0
    assert ONE.strength(images, 900.0) == 30.0
    assert ONE.strength(images, -900.0) == -10.0
    assert ONE.strength(images, 1.0) == 0.0
    assert ONE.strength(images, 12.0, lambda p: p / 2) == pytest.approx(23.0, abs=0.3), "of the finished image"
    assert Property("none", ONE.measure).strength(images, 5.0) == 0.0


def test_the_nearest_strength_that_was_tried_counts() -> None:
    saturating = Property("bounded", ONE.measure, lambda p, by: p + 10 * np.sign(by), -1.0, 1.0)
    assert saturating.strength([np.zeros((1, 1, 3))], 4.0) == 0.0, "nothing is nearer than ten"
    assert saturating.strength([np.zeros((1, 1, 3))], 6.0) == 1.0
    tried: list[float] = []

    def counted(pixels: np.ndarray, by: float) -> np.ndarray:
        tried.append(by)
        return pixels + by

    Property("counted", ONE.measure, counted, -1.0, 8.0).strength([np.zeros((1, 1, 3))], 5.1)
    assert tried == [8.0, 4.0, 6.0, 5.0, 5.5, 5.25, 5.125, 5.0625]


@pytest.mark.parametrize(
    ("name", "weakest", "strongest"),
    [
        ("brightness", -128, 128), ("contrast", -3, 3), ("warmth", -3, 3), ("greenness", -3, 3), ("cast", -3, 3),
        ("green_cast", -3, 3), ("saturation", -4, 3), ("sharpness", -4, 4), ("compression", -1, 0.97),
        ("noise", -3, 48), ("border", -1, 1), ("text", 0, 0.2), ("aspect", -2, 2), ("resolution", -6, 4),
    ],
)  # fmt: skip
def test_strengths_keep_to_what_leaves_an_image_to_be_seen(name: str, weakest: float, strongest: float) -> None:
    one = PROPERTIES[name]
    assert (one.weakest, one.strongest) == (weakest, strongest)
    assert one.opposite == (name not in ("compression", "noise", "text")), "these have no opposite to be put on"
    assert one.shown == (name in ("brightness", "contrast", "warmth", "greenness", "saturation"))


def test_all_are_measured_in_order() -> None:
    image = np.random.default_rng(2).integers(0, 256, (24, 32, 3)).astype(np.uint8)
    assert measured(image) == [one.measure(image) for one in PROPERTIES.values()]
