"""Model files of other people's packages, with the plain command: an old `.hdf5` of faces, a `.keras` of digits."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image, ImageDraw

import shisen
from shisen.cli import main


def weights(package: str, name: str) -> Path:
    """Return a file of an installed package, which is not imported."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        pytest.skip(f"{package} is not installed")
    return Path(found.origin).parent / name


@pytest.fixture
def face(tmp_path: Path) -> Path:
    data = pytest.importorskip("skimage.data")
    Image.fromarray(data.astronaut()[40:200, 160:300]).save(tmp_path / "face.png")
    return tmp_path / "face.png"


@pytest.fixture
def seven(tmp_path: Path) -> Path:
    image = Image.new("L", (112, 112))
    ImageDraw.Draw(image).line([(24, 14), (86, 14), (46, 98)], fill=255, width=11, joint="curve")
    image.save(tmp_path / "seven.png")
    return tmp_path / "seven.png"


def command(file: Path, image: Path, out: Path) -> Any:
    with pytest.raises(SystemExit) as end:
        main(["explain", str(image), "--model", str(file), "--out", str(out)])
    assert end.value.code == 0
    (drawn,) = out.rglob("*.png")
    return np.asarray(Image.open(drawn))


def top(model: Any, image: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.predict(image)[0]


def test_faces_of_a_keras_2_file(face: Path, tmp_path: Path) -> None:
    file = weights("fer", "data/emotion_model.hdf5")
    assert command(file, face, tmp_path / "out").shape[:2] == (160, 140)
    with pytest.warns(shisen.ShisenWarning, match="stretched to 64 × 64, gray, values 0 to 1"):
        model = shisen.load(file)
    gray = np.asarray(Image.open(face).convert("L").resize((64, 64), Image.Resampling.BILINEAR), np.float32) / 255
    net = keras.saving.load_model(file, compile=False)
    want = keras.ops.convert_to_numpy(net([gray[None, ..., None]]))[0]
    found = top(model, face)
    assert found.index == 3  # happy
    assert abs(found.probability - float(want[3])) < 1e-3

    default = next(layer for layer in model.layers if layer.default)
    assert default.path == "add_4"
    assert default.shape == (4, 4, 128)
    assert "before the class map conv2d_7" in default.reason
    two = [shisen.explain(model, face, target=k).values for k in (3, 6)]
    assert np.abs(two[0] / two[0].max() - two[1] / max(two[1].max(), 1e-9)).max() > 0.1  # of different classes
    cam, hidden = (shisen.explain(model, face, method, target=3).heatmap for method in ("grad_cam", "occlusion"))
    assert np.corrcoef(cam.ravel(), hidden.ravel())[0, 1] > 0.2


def test_digits_of_a_keras_file(seven: Path, tmp_path: Path) -> None:
    file = weights("digitsclassifier", "models/digit_classifier_model.keras")
    assert command(file, seven, tmp_path / "out").shape[:2] == (112, 112)
    with pytest.warns(shisen.ShisenWarning, match="stretched to 28 × 28, gray"):
        model = shisen.load(file)
    assert top(model, seven).index == 7
    assert model.default_layer == "conv2d_1"
    found = shisen.explain(model, seven, "occlusion", target=7, window=7, stride=7, baseline="black").values
    pixels = model.prepare(model.read(seven))[0]
    ink = pixels.reshape(4, 7, 4, 7).max(axis=(1, 3)) > 0
    lost = found.reshape(4, 7, 4, 7).mean(axis=(1, 3))
    assert 0 < (~ink).sum() < 16
    np.testing.assert_allclose(lost[~ink], 0, atol=1e-4)  # black over black
    assert lost.max() > 5  # in logits: a part of the stroke makes the seven
