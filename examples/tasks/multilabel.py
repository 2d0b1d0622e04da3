"""Several labels at once: every label has its own answer, so say head="sigmoid" and ask label by label."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

import shisen

LABELS = ("water", "sky", "tree")


class Tagger(nn.Module):
    """A small network with one independent unit a label."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(8, len(LABELS))

    def forward(self, x: Any) -> Any:
        return self.head(self.body(x))


def explain(
    net: Any, picture: Any, above: float = 0.5, method: str = "gradient", score: str = "logit"
) -> dict[str, Any]:
    """Explain every label whose probability is above a threshold."""
    model = shisen.wrap(net, labels=LABELS, head="sigmoid")
    found = [p.label for p in model.predict(picture, top=len(LABELS)) if p.probability > above]
    return dict(zip(found, shisen.explain(model, picture, method, target=found, score=score), strict=True))
