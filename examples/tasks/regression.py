"""Regression: which pixels raise a number? A network with one output is not a classifier: say head="none"."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

import shisen


class Regressor(nn.Module):
    """A small network that answers one number a picture."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(8, 1)

    def forward(self, x: Any) -> Any:
        return self.head(self.body(x))


def explain(net: Any, picture: Any, method: str = "integrated_gradients", **options: Any) -> Any:
    """Explain the number; with integrated gradients the map sums to the number less that of a black picture."""
    model = shisen.wrap(net, head="none")
    return shisen.explain(model, picture, method, target=0, **options)
