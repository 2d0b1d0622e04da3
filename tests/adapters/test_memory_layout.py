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


def test_the_layout_is_tried_once_for_a_shape() -> None:
    net, runs = nets.Toy(), []
    net.conv1.register_forward_pre_hook(lambda *_: runs.append(1))
    model = TorchClassifier(net, size=(12, 16, 3))
    for _ in range(3):
        model.gradients(nets.images(), lambda y: torch.ones_like(y), wrt="conv2")
    assert len(runs) == 1 + 2 + 3  # the trace, both layouts, the calls
