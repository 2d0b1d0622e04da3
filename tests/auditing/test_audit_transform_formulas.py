"""Every transform of the library by what it does to images that are worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("scipy")

from shisen.auditing.properties import PROPERTIES
from shisen.auditing.transforms import TRANSFORMS

Pixels = np.ndarray


def treated(name: str, pixels: Pixels) -> Pixels:
    return TRANSFORMS[name].apply(pixels, np.random.default_rng(0)).astype(float)


def flat(value: int | tuple[int, int, int], side: int = 12) -> Pixels:
    return np.full((side, side, 3), value, np.uint8)


def gray(values: Pixels) -> Pixels:
    return np.repeat(np.asarray(values, np.uint8)[..., None], 3, -1)


def noise(high: int, wide: int) -> Pixels:
    return np.random.default_rng(3).integers(0, 256, (high, wide, 3)).astype(np.uint8)


def ramp(high: int, wide: int, *, down: float = 0.0, right: float = 0.0) -> Pixels:
    """A plane through 128 in the middle, with these slopes in levels a pixel."""
    y, x = np.indices((high, wide))
    return gray(np.rint(128 + down * (y - (high - 1) / 2) + right * (x - (wide - 1) / 2)))


def slopes(pixels: Pixels) -> tuple[float, float]:
    """The slopes of a plane, down and to the right, in the middle half."""
    high, wide = pixels.shape[:2]
    inner = pixels[high // 4 : -high // 4, wide // 4 : -wide // 4, 0].astype(float)
    y, x = np.indices(inner.shape)
    plane = np.stack([y.ravel(), x.ravel(), np.ones(y.size)], 1)
    down, right, _ = np.linalg.lstsq(plane, inner.ravel(), rcond=None)[0]
    return float(down), float(right)


def test_turns_are_undone_and_controlled_by_turns() -> None:
    image = noise(4, 6)
    for name, turned in (("upside_down", image[::-1, ::-1]), ("quarter_left", image.swapaxes(0, 1)[::-1]),
                         ("quarter_right", image.swapaxes(0, 1)[:, ::-1])):  # fmt: skip
        one, draw = TRANSFORMS[name], np.random.default_rng(0)
        np.testing.assert_array_equal(one.apply(image, draw), turned)
        assert one.remove is not None
        np.testing.assert_array_equal(one.remove(one.apply(image, draw), draw), image)
        if one.control is not None:
            np.testing.assert_array_equal(one.control(image, draw), image[::-1, ::-1])
    assert TRANSFORMS["upside_down"].control is None
    assert [name for name, one in TRANSFORMS.items() if one.control] == [
        "quarter_left", "quarter_right", "on_its_side", "tilted",
    ]  # fmt: skip
    assert [name for name, one in TRANSFORMS.items() if one.remove][3:] == ["negative"]
    np.testing.assert_array_equal(treated("negative", image), 255.0 - image)
    np.testing.assert_array_equal(TRANSFORMS["negative"].remove(image, np.random.default_rng(0)), 255 - image)


def test_a_tilt_is_of_twelve_degrees_without_empty_corners() -> None:
    down, right = slopes(treated("tilted", ramp(120, 120, right=1.0)))
    assert np.hypot(down, right) == pytest.approx(0.74, abs=0.01), "74 % of each side are shown"
    assert abs(np.degrees(np.arctan2(down, right))) == pytest.approx(12, abs=0.5)
    control = TRANSFORMS["tilted"].control
    assert control is not None
    down, right = slopes(control(ramp(120, 120, right=1.0), np.random.default_rng(0)))
    assert (down, right) == pytest.approx((0, 0.74), abs=0.01)
    for shape in ((120, 120), (120, 90)):
        assert (treated("tilted", np.full((*shape, 3), 255, np.uint8)) == 255).all()


@pytest.mark.parametrize(("name", "down", "right"), [("zoomed", 0.5, 0.5), ("squeezed", 0.6, 1.0)])
def test_crops_show_the_middle_larger(name: str, down: float, right: float) -> None:
    for given in ((1.0, 0.0), (0.0, 1.0)):
        out = treated(name, ramp(100, 100, down=given[0], right=given[1]))
        assert out.shape == (100, 100, 3)
        assert slopes(out) == pytest.approx((given[0] * down, given[1] * right), abs=0.01)
        assert out[25:75, 25:75].mean() == pytest.approx(128, abs=0.6), "the middle stays in the middle"
    assert treated(name, ramp(60, 100, right=1.0)).shape == (60, 100, 3)


def test_noise_is_drawn_for_every_color_and_grain_for_every_pixel() -> None:
    ground = flat(128, 150)
    colored, grain, salted = (treated(n, ground) - 128 for n in ("noise", "gray_noise", "salt_and_pepper"))
    assert colored.std() == pytest.approx(22, rel=0.02)
    assert abs(np.corrcoef(colored[..., 0].ravel(), colored[..., 2].ravel())[0, 1]) < 0.03
    assert grain.std() == pytest.approx(18, rel=0.02)
    assert np.ptp(grain, axis=-1).max() == 0
    assert abs(colored.mean()) < 0.5
    assert (salted == -128).all(-1).mean() == pytest.approx(0.02, abs=0.003)
    assert (salted == 127).all(-1).mean() == pytest.approx(0.02, abs=0.003)
    assert (salted == 0).all(-1).mean() == pytest.approx(0.96, abs=0.005)


@pytest.mark.parametrize(
    ("name", "curve"),
    [
        ("gamma_dark", lambda v: v**1.9),
        ("gamma_light", lambda v: v**0.5),
        ("haze", lambda v: 0.42 + 0.5 * v),
        ("hard_contrast", lambda v: 1.8 * v - 0.4),
    ],
)
def test_tones_follow_a_curve(name: str, curve: object) -> None:
    for level in (0, 60, 128, 200, 255):
        wanted = round(255 * min(1, max(0, curve(level / 255))))  # type: ignore[operator]
        assert np.abs(treated(name, flat(level)) - wanted).max() <= 0.5 + 1e-6, level


def test_colors_are_taken_away_or_moved() -> None:
    red = flat((255, 0, 0))
    luma = 0.299 * 100 + 0.587 * 150 + 0.114 * 50
    color = flat((100, 150, 50))
    assert np.abs(treated("grayscale", color) - luma).max() <= 1
    np.testing.assert_allclose(treated("sepia", color)[0, 0], np.multiply(luma, [1.07, 0.95, 0.75]), atol=0.51)
    np.testing.assert_array_equal(treated("no_blue", color)[0, 0], [100, 150, 0])
    np.testing.assert_allclose(treated("hue", red)[0, 0], [127, 255, 0], atol=3)  # a quarter of the circle
    np.testing.assert_allclose(treated("hue", flat((0, 128, 255)))[0, 0], [255, 0, 255], atol=12)
    levels = np.unique(treated("posterized", noise(16, 16)))
    np.testing.assert_array_equal(levels, [0, 64, 128, 192])
    assert len(np.unique(treated("palette", noise(40, 40)).reshape(-1, 3), axis=0)) == 12
    spread = np.clip(np.random.default_rng(0).normal(128, 5, (64, 64)), 0, 255)
    assert np.ptp(treated("equalized", gray(spread))) == 255


def impulse(high: int, wide: int) -> Pixels:
    image = np.zeros((high, wide, 3), np.uint8)
    image[high // 2, wide // 2] = 255
    return image


def test_blurs_are_in_fractions_of_the_image() -> None:
    edge = gray(np.broadcast_to(np.where(np.arange(400) < 200, 0, 250), (60, 400)))
    slope = np.diff(treated("blur", edge)[30, :, 0])
    at = np.arange(len(slope))
    spread = np.sqrt((np.square(at - 199) * slope).sum() / slope.sum())
    assert spread == pytest.approx(0.012 * 400, rel=0.1)
    for wide, length in ((120, 6), (40, 3)):
        out = treated("motion_blur", impulse(21, wide))[..., 0]
        assert np.count_nonzero(out[10]) == length == np.count_nonzero(out)
        np.testing.assert_allclose(out[10][out[10] > 0], round(255 / length), atol=0.6)
    lines = np.zeros((20, 20), np.uint8)
    lines[:, 4:6] = 200  # ten of 25 pixels
    lines[:, 12:15] = 200  # fifteen of 25
    out = treated("median", gray(lines))[10, :, 0]
    assert out[4:6].tolist() == [0, 0]
    assert out[12:15].tolist() == [200, 200, 200]


def test_pixels_of_four_are_made_one() -> None:
    image = noise(16, 24)
    out = treated("pixelated", image)
    means = image.reshape(4, 4, 6, 4, 3).mean((1, 3))
    np.testing.assert_allclose(out, means.repeat(4, 0).repeat(4, 1), atol=1)
    tiny = treated("pixelated", image[:3, :2])  # less than one large pixel
    np.testing.assert_allclose(tiny, np.broadcast_to(image[:3, :2].mean((0, 1)), (3, 2, 3)), atol=1)


def test_codes_and_halos() -> None:
    smooth = np.asarray(Image.fromarray(noise(12, 12)).resize((96, 96), Image.Resampling.BICUBIC))
    jpeg = PROPERTIES["compression"].measure
    assert jpeg(treated("jpeg", smooth).astype(np.uint8)) > jpeg(smooth) + 0.5
    edge = gray(np.broadcast_to(np.where(np.arange(40) < 20, 100, 140), (40, 40)))
    halo = treated("sharpened", edge)[20, :, 0]
    assert (halo.min(), halo.max()) == pytest.approx((100 - 40, 140 + 40), abs=15)  # 2.5 times half the step, nearly


def test_corners_darken_as_the_square_of_the_distance() -> None:
    out = treated("vignette", np.full((21, 41, 3), 200, np.uint8))
    assert out[10, 20, 0] == 200
    assert out[0, 0, 0] == out[-1, -1, 1] == pytest.approx(0.15 * 200)
    assert out[10, 0, 0] == out[0, 20, 0] == pytest.approx(0.65 * 200)
    assert out[10, 30, 0] == pytest.approx(round((1.15 - 0.5 * 0.25) * 200) if 1.15 - 0.125 < 1 else 200)


def test_lines_of_screens() -> None:
    rows = treated("scan_lines", flat(100))
    np.testing.assert_array_equal(rows[:, 5, 0], [55, 100, 100] * 4)
    np.testing.assert_array_equal(rows[5], np.full((12, 3), 100))
    both = treated("screen_door", flat(100))
    np.testing.assert_array_equal(both[1, :, 0], [55, 100, 100] * 4)
    np.testing.assert_array_equal(both[:, 1, 0], [55, 100, 100] * 4)
    assert both[0, 0, 0] == round(100 * 0.55**2)
    image = noise(8, 120)
    woven = treated("interlaced", image)
    np.testing.assert_array_equal(woven[::2], image[::2])
    np.testing.assert_array_equal(woven[1::2, 2:], image[1::2, :-2])  # a fiftieth of 120
    np.testing.assert_array_equal(treated("interlaced", image[:, :30])[1, 1:], image[1, :29])
    image = noise(8, 160)
    fringed = treated("color_fringes", image)  # 160 / 75 pixels
    np.testing.assert_array_equal(fringed[:, 2:, 0], image[:, :-2, 0])
    np.testing.assert_array_equal(fringed[..., 1], image[..., 1])
    np.testing.assert_array_equal(fringed[:, :-2, 2], image[:, 2:, 2])
    np.testing.assert_array_equal(treated("color_fringes", image[:, :30])[:, 1:, 0], image[:, :29, 0])


def at(name: str, amount: float, pixels: Pixels) -> Pixels:
    return TRANSFORMS[name].at(amount)(pixels, np.random.default_rng(0)).astype(float)


def test_amounts_are_more_or_less_of_the_same() -> None:
    scene = np.asarray(Image.fromarray(noise(12, 12)).resize((96, 96), Image.Resampling.BICUBIC))
    for name, one in TRANSFORMS.items():
        np.testing.assert_array_equal(at(name, 1.0, scene), treated(name, scene), err_msg=name)
        if one.grade is None:
            np.testing.assert_array_equal(at(name, 0.5, scene), treated(name, scene), err_msg=name)
            continue
        weak, usual = (np.abs(at(name, amount, scene) - scene).mean() for amount in (0.4, 1.0))
        assert 0 < weak < usual or (
            weak == usual and name in ("motion_blur", "interlaced", "color_fringes", "eroded", "dilated")
        ), name
        assert np.abs(at(name, 2.5, scene) - scene).mean() >= 0.95 * usual, name
    ground = flat(128, 150)
    for name, usual in (("noise", 22), ("gray_noise", 18), ("coarse_grain", 18)):
        assert (at(name, 0.5, ground) - 128).std() == pytest.approx(usual / 2, rel=0.03), name
    np.testing.assert_array_equal(at("color_fringes", 3, noise(8, 75))[:, 3:, 0], noise(8, 75)[:, :-3, 0])
    down, right = slopes(at("tilted", 0.5, ramp(120, 120, right=1.0)))
    assert abs(np.degrees(np.arctan2(down, right))) == pytest.approx(6, abs=0.5)


def test_warps_take_pixels_from_where_they_say() -> None:
    along, down = ramp(101, 101, right=1.0), ramp(101, 101, down=1.0)
    moved = treated("wavy", along)[..., 0] - along[..., 0].astype(float)
    inner = moved[:, 10:-10]
    assert inner.max() == pytest.approx(2, abs=0.6), "a fiftieth of the width"
    assert np.abs(np.diff(inner, axis=1)).max() <= 1, "a line moves as a whole"
    np.testing.assert_array_equal(treated("wavy", down), down)
    assert slopes(treated("bulging", along))[1] < 0.85, "the middle is enlarged"
    converging = treated("keystone", along)[..., 0]
    steps = [float(np.polyfit(np.arange(101), converging[row], 1)[0]) for row in (2, 97)]
    assert steps == pytest.approx([1.0, 0.56], abs=0.03)
    assert slopes(treated("stretched", along)) == pytest.approx((0, 0.6), abs=0.01)
    assert slopes(treated("stretched", down)) == pytest.approx((1.0, 0), abs=0.01)
    image = noise(8, 100)
    np.testing.assert_allclose(treated("ghost", image)[:, 5:], 0.65 * image[:, 5:] + 0.35 * image[:, :-5], atol=0.51)
    for name, far in (("elastic", 4.5), ("glass", 2.5)):
        shift = np.abs(treated(name, along)[8:-8, 8:-8, 0] - along[8:-8, 8:-8, 0])
        assert 0.3 < shift.mean() < shift.max() <= far, name
    np.testing.assert_array_equal(treated("zoom_blur", flat(90)), flat(90).astype(float))
    blurred = treated("zoom_blur", noise(101, 101))[..., 0]
    assert blurred[48:53, 48:53].std() > 1.3 * blurred[:5, :5].std(), "the middle stays sharper than the corners"


def test_surfaces_lie_over_the_image() -> None:
    ground = flat(100, 200)
    grain = treated("coarse_grain", ground)[..., 0] - 100
    assert np.corrcoef(grain[:, 1:].ravel(), grain[:, :-1].ravel())[0, 1] > 0.5, "neighbors have it alike"
    assert treated("speckled", ground).std() == pytest.approx(22, rel=0.05)
    assert treated("speckled", flat(50, 200)).std() == pytest.approx(11, rel=0.05), "dark areas get less"
    for name, least, most in (("streaked", 0.02, 0.3), ("specked", 0.005, 0.2)):
        brighter = treated(name, ground) > 101
        assert least < brighter.mean() < most, name
        assert (treated(name, ground) >= 99).all(), name
    single = treated("single_pixels", ground)
    assert 40 <= (single == 255).all(-1).sum() <= 60
    again = TRANSFORMS["single_pixels"].apply(flat(30, 200), np.random.default_rng(5))
    np.testing.assert_array_equal((single == 255), (again == 255), "the same ones in every image")
    lit = treated("lit_from_a_side", ground)[..., 0]
    assert lit[100, 100] == pytest.approx(100, abs=1)
    assert lit[0, 0] + lit[-1, -1] == pytest.approx(200, abs=3)
    assert np.hypot(lit[100, -1] - 100, lit[-1, 100] - 100) == pytest.approx(50, abs=1)
    shade = treated("shaded", ground)
    assert (shade.min(), shade.max()) == pytest.approx((50, 100), abs=1)
    bright = np.zeros((101, 101, 3), np.uint8)
    bright[45:56, 45:56] = 255
    glow = treated("glowing", bright)[..., 0]
    assert glow[50, 40] > glow[50, 30] >= glow[50, 5] == 0
    gone = treated("without_blocks", flat(100, 140))[..., 0]
    assert set(np.unique(gone)) == {0.0, 100.0}
    assert (gone == 0).mean() == pytest.approx(0.08, abs=0.06)
    for level in (30, 128, 220):
        printed = treated("halftoned", flat(level, 16))
        assert set(np.unique(printed)) <= {0.0, 255.0}
        assert printed.mean() == pytest.approx(level, abs=9)
    scattered = treated("dithered", ramp(64, 64, right=2.0))
    assert len(np.unique(scattered.reshape(-1, 3), axis=0)) <= 8
    assert scattered.mean() == pytest.approx(128, abs=6)


def test_tones_and_filters() -> None:
    np.testing.assert_array_equal(treated("solarized", flat((100, 128, 255)))[0, 0], [100, 127, 0])
    np.testing.assert_array_equal(treated("channels_swapped", flat((1, 2, 3)))[0, 0], [3, 2, 1])
    image = noise(9, 9)
    assert treated("eroded", image)[4, 4, 0] == image[3:6, 3:6, 0].min()
    assert treated("dilated", image)[4, 4, 0] == image[3:6, 3:6, 0].max()
    smooth = np.asarray(Image.fromarray(noise(12, 12)).resize((96, 96), Image.Resampling.BICUBIC))
    assert 1 < np.abs(treated("webp", smooth) - smooth).mean() < 20
