"""Any number of channels and any depth: the network sees the right numbers, and a person a sensible view of them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from shisen.errors import ImageError, ShisenWarning
from shisen.models.channels import in_units, view, with_channels
from shisen.models.data_io import open_data
from shisen.models.image_io import open_image
from shisen.models.preprocess import Preprocess
from shisen.types import InputImage

RAMP = np.linspace(0, 4000, 64, dtype=np.uint16).reshape(8, 8)


def pixels(source: Any, **settings: Any) -> npt.NDArray[np.float32]:
    preprocess = Preprocess(8, **settings)
    return preprocess.pixels(open_data(source, preprocess))[0]


def stack(path: Path, bands: int = 5, dtype: Any = np.uint16) -> npt.NDArray[Any]:
    tifffile = pytest.importorskip("tifffile")
    values = np.random.default_rng(0).integers(0, 10_000, (bands, 8, 8)).astype(dtype)
    tifffile.imwrite(path, values, photometric="minisblack")
    return np.moveaxis(values, 0, -1)


# ---- units


@pytest.mark.parametrize(
    ("values", "data_range", "expected"),
    [
        (np.array([0, 255], np.uint8), None, [0, 255]),
        (np.array([0, 13107, 65535], np.uint16), None, [0, 0.2, 1]),
        (np.array([0, 255], np.int32), None, [0, 1]),
        (np.array([0.0, 0.25, 1.0]), None, [0, 0.25, 1]),
        (np.array([True, False]), None, [1, 0]),
        (np.array([0, 5000, 10_000], np.uint16), (0, 10_000), [0, 0.5, 1]),
        (np.array([-1000.0, 0.0, 1000.0]), (-1000, 1000), [0, 0.5, 1]),
        (np.array([0, 128], np.uint8), (0, 256), [0, 0.5]),
    ],
)
def test_units(values: Any, data_range: Any, expected: list[float]) -> None:
    np.testing.assert_allclose(in_units(values, "x", data_range), expected, rtol=1e-6)


def test_twelve_bits_in_sixteen_are_not_black_and_it_is_said() -> None:
    with pytest.warns(ShisenWarning, match=r"12 bits.*data_range=\(0, 65535\)"):
        np.testing.assert_allclose(in_units(np.array([0, 2048, 4095], np.uint16), "x"), [0, 2048 / 4095, 1])
    out = io.BytesIO()
    Image.fromarray(RAMP).save(out, "PNG")
    with pytest.warns(ShisenWarning, match="12 bits"):
        read = open_image(out.getvalue()).pixels
    assert read.max() == round(4000 / 4095 * 255)


def test_a_dark_image_of_sixteen_bits_can_be_said(recwarn: Any) -> None:
    assert in_units(RAMP, "x", (0, 65535)).max() == pytest.approx(4000 / 65535)
    assert not recwarn.list


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([0, 70_000], np.int32), "data_range"),
        (np.array([-1, 4], np.int16), "data_range"),
        (np.array([0.0, 200.0]), "Divide by 255"),
        (np.array([-1.0, 1.0]), r"data_range=\(-1, 1\)"),
        (np.array([0.0, np.nan]), "finite"),
    ],
)
def test_units_that_cannot_be_told_are_refused(values: Any, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        in_units(values, "x")


# ---- channels


def test_color_becomes_gray_by_luminance() -> None:
    color = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    assert with_channels(color, 1, "x").ravel().tolist() == [76, 150, 29]
    np.testing.assert_allclose(with_channels(color / 255.0, 1, "x").ravel(), [0.299, 0.587, 0.114])
    gray = pixels(Image.fromarray(np.broadcast_to(color[:, :1], (8, 8, 3)).copy()), channels=1)
    assert gray.shape == (8, 8, 1)
    np.testing.assert_allclose(gray, 76 / 255, rtol=1e-6)


def test_a_gray_network_sees_what_pillow_calls_gray() -> None:
    rng = np.random.default_rng(1)
    image = Image.fromarray(rng.integers(0, 256, (40, 24, 3)).astype(np.uint8))
    wanted = np.asarray(image.convert("L").resize((8, 8), Image.Resampling.BILINEAR), np.float32) / 255
    np.testing.assert_array_equal(pixels(image, channels=1)[..., 0], wanted)


def test_alpha_is_a_channel_for_a_network_of_four() -> None:
    rgba = np.zeros((8, 8, 4), np.uint8)
    rgba[...] = (10, 20, 30, 128)
    np.testing.assert_allclose(pixels(Image.fromarray(rgba), channels=4)[0, 0], np.array([10, 20, 30, 128]) / 255)
    np.testing.assert_allclose(
        pixels(rgba, channels=4, channel_order="bgr")[0, 0], np.array([30, 20, 10, 128]) / 255, rtol=1e-6
    )
    # color under full transparency stays as it is: nothing is premultiplied on the way to the network's size
    clear = np.zeros((16, 16, 4), np.uint8)
    clear[..., 0] = 200
    np.testing.assert_allclose(pixels(clear, channels=4)[..., 0], 200 / 255, rtol=1e-6)
    with pytest.warns(ShisenWarning, match="opaque alpha"):
        assert pixels(rgba[..., :3], channels=4)[0, 0, 3] == 1
    with pytest.raises(ImageError, match="takes images of 4 channels.*with 3"):
        pixels(rgba[..., :3], channels=4, rgb=(0, 1, 2))
    # where three or one are taken, transparency lies over white
    assert pixels(clear, channels=1).min() == 1


def test_bands_are_chosen_in_the_networks_order() -> None:
    values = np.arange(8 * 8 * 6, dtype=np.uint16).reshape(8, 8, 6)
    got = pixels(values, bands=(4, 2, 0, 1), data_range=(0, 1000))
    np.testing.assert_allclose(got, values[:, :, [4, 2, 0, 1]] / 1000, rtol=1e-5)
    with pytest.raises(ImageError, match="counted from 0"):
        pixels(values, bands=(4, 6), data_range=(0, 1000))
    with pytest.raises(ImageError, match=r"channels come last: \(H, W, 5\)"):
        pixels(np.zeros((5, 8, 8)), channels=5)
    with pytest.raises(ImageError, match="takes images of 2 channels.*with 6"):
        pixels(values, channels=2, data_range=(0, 1000))


# ---- files


def test_a_tiff_stack_is_read_whole(tmp_path: Path) -> None:
    values = stack(tmp_path / "scene.tif")
    got = pixels(tmp_path / "scene.tif", channels=5, data_range=(0, 10_000))
    np.testing.assert_allclose(got, values / 10_000, rtol=1e-5)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_numpy_files(tmp_path: Path, suffix: str) -> None:
    values = np.random.default_rng(0).random((8, 8, 3))
    file = tmp_path / f"x{suffix}"
    np.save(file, values) if suffix == ".npy" else np.savez(file, image=values, other=np.zeros(3))
    np.testing.assert_array_equal(open_image(file).pixels, np.rint(values * 255).astype(np.uint8))
    assert open_image(file).sha256 == open_image(file.read_bytes() if suffix == ".npy" else file).sha256
    seven = tmp_path / f"seven{suffix}"
    np.save(seven, values.repeat(7, 2)[..., :7]) if suffix == ".npy" else np.savez(seven, values.repeat(7, 2)[..., :7])
    np.testing.assert_allclose(pixels(seven, channels=7), values.repeat(7, 2)[..., :7], rtol=1e-6)


def test_numpy_files_execute_nothing_and_hold_one_image(tmp_path: Path) -> None:
    np.save(tmp_path / "o.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(ImageError, match="one array of numbers"):
        open_image(tmp_path / "o.npy")
    np.savez(tmp_path / "two.npz", a=np.zeros((2, 2)), b=np.zeros((2, 2)))
    with pytest.raises(ImageError, match="several arrays must name one of them image"):
        open_image(tmp_path / "two.npz")
    np.save(tmp_path / "five.npy", np.zeros((2, 2, 2, 2, 2)))
    with pytest.raises(ImageError, match=r"\(2, 2, 2, 2, 2\)"):
        open_image(tmp_path / "five.npy")


def test_sixteen_bits_keep_their_depth_for_a_gray_network(tmp_path: Path) -> None:
    values = np.array([[0, 30_000], [30_001, 65535]], np.uint16).repeat(4, 0).repeat(4, 1)
    Image.fromarray(values).save(tmp_path / "x.png")
    got = pixels(tmp_path / "x.png", channels=1)
    np.testing.assert_allclose(got[..., 0], values / 65535, rtol=1e-6)
    assert got[0, 7, 0] != got[7, 0, 0]  # 8 bits would make them equal


# ---- views


def test_views() -> None:
    gray = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8, 1)
    np.testing.assert_array_equal(view(gray), np.rint(gray * 255).astype(np.uint8).repeat(3, 2))
    bands = np.random.default_rng(0).random((50, 50, 6)).astype(np.float32) * 0.1
    seen = view(bands, (3, 2, 1))
    low, high = np.percentile(bands[:, :, [3, 2, 1]], (2, 98))
    wanted = np.clip((bands[:, :, [3, 2, 1]] - low) / (high - low), 0, 1) * 255
    np.testing.assert_allclose(seen, wanted, atol=0.51)
    assert seen.mean() > 100  # a tenth of the range would look black
    image = open_data(bands, Preprocess(8, channels=6, rgb=(3, 2, 1)))
    np.testing.assert_array_equal(image.pixels, seen)
    assert image.data is not None
    assert image.data.shape == (50, 50, 6)
    assert view(np.zeros((2, 2, 6), np.float32)).max() == 0


def test_padding_is_mid_gray_in_every_type() -> None:
    tall = np.zeros((8, 4, 5), np.float32)
    got, frame = Preprocess(8, fit="pad", channels=5).pixels(InputImage(view(tall), "x", "", tall))
    assert frame.box == (-2, 0, 6, 8)
    np.testing.assert_allclose(got[:, 0], 128 / 255)
    assert not got[:, 2:6].any()


# ---- changing a part of a recipe


def test_a_part_of_a_recipe_changes_and_the_rest_stays() -> None:
    lite = Preprocess(224, fit="crop", resize=256, mean=127, std=128, range=(0, 255), interpolation="bicubic")
    scaled = lite.updated(range=(0, 1))
    assert (scaled.fit, scaled.resize, scaled.interpolation) == ("crop", 256, "bicubic")
    for a, b in ((lite.scaling().scale, scaled.scaling().scale), (lite.scaling().shift, scaled.scaling().shift)):
        assert a == pytest.approx(b)  # mean and std moved into the new units: the network sees the same
    plain = Preprocess(224).updated(range=(0, 255))
    assert plain.scaling().scale == (255.0,) * 3
    assert lite.updated(mean=0.0).mean == (0.0, 0.0, 0.0)
    assert lite.updated(size=448).resize == 512
    assert lite.updated(channels=1).channels == 1
    with pytest.raises(ValueError, match="Did you mean 'std'"):
        lite.updated(sd=3)


def test_a_preset_by_name_takes_size_and_channels_from_the_network() -> None:
    torch = pytest.importorskip("torch")
    from shisen.models.wrapping import merged

    gray = torch.nn.Conv2d(1, 2, 3)
    assert merged(None, "zero-to-one", gray, (28, 28, 1)) == Preprocess(28, channels=1)
    assert merged(None, {"base": "0-255", "size": 20}, gray).channels == 1
    lite = Preprocess(224, fit="crop", resize=256, mean=127, std=128, range=(0, 255), interpolation="bicubic")
    found = merged(lite, "imagenet", gray)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    assert found == Preprocess(224, fit="crop", resize=256, mean=mean, std=std, interpolation="bicubic")
    assert merged(lite, {"interpolation": "nearest"}, gray) == lite.updated(interpolation="nearest")
    assert merged(None, "efficientnet_lite0", torch.nn.Conv2d(3, 2, 3)).resize == 256
    with pytest.raises(ValueError, match="Did you mean 'imagenet'"):
        merged(None, "imagnet", gray)
