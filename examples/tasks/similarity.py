"""Embeddings: why are these two pictures alike?

The objective is the cosine similarity of a picture's embedding with that of the other picture:
s(y) = y·e / (|y| |e|), with cotangent (e/|e| − s · y/|y|) / |y|.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

import shisen


class Embedder(nn.Module):
    """A small network that answers a vector a picture."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(8, 6)

    def forward(self, x: Any) -> Any:
        return self.head(self.body(x))


def alike(other: Any) -> Any:
    """Return the objective: cosine similarity with the embedding `other`, `(d,)`."""

    def cotangent(y: Any) -> Any:
        e = torch.as_tensor(other, device=y.device, dtype=y.dtype)
        e = e / e.norm()
        size = y.norm(dim=-1, keepdim=True)
        unit = y / size
        return (e - (unit @ e)[:, None] * unit) / size

    return cotangent


def explain(net: Any, picture: Any, other: Any, method: str = "gradient") -> Any:
    """Explain what in `picture` makes it like `other`."""
    model = shisen.wrap(net, head="none")
    embedding = model.activations(model.prepare(model.read(other))[0][None])[0]
    return shisen.explain(model, picture, method, target=alike(embedding))
