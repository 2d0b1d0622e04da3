"""Preprocessing: equal to a two-step resize and crop, reversible geometry, exact normalization."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from shisen.errors import ImageError, InputError, UnknownName
from shisen.models import preprocess as module
from shisen.models.preprocess import INTERPOLATIONS, Preprocess
from shisen.types import InputImage


def noise(height: int, width: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def two_steps(pixels: npt.NDArray[np.uint8], resize: int, size: tuple[int, int], method: int) -> npt.NDArray[np.uint8]:
    """torchvision's Resize(resize) and CenterCrop(size), written out."""
    height, width = pixels.shape[:2]
    short, long = min(height, width), max(height, width)
    other = int(resize * long / short)
    rw, rh = (resize, other) if width <= height else (other, resize)
    image = Image.fromarray(pixels).resize((rw, rh), method)
    top, left = int(round((rh - size[0]) / 2.0)), int(round((rw - size[1]) / 2.0))  # noqa: RUF046
    return np.asarray(image.crop((left, top, left + size[1], top + size[0])))


@pytest.mark.parametrize("shape", [(300, 401), (401, 300), (33, 77), (256, 256), (256, 300), (97, 20), (5, 3)])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("resize", "size"), [(64, (56, 56)), (65, (56, 48)), (64, (64, 64))])
def test_crop_equals_resize_and_center_crop(
    shape: tuple[int, int], interpolation: str, resize: int, size: tuple[int, int]
) -> None:
    image = noise(*shape)
    got, _ = Preprocess(size, fit="crop", resize=resize, interpolation=interpolation).pixels(InputImage(image))
    expected = two_steps(image, resize, size, INTERPOLATIONS[interpolation])
    np.testing.assert_array_equal(got, expected.astype(np.float32) / np.float32(255))


@pytest.mark.parametrize("shape", [(4, 900), (900, 4), (300, 200)])
@pytest.mark.parametrize("fit", ["crop", "stretch", "pad"])
def test_extreme_shapes_give_the_same_image_piece_by_piece(
    shape: tuple[int, int], fit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    smooth = np.asarray(Image.fromarray(noise(4, 4)).resize(shape[::-1], Image.Resampling.BICUBIC))
    preprocess = Preprocess((40, 48), fit=fit)
    whole, _ = preprocess.pixels(InputImage(smooth))
    monkeypatch.setattr(module, "MOST_INTERMEDIATE", 0)
    pieces, _ = preprocess.pixels(InputImage(smooth))
    assert np.abs(whole - pieces).max() <= 2.01 / 255


def test_a_line_of_a_million_pixels_needs_no_large_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    largest = 0
    resize = Image.Image.resize

    def counted(self: Image.Image, size: tuple[int, int], *args: object, **options: object) -> Image.Image:
        nonlocal largest
        largest = max(largest, size[0] * size[1])
        return resize(self, size, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Image.Image, "resize", counted)
    for shape in ((2, 1_000_000), (1_000_000, 2)):
        image = np.broadcast_to(np.linspace(0, 255, 1_000_000).astype(np.uint8)[None, :, None], (2, 1_000_000, 3))
        image = image if shape[0] == 2 else image.transpose(1, 0, 2)
        for fit in ("crop", "stretch", "pad"):
            got, _ = Preprocess(224, fit=fit).pixels(InputImage(np.ascontiguousarray(image)))
            assert abs(float(got[112, 112, 0]) - 0.5) < 0.01
    assert largest <= 224 * 224


def test_stretch_leaves_a_image_of_the_size_untouched() -> None:
    image = noise(24, 32)
    got, frame = Preprocess((24, 32)).pixels(InputImage(image))
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, image.astype(np.float32) / np.float32(255))
    assert frame.box == (0, 0, 32, 24)


def test_pad_puts_gray_around_and_the_box_lies_outside() -> None:
    got, frame = Preprocess(20, fit="pad").pixels(InputImage(np.full((10, 40, 3), 255, np.uint8)))
    np.testing.assert_array_equal(got[7:12], np.ones((5, 20, 3), np.float32))
    np.testing.assert_array_equal(np.unique(got[:7]), [np.float32(128) / np.float32(255)])
    assert frame.box == (0.0, -14.0, 40.0, 26.0)


def test_a_crop_larger_than_the_resized_image_is_padded() -> None:
    got, frame = Preprocess((8, 16), fit="crop", resize=8).pixels(InputImage(np.zeros((8, 8, 3), np.uint8)))
    assert frame.box == (-4.0, 0.0, 12.0, 8.0)
    np.testing.assert_array_equal(got[:, :, 0] > 0, np.broadcast_to(np.repeat([1, 0, 0, 1], 4) > 0, (8, 16)))


@pytest.mark.parametrize("shape", [(90, 300), (300, 90), (200, 200), (3, 5), (7, 260), (1000, 31)])
@pytest.mark.parametrize(
    "preprocess",
    [
        Preprocess(64, fit="stretch"),
        Preprocess((48, 80), fit="stretch"),
        Preprocess(64, fit="crop"),
        Preprocess(56, fit="crop", resize=64, interpolation="bicubic"),
        Preprocess(56, fit="crop", resize=(64, 64)),
        Preprocess((48, 80), fit="crop"),
        Preprocess(64, fit="pad"),
        Preprocess((48, 80), fit="pad"),
    ],
    ids=str,
)
@pytest.mark.parametrize("where", [(0.5, 0.5), (0.35, 0.6), (0.62, 0.4)])
def test_a_bright_spot_comes_back_to_its_place(
    shape: tuple[int, int], preprocess: Preprocess, where: tuple[float, float]
) -> None:
    """The center of the spot in the input, carried back by the frame, is its center in the image."""
    (H, W), (h, w) = shape, preprocess.sides
    frame = preprocess.frame(shape)
    left, top, right, bottom = frame.box
    # a spot inside of what the network sees, several input pixels wide where the image is larger
    seen = (max(left, 0), max(top, 0), min(right, W), min(bottom, H))
    radius = (max(0.5, 2 * (bottom - top) / h), max(0.5, 2 * (right - left) / w))
    center = (seen[1] + where[0] * (seen[3] - seen[1]), seen[0] + where[1] * (seen[2] - seen[0]))
    y0, y1 = (int(np.clip(round(center[0] + s * radius[0]), 0, H)) for s in (-1, 1))
    x0, x1 = (int(np.clip(round(center[1] + s * radius[1]), 0, W)) for s in (-1, 1))
    y1, x1 = max(y1, y0 + 1), max(x1, x0 + 1)
    if y0 < seen[1] or x0 < seen[0] or y1 > seen[3] or x1 > seen[2]:
        pytest.skip("the spot is not wholly in the crop of so small an image")
    image = np.zeros((H, W, 3), np.uint8)
    image[y0:y1, x0:x1] = 255
    got, same = preprocess.pixels(InputImage(image))
    assert same == frame
    light = np.where(got[:, :, 0] == np.float32(128) / np.float32(255), 0, got[:, :, 0]).astype(np.float64)
    row = float((light.sum(1) * (np.arange(h) + 0.5)).sum() / light.sum())
    column = float((light.sum(0) * (np.arange(w) + 0.5)).sum() / light.sum())
    back = (top + row * (bottom - top) / h, left + column * (right - left) / w)
    # a spot at the border of a tiny image is drawn out to the border: half its width more
    slack_y = 0.0 if y0 > 0 and y1 < H else 0.25 * (y1 - y0)
    slack_x = 0.0 if x0 > 0 and x1 < W else 0.25 * (x1 - x0)
    assert abs(back[0] - (y0 + y1) / 2) <= (bottom - top) / h + slack_y
    assert abs(back[1] - (x0 + x1) / 2) <= (right - left) / w + slack_x


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(1, 90), st.integers(1, 90)),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.sampled_from(["stretch", "crop", "pad"]),
    st.none() | st.integers(1, 60),
)
def test_frames_of_any_size(shape: tuple[int, int], size: tuple[int, int], fit: str, resize: int | None) -> None:
    preprocess = Preprocess(size, fit=fit, resize=resize if fit == "crop" else None)
    got, frame = preprocess.pixels(InputImage(np.full((*shape, 3), 200, np.uint8)))
    left, top, right, bottom = frame.box
    assert got.shape == (*size, 3)
    assert right > left
    assert bottom > top
    if fit == "crop" and resize is None:  # wholly inside, and touching two opposite sides
        assert left >= -1e-9
        assert right <= shape[1] + 1e-9
        assert top >= -1e-9
        assert bottom <= shape[0] + 1e-9
        assert np.allclose(got, 200 / 255)
        assert min(left + shape[1] - right, top + shape[0] - bottom) == pytest.approx(0, abs=1e-6)
    if fit == "pad":  # the whole image is in view
        assert left <= 1e-9
        assert top <= 1e-9
        assert right >= shape[1] - 1e-9
        assert bottom >= shape[0] - 1e-9


def test_scaling_is_the_affine_map_in_rgb_order() -> None:
    plain = Preprocess(8, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)).scaling()
    np.testing.assert_allclose(
        np.multiply(0.5, plain.scale) + plain.shift, [0.0655022, 0.1964286, 0.4177778], rtol=1e-5
    )
    assert not plain.reverse
    lite = Preprocess(8, mean=127, std=128, range=(0, 255)).scaling()
    np.testing.assert_allclose(np.multiply(200 / 255, lite.scale) + lite.shift, [73 / 128] * 3)
    caffe = Preprocess(8, mean=(103.939, 116.779, 123.68), range=(0, 255), channel_order="bgr").scaling()
    assert caffe.reverse
    red = np.array([1.0, 0.0, 0.0]) * caffe.scale + caffe.shift
    np.testing.assert_allclose(red[::-1], [-103.939, -116.779, 255 - 123.68])


def test_another_size_keeps_the_share_that_is_cut_away() -> None:
    preprocess = Preprocess(224, fit="crop", resize=256, mean=127, std=128, range=(0, 255))
    assert preprocess.with_size(448).resize == 512
    assert preprocess.with_size((448, 224)).resize == 256
    assert preprocess.with_size(fit="stretch") == Preprocess(224, mean=127, std=128, range=(0, 255))
    assert preprocess.with_size() == preprocess
    assert Preprocess(100, fit="crop", resize=(120, 110)).with_size((200, 300)).resize == (240, 330)


def test_the_fields_survive_a_mapping() -> None:
    preprocess = Preprocess((224, 320), fit="crop", resize=330, mean=0.5, interpolation="lanczos")
    fields = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(preprocess).items()}
    assert Preprocess.of(fields) == preprocess


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "positive whole"),
        ({"size": (1, 2, 3, 4)}, "positive whole"),
        ({"size": 22.5}, "positive whole"),
        ({"size": 8, "resize": 9}, "belongs to fit='crop'"),
        ({"size": 8, "mean": (1, 2), "std": (1, 1, 1)}, "one number per channel, 3"),
        ({"size": 8, "mean": "abc"}, "one finite number"),
        ({"size": 8, "bands": (0, 1), "channels": 4}, "`bands` must have one number per channel, 4"),
        ({"size": 8, "channels": 4, "rgb": (0, 1, 4)}, "three channels from 0 to 3"),
        ({"size": 8, "channels": 1, "channel_order": "bgr"}, "channel order"),
        ({"size": 8, "data_range": (3, 3)}, "two different numbers"),
        ({"size": 8, "std": 0}, "zeros"),
        ({"size": 8, "range": (1, 1)}, "two different numbers"),
    ],
)
def test_unfit_settings(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Preprocess(**options)  # type: ignore[arg-type]


def test_unknown_words_bring_the_nearest() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'stretch'"):
        Preprocess(8, fit="strech")
    with pytest.raises(UnknownName, match="bicubic"):
        Preprocess(8, interpolation="bicubik")


def test_arrays_of_another_kind_are_refused() -> None:
    with pytest.raises(ImageError, match=r"float64 of shape \(4, 4, 3\)"):
        Preprocess(8).pixels(InputImage(np.zeros((4, 4, 3))))
