"""Object detection: which pixels contribute to the score of one box?

    python examples/tasks/detection.py [FOLDER]

A detector returns many boxes with scores. `output=` selects the scores, and the objective is one of them. Explain a
detector before non-maximum suppression: suppressed boxes have no gradient.
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


class Detector(nn.Module):
    """A small one-stage detector: for every cell of a grid one box and its score."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        layers: list[nn.Module] = [nn.Conv2d(3, 16, 4, stride=4), nn.ReLU()]
        for _ in range(3):  # each cell sees three more cells to every side
            layers += [nn.Conv2d(16, 16, 3, padding=1), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.score = nn.Conv2d(16, 1, 1)
        self.box = nn.Conv2d(16, 4, 1)

    def forward(self, x: Any) -> dict[str, Any]:
        maps = self.body(x)
        return {"scores": self.score(maps).flatten(1), "boxes": self.box(maps).flatten(2).transpose(1, 2)}


def explain(net: Any, image: Any, box: int, method: str = "gradient") -> Any:
    """Explain the score of the box with this number."""
    model = shisen.wrap(net, output="scores", head="none")
    return shisen.explain(model, pixels(image), method, target=box)


def explain_side(net: Any, image: Any, box: int, side: int, method: str = "gradient") -> Any:
    """Explain the position of one side of a box: `side` 0 to 3 in the detector's own order."""
    model = shisen.wrap(net, output=lambda found: found["boxes"][:, box], head="none")
    return shisen.explain(model, pixels(image), method, target=side)


def trained() -> nn.Module:
    """Return a detector of squares: in the cell of a square's center, the score and the sides of its box."""
    net = Detector()

    def loss(images: Any, masks: Any, boxes: Any) -> Any:
        found, box = net(images), boxes[:, 1]
        there = masks[:, 1].flatten(1).any(1)
        middle = ((box[:, :2] + box[:, 2:]) / 8).long()  # cells are of 4 × 4 pixels
        cell = middle[:, 1] * (images.shape[-1] // 4) + middle[:, 0]
        wanted = torch.zeros_like(found["scores"])
        wanted[there, cell[there]] = 1.0
        weight = torch.full_like(wanted, 0.05).masked_fill(wanted > 0, 5.0)
        score = nn.functional.binary_cross_entropy_with_logits(found["scores"], wanted, weight)
        return score + 0.1 * (found["boxes"][there, cell[there]] - box[there] / images.shape[-1]).abs().mean()

    return fit(net, loss, steps=300)


def main() -> None:
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "tasks")
    net = trained()
    shown, _, boxes = image(np.random.default_rng(5), [0, 1, 2])
    model = shisen.wrap(net, output="scores", head="none")
    best = int(np.asarray(model.activations(model.prepare(model.read(shown))[0][None])).argmax())
    row, column = divmod(best, shown.shape[1] // 4)
    box = boxes[1].astype(int).tolist()
    print(f"The {NAMES[1]} lies at {box}; the best cell has its middle at ({4 * column + 2}, {4 * row + 2})")
    print(explain(net, shown, best, "smooth_grad").save(out / "detection.png"))
    print(explain_side(net, shown, best, 0, "smooth_grad").save(out / "detection_left_side.png"))


if __name__ == "__main__":
    main()
