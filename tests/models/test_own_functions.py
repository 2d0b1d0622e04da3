"""Networks named as `package.module:function`: functions, classes, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import shisen
from shisen.cli.main import main
from shisen.errors import InputError, ModelError

torch = pytest.importorskip("torch")

SOURCE = """
import torch


class Net(torch.nn.Module):
    def __init__(self, width=4):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.head = torch.nn.Conv2d(3, width, 3), torch.nn.Linear(width, 3)

    def forward(self, x):
        return self.head(self.conv(x).relu().mean((2, 3)))


def build():
    return Net()


network = Net()


def of_width(width):
    return Net(width)


def broken():
    raise KeyError("settings")
"""
IMAGE = np.random.default_rng(0).random((8, 8, 3), dtype=np.float32)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "own_functions.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    return "own_functions"


def test_a_function_a_class_and_a_network_are_the_same(module: str) -> None:
    found = [shisen.load(f"{module}:{name}").activations(IMAGE[None]) for name in ("build", "Net", "network")]
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


@pytest.mark.parametrize(
    ("name", "reason"), [("of_width", r"TypeError: of_width\(\) missing 1"), ("broken", "KeyError: 'settings'")]
)
def test_a_function_that_fails_is_named(module: str, name: str, reason: str) -> None:
    with pytest.raises(ModelError, match=rf"'{module}:{name}' must return a network .* without arguments.*{reason}"):
        shisen.load(f"{module}:{name}")


def test_an_option_of_other_networks_is_refused(module: str) -> None:
    with pytest.raises(InputError, match=r"--no-top\) is for networks of keras.applications.*Write keras:NAME"):
        shisen.load(f"{module}:build", top=False)


MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
CAFFE = np.array([103.939, 116.779, 123.68])


@pytest.mark.parametrize(
    ("options", "values"),
    [
        ("--range 0,255", lambda x: 255 * x),
        ("--range -1,1", lambda x: 2 * x - 1),
        ("--scale 1/255", lambda x: x),
        ("--mean 0.1,0.2,0.3 --std 0.5", lambda x: (x - [0.1, 0.2, 0.3]) / 0.5),
        ("--mean 0.1,0.2,0.3 --bgr", lambda x: x[..., ::-1] - [0.1, 0.2, 0.3]),
        ("--preprocess imagenet", lambda x: (x - MEAN) / STD),
        ("--preprocess imagenet --std 1", lambda x: x - MEAN),
        ("--preprocess imagenet --scale 1/255", lambda x: (x - MEAN) / STD),
        ("--preprocess caffe", lambda x: 255 * x[..., ::-1] - CAFFE),
    ],
)
def test_options_of_the_command_line_are_the_values_that_go_in(
    module: str, options: str, values: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = np.rint(255 * IMAGE).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    words = ["predict", str(tmp_path / "photo.png"), "--model", f"{module}:build", "--size", "8", "--json"]
    with pytest.raises(SystemExit) as stop:
        main([*words, *options.split()])
    said = capsys.readouterr()
    assert not stop.value.code
    assert "range of pixel values" not in said.err
    x = torch.tensor(np.ascontiguousarray(values(pixels / 255)), dtype=torch.float32).permute(2, 0, 1)[None]
    want = shisen.load(f"{module}:build").network.net(x)[0].detach().numpy()
    for row in json.loads(said.out)["predictions"]:
        assert row["logit"] == pytest.approx(want[row["index"]], rel=1e-4, abs=1e-4)


def test_a_size_alone_does_not_hide_which_values_go_in(
    module: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(np.rint(255 * IMAGE).astype(np.uint8)).save(tmp_path / "photo.png")
    for name, said in ((f"{module}:build", True), ("efficientnet_lite0", False)):
        with pytest.raises(SystemExit):
            main(["predict", str(tmp_path / "photo.png"), "--model", name, "--size", "32"])
        assert ("the range of pixel values is not known" in capsys.readouterr().err) == said
