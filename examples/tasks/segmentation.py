"""Semantic segmentation: which pixels contribute to a class in one region of its mask?

    python examples/tasks/segmentation.py [FOLDER]

The target is a score function: the mean score of the class over the region, computed from the network's output
`(n, classes, h, w)`. PyTorch differentiates it. Every method accepts it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import shisen
from shapes import NAMES, fit, image, pixels


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
    """Return the score: the mean of class `label` over the positions where `mask` `(h, w)` is true."""

    def mean_over_mask(scores: Any) -> Any:
        return scores[:, label, torch.as_tensor(mask)].mean(dim=-1)

    return mean_over_mask


def explain(net: Any, image: Any, label: int, mask: Any, method: str = "gradient") -> Any:
    """Explain one class over one region."""
    model = shisen.wrap(net, output="out", head="none")
    return shisen.explain(model, pixels(image), method, target=over_mask(label, mask))


def trained() -> nn.Module:
    """Return a network that classifies each position as ground (class 0) or one of the three objects (1, 2, 3)."""
    net = Segmenter(4)

    def loss(images: Any, masks: Any, boxes: Any) -> Any:
        wanted = (masks.float() * torch.arange(1, 4)[:, None, None]).sum(1).long()
        return nn.functional.cross_entropy(net(images)["out"], wanted)

    return fit(net, loss)


def main() -> None:
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "tasks")
    net = trained()
    shown, masks, _ = image(np.random.default_rng(5), [0, 1, 2])
    with torch.no_grad():
        predicted = net(torch.tensor(shown).permute(2, 0, 1)[None] / 255)["out"][0].argmax(0).numpy()
    for k, name in enumerate(NAMES, start=1):
        mine, both = predicted == k, (predicted == k) & masks[k - 1]
        print(f"{name}: {both.sum() / max((mine | masks[k - 1]).sum(), 1):.0%} of what is called so or is one, both")
    print(explain(net, shown, 2, predicted == 2).save(out / "segmentation.png"))


if __name__ == "__main__":
    main()
