"""Regression: which pixels increase the output? A network with one output is not a classifier: pass head="none".

python examples/tasks/regression.py [FOLDER]
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import shisen
from shapes import fit, image, pixels


class Regressor(nn.Module):
    """A small network with one output per image."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(
            nn.Conv2d(3, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU(),
            nn.Conv2d(12, 12, 1), nn.BatchNorm2d(12), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        )  # fmt: skip
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(12, 1))

    def forward(self, x: Any) -> Any:
        return self.head(self.body(x))


def explain(net: Any, image: Any, method: str = "integrated_gradients", **options: Any) -> Any:
    """Explain the output; with integrated gradients the map sums to the output minus that for a black image."""
    model = shisen.wrap(net, head="none")
    return shisen.explain(model, pixels(image), method, target=0, **options)


def trained() -> nn.Module:
    """Return a network that predicts the percentage of an image covered by the disc."""
    net = Regressor()

    def loss(images: Any, masks: Any, boxes: Any) -> Any:
        wanted = 100 * masks[:, 0].flatten(1).float().mean(1, keepdim=True)
        return nn.functional.mse_loss(net(images), wanted)

    return fit(net, loss, steps=300)


def main() -> None:
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "tasks")
    net = trained()
    shown, masks, _ = image(np.random.default_rng(5), [0, 1, 2])
    with torch.no_grad():
        answer = float(net(torch.tensor(shown).permute(2, 0, 1)[None] / 255))
    print(f"The disc covers {100 * masks[0].mean():.1f} % of the image; the network says {answer:.1f} %")
    print(explain(net, shown).save(out / "regression.png"))


if __name__ == "__main__":
    main()
