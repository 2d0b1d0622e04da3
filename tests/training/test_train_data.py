"""Labeled images: folders, CSV files, duplicates, broken files, uneven classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shisen.errors import InputError
from shisen.training.data import duplicates, fingerprint, look, read_dataset


def sample_image(seed: int) -> Image.Image:
    small = np.random.default_rng(seed).integers(0, 256, (9, 9, 3)).astype(np.uint8)
    return Image.fromarray(small).resize((60, 60), Image.Resampling.BICUBIC)


def folder(root: Path, sizes: dict[str, int], seed: int = 0) -> Path:
    for label, count in sizes.items():
        (root / label).mkdir(parents=True)
        for i in range(count):
            seed += 1
            sample_image(seed).save(root / label / f"{i}.png")
    return root


def test_a_folder_of_classes_and_a_table_say_the_same(tmp_path: Path) -> None:
    root = folder(tmp_path / "data", {"b": 2, "a": 3})
    (root / "a" / "notes.txt").write_text("no image")
    data = read_dataset(root)
    assert data.labels == ("a", "b")
    assert [i.name for i in data.items] == ["a/0.png", "a/1.png", "a/2.png", "b/0.png", "b/1.png"]
    assert data.indices(["b", "a"]).tolist() == [1, 1, 1, 0, 0]
    table = tmp_path / "data" / "table.csv"
    table.write_text("Label,Path\n" + "".join(f"{i.label},{i.name}\n" for i in data.items))
    assert read_dataset(table).items == data.items
    assert read_dataset(root, table).items == data.items


def test_what_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="one folder a class"):
        read_dataset(tmp_path / "empty")
    with pytest.raises(InputError, match="Check the spelling"):
        read_dataset(tmp_path / "absent")
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="columns path and label"):
        read_dataset(tmp_path / "t.csv")
    with pytest.raises(InputError, match="must be among cat"):
        read_dataset(folder(tmp_path / "d", {"dog": 1})).indices(["cat"])


def test_copies_are_found_also_when_scaled_or_coded_again(tmp_path: Path) -> None:
    image = sample_image(1)
    image.save(tmp_path / "a.png")
    image.save(tmp_path / "b.jpg", quality=60)
    image.resize((47, 52)).save(tmp_path / "c.png")
    sample_image(2).save(tmp_path / "d.png")
    prints = [fingerprint(str(tmp_path / name)) for name in ("a.png", "b.jpg", "c.png", "d.png")]
    assert duplicates(prints[:1], prints) == [(0, 0, True), (0, 1, False), (0, 2, False)]


def test_flat_images_are_no_copies_of_one_another(tmp_path: Path) -> None:
    for i, level in enumerate((0, 90, 255)):
        Image.new("RGB", (30, 30), (level,) * 3).save(tmp_path / f"{i}.png")
    prints = [fingerprint(str(tmp_path / f"{i}.png")) for i in range(3)]
    assert duplicates(prints, prints) == [(i, i, True) for i in range(3)]


def test_the_report_warns(tmp_path: Path) -> None:
    train = folder(tmp_path / "train", {"a": 8, "b": 2})
    val = folder(tmp_path / "val", {"a": 2, "c": 1}, seed=100)
    sample_image(1).save(val / "a" / "again.png")  # the first image of train/a
    sample_image(2).save(train / "b" / "two_labels.png")
    (val / "a" / "broken.jpg").write_bytes(b"\xff\xd8 cut off")
    found = look(read_dataset(train), read_dataset(val))
    assert found.counts == {"train": {"a": 8, "b": 3}, "val": {"a": 4, "c": 1}}
    assert list(found.unreadable) == ["a/broken.jpg"]
    text = " ".join(found.warnings)
    assert "in one part only: b, c" in text
    assert "1 images of the test part are also in the training part (1 equal files" in text
    assert "a/1.png = b/two_labels.png" in text
    assert "cannot be read" in text
    assert "uneven" not in text
    assert "uneven" in " ".join(look(read_dataset(folder(tmp_path / "odd", {"a": 7, "b": 2}))).warnings)
