"""How many images a torch network takes at a time, and of which size it probably is."""

from __future__ import annotations

from typing import Any

import torch


def initial_batch_size(device: str, size: tuple[int, int, int]) -> int:
    """Return how many images to send at a time.

    On a processor, feature maps beyond some 30 MB are mapped anew for every layer, and a batch of 32 images of
    224 × 224 takes twice as long as eight batches of 4 (benchmarks/batch_size.py).
    """
    return 32 if device != "cpu" else max(2, min(32, 4 * 224**2 // (size[0] * size[1])))


def guess_size(net: Any) -> tuple[int, int, int]:
    """Guess an input `(h, w, c)` for a network that was wrapped without saying what it takes."""
    for module in net.modules():
        if isinstance(module, torch.nn.Conv2d):
            return (224, 224, module.in_channels)
    return (224, 224, 3)
