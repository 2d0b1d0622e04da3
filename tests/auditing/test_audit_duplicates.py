"""Duplicates: found after compression, scaling, other light and mirroring; never among plain drawings."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance

pytest.importorskip("scipy")

from shisen._core.progress import silent
from shisen.auditing.duplicates import Prints, pairs_of
from shisen.auditing.likeness import SIDE, descriptor
from shisen.auditing.training_copies import TrainingFolder
from shisen.training.data import read_dataset

Image_ = Image.Image


def prints(images: list[Image_]) -> Prints:
    copies = [np.asarray(i.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)) for i in images]
    return Prints([str(id(c)) for c in copies], np.stack([descriptor(c) for c in copies]), lambda row: copies[row])


def scene(seed: int) -> Image_:
    """Return an image with detail at every scale, as photos have."""
    draw = np.random.default_rng(seed)
    total = np.zeros((150, 150, 3))
    for side in (4, 8, 16, 32, 64, 128):
        field = draw.normal(0, 1, (side, side, 3)) * 0.6 + draw.normal(0, 1, (side, side, 1))
        layer = [
            np.asarray(Image.fromarray(field[..., c].astype(np.float32)).resize((150, 150), Image.Resampling.BICUBIC))
            for c in range(3)
        ]
        total += np.stack(layer, -1) / side**0.6
    total = (total - total.mean()) / total.std()
    return Image.fromarray(np.clip(120 + 45 * total, 0, 255).astype(np.uint8))


def compressed(image: Image_, quality: int) -> Image_:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)


CHANGES: dict[str, Callable[[Image_], Image_]] = {
    "compressed": lambda i: compressed(i, 30),
    "smaller": lambda i: i.resize((80, 80)),
    "brighter": lambda i: ImageEnhance.Brightness(i).enhance(1.2),
    "gray": lambda i: i.convert("L"),
    "mirrored": lambda i: i.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "cropped": lambda i: i.crop((4, 4, 146, 146)),
}


@pytest.mark.parametrize("change", list(CHANGES))
def test_changed_copies_of_scenes_are_found_and_nothing_else(change: str) -> None:
    scenes = [scene(seed) for seed in range(12)]
    found = pairs_of(prints(scenes), prints([CHANGES[change](s) for s in scenes]))
    assert {(p.first, p.other) for p in found if p.first != p.other} == set()
    assert len(found) >= 11
    assert all(p.how == "near" and p.leaked and 0.4 < p.likeness <= 1 for p in found)


def drawing(draw: np.random.Generator, kind: int) -> Image_:
    image = Image.new("RGB", (160, 160), (255, 255, 255))
    pen = ImageDraw.Draw(image)
    if kind == 0:  # a filled shape in the middle
        r = int(draw.integers(20, 70))
        shape = (pen.ellipse, pen.rectangle)[int(draw.integers(2))]
        shape([80 - r, 80 - r, 80 + r, 80 + r], fill=tuple(int(v) for v in draw.integers(0, 200, 3)))
    elif kind == 1:  # an outline anywhere
        x, y, w, h = (int(v) for v in draw.integers([10, 10, 20, 20], [100, 100, 60, 60]))
        pen.ellipse([x, y, x + w, y + h], outline=0, width=2)
    elif kind == 2:  # four digits
        pen.text((60, 60), f"{draw.integers(0, 10000):04d}", fill=0, font_size=24)
    elif kind == 3:  # the same face with another mouth
        pen.ellipse([20, 20, 140, 140], outline=0, width=3)
        for x in (55, 105):
            pen.ellipse([x - 6, 54, x + 6, 66], fill=0)
        pen.line([(55, 110), (80, 110 + int(draw.integers(-25, 25))), (105, 110)], fill=0, width=3)
    else:
        for _ in range(5):
            pen.line([tuple(int(v) for v in draw.integers(0, 160, 2)) for _ in range(2)], fill=0, width=2)
    return image


def test_five_hundred_plain_drawings_are_no_duplicates() -> None:
    draw = np.random.default_rng(0)
    drawings = [drawing(draw, i % 5) for i in range(500)]
    found = prints(drawings)
    for pair in pairs_of(found, None):  # drawings may come out the same, and then they are
        assert pair.how == "same_pixels"
        assert (found.canvas(pair.first) == found.canvas(pair.other)).all()


def test_a_drawing_saved_again_is_found() -> None:
    draw = np.random.default_rng(1)
    drawings = [drawing(draw, 4) for _ in range(10)]
    found = pairs_of(prints(drawings), prints([compressed(d, 90) for d in drawings]))
    assert {(p.first, p.other) for p in found} == {(i, i) for i in range(10)}


def test_flat_images_are_only_compared_by_file() -> None:
    flat = [Image.new("RGB", (64, 64), (v, v, v)) for v in (10, 10, 200)]
    assert pairs_of(prints(flat), None) == []


def test_the_training_folder_is_read_once_and_broken_files_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "train" / "a").mkdir(parents=True)
    for seed in range(3):
        scene(seed).save(tmp_path / "train" / "a" / f"{seed}.png")
    (tmp_path / "train" / "a" / "broken.png").write_bytes(b"no image")
    items = read_dataset(tmp_path / "train").items
    first = TrainingFolder(items, tmp_path / "work").prints(silent)
    for item in items:
        Path(item.path).write_bytes(Path(item.path).read_bytes()[::-1])  # the same sizes: what was kept is used
    again = TrainingFolder(items, tmp_path / "work").prints(silent)
    assert list(first.digests) == list(again.digests)
    assert first.digests[3] == ""
    found = pairs_of(prints([scene(1)]), again)
    assert [(p.first, p.other, p.how) for p in found] == [(0, 1, "same_pixels")]
