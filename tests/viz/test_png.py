"""Our PNG files are read by others, pixel by pixel, with either library that deflates."""

from __future__ import annotations

import io
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from shisen.viz import png


@pytest.fixture(params=["isal", "zlib"])
def library(request: Any, monkeypatch: Any) -> str:
    if request.param == "zlib":
        monkeypatch.setitem(sys.modules, "isal", None)
    else:
        pytest.importorskip("isal")
    return str(request.param)


def back(content: bytes) -> Any:
    with Image.open(io.BytesIO(content)) as image:
        image.verify()  # the check sums
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image)


def smooth(height: int, width: int) -> Any:
    rng = np.random.default_rng(1)
    coarse = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8))
    fine = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(int)
    return np.clip(fine + rng.integers(-3, 4, fine.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("shape", [(1, 1, 3), (7, 5, 3), (5, 7, 4), (6, 1), (1, 9, 1), (300, 500, 3)])
def test_every_pixel_comes_back(library: str, shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    found = back(png.encode(pixels))
    np.testing.assert_array_equal(found.reshape(shape), pixels)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3, 4]), st.integers(1, 200), st.randoms())
def test_portions_meet_without_a_seam(height: int, width: int, channels: int, portion: int, random: Any) -> None:
    pixels = np.random.default_rng(random.randrange(1000)).integers(0, 256, (height, width, channels), dtype=np.uint8)
    whole, known = png.encode(pixels), png.PORTION
    try:
        png.PORTION = portion
        np.testing.assert_array_equal(back(png.encode(pixels)), back(whole))
    finally:
        png.PORTION = known


def test_rows_need_not_lie_together(library: str) -> None:
    pixels = smooth(40, 60)
    np.testing.assert_array_equal(back(png.encode(pixels[::-2, 5:50])), pixels[::-2, 5:50])
    np.testing.assert_array_equal(back(png.encode(pixels[..., 1])), pixels[..., 1])


def test_a_image_is_hardly_larger_than_pillows(library: str) -> None:
    pixels = smooth(375, 500)
    usual = io.BytesIO()
    Image.fromarray(pixels).save(usual, "PNG")
    assert len(png.encode(pixels)) < 1.2 * len(usual.getvalue())
    assert len(png.encode(np.full_like(pixels, 200))) < 0.02 * pixels.nbytes


def test_equal_pixels_give_equal_files(library: str) -> None:
    pixels = smooth(50, 50)
    assert png.encode(pixels) == png.encode(pixels.copy())
