"""Training images for the examples: red discs, green squares and blue triangles on a gray, noisy background."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn

SIDE = 96
NAMES = ("disc", "square", "triangle")
COLORS = ((200, 60, 60), (60, 170, 60), (70, 70, 210))


def pixels(image: Any) -> Any:
    """Return what the networks here are trained on: an array of bytes as numbers from 0 to 1, others as they are."""
    return np.asarray(image, np.float32) / 255 if getattr(image, "dtype", None) == np.uint8 else image


def image(draw: np.random.Generator, kinds: list[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return an image with one object of each of these kinds, in thirds of its width from left to right.

    Returns:
        The image `(SIDE, SIDE, 3)`, uint8; the masks `(3, SIDE, SIDE)` of the kinds; their boxes `(3, 4)` as left,
        top, right, bottom, zero where there is none.
    """
    ground = np.clip(draw.normal(120, 25, (SIDE // 4, SIDE // 4, 1)) + np.zeros(3), 0, 255).astype(np.uint8)
    image = Image.fromarray(ground).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    masks, boxes = np.zeros((3, SIDE, SIDE), bool), np.zeros((3, 4), np.float32)
    for third, kind in enumerate(draw.permutation(kinds)):
        size = int(draw.integers(18, 29))
        left = third * SIDE // 3 + int(draw.integers(0, SIDE // 3 - size + 1))
        top = int(draw.integers(0, SIDE - size))
        box = (left, top, left + size - 1, top + size - 1)
        mask = Image.new("L", (SIDE, SIDE))
        pen = ImageDraw.Draw(mask)
        if kind == 0:
            pen.ellipse(box, fill=255)
        elif kind == 1:
            pen.rectangle(box, fill=255)
        else:
            pen.polygon([(left, box[3]), (box[2], box[3]), (left + size // 2, top)], fill=255)
        shade = np.clip(np.asarray(COLORS[kind]) + draw.normal(0, 25, 3), 0, 255).astype(int)
        image.paste(tuple(int(c) for c in shade), mask=mask)
        masks[kind], boxes[kind] = np.asarray(mask) > 0, box
    noisy = np.clip(np.asarray(image) + draw.normal(0, 10, (SIDE, SIDE, 3)), 0, 255)
    return noisy.astype(np.uint8), masks, boxes


def some(draw: np.random.Generator, n: int) -> tuple[Any, Any, Any]:
    """Return `n` images with one to three objects: `(n, 3, h, w)` in [0, 1], masks and boxes."""
    kinds = [[k for k in range(3) if draw.random() < 0.6] or [int(draw.integers(3))] for _ in range(n)]
    images, masks, boxes = zip(*(image(draw, k) for k in kinds), strict=True)
    images = torch.tensor(np.stack(images)).permute(0, 3, 1, 2).float() / 255
    return images, torch.tensor(np.stack(masks)), torch.tensor(np.stack(boxes))


def fit(net: nn.Module, loss: Callable[[Any, Any, Any], Any], steps: int = 150, rate: float = 1e-2) -> nn.Module:
    """Train a network for a few seconds on new images in every step to minimize `loss(images, masks, boxes)`."""
    draw = np.random.default_rng(0)
    torch.manual_seed(0)
    best = torch.optim.Adam(net.parameters(), lr=rate)
    for _ in range(steps):
        best.zero_grad()
        loss(*some(draw, 16)).backward()
        best.step()
    return net.eval()
