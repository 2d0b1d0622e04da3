"""Altered values of one image go in together where only the tail runs for each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import nets
from shisen.adapters import wrappers
from shisen.adapters.torch.adapter import TorchClassifier
from shisen.adapters.wrappers import Batched, Passes, Watched, downstream_batch
from shisen.registry import METHODS
from shisen.targets import ClassObjective, to_numpy

SEED = ClassObjective("class 2", ((1.0, (2,)),), "probability")  # a score that bends: no closed form


class Around(torch.nn.Module):
    """A network whose tail meets the image again, so that it does not run alone."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.top = torch.nn.Conv2d(3, 5, 3, padding=1), torch.nn.Linear(5, 4)

    def forward(self, x: Any) -> Any:
        seen = self.conv(x)
        return self.top((seen * x.mean(dim=(1, 2, 3)).view(x.shape[0], 1, 1, 1)).mean(dim=(2, 3)).view(x.shape[0], -1))


def watched(net: Any, size: int) -> tuple[Any, Passes]:
    passes = Passes()
    return Batched(Watched(TorchClassifier(net, size=(12, 16, 3)), passes), size), passes


def values_at(model: Any, layer: str, count: int) -> Any:
    shape = to_numpy(model.activations(nets.images(1), layer)).shape[1:]
    return np.random.default_rng(0).random((count, *shape), dtype=np.float32)


def test_as_many_go_in_as_the_bytes_allow(monkeypatch: Any) -> None:
    model, passes = watched(nets.Toy(), 2)
    x, values = nets.images(1), values_at(model, "act2", 23)
    want = to_numpy(TorchClassifier(nets.Toy(), size=(12, 16, 3)).replaced(x, values, "act2"))
    for room, calls in ((2**25, 1), (5 * values[0].nbytes, 5), (1, 12)):
        monkeypatch.setattr(wrappers, "DOWNSTREAM_BYTES", room)
        before = passes.calls
        np.testing.assert_allclose(to_numpy(model.replaced(x, values, "act2")), want, atol=1e-6)
        assert passes.calls - before == calls


def test_whole_forwards_keep_to_the_chunk() -> None:
    model, passes = watched(Around(), 2)
    values = values_at(model, "conv", 8)
    before = passes.calls
    model.replaced(nets.images(1), values, "conv")
    assert passes.calls - before == 4
    before = passes.calls
    model.replaced(nets.images(1), nets.images(4), "input")
    assert passes.calls - before == 2


def test_a_image_each_keeps_to_the_chunk() -> None:
    model, passes = watched(nets.Toy(), 2)
    values, before = values_at(model, "act2", 6), passes.calls
    model.replaced(nets.images(6), values, "act2")
    assert passes.calls - before == 3


@pytest.mark.parametrize("method", ["ablation_cam", "recipro_cam"])
def test_methods_of_tails_ask_few_times_and_say_the_same(method: str, monkeypatch: Any) -> None:
    model, passes = watched(nets.Toy(), 2)
    x = nets.images(2)
    found = METHODS[method](model, x, SEED, layer="act2")
    few = passes.calls
    monkeypatch.setattr(wrappers, "DOWNSTREAM_BYTES", 1)
    many = METHODS[method](model, x, SEED, layer="act2")
    assert passes.calls - few > few
    assert np.abs(to_numpy(found.values)).max() > 0
    np.testing.assert_allclose(to_numpy(found.values), to_numpy(many.values), atol=1e-6)


def test_small_values_go_in_by_the_hundred_and_large_ones_by_the_chunk() -> None:
    assert downstream_batch(np.empty((7, 7, 512), np.float32), 4) == 2**25 // (7 * 7 * 512 * 4)
    assert downstream_batch(np.empty((2000, 2000, 64), np.float32), 4) == 4
