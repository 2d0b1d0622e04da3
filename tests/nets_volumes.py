"""Small networks of signals, volumes and video whose answers are known."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
NORM = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
POOL = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}


def convolutional(rank: int, channels: int = 1, *, hidden: bool = True) -> nn.Sequential:
    """Return two convolutions, a mean pool and a head of one or two layers; random weights, in evaluation mode."""
    torch.manual_seed(1)
    head: list[nn.Module] = [nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)] if hidden else [nn.Linear(6, 3)]
    net = nn.Sequential(
        CONV[rank](channels, 4, 3, padding=1), NORM[rank](4), nn.ReLU(),
        CONV[rank](4, 6, 3, padding=1), nn.ReLU(),
        POOL[rank](1), nn.Flatten(), *head,
    )  # fmt: skip
    with torch.no_grad():
        net[1].running_mean.copy_(torch.linspace(-0.2, 0.2, 4))
    return net.eval()


def flat(net: nn.Sequential) -> nn.Sequential:
    """Return the network of volumes that does to a volume of one slice what a network of images does to the slice."""
    volume = convolutional(3, net[0].in_channels, hidden=len(net) > 8)
    with torch.no_grad():
        for ours, theirs in zip(volume.modules(), net.modules(), strict=True):
            if isinstance(ours, nn.Conv3d):
                ours.weight.zero_()
                ours.weight[:, :, 1] = theirs.weight
                ours.bias.copy_(theirs.bias)
            elif isinstance(ours, (nn.BatchNorm3d, nn.Linear)):
                ours.load_state_dict(theirs.state_dict())
    return volume.eval()


class Bright(nn.Module):
    """The score of class 0 is the mean brightness above a threshold; nothing else counts."""

    def __init__(self, rank: int, threshold: float = 0.6, channels: int = 1) -> None:
        super().__init__()
        self.conv, self.act = CONV[rank](channels, 2, 3, padding=1), nn.ReLU()
        self.head = nn.Linear(2, 2, bias=False)
        with torch.no_grad():
            self.conv.weight.fill_(1 / 3**rank / channels)
            self.conv.weight[1] *= 0.01
            self.conv.bias.copy_(torch.tensor([-threshold, 0.0]))
            self.head.weight.copy_(torch.eye(2))

    def forward(self, x: Any) -> Any:
        return self.head(self.act(self.conv(x)).mean(tuple(range(2, x.dim()))))


class PerFrame(nn.Module):
    """A network of images run on every frame: the frames are folded into the batch, input by input or not."""

    def __init__(self, outer: bool = False) -> None:
        super().__init__()
        self.outer, self.images = outer, convolutional(2, 3)

    def forward(self, x: Any) -> Any:
        n, _, t = x.shape[:3]
        frames = x.permute(2, 0, 1, 3, 4) if self.outer else x.permute(0, 2, 1, 3, 4)
        answers = self.images(frames.flatten(0, 1))
        return answers.unflatten(0, (t, n) if self.outer else (n, t)).mean(0 if self.outer else 1)
