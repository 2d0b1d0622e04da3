"""Properties measure what they say, and a shift moves the measure by what was asked."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageFilter

from shisen.audit.properties import PROPERTIES, compression, sharpness


def picture(seed: int = 0) -> np.ndarray:
    small = np.random.default_rng(seed).integers(40, 200, (14, 14, 3)).astype(np.uint8)
    grain = np.random.default_rng(seed + 1).integers(-12, 13, (96, 96, 1))
    smooth = np.asarray(Image.fromarray(small).resize((96, 96), Image.Resampling.BICUBIC), np.int16)
    return np.clip(smooth + grain, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("name", "by", "near"),
    [
        ("brightness", 20.0, 1.0), ("brightness", -20.0, 1.0), ("contrast", -0.5, 0.06), ("warmth", 0.4, 0.05),
        ("warmth", -0.4, 0.05), ("greenness", 0.3, 0.05), ("saturation", -15.0, 2.0), ("sharpness", -0.8, 0.1),
        ("compression", 0.6, 0.15),
    ],
)  # fmt: skip
def test_a_shift_moves_the_measure(name: str, by: float, near: float) -> None:
    one = PROPERTIES[name]
    assert one.shift is not None
    for seed in range(3):
        pixels = picture(seed)
        kept = pixels.copy()
        assert one.measure(one.shift(pixels, by)) - one.measure(pixels) == pytest.approx(by, abs=near)
        assert np.array_equal(pixels, kept)


def test_compression_sees_jpeg_and_sharpness_sees_blur() -> None:
    image = Image.fromarray(picture())
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=10)
    coded = np.asarray(Image.open(io.BytesIO(buffer.getvalue())))
    assert compression(coded) > compression(picture()) + 0.8
    assert sharpness(np.asarray(image.filter(ImageFilter.GaussianBlur(1.5)))) < sharpness(picture()) - 1
    assert abs(compression(picture())) < 0.3


def test_border_aspect_and_resolution() -> None:
    pixels = picture()
    assert PROPERTIES["border"].measure(pixels) == 0.0
    framed = pixels.copy()
    framed[0], framed[-1], framed[:, 0], framed[:, -1] = 0, 0, 0, 0
    assert PROPERTIES["border"].measure(framed) == 1.0
    assert PROPERTIES["aspect"].measure(pixels[:48]) == 1.0
    assert PROPERTIES["resolution"].measure(pixels[:48]) == pytest.approx(np.log2(48 * 96))
