"""Semantic segmentation: which pixels speak for a class in one region of its mask?

The objective is the mean score of the class over the region, as a function from the scores `(n, classes, h, w)` to
their cotangent. Any method takes it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

import shisen


class Segmenter(nn.Module):
    """A small network with the output of torchvision's segmentation networks: {"out": (n, classes, h, w)}."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU())
        self.head = nn.Conv2d(8, classes, 1)

    def forward(self, x: Any) -> dict[str, Any]:
        return {"out": self.head(self.body(x))}


def over_mask(label: int, mask: Any) -> Any:
    """Return the objective: the mean score of class `label` over the places where `mask` `(h, w)` is true."""

    def cotangent(scores: Any) -> Any:
        wanted = torch.as_tensor(mask, device=scores.device)
        seed = torch.zeros_like(scores)
        seed[:, label] = wanted.to(scores.dtype) / wanted.sum()
        return seed

    return cotangent


def explain(net: Any, picture: Any, label: int, mask: Any, method: str = "gradient") -> Any:
    """Explain one class over one region."""
    model = shisen.wrap(net, output="out", head="none")
    return shisen.explain(model, picture, method, target=over_mask(label, mask))
