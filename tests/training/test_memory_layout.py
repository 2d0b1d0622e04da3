"""Training keeps away from the one convolution whose weight gradient is not safe in channels-last memory."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from shisen.training.torch import _laid_out


@pytest.mark.parametrize(
    ("conv", "safe"),
    [
        (nn.Conv2d(3, 48, 1, stride=2), False),
        (nn.Conv2d(32, 32, 1, stride=2, groups=4), False),
        (nn.Conv2d(16, 48, 1, stride=2), True),
        (nn.Conv2d(3, 48, 1), True),
        (nn.Conv2d(3, 48, 3, stride=2), True),
    ],
    ids=str,
)
def test_small_strided_one_by_one_convolutions_are_trained_contiguous(conv: nn.Module, safe: bool) -> None:
    x = torch.rand(2, conv.in_channels, 8, 8)
    assert _laid_out(x, nn.Sequential(nn.ReLU(), conv)).is_contiguous(memory_format=torch.channels_last) is safe
    assert _laid_out(x).is_contiguous(memory_format=torch.channels_last)


def test_the_weight_gradient_of_such_a_convolution_is_that_of_contiguous_memory() -> None:
    torch.manual_seed(0)
    conv, x = nn.Conv2d(3, 48, 1, stride=2), torch.rand(1, 3, 224, 224)
    shown = (_laid_out(x.to(memory_format=torch.channels_last), conv), x)
    got, want = (torch.autograd.grad(conv(y).square().sum(), conv.weight)[0] for y in shown)
    torch.testing.assert_close(got, want)
