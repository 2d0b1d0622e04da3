"""Other libraries agree, where they offer the same method; each test needs its library."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import nets
import shisen.attribution  # noqa: F401
from shisen.adapters.torch.adapter import TorchClassifier
from shisen.registry import METHODS
from shisen.targets import ClassObjective, to_numpy

K = 2


def ours(name: str, net: Any, x: Any, **options: Any) -> Any:
    objective = ClassObjective("class", ((1.0, (K,)),))
    return to_numpy(METHODS[name](TorchClassifier(net), x, objective, **options).values)


def correlated(a: Any, b: Any, least: float = 0.999) -> None:
    assert np.corrcoef(np.ravel(a), np.ravel(b))[0, 1] > least


def gradients_for_pair(net: Any) -> Any:
    """Return the function through which the library `saliency` calls a network."""
    core = pytest.importorskip("saliency.core")

    def call(images: Any, call_model_args: Any = None, expected_keys: Any = None) -> Any:
        x = torch.tensor(np.asarray(images, np.float32).transpose(0, 3, 1, 2)).requires_grad_()
        (g,) = torch.autograd.grad(net(x)[:, K].sum(), x)
        return {core.INPUT_OUTPUT_GRADIENTS: g.numpy().transpose(0, 2, 3, 1)}

    return call


def test_blur_ig_is_that_of_its_authors_in_the_limit_of_many_steps() -> None:
    core, net, x = pytest.importorskip("saliency.core"), nets.Toy(), nets.images(1)
    found = core.BlurIG().GetMask(x[0], gradients_for_pair(net), max_sigma=3.0, steps=200, grad_step=0.001)
    correlated(ours("blur_ig", net, x, n_steps=200, max_sigma=3.0, border="zero")[0], found)
