"""Results find their writers by class and suffix; a writer can be added from outside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

import shisen
from shisen._core import writers
from shisen.errors import InputError


@pytest.fixture(scope="module")
def seen() -> shisen.Explanation:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    pixels = np.random.default_rng(0).random((8, 9, 3)).astype(np.float32)
    found: shisen.Explanation = shisen.explain(shisen.wrap(net), pixels, "gradient", target=0)
    return found


def test_the_suffix_chooses_the_writer(seen: shisen.Explanation, tmp_path: Path) -> None:
    assert {".png", ".jpg", ".webp", ".npy"} <= set(writers.suffixes_of(shisen.Explanation))
    np.testing.assert_array_equal(np.load(seen.save(tmp_path / "raw.NPY")), seen.values)
    assert seen.save(tmp_path / "drawn.png", style="heatmap").read_bytes()[:4] == b"\x89PNG"
    assert '"style": "heatmap"' in (tmp_path / "drawn.json").read_text()


def test_another_suffix_is_refused_with_the_known_ones(seen: shisen.Explanation, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"an Explanation must end in .*\.npy.*'map\.bmp'.*'map\.png'"):
        seen.save(tmp_path / "map.bmp")
    assert not list(tmp_path.iterdir())


def test_a_writer_from_outside_is_used_for_the_class_and_its_children(
    seen: shisen.Explanation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writers, "_WRITERS", dict(writers._WRITERS))

    @writers.writer(shisen.Explanation, ".txt")
    def as_text(found: Any, path: Path, **_: Any) -> Path:
        path.write_text(found.method)
        return path

    assert seen.save(tmp_path / "a.txt").read_text() == "gradient"

    class Own(shisen.Explanation):
        pass

    own = Own(seen.attribution, seen.image, seen.frame)
    assert own.save(tmp_path / "b.txt").read_text() == "gradient"
    assert own.save(tmp_path / "c.png").is_file()


def test_a_folder_is_filled_where_the_class_has_a_writer_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writers, "_WRITERS", {})

    class Many:
        pass

    @writers.writer(Many, writers.FOLDER)
    def fill(_: Many, folder: Path) -> Path:
        folder.mkdir()
        return folder

    assert writers.write(Many(), tmp_path / "v1.2").is_dir()
    with pytest.raises(InputError, match="Register a writer"):
        writers.write(object(), tmp_path / "x")
