"""The methods for transformers on a small one in plain torch: what they must do and what they claim."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import nets
from shisen.adapters.torch.adapter import TorchClassifier
from shisen.adapters.wrappers import Batched, Passes, Shared, Watched
from shisen.errors import ModelError
from shisen.registry import METHODS, suiting
from shisen.targets import ClassObjective, MixedObjective

NAMES = [name for name, m in METHODS.items() if m.needs == "attention"]


def one_hot(*classes: int, weight: float = 1.0) -> ClassObjective:
    return ClassObjective("class", ((weight, classes or (2,)),))


@pytest.fixture(scope="module", params=[False, True], ids=["class token", "mean"])
def model(request: pytest.FixtureRequest) -> TorchClassifier:
    return TorchClassifier(nets.Transformer(request.param).eval(), size=(12, 16, 3))


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_equals_its_images_however_it_is_cut(name: str, model: TorchClassifier) -> None:
    x = nets.images(3)
    whole = METHODS[name](model, x, one_hot(0, 3, 4)).values
    assert whole.shape == (3, 3, 4)
    assert float(whole.abs().amax(dim=(1, 2)).min()) > 0
    for i, k in enumerate((0, 3, 4)):
        torch.testing.assert_close(METHODS[name](model, x[i : i + 1], one_hot(k)).values[0], whole[i])
    torch.testing.assert_close(METHODS[name](Batched(model, 2), x, one_hot(0, 3, 4)).values, whole)
    mixed = MixedObjective((one_hot(0), one_hot(3), one_hot(4)))
    torch.testing.assert_close(METHODS[name](Batched(model, 1), x, mixed).values, whole)
    wrapped = Shared(Watched(model, Passes()), [])
    torch.testing.assert_close(METHODS[name](wrapped, x, one_hot(0, 3, 4)).values, whole)


@pytest.mark.parametrize("name", NAMES)
def test_claims_hold(name: str, model: TorchClassifier) -> None:
    spec, x = METHODS[name], nets.images(2)
    values = torch.stack([spec(model, x, one_hot(k)).values for k in range(5)])
    assert bool((values < 0).any()) == spec.signed
    if spec.class_specific:
        assert not torch.allclose(values[0], values[1])
    else:
        torch.testing.assert_close(values[0], values[1])
    if spec.linear:
        torch.testing.assert_close(spec(model, x, one_hot(2, weight=3.0)).values, 3 * values[2])


@pytest.mark.parametrize("name", NAMES)
def test_maps_lie_on_images_that_are_not_square(name: str, model: TorchClassifier) -> None:
    assert METHODS[name](model, nets.images(1, 24, 8), one_hot()).values.shape == (1, 6, 2)


@pytest.mark.parametrize("name", NAMES)
def test_other_networks_are_refused_and_not_offered(name: str, model: TorchClassifier) -> None:
    cnn = TorchClassifier(nets.Toy(), size=(12, 16, 3))
    with pytest.raises(ModelError, match="grad_cam"):
        METHODS[name](cnn, nets.images(), one_hot())
    assert name not in suiting(cnn)
    assert name in suiting(model)
    assert np.isin("grad_cam", suiting(cnn))


def test_a_network_that_flattens_does_not_attend() -> None:
    net = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(2 * 6 * 6, 2)).eval()
    assert "attention_rollout" not in suiting(TorchClassifier(net, size=(8, 8, 3)))
