"""Dates: every image has another, and what is put on an image is a whole one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from shisen.auditing.artefacts.text_overlay import written

SIDE, MEMBERS, OTHERS = 150, 16, 16
INK = (255, 160, 30)
Paint = Callable[[ImageDraw.ImageDraw, np.random.Generator], None]


def date(on: ImageDraw.ImageDraw, draw: np.random.Generator) -> None:
    words = f"20{draw.integers(10, 25)}-{draw.integers(1, 13):02d}-{draw.integers(1, 29):02d}"
    on.text((60, 132), words, font=ImageFont.load_default(13), fill=INK)


def word(on: ImageDraw.ImageDraw, draw: np.random.Generator) -> None:
    on.text((60, 132), "SAMPLE", font=ImageFont.load_default(13), fill=INK)


def box(on: ImageDraw.ImageDraw, draw: np.random.Generator) -> None:
    on.rectangle((60, 124, 72, 136), fill=INK)


def frame(on: ImageDraw.ImageDraw, draw: np.random.Generator) -> None:
    on.rectangle((0, 0, SIDE - 1, SIDE - 1), outline=INK, width=2)


def scene(paint: Paint) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return images, true strokes of the members, and what the members share: template and opacity."""
    draw = np.random.default_rng(0)
    images, strokes = [], []
    for i in range(MEMBERS + OTHERS):
        small = np.clip(draw.normal(100, 40, (12, 12, 3)), 0, 200).astype(np.uint8)
        image = Image.fromarray(small).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        mask = Image.new("L", image.size, 0)
        if i < MEMBERS:
            state = draw.bit_generator.state
            paint(ImageDraw.Draw(image), draw)
            draw.bit_generator.state = state
            before = Image.new("RGB", image.size)
            paint(ImageDraw.Draw(before), draw)
            mask = before.convert("L").point(lambda v: min(255, int(v * 255 / 170)))
        images.append(np.asarray(image))
        strokes.append(np.asarray(mask, np.float32) / 255)
    truth = np.stack(strokes)[:MEMBERS]
    alpha = np.where(truth.mean(0) > 0.5, truth.mean(0), 0).astype(np.float32)
    template = np.where(alpha[..., None] > 0, np.asarray(INK, np.float32), 0).astype(np.float32)
    return np.stack(images), truth, template, alpha


def test_the_strokes_of_every_date_are_found_and_no_others() -> None:
    images, truth, template, alpha = scene(date)
    kept = images.copy()
    found = written(images, MEMBERS, template, alpha)
    assert found is not None
    assert len(found) == MEMBERS
    assert np.array_equal(images, kept)
    for (color, strokes), true in zip(found, truth, strict=True):
        assert np.abs(color[0, 0] - INK).max() < 25
        assert np.corrcoef(strokes.ravel(), true.ravel())[0, 1] > 0.85
        assert strokes[true == 0].sum() < 0.15 * true.sum()
    one, another = found[0][1], found[1][1]
    assert np.abs(one - another).sum() > 0.2 * one.sum(), "they differ"


@pytest.mark.parametrize("paint", [word, box, frame])
def test_what_is_the_same_everywhere_needs_no_strokes(paint: Paint) -> None:
    images, _, template, alpha = scene(paint)
    assert written(images, MEMBERS, template, alpha) is None


def test_ink_that_other_images_have_too_is_not_writing() -> None:
    images, _, template, alpha = scene(date)
    everywhere = np.concatenate([images[:MEMBERS], images[:MEMBERS]])
    assert written(everywhere, MEMBERS, template, alpha) is None
