"""Embeddings: why are these two images similar?

    python examples/tasks/similarity.py [FOLDER]

The target is a score function: the cosine similarity of an image's embedding with that of the other image.
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


class Embedder(nn.Module):
    """A small network with a vector as output."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(
            nn.Conv2d(3, 12, 5, padding=2), nn.BatchNorm2d(12), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(12, 16, 5, padding=2), nn.BatchNorm2d(16), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(16, 6))

    def forward(self, x: Any) -> Any:
        return self.head(self.body(x))


def alike(other: Any) -> Any:
    """Return the score: cosine similarity with the embedding `other`, `(d,)`."""

    def cosine_similarity(y: Any) -> Any:
        return nn.functional.cosine_similarity(y, torch.as_tensor(other, device=y.device, dtype=y.dtype), dim=-1)

    return cosine_similarity


def explain(net: Any, image: Any, other: Any, method: str = "gradient") -> Any:
    """Explain what makes `image` similar to `other`."""
    model = shisen.wrap(net, head="none")
    embedding = model.activations(model.prepare(model.read(pixels(other)))[0][None])[0]
    return shisen.explain(model, pixels(image), method, target=alike(embedding))


def trained() -> nn.Module:
    """Return a network whose embeddings are more similar the more objects two images have in common."""
    net = Embedder()

    def loss(images: Any, masks: Any, boxes: Any) -> Any:
        there = nn.functional.normalize(masks.flatten(2).any(2).float(), dim=1)
        seen = nn.functional.normalize(net(images), dim=1)
        return ((seen @ seen.T - there @ there.T) ** 2).mean()

    return fit(net, loss, steps=200)


def main() -> None:
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "tasks")
    net, draw = trained(), np.random.default_rng(5)
    (shown, _, _), *others = (image(draw, kinds) for kinds in ([0, 1, 2], [0], [1], [2]))
    for (other, _, _), name in zip(others, NAMES, strict=True):
        found = explain(net, shown, other, "layer_cam")
        print(f"what is like the image of a {name}: {found.save(out / f'similarity_{name}.png')}")


if __name__ == "__main__":
    main()
