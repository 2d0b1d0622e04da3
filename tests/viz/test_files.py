from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from shisen.errors import InputError
from shisen.types import Attribution, InputImage, Prediction, Target
from shisen.viz import files

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 9, 3), dtype=np.uint8)


def attribution():
    values = np.array([[0.0, 2.0]], np.float32)
    return Attribution(
        values,
        "grad_cam",
        "logit",
        True,
        "evidence",
        Target("cat", (3,)),
        "b1",
        {"n_samples": np.int64(5)},
        {"gap": np.nan},
    )


@pytest.mark.parametrize("name", ["a.png", "a.PNG", "a.jpg", "a.jpeg", "a.webp"])
def test_images_are_read_back(tmp_path, name):
    path = files.save_image(Image.fromarray(PIXELS), tmp_path / "new" / "folder" / name, {"b": 1})
    with Image.open(path) as opened:
        assert opened.format == files.FORMATS[path.suffix.lower()]
        back = np.asarray(opened.convert("RGB")).astype(int)
    if path.suffix.lower() == ".png":
        np.testing.assert_array_equal(back, PIXELS)
    else:
        smooth = np.full((16, 16, 3), (200, 30, 90), np.uint8)
        files.save_image(smooth, path)
        with Image.open(path) as opened:
            np.testing.assert_allclose(np.asarray(opened.convert("RGB")), smooth, atol=4)
    assert json.loads((path.parent / "a.json").read_text()) == {"b": 1}
    assert sorted(p.name for p in path.parent.iterdir()) == sorted([name, "a.json"])


def test_raw_values_are_kept_exactly(tmp_path):
    values = np.array([[np.nan, -1.5]], np.float32)
    path = files.save_image(values, tmp_path / "raw.npy")
    np.testing.assert_array_equal(np.load(path), values)
    assert not (tmp_path / "raw.json").exists()


def test_only_the_last_suffix_is_replaced(tmp_path):
    files.save_image(PIXELS, tmp_path / "cat.v1.png", {})
    assert (tmp_path / "cat.v1.json").exists()


@pytest.mark.parametrize(
    ("image", "name", "words"),
    [
        (PIXELS, "a.gif", "'a.png'"),
        (PIXELS, "a", "must end in .png"),
        (PIXELS / 255.0, "a.png", "uint8"),
        (Image.new("L", (2, 2)), "a.npy", "Use .png"),
        (Image.new("L", (17_000, 1)), "a.webp", "16383"),
    ],
)
def test_what_cannot_be_written_is_refused_and_leaves_nothing(tmp_path, image, name, words):
    with pytest.raises(InputError, match=words):
        files.save_image(image, tmp_path / name, {})
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        files.save_image(PIXELS, path, {})
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize("mode", ["RGBA", "P", "CMYK", "L", "1", "LA"])
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
def test_every_mode_can_be_written(tmp_path, mode, name):
    path = files.save_image(Image.new(mode, (8, 8), 1 if mode == "1" else None), tmp_path / name)
    with Image.open(path) as opened:
        assert opened.size == (8, 8)


@dataclass(frozen=True)
class Record:
    path: Path
    value: float
    inner: object


def test_everything_becomes_strict_json():
    value = {
        "record": Record(Path("a/b"), float("nan"), Target("cat", (1, 2), value=2.0)),
        "scalars": (np.float32(0.5), np.int8(3), np.bool_(True), np.float64("inf"), None, True),
        "array": np.array([[1, 2], [3, 4]]),
        "large": np.zeros(1000, np.float32),
        7: {3, 1, 2},
        "bytes": b"abc",
        "function": files.plain,
        "object": SimpleNamespace(),
        "type": Path,
        "range": range(3),
    }
    back = json.loads(files.to_json(value), parse_constant=pytest.fail)
    assert back["record"]["path"] == "a/b"
    assert back["record"]["value"] is None
    assert back["record"]["inner"] == {"name": "cat", "indices": [1, 2], "score": "logit", "value": 2.0}
    assert back["scalars"] == [0.5, 3, True, None, None, True]
    assert back["array"] == [[1, 2], [3, 4]]
    assert back["large"]["shape"] == [1000]
    assert len(back["large"]["sha256"]) == 64
    assert back["7"] == [1, 2, 3]
    assert back["bytes"]["bytes"] == 3
    assert back["function"] == "shisen.viz.files.plain"
    assert back["object"] == "types.SimpleNamespace"
    assert back["type"].endswith("Path")
    assert back["range"] == [0, 1, 2]


def test_equal_content_gives_equal_text():
    assert files.to_json({"a": 1, "b": {"d": 2, "c": 3}}) == files.to_json({"b": {"c": 3, "d": 2}, "a": 1})
    assert "視線" in files.to_json({"name": "視線"})


def test_manifest_says_how_the_image_came_about():
    made = files.manifest(
        attribution(),
        image=InputImage(PIXELS, "cat.jpg", "abc"),
        model={"name": "toy", "sha256": "def"},
        scores=[Prediction(3, "cat", "n02", 0.5, 1.5)],
        more={"style": "blend", "layer": "b2"},
    )
    assert made["method"] == "grad_cam"
    assert made["options"] == {"n_samples": 5}
    assert made["target"] == {"name": "cat", "indices": [3], "score": "logit", "value": None}
    assert made["layer"] == "b2"
    assert made["notes"] == {"gap": None}
    assert made["values"]["high"] == 2.0
    assert made["image"] == {"source": "cat.jpg", "sha256": "abc", "size": [12, 9]}
    assert made["model"] == {"name": "toy", "sha256": "def"}
    assert made["scores"][0]["label"] == "cat"
    assert made["style"] == "blend"
    assert made["versions"]["numpy"] == np.__version__
    json.loads(files.to_json(made), parse_constant=pytest.fail)


def test_versions_name_only_the_frameworks_that_are_loaded(monkeypatch):
    for name in files.FRAMEWORKS:
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert set(files.versions()) == {"python", "shisen", "numpy", "pillow"}
    monkeypatch.setitem(sys.modules, "keras", SimpleNamespace(__version__="3.9"))
    assert files.versions()["keras"] == "3.9"
