"""Networks get images in the memory layout that they were written for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import nets
import shisen
from shisen.adapters.torch.adapter import TorchClassifier
from shisen.adapters.torch.memory_layout import depends_on_layout


class Viewing(nn.Module):
    """The classic tutorial: feature maps become vectors by `view`, which asks for contiguous memory."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv1, self.conv2 = nn.Conv2d(3, 6, 5), nn.Conv2d(6, 8, 3)
        self.fc = nn.Linear(8 * 3 * 5, 4)

    def forward(self, x: Any) -> Any:
        x = nn.functional.max_pool2d(torch.relu(self.conv1(x)), 2)
        x = torch.relu(self.conv2(x))
        return self.fc(x.view(x.size(0), -1))


class Wrong(torch.autograd.Function):
    """The identity; its gradient is right for contiguous memory only, as that of some kernels was."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.right = x.is_contiguous()
        return x.clone()

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g if ctx.right else torch.roll(g, 1, -1)


class Careless(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.act, self.top = nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Linear(6, 4)

    def forward(self, x: Any) -> Any:
        return self.top(self.act(self.conv(Wrong.apply(x))).mean((2, 3)))


@pytest.mark.parametrize("method", ["grad_cam", "gradient", "occlusion", "ablation_cam", "guided_backprop"])
def test_networks_that_view_feature_maps_work(method: str) -> None:
    net, x = Viewing().eval(), nets.images(1, 14, 18)[0]
    model = shisen.wrap(net, input_shape=(14, 18, 3))
    found = shisen.explain(model, x, method, target=1).values
    assert np.isfinite(found).all()
    assert found.any()
    shown = torch.tensor(x).permute(2, 0, 1)[None].contiguous().requires_grad_()
    logits = net(shown)
    np.testing.assert_allclose(model.activations(x[None])[0], logits[0].detach(), rtol=1e-5, atol=1e-6)
    if method == "gradient":
        want = torch.autograd.grad(logits[0, 1], shown)[0][0].permute(1, 2, 0)
        np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-6)


def test_a_gradient_that_depends_on_the_layout_is_that_of_contiguous_memory() -> None:
    net, x = Careless().eval(), nets.images(2, 8, 9)
    shown = torch.tensor(x).permute(0, 3, 1, 2).contiguous().requires_grad_()
    (want,) = torch.autograd.grad(net(shown)[:, 1].sum(), shown)
    _, got = TorchClassifier(net, size=(8, 9, 3)).gradients(x, lambda y: torch.eye(4)[1].expand_as(y))
    torch.testing.assert_close(got, want.permute(0, 2, 3, 1))


def test_networks_that_do_not_care_get_channels_last() -> None:
    seen: list[bool] = []
    net = nets.Toy()
    net.conv1.register_forward_pre_hook(lambda _, given: seen.append(given[0].is_contiguous()))
    model = TorchClassifier(net, size=(12, 16, 3))
    model.gradients(nets.images(), lambda y: torch.ones_like(y), wrt="conv2")
    seen.clear()
    model.gradients(nets.images(), lambda y: torch.ones_like(y), wrt="conv2")
    model.activations(nets.images())
    assert seen == [False, False]


def runs_of(net: nn.Module, wrt: str) -> int:
    """Count the forward passes of three gradients."""
    runs: list[int] = []
    net.conv1.register_forward_pre_hook(lambda *_: runs.append(1))
    model = TorchClassifier(net, size=(12, 16, 3))
    for _ in range(3):
        model.gradients(nets.images(), lambda y: torch.ones_like(y), wrt=wrt)
    return len(runs)


@pytest.mark.parametrize("wrt", ["input", "conv1"])
def test_the_layout_is_tried_once_for_a_shape(wrt: str) -> None:
    assert runs_of(nets.Toy(), wrt) == 1 + 1 + 2 + 3  # the trace, the gradient at its default, both layouts, the calls


@pytest.mark.parametrize("wrt", ["conv2", "act2"])
def test_a_gradient_that_passes_no_convolution_needs_no_trial(wrt: str) -> None:
    assert runs_of(nets.Toy(), wrt) == 1 + 1 + 3


def test_a_gradient_that_passes_none_leaves_the_decision_to_one_that_does() -> None:
    net, x = Careless().eval(), nets.images(2, 8, 9)
    model, first = TorchClassifier(net, size=(8, 9, 3)), lambda y: torch.eye(4)[1].expand_as(y)
    model.gradients(x, first, wrt="conv")
    assert not model.needs_contiguous(torch.tensor(x))
    model.gradients(x, first)
    assert model.needs_contiguous(torch.tensor(x))


class Between(nn.Module):
    """A convolution, then a function whose gradient depends on the layout, in the middle of the network."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.top = nn.Conv2d(3, 6, 3), nn.Linear(6, 4)

    def forward(self, x: Any) -> Any:
        return self.top((Wrong.apply(self.conv(x)) * torch.arange(7.0)).mean((2, 3)))


def test_a_layer_upstream_of_such_a_gradient_gets_that_of_contiguous_memory() -> None:
    net, x = Between().eval(), nets.images(2, 8, 9)
    value = net.conv(torch.tensor(x).permute(0, 3, 1, 2).contiguous()).detach().contiguous().requires_grad_()
    y = net.top((Wrong.apply(value) * torch.arange(7.0)).mean((2, 3)))
    (want,) = torch.autograd.grad(y[:, 1].sum(), value)
    _, got = TorchClassifier(net, size=(8, 9, 3)).gradients(x, lambda y: torch.eye(4)[1].expand_as(y), wrt="conv")
    torch.testing.assert_close(got, want.permute(0, 2, 3, 1))


def maps() -> Any:
    return torch.randn(2, 8, 6, 6).contiguous(memory_format=torch.channels_last).requires_grad_()


INDIFFERENT = {
    "mean": lambda x: x.mean((2, 3)),
    "pool": lambda x: nn.AdaptiveAvgPool2d(1)(x.clone()).flatten(1),
    "max pool": lambda x: nn.MaxPool2d(2)(x),
    "activations": lambda x: nn.GELU()(nn.ReLU6()(nn.SiLU()(x))),
    "linear": lambda x: nn.Linear(8, 3)(nn.LayerNorm(8)(x.permute(0, 2, 3, 1))),
    "attention": lambda x: nn.MultiheadAttention(8, 2)(*3 * [x.flatten(2).permute(2, 0, 1)])[0],
}
DEPENDENT = {
    "convolution": lambda x: nn.Conv2d(8, 3, 3)(x).mean(),
    "normalization": lambda x: nn.BatchNorm2d(8).eval()(x).mean(),
    "strides": lambda x: x.as_strided((4,), (3,)) * 2,
    "own function": lambda x: Wrong.apply(x).mean(),
    "unknown": lambda x: nn.AdaptiveMaxPool2d(1)(x),
}


@pytest.mark.parametrize("name", INDIFFERENT)
def test_what_does_not_depend_on_the_layout_is_known(name: str) -> None:
    assert not depends_on_layout(INDIFFERENT[name](maps()))


@pytest.mark.parametrize("name", DEPENDENT)
def test_what_may_depend_on_the_layout_is_tried(name: str) -> None:
    assert depends_on_layout(DEPENDENT[name](maps()))


@pytest.mark.parametrize("name", INDIFFERENT)
def test_what_is_said_not_to_depend_on_the_layout_does_not(name: str) -> None:
    x = maps()
    found = []
    for form in (torch.channels_last, torch.contiguous_format):
        torch.manual_seed(0)  # the same weights
        leaf = x.detach().clone(memory_format=form).requires_grad_()
        y = INDIFFERENT[name](leaf)
        found.append(torch.autograd.grad((y * torch.linspace(0.5, 1.5, y.numel()).view(y.shape)).sum(), leaf)[0])
    torch.testing.assert_close(*found)
