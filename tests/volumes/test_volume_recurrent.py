"""Networks that read frames or views one by one: folded into the batch, and joined by a recurrent layer."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import shisen
from nets_volumes import convolutional
from shisen.adapters.torch.adapter import TorchClassifier
from shisen.adapters.torch.rewire import recurrent_backward


class Film(nn.Module):
    """Every frame through a network of images, the frames through two recurrent layers with dropout."""

    def __init__(self, rnn: type[nn.RNNBase] = nn.LSTM) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.frame = convolutional(2, 3)[:7]
        self.rnn = rnn(6, 5, num_layers=2, dropout=0.5, batch_first=True)
        self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(5, 3))

    def forward(self, x: Any) -> Any:
        n, _, t = x.shape[:3]
        frames = self.frame(x.transpose(1, 2).flatten(0, 1)).unflatten(0, (n, t))
        return self.head(self.rnn(frames)[0][:, -1])


class Views(nn.Module):
    """Views `(n, v, c, h, w)` folded into the batch; the largest answer of any view counts."""

    def __init__(self) -> None:
        super().__init__()
        self.image = convolutional(2, 3)

    def forward(self, x: Any) -> Any:
        return self.image(x.flatten(0, 1)).unflatten(0, x.shape[:2]).amax(1)


def hires_cam(net: nn.Module, act: nn.Module, pixels: Any, k: int) -> Any:
    """Return HiResCAM of every frame, `(t, h, w)`, from the formula."""
    kept: list[Any] = []

    def keep(_: Any, __: Any, y: Any) -> Any:
        kept.append(y.detach().requires_grad_())
        return kept[-1]

    handle = act.register_forward_hook(keep)
    score = net(pixels)[0, k]
    handle.remove()
    (gradient,) = torch.autograd.grad(score, kept)
    return (gradient * kept[0]).sum(1).relu().detach()


@pytest.mark.parametrize("rnn", [nn.LSTM, nn.GRU, nn.RNN])
def test_a_film_read_by_a_recurrent_layer_has_a_map_for_every_frame(rnn: type[nn.RNNBase]) -> None:
    net, x = Film(rnn).train(), np.random.default_rng(0).random((4, 9, 8, 3), dtype=np.float32)
    calm = copy.deepcopy(net).eval()
    flags = [(p, m.training, getattr(m, "dropout", None)) for p, m in net.named_modules()]
    found = shisen.explain(shisen.wrap(net, input_shape=x.shape), x, "hires_cam", target=1)
    want = hires_cam(calm, calm.frame[4], torch.as_tensor(x)[None].movedim(-1, 1), 1)
    assert found.values.shape == (4, 9, 8)
    np.testing.assert_allclose(found.values, want, atol=1e-6)
    assert [(p, m.training, getattr(m, "dropout", None)) for p, m in net.named_modules()] == flags


def test_views_in_the_batch_have_a_map_each() -> None:
    net, x = Views().eval(), np.random.default_rng(1).random((3, 9, 8, 3), dtype=np.float32)
    model = shisen.wrap(net, inputs=lambda x: x.transpose(1, 2), input_shape=x.shape)
    pixels = torch.as_tensor(x)[None].permute(0, 1, 4, 2, 3)
    read = []
    for k in range(3):
        found = shisen.explain(model, x, "hires_cam", target=k).values
        np.testing.assert_allclose(found, hires_cam(net, net.image[4], pixels, k), atol=1e-6)
        read.append([bool(m.any()) for m in found])
    assert np.any(read)


def test_recurrent_layers_are_in_training_mode_without_dropout_for_the_backward_only() -> None:
    net = Film().eval()
    with recurrent_backward(net, private=True):
        assert net.rnn.training
        assert not net.rnn.dropout
        assert not net.head.training
    assert not net.rnn.training
    assert net.rnn.dropout == 0.5
    with recurrent_backward(net, private=False):
        assert not net.rnn.training
    model, x = TorchClassifier(net), np.random.default_rng(0).random((1, 4, 9, 8, 3), dtype=np.float32)
    seen: list[bool] = []
    original = nn.LSTM.forward

    def look(self: nn.LSTM, *given: Any) -> Any:
        seen.append(self.training and not self.dropout)
        return original(self, *given)

    model.trace(model.to_tensor(x))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.LSTM, "forward", look)
        model.gradients(x, torch.ones_like)
    assert seen == [True]
    assert not net.rnn.training
