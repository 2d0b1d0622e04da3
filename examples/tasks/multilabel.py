"""Several labels at once: the outputs are independent, so pass head="sigmoid" and explain each label separately.

python examples/tasks/multilabel.py [FOLDER]
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

LABELS = NAMES


class Tagger(nn.Module):
    """A small network with one independent unit per label."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(
            nn.Conv2d(3, 12, 5, padding=2), nn.BatchNorm2d(12), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(12, 16, 5, padding=2), nn.BatchNorm2d(16), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(16, len(LABELS)))

    def forward(self, x: Any) -> Any:
        return self.head(self.body(x))


def explain(net: Any, image: Any, above: float = 0.5, method: str = "gradient", score: str = "logit") -> dict[str, Any]:
    """Explain every label whose probability is above a threshold."""
    model = shisen.wrap(net, labels=LABELS, head="sigmoid")
    found = [p.label for p in model.predict(pixels(image), top=len(LABELS)) if p.probability > above]
    return dict(zip(found, shisen.explain(model, pixels(image), method, target=found, score=score), strict=True))


def trained() -> nn.Module:
    """Return a network that predicts which objects are in an image."""
    net = Tagger()

    def loss(images: Any, masks: Any, boxes: Any) -> Any:
        return nn.functional.binary_cross_entropy_with_logits(net(images), masks.flatten(2).any(2).float())

    return fit(net, loss, steps=150)


def main() -> None:
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "tasks")
    shown, _, _ = image(np.random.default_rng(5), [0, 2])
    for label, found in explain(trained(), shown, method="layer_cam").items():
        print(f"{label}: {found.save(out / f'multilabel_{label}.png')}")


if __name__ == "__main__":
    main()
