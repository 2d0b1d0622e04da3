"""Captum agrees, where it offers the same method."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch

import nets
from shisen.adapters.torch.adapter import TorchClassifier
from shisen.registry import METHODS
from shisen.targets import ClassObjective, to_numpy

K = 3
attr = pytest.importorskip("captum.attr")


def ours(name: str, net: Any, x: Any, **options: Any) -> Any:
    return to_numpy(METHODS[name](TorchClassifier(net), x, ClassObjective("class", ((1.0, (K,)),)), **options).values)


def theirs(captum: Any, x: Any, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about hooks it sets and gradients it switches on
        found = captum.attribute(torch.tensor(x.transpose(0, 3, 1, 2)).requires_grad_(), target=K, **options)
    return found.detach().numpy().transpose(0, 2, 3, 1)


def agree(a: Any, b: Any) -> None:
    assert np.ptp(b) > 0
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * np.abs(b).max())


@pytest.fixture(params=["modules", "relu6"])
def net(request: pytest.FixtureRequest) -> nets.Toy:
    return nets.Toy(request.param)


@pytest.fixture
def relu_net() -> nets.Toy:
    return nets.Toy()


def test_gradient(net: nets.Toy) -> None:
    x = nets.images()
    agree(ours("gradient", net, x), theirs(attr.Saliency(net), x, abs=False))


def test_input_x_gradient(net: nets.Toy) -> None:
    x = nets.images()
    agree(ours("input_x_gradient", net, x), theirs(attr.InputXGradient(net), x))


def test_integrated_gradients(net: nets.Toy) -> None:
    x = nets.images()
    found = theirs(attr.IntegratedGradients(net), x, n_steps=32, method="riemann_middle", baselines=0.5)
    agree(ours("integrated_gradients", net, x, n_steps=32, baseline="gray"), found)


def test_guided_backprop(relu_net: nets.Toy) -> None:
    x = nets.images()
    agree(ours("guided_backprop", relu_net, x), theirs(attr.GuidedBackprop(relu_net), x))


def test_deconvnet(relu_net: nets.Toy) -> None:
    x = nets.images()
    agree(ours("deconvnet", relu_net, x), theirs(attr.Deconvolution(relu_net), x))


@pytest.mark.parametrize("layer", ["conv1", "act2"])
def test_grad_cam(net: nets.Toy, layer: str) -> None:
    x = nets.images()
    found = theirs(attr.LayerGradCam(net, net.get_submodule(layer)), x, relu_attributions=True)
    agree(ours("grad_cam", net, x, layer=layer), found[..., 0])


def test_guided_grad_cam(relu_net: nets.Toy) -> None:
    x = nets.images()
    found = theirs(attr.GuidedGradCam(relu_net, relu_net.conv2), x, interpolate_mode="bilinear")
    agree(ours("guided_grad_cam", relu_net, x, layer="conv2"), found)


@pytest.mark.parametrize(("window", "stride"), [(4, 4), (4, 3), (5, 2)])
def test_occlusion(net: nets.Toy, window: int, stride: int) -> None:
    x = nets.images()
    shapes = {"sliding_window_shapes": (3, window, window), "strides": (3, stride, stride), "baselines": 0.5}
    agree(ours("occlusion", net, x, window=window, stride=stride), theirs(attr.Occlusion(net), x, **shapes)[..., 0])


def test_gradient_shap_in_the_limit_of_many_samples(net: nets.Toy) -> None:
    x = nets.images(1)
    torch.manual_seed(0)
    baselines = torch.tensor([0.0, 0.5]).reshape(2, 1, 1, 1).expand(2, 3, 12, 16)
    found = theirs(attr.GradientShap(net), x, n_samples=6_000, stdevs=0.0, baselines=baselines)
    same = np.tile(np.reshape(np.float32([0.0, 0.5]), (2, 1, 1, 1)), (1, 12, 16, 3))
    for given in (("black", "gray"), same):
        mine = ours("expected_gradients", net, x, n_samples=1_000, baselines=given)
        assert np.corrcoef(mine.ravel(), found.ravel())[0, 1] > 0.999
