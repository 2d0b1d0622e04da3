"""The gradient of LeViT by the pixels: a channels-last image makes it noise on some versions of PyTorch."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

import shisen
from shisen.adapters.torch.adapter import TorchClassifier
from shisen.targets import ClassObjective


@pytest.mark.parametrize("name", ["levit_128s", "levit_conv_128s"])
def test_the_gradient_is_that_of_contiguous_float64(name: str) -> None:
    net = shisen.load(f"timm:{name}@random").network.net
    x = np.random.default_rng(0).random((1, 224, 224, 3), dtype=np.float32)
    found = np.asarray(TorchClassifier(net).gradients(x, ClassObjective("class", ((1.0, (3,)),)))[1])
    leaf = torch.tensor(x, dtype=torch.float64).requires_grad_()
    score = copy.deepcopy(net).eval().double()(leaf.permute(0, 3, 1, 2).contiguous())[0, 3]
    want = torch.autograd.grad(score, leaf)[0].numpy()
    assert np.corrcoef(found.ravel(), want.ravel())[0, 1] == pytest.approx(1.0, abs=1e-6)
    np.testing.assert_allclose(found, want, atol=1e-3 * np.abs(want).max())
