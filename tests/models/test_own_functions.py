"""Networks named as `package.module:function`: functions, classes, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import shisen
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
