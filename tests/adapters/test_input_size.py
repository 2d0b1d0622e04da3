"""Nothing is guessed before the first image: its shape, or a declared one, is the only one a network is run with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import nets
import shisen
from shisen.adapters.torch.adapter import TorchClassifier
from shisen.errors import ModelError


class Fixed(nn.Module):
    """Takes images of one size only, and remembers the shapes it was given."""

    def __init__(self, h: int, w: int, channels: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.act = nn.Conv2d(channels, 4, 3, padding=1), nn.ReLU()
        self.pool, self.fc = nn.MaxPool2d(2), nn.Linear(4 * (h // 2) * (w // 2), 3)

    def forward(self, x: Any) -> Any:
        return self.fc(torch.flatten(self.pool(self.act(self.conv(x))), 1))


class Recurrent(nn.Module):
    """Columns of a feature map read by an LSTM: fixed height, gradients through a recurrent layer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.act = nn.Conv2d(1, 4, 3, padding=1), nn.ReLU()
        self.rnn, self.fc = nn.LSTM(4 * 8, 6, batch_first=True), nn.Linear(6, 3)

    def forward(self, x: Any) -> Any:
        maps = self.act(self.conv(x))
        steps = maps.permute(0, 3, 1, 2).reshape(maps.shape[0], maps.shape[3], -1)
        return self.fc(self.rnn(steps)[0][:, -1])


CASES = {"28 × 28": (28, 28, 1), "CIFAR": (32, 32, 3), "six channels": (12, 10, 6)}


def ran(net: nn.Module) -> set[tuple[int, ...]]:
    shapes: set[tuple[int, ...]] = set()
    net.register_forward_pre_hook(lambda _, given: shapes.add(tuple(given[0].shape[1:])))
    return shapes


@pytest.mark.parametrize("shape", CASES.values(), ids=CASES)
def test_explain_runs_a_network_with_the_shape_of_its_image_only(shape: tuple[int, int, int]) -> None:
    h, w, c = shape
    net = Fixed(*shape).eval()
    shapes = ran(net)
    found = shisen.explain(shisen.wrap(net), nets.images(1, h, w, c)[0], "grad_cam", target=1)
    assert found.layer == "act"
    assert found.values.shape == (h, w)
    assert shapes == {(c, h, w)}


def test_compare_and_activations_take_the_shape_of_the_image() -> None:
    image = nets.images(1, 20, 24)[0]
    for verb in (lambda m: shisen.compare(m, image, ["grad_cam", "gradient"]), lambda m: shisen.activations(m, image)):
        net = Fixed(20, 24, 3).eval()
        shapes = ran(net)
        verb(shisen.wrap(net))
        assert shapes == {(3, 20, 24)}


def test_evaluate_and_recommend_take_the_shape_of_the_first_image() -> None:
    images = list(nets.images(4, 16, 18))
    model = shisen.wrap(Fixed(16, 18, 3).eval())
    scores = shisen.evaluate(model, images[:2], ["grad_cam"], ["deletion"], control_maps=())
    assert not scores.failures


def test_a_network_with_a_recurrent_layer_is_explained() -> None:
    net, x = Recurrent().eval(), nets.images(1, 8, 12, 1)
    model = shisen.wrap(net)
    found = shisen.explain(model, x[0], "gradient", target=2).values
    shown = torch.tensor(x).permute(0, 3, 1, 2).contiguous().requires_grad_()
    (want,) = torch.autograd.grad(net(shown)[0, 2], shown)
    np.testing.assert_allclose(found, want[0].permute(1, 2, 0), rtol=1e-4, atol=1e-7)


def test_an_exported_program_is_explained_like_its_module() -> None:
    net, x = Fixed(12, 14, 3).eval(), nets.images(1, 12, 14)
    exported = torch.export.export(net, (torch.tensor(x).permute(0, 3, 1, 2).contiguous(),)).module()
    np.testing.assert_allclose(
        shisen.explain(shisen.wrap(exported), x[0], "gradient", target=1).values,
        shisen.explain(shisen.wrap(net), x[0], "gradient", target=1).values,
        rtol=1e-5,
        atol=1e-7,
    )


def test_a_declared_size_is_used_before_the_first_image() -> None:
    net = Fixed(20, 24, 3).eval()
    shapes = ran(net)
    assert shisen.wrap(net, input_shape=(20, 24, 3)).default_layer == "act"
    assert shapes == {(3, 20, 24)}


def test_where_nothing_is_known_the_error_says_what_to_pass() -> None:
    with pytest.raises(ModelError, match=r"must be known before the first image.*input_shape=\(h, w, c\)"):
        _ = TorchClassifier(Fixed(20, 24, 3).eval()).layers
