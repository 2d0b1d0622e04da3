"""A torch network whose answers and maps can be worked out by hand, as a `Model`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import shisen

SIDE = 16


class Bright(torch.nn.Module):
    """Channel c of the feature map is the mean of color c over 2 × 2 pixels; class c is its mean over places × 20."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 3, 2, stride=2, bias=False)
        self.relu = torch.nn.ReLU()
        self.pool = torch.nn.AdaptiveAvgPool2d(1)
        self.classifier = torch.nn.Linear(3, 4)
        with torch.no_grad():
            self.conv.weight.copy_(torch.eye(3)[:, :, None, None].expand(3, 3, 2, 2) / 4)
            self.classifier.weight.copy_(torch.cat([20 * torch.eye(3), torch.zeros(1, 3)]))
            self.classifier.bias.zero_()

    def forward(self, x: Any) -> Any:
        return self.classifier(self.pool(self.relu(self.conv(x))).flatten(1))


def model() -> Any:
    return shisen.wrap(Bright(), preprocess=shisen.Preprocess(SIDE), labels=["red", "green", "blue", "none"])


def spots(count: int = 6, seed: int = 0) -> list[Any]:
    """Black uint8 images with one spot of red, green or blue, each at another place."""
    rng = np.random.default_rng(seed)
    made = []
    for k in range(count):
        image = rng.integers(0, 12, (SIDE, SIDE, 3)).astype(np.uint8)
        y, x = rng.integers(0, SIDE - 8, 2)
        image[y : y + 8, x : x + 8, k % 3] = 250 - k
        made.append(image)
    return made
