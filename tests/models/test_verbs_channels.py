"""Every verb takes networks of other than three channels, or says why not."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import shisen
from shisen.errors import InputError, ShisenWarning

torch = pytest.importorskip("torch")
BUILDER = """
import torch
from torch import nn
import shisen

class Net(nn.Module):
    def __init__(self, channels):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.fc = nn.Conv2d(channels, 6, 3, padding=1), nn.Conv2d(6, 8, 3, padding=1), nn.Linear(8, 2)

    def forward(self, x):
        return self.fc(self.b(self.a(x).relu()).relu().mean((2, 3)))

def one():
    return shisen.wrap(Net(1), preprocess=shisen.Preprocess(32, channels=1), labels=["x", "y"])

def four():
    return shisen.wrap(Net(4), preprocess=shisen.Preprocess(32, channels=4), labels=["x", "y"])

def five():
    return shisen.wrap(Net(5), preprocess=shisen.Preprocess(32, channels=5), labels=["x", "y"])
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with the module `few_channels` and with images `gray/x`, `gray/y`, `five/x`, `five/y`."""
    (tmp_path / "few_channels.py").write_text(BUILDER)
    monkeypatch.syspath_prepend(str(tmp_path))
    rng = np.random.default_rng(0)
    for name in ("x", "y"):
        for kind in ("gray", "five"):
            (tmp_path / kind / name).mkdir(parents=True)
        for i in range(6):
            values = rng.integers(0, 120, (40, 40), dtype=np.uint8)
            values[5:15, 5:15] = 255 if name == "x" else values[5:15, 5:15]
            Image.fromarray(values).save(tmp_path / "gray" / name / f"{i}.png")
            np.save(tmp_path / "five" / name / f"{i}.npy", np.repeat(values[..., None] / np.float32(255), 5, 2))
    return tmp_path


@pytest.mark.parametrize(("function", "kind", "channels"), [("one", "gray", 1), ("five", "five", 5)])
def test_verbs(folder: Path, function: str, kind: str, channels: int) -> None:
    pytest.importorskip("skimage")
    model = shisen.load(f"few_channels:{function}")
    files = sorted(str(p) for p in (folder / kind).rglob("*.*"))
    found = shisen.explain(model, files[0])
    assert found.heatmap.shape == (40, 40)
    with Image.open(found.save(folder / "map.png")) as drawn:
        assert drawn.mode == "RGB"
    assert len(shisen.activations(model, files[0], "a").maps["a"].values.shape) == 3
    scores = shisen.evaluate(model, files[:2], ["gradient", "grad_cam"], seed=0)
    assert not scores.failures
    run = shisen.finetune(folder / kind, backbone=f"few_channels:{function}", out=folder / "run", epochs=1)
    assert not run.data.unreadable if hasattr(run.data, "unreadable") else run.labels == ("x", "y")
    again = shisen.load(folder / "run")
    assert again.preprocess.channels == channels
    assert len(again.predict(files[0])) == 2


def test_generated_images_are_gray_for_a_gray_network(folder: Path) -> None:
    model = shisen.load("few_channels:one")
    found = shisen.filters(model, "a", [0, 3], n_steps=4, size=32)
    assert found.images.shape == (2, 32, 32, 3)
    np.testing.assert_array_equal(found.images[..., 0], found.images[..., 2])
    maps = torch.as_tensor(model.activations(found.images[..., :1].astype(np.float32), "a"))
    np.testing.assert_allclose(found.final, [float(maps[0, ..., 0].mean()), float(maps[1, ..., 3].mean())], rtol=1e-3)
    assert (found.final > found.gray).all()  # higher than a flat gray image
    with pytest.raises(InputError, match="networks of 1, 3 or 4 channels"):
        shisen.filters(shisen.load("few_channels:five"), "a", [0], n_steps=1, size=32)


def test_an_alpha_channel_is_opaque_in_generated_images(folder: Path) -> None:
    model = shisen.load("few_channels:four")
    found = shisen.filters(model, "a", [1], n_steps=3, size=32)
    rgba = np.concatenate([found.images, np.ones((1, 32, 32, 1))], -1).astype(np.float32)
    value = float(torch.as_tensor(model.activations(rgba, "a"))[0, ..., 1].mean())
    assert found.final[0] == pytest.approx(value, rel=1e-3)


def test_an_audit_of_five_channels_is_refused_at_once(folder: Path) -> None:
    with pytest.raises(InputError, match="a network of 5 channels"):
        shisen.audit(shisen.load("few_channels:five"), folder / "five", out=folder / "audit")


def test_what_is_assumed_is_said_once_per_model(folder: Path) -> None:
    model = shisen.wrap(
        torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    )
    path = sorted((folder / "gray" / "x").iterdir())[0]
    with pytest.warns(ShisenWarning, match=r"RGB, values 0 to 1.*preprocess='imagenet'"):
        model.predict(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(path)
        shisen.explain(model, path)
        model.predict(np.zeros((8, 8, 3), np.float32))  # arrays go in as they are: nothing is assumed


OPTIONS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"scale": "1/255"}, {"range": (0.0, 1.0)}),
    ({"size": "300x200", "fit": "pad"}, {"size": (300, 200), "fit": "pad"}),
    (
        {"mean": "0.5", "std": "0.5,0.25,1/4", "bgr": True},
        {"mean": (0.5,), "std": (0.5, 0.25, 0.25), "channel_order": "bgr"},
    ),
    ({"range_": "-1,1", "data_range": "0,4095"}, {"range": (-1.0, 1.0), "data_range": (0.0, 4095.0)}),
    ({"bands": "3,2,1", "rgb": "0,1,2", "input_channels": 3}, {"bands": (3, 2, 1), "rgb": (0, 1, 2), "channels": 3}),
    ({"preprocess": "imagenet", "interpolation": "bicubic"}, {"base": "imagenet", "interpolation": "bicubic"}),
    ({"size": None, "bgr": False}, {}),
]


@pytest.mark.parametrize(("options", "fields"), OPTIONS)
def test_options_name_fields(options: dict[str, Any], fields: dict[str, Any]) -> None:
    from shisen.models.preprocess_names import fields_of_options

    assert fields_of_options(options) == fields


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": "1/0"}, "--scale must be 1 comma-separated number"),
        ({"size": "big"}, "300x200"),
        ({"data_range": "7"}, "--data-range must be 2"),
        ({"mean": "a,b"}, "--mean"),
    ],
)
def test_options_that_are_no_numbers(options: dict[str, Any], message: str) -> None:
    from shisen.models.preprocess_names import fields_of_options

    with pytest.raises(InputError, match=message):
        fields_of_options(options)
