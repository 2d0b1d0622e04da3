"""Object detection: which pixels speak for one box?

A detector returns many boxes with scores. `output=` picks the scores, and the objective is the score of one of them.
Explain a detector before it drops overlapping boxes: what is dropped has no gradient.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

import shisen


class Detector(nn.Module):
    """A small one-stage detector: for every cell of a grid one box and its score."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(3, 8, 4, stride=4), nn.ReLU(), nn.Conv2d(8, 8, 1), nn.ReLU())
        self.score = nn.Conv2d(8, 1, 1)
        self.box = nn.Conv2d(8, 4, 1)

    def forward(self, x: Any) -> dict[str, Any]:
        maps = self.body(x)
        return {"scores": self.score(maps).flatten(1), "boxes": self.box(maps).flatten(2).transpose(1, 2)}


def explain(net: Any, picture: Any, box: int, method: str = "gradient") -> Any:
    """Explain the score of the box with this number."""
    model = shisen.wrap(net, output="scores", head="none")
    return shisen.explain(model, picture, method, target=box)


def explain_side(net: Any, picture: Any, box: int, side: int, method: str = "gradient") -> Any:
    """Explain where one side of a box comes to lie: `side` 0 to 3 in the detector's own order."""
    model = shisen.wrap(net, output=lambda found: found["boxes"][:, box], head="none")
    return shisen.explain(model, picture, method, target=side)
