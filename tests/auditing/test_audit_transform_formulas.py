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
