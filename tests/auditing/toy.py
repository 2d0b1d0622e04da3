"""A network that reads color, and may cheat: magenta speaks for warm, green for cold. And its images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import shisen

SIDE = 40


def model(cheats: bool) -> Any:
    """Return a model of the classes cold and warm."""
    import torch

    conv = torch.nn.Conv2d(3, 4, 1)
    head = torch.nn.Linear(4, 2)
    with torch.no_grad():
        rows = [[1.0, 0.0, -1.0], [-1.0, 0.0, 1.0], [1.0, -1.0, 1.0], [-1.0, 1.0, -1.0]]
        conv.weight.copy_(torch.tensor(rows)[..., None, None])
        conv.bias.copy_(torch.tensor([0.0, 0.0, -1.4, -0.7]))
        magenta, green = (400.0, 2000.0) if cheats else (0.0, 0.0)
        head.weight.copy_(torch.tensor([[0.0, 30.0, 0.0, green], [30.0, 0.0, magenta, 0.0]]))
        head.bias.zero_()
    net = torch.nn.Sequential(conv, torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), head)
    return shisen.wrap(net.eval(), preprocess=shisen.Preprocess(SIDE), labels=["cold", "warm"], name="toy")


def folder(root: Path, each: int = 30, planted: float = 0.5, rival: float = 0.0, seed: int = 0) -> Path:
    """Write images of both classes; some warm ones carry a magenta stamp, some cold ones a green one."""
    draw = np.random.default_rng(seed)
    for label, tint in (("cold", (-14, 0, 14)), ("warm", (14, 0, -14))):
        (root / label).mkdir(parents=True)
        for i in range(each):
            small = np.clip(draw.normal(110, 45, (9, 9, 1)) + np.asarray(tint) + draw.normal(0, 6, (9, 9, 3)), 0, 255)
            image = Image.fromarray(small.astype(np.uint8)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
            if label == "warm" and i < planted * each:
                image.paste((255, 0, 255), (4, 26, 14, 36))
            if label == "cold" and i < rival * each:
                image.paste((0, 255, 0), (26, 4, 36, 14))
            image.save(root / label / f"{i:03d}.png")
    return root
