"""Properties measure what they say, and the process that gave images more of one is found again."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageFilter

from shisen.auditing.properties import PROPERTIES, compression, sharpness


def sample_image(seed: int = 0) -> np.ndarray:
    small = np.random.default_rng(seed).integers(40, 200, (14, 14, 3)).astype(np.uint8)
    grain = np.random.default_rng(seed + 1).integers(-12, 13, (96, 96, 1))
    smooth = np.asarray(Image.fromarray(small).resize((96, 96), Image.Resampling.BICUBIC), np.int16)
    return np.clip(smooth + grain, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("name", "strength", "near"),
    [
        ("brightness", 20.0, 2.0), ("brightness", -20.0, 2.0), ("contrast", -0.5, 0.1), ("warmth", 0.4, 0.08),
        ("warmth", -0.4, 0.08), ("greenness", 0.3, 0.08), ("cast", 0.4, 0.08), ("cast", -0.4, 0.08),
        ("green_cast", 0.3, 0.08), ("saturation", -0.6, 0.1), ("sharpness", -1.2, 0.15),
        ("sharpness", 0.8, 0.15), ("compression", 0.88, 0.05),
    ],
)  # fmt: skip
def test_the_strength_of_a_process_is_found_on_other_images(name: str, strength: float, near: float) -> None:
    one = PROPERTIES[name]
    assert one.alter is not None
    target = float(np.median([one.measure(one.alter(sample_image(seed), strength)) for seed in range(20, 26)]))
    without = [sample_image(seed) for seed in range(6)]
    kept = without[0].copy()
    assert one.strength(without, target) == pytest.approx(strength, abs=near)
    assert np.array_equal(without[0], kept)


def test_a_target_beyond_reach_gives_the_limit_and_none_gives_no_change() -> None:
    one = PROPERTIES["warmth"]
    images = [sample_image(seed) for seed in range(3)]
    assert one.strength(images, 50.0) == one.strongest
    assert abs(one.strength(images, float(np.median([one.measure(p) for p in images])))) < 0.05


def test_a_cast_is_of_the_whole_image_not_of_what_it_shows() -> None:
    with_red_thing = sample_image()
    with_red_thing[20:70, 20:70, 0] = np.clip(with_red_thing[20:70, 20:70, 0].astype(int) + 70, 0, 255)
    warmth, cast = PROPERTIES["warmth"], PROPERTIES["cast"]
    assert cast.alter is not None
    by_thing, by_filter = with_red_thing, cast.alter(sample_image(), 0.3)
    assert warmth.measure(by_thing) - warmth.measure(sample_image()) > 0.2
    assert abs(cast.measure(by_thing) - cast.measure(sample_image())) < 0.12
    assert cast.measure(by_filter) - cast.measure(sample_image()) == pytest.approx(0.3, abs=0.06)


def test_writing_is_told_from_images() -> None:
    from PIL import ImageDraw, ImageFont

    image = Image.fromarray(sample_image()).resize((160, 160))
    plain = PROPERTIES["text"].measure(np.asarray(image))
    ImageDraw.Draw(image).text((8, 130), "2021-11-21 14:50", font=ImageFont.load_default(14), fill=(255, 255, 255))
    assert PROPERTIES["text"].measure(np.asarray(image)) > plain + 0.15


def test_blocks_are_taken_away_and_images_without_any_hardly_change() -> None:
    coded = PROPERTIES["compression"].alter(sample_image(), 0.9)
    alter = PROPERTIES["compression"].alter
    assert compression(alter(coded, -1.0)) < compression(coded) - 0.8
    small = np.random.default_rng(3).integers(0, 256, (12, 12, 3)).astype(np.uint8)
    smooth = np.asarray(Image.fromarray(small).resize((96, 96), Image.Resampling.BICUBIC))
    assert np.abs(alter(smooth, -1.0).astype(float) - smooth).mean() < 0.5
    assert np.array_equal(alter(sample_image()[:9, :9], -0.0 - 1e-9), sample_image()[:9, :9])


def test_compression_sees_jpeg_and_sharpness_sees_blur() -> None:
    image = Image.fromarray(sample_image())
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=10)
    coded = np.asarray(Image.open(io.BytesIO(buffer.getvalue())))
    assert compression(coded) > compression(sample_image()) + 0.8
    assert sharpness(np.asarray(image.filter(ImageFilter.GaussianBlur(1.5)))) < sharpness(sample_image()) - 1
    assert abs(compression(sample_image())) < 0.3


def test_border_aspect_and_resolution() -> None:
    pixels = sample_image()
    assert PROPERTIES["border"].measure(pixels) == 0.0
    framed = pixels.copy()
    framed[0], framed[-1], framed[:, 0], framed[:, -1] = 0, 0, 0, 0
    assert PROPERTIES["border"].measure(framed) == 1.0
    assert PROPERTIES["aspect"].measure(pixels[:48]) == 1.0
    assert PROPERTIES["resolution"].measure(pixels[:48]) == pytest.approx(np.log2(48 * 96))
