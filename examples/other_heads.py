"""Segmentation, regression and detection heads, explained through a score: a function of the network's output.

A score function takes the output, `(n, ...)`, and returns one number per row. It computes with the arrays of the
network's framework, which differentiates it.

python examples/other_heads.py
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

import shisen


class Segmenter(nn.Module):
    """Two maps of logits, "red" and "blue", one value per pixel: the saturation of a color."""

    def __init__(self) -> None:
        super().__init__()
        self.color, self.act = nn.Conv2d(3, 2, 1), nn.ReLU()
        self.smooth = nn.Conv2d(2, 2, 5, padding=2, groups=2, bias=False)
        with torch.no_grad():
            self.color.weight.copy_(torch.tensor([[1.0, -1, -1], [-1, -1, 1]])[..., None, None])
            self.color.bias.zero_()
            self.smooth.weight.fill_(1 / 25)

    def forward(self, x: Any) -> Any:
        return self.smooth(self.act(self.color(x)))


class Gauge(nn.Module):
    """One number: how much brighter the left half is than the right one."""

    def __init__(self) -> None:
        super().__init__()
        self.gray, self.act = nn.Conv2d(3, 1, 1, bias=False), nn.ReLU()
        with torch.no_grad():
            self.gray.weight.fill_(1 / 3)

    def forward(self, x: Any) -> Any:
        gray = self.act(self.gray(x))
        half = gray.shape[-1] // 2
        return (gray[..., :half].mean(dim=(1, 2, 3)) - gray[..., half:].mean(dim=(1, 2, 3)))[:, None]


class Detector(nn.Module):
    """One box per cell of a 4 × 4 grid: its corners and the scores for red and blue."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.pool = Segmenter(), nn.AdaptiveMaxPool2d(4)

    def forward(self, x: Any) -> Any:
        scores = self.pool(self.body(x)).flatten(2).transpose(1, 2)  # (n, 16, 2)
        corner = torch.stack(torch.meshgrid(torch.arange(4), torch.arange(4), indexing="ij"), dim=-1).reshape(1, 16, 2)
        boxes = torch.cat([corner, corner + 1], dim=-1).float() / 4
        return {"boxes": boxes.expand(len(x), -1, -1), "scores": scores}


def scene() -> np.ndarray[Any, Any]:
    """Return a gray image with a red square at the upper left and a blue one at the lower right."""
    image = np.full((32, 48, 3), 0.4, np.float32)
    image[4:12, 6:14] = (1.0, 0.1, 0.1)
    image[20:28, 34:42] = (0.1, 0.1, 1.0)
    return image


def region_of(label: int) -> Any:
    """Why are these pixels this class? The mean logit of the class over the pixels where it wins."""

    def mean_logit(logits: Any) -> Any:  # (n, classes, h, w)
        wins = (logits.argmax(dim=1) == label) & (logits[:, label] > 0.1)
        return (logits[:, label] * wins).sum(dim=(1, 2)) / wins.sum(dim=(1, 2)).clamp(min=1)

    return mean_logit


def box_of(box: int, label: int) -> Any:
    """Why does this box hold this class? One score of one box."""
    return lambda scores: scores[:, box, label]  # (n, boxes, classes)


def explanations() -> dict[str, Any]:
    """Return one explanation for each kind of head."""
    segmenter = shisen.wrap(Segmenter(), head="none")
    gauge = shisen.wrap(Gauge(), head="none")  # one number that is not a probability
    detector = shisen.wrap(Detector(), output="scores", head="none")  # the output to explain
    image = scene()
    return {
        "segmentation, blue region": shisen.explain(segmenter, image, "hires_cam", target=region_of(1), layer="act"),
        "regression, brightness": shisen.explain(gauge, image, "occlusion", target=0, window=8, baseline="black"),
        "detection, red box": shisen.explain(detector, image, "input_x_gradient", target=box_of(0, 0)),
    }


if __name__ == "__main__":
    for name, found in explanations().items():
        values = np.abs(found.values if found.values.ndim == 2 else found.values.sum(axis=-1))
        row, column = np.unravel_index(values.argmax(), values.shape)
        print(f"{name}: {found.unit}, strongest at row {row}, column {column} of {values.shape}")
