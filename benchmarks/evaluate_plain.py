"""Explanations and their figures as people write them: the network as it is, one image and one step a forward.

Nothing of shisen but the network's weights and the prepared images; torch and NumPy only.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch

ZERO = 127 / 255  # the pixel value that the network sees as zero


class Plain:
    """The network with what a script needs around it.

    Args:
        net: the module, in evaluation mode; its last feature map is `net.head`.
    """

    def __init__(self, net: Any) -> None:
        self.net = net.to(memory_format=torch.contiguous_format)

    def tensor(self, image: Any, grad: bool = False) -> Any:
        """Return one image `(h, w, 3)` as the network's input."""
        scaled = (np.asarray(image, dtype=np.float32) * 255 - 127) / 128
        return torch.from_numpy(scaled.transpose(2, 0, 1)[None].astype(np.float32)).contiguous().requires_grad_(grad)

    def chances(self, image: Any) -> Any:
        """Return the probabilities `(classes,)` of one image."""
        with torch.no_grad():
            return torch.softmax(self.net(self.tensor(image))[0], 0).numpy()

    def map(self, image: Any, index: int, method: str) -> Any:
        """Return a raw map, enlarged to the image."""
        if method in ("gradient", "input_x_gradient", "guided_backprop"):
            return self._pixels(image, index, method)
        kept: list[Any] = []
        hook = self.net.head.register_forward_hook(lambda _m, _i, out: kept.append(out))
        score = self.net(self.tensor(image, grad=True))[0, index]
        hook.remove()
        g = torch.autograd.grad(score, kept[0])[0]
        a = kept[0].detach()
        if method == "grad_cam":
            values = (g.mean((2, 3), keepdim=True) * a).sum(1)
        elif method == "xgrad_cam":
            total = a.sum((2, 3), keepdim=True)
            weights = (g * a).sum((2, 3), keepdim=True) / torch.where(total == 0, 1.0, total)
            values = (weights * a).sum(1)
        elif method == "hires_cam":
            values = (g * a).sum(1)
        elif method == "layer_cam":
            values = (g.relu() * a).sum(1)
        else:
            below = 2 * g**2 + a.sum((2, 3), keepdim=True) * g**3
            fraction = torch.where(below != 0, g**2 / torch.where(below == 0, 1.0, below), 0.0)
            values = ((fraction * g.relu()).sum((2, 3), keepdim=True) * a).sum(1)
        sides = np.asarray(image).shape[:2]
        return torch.nn.functional.interpolate(values.relu()[None], sides, mode="bilinear")[0, 0].numpy()

    def _pixels(self, image: Any, index: int, method: str) -> Any:
        hooks = []
        if method == "guided_backprop":
            for module in self.net.modules():
                if isinstance(module, torch.nn.ReLU6):
                    hooks.append(module.register_full_backward_hook(lambda _m, got, _out: (got[0].relu(),)))
        x = self.tensor(image, grad=True)
        self.net(x)[0, index].backward()
        for hook in hooks:
            hook.remove()
        g = x.grad[0].numpy().transpose(1, 2, 0) * (255 / 128)  # by the pixel, not by the scaled one
        if method == "input_x_gradient":
            return (np.asarray(image) * g).sum(2)
        return np.abs(g).max(2)

    def deletion(self, image: Any, index: int, heat: Any, steps: int) -> float:
        """Return the area under the probability while pixels become the network's zero."""
        return self._area(image, np.full_like(image, ZERO), index, heat, steps)

    def insertion(self, image: Any, blurred: Any, index: int, heat: Any, steps: int) -> float:
        """Return the area under the probability while pixels come back into the blurred image."""
        return self._area(blurred, image, index, heat, steps)

    def _area(self, start: Any, end: Any, index: int, heat: Any, steps: int) -> float:
        order = np.argsort(-heat.ravel(), kind="stable")
        shown, put = start.reshape(-1, 3).copy(), end.reshape(-1, 3)
        values = [self.chances(start)[index]]
        for a, b in pairwise(np.floor(np.arange(steps + 1) * len(order) / steps + 0.5).astype(int)):
            shown[order[a:b]] = put[order[a:b]]
            values.append(self.chances(shown.reshape(start.shape))[index])
        return float(np.mean([(u + v) / 2 for u, v in pairwise(values)]))

    def adcc(self, image: Any, index: int, heat: Any, method: str, chance: float) -> float:
        """Return the harmonic mean of coherency, lack of complexity and kept probability, in per cent."""
        mask = scaled(heat)
        through = (mask[:, :, None] * image + (1 - mask[:, :, None]) * np.float32(ZERO)).astype(np.float32)
        drop = max(0.0, chance - self.chances(through)[index]) / chance
        other = scaled(self.map(through, index, method))
        likeness = (1 + np.corrcoef(mask.ravel(), other.ravel())[0, 1]) / 2
        return float(100 * 3 / (1 / likeness + 1 / (1 - mask.mean()) + 1 / (1 - drop)))


def scaled(heat: Any) -> Any:
    """Return the positive part, min–max scaled."""
    positive = np.maximum(heat, 0)
    return (positive - positive.min()) / (positive.max() - positive.min())


def figures(
    plain: Plain, image: Any, blurred: Any, index: int, methods: Sequence[str], steps: int
) -> dict[tuple[str, str], float]:
    """Return (method, metric) → figure of one image, each map made once."""
    chance = float(plain.chances(image)[index])
    found = {}
    for method in methods:
        heat = plain.map(image, index, method)
        found[method, "deletion"] = plain.deletion(image, index, heat, steps)
        found[method, "insertion"] = plain.insertion(image, blurred, index, heat, steps)
        found[method, "adcc"] = plain.adcc(image, index, heat, method, chance)
    return found
