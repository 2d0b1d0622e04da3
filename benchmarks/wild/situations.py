"""A situation is a function that checks the right value, or that asks for what must be refused."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

import shisen

Check = Callable[[Path], Any]


@dataclass(frozen=True)
class Situation:
    """One line of the table.

    Attributes:
        kind: what the situation is about, such as "channels".
        words: what somebody brings.
        check: does it in an empty folder; raises AssertionError for a wrong value.
        refused: whether the right answer is a refusal.
        open: why it does not work yet; "" where it must.
    """

    kind: str
    words: str
    check: Check
    refused: bool = False
    open: str = ""


SITUATIONS: list[Situation] = []


def works(kind: str, words: str, *, open: str = "") -> Callable[[Check], Check]:
    """Register a situation in which the right value must come out."""

    def register(check: Check) -> Check:
        SITUATIONS.append(Situation(kind, words, check, open=open))
        return check

    return register


def refused(kind: str, words: str, *, open: str = "") -> Callable[[Check], Check]:
    """Register a situation that must end in one sentence of ours."""

    def register(check: Check) -> Check:
        SITUATIONS.append(Situation(kind, words, check, refused=True, open=open))
        return check

    return register


def outcome(situation: Situation, folder: Path) -> tuple[bool, str]:
    """Return whether a situation ends as it must, and what happened in a line."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            situation.check(folder)
    except shisen.ShisenError as error:
        return situation.refused, f"refused: {' '.join(str(error).split())}"
    except AssertionError as error:
        return False, f"WRONG VALUE: {' '.join(str(error).split())[:160]}"
    except Exception as error:
        return False, f"RAW ERROR: {type(error).__name__}: {' '.join(str(error).split())[:160]}"
    return not situation.refused, "NOT REFUSED" if situation.refused else "works with the right value"


# ---- what situations share


def close(found: Any, expected: Any, tolerance: float = 1e-5) -> None:
    """Raise unless two arrays are equal up to rounding, relative to the largest value."""
    a, b = np.asarray(shisen.targets.to_numpy(found), np.float64), np.asarray(expected, np.float64)
    assert a.shape == b.shape, f"shape {a.shape} instead of {b.shape}"
    gap = np.abs(a - b).max()
    assert gap <= tolerance * max(1e-12, np.abs(b).max()), f"differs by {gap:.3g} of {np.abs(b).max():.3g}"


def noise(*shape: int, seed: int = 0) -> Any:
    """Return random float32 pixels in [0, 1]."""
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


def conv_net(channels: int = 3, classes: int = 3) -> nn.Sequential:
    """Return a small convolutional network in evaluation mode."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3), nn.ReLU(), nn.Conv2d(4, 6, 3), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, classes),
    ).eval()  # fmt: skip


class LeNet(nn.Module):
    """The classic network with `x.view` on feature maps, for one size of input."""

    def __init__(self, channels: int = 1, side: int = 28) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv1, self.conv2 = nn.Conv2d(channels, 6, 5), nn.Conv2d(6, 8, 3)
        self.flat = 8 * ((side - 4) // 2 - 2) ** 2
        self.fc = nn.Linear(self.flat, 10)

    def forward(self, x: Any) -> Any:
        x = nn.functional.max_pool2d(self.conv1(x).relu(), 2)
        x = self.conv2(x).relu()
        return self.fc(x.view(x.size(0), -1))


def tensor(pixels: Any) -> Any:
    """Return `(h, w, c)` pixels as a torch batch of one."""
    return torch.as_tensor(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None].float()


def logits(net: Any, pixels: Any) -> Any:
    """Return what plain torch answers."""
    with torch.no_grad():
        return net(tensor(pixels))[0].numpy()


def gradient(net: Any, pixels: Any, score: Callable[[Any], Any]) -> Any:
    """Return the gradient of a score by the pixels, by plain torch, `(h, w, c)`."""
    x = tensor(pixels).requires_grad_()
    score(net(x)).backward()
    assert x.grad is not None
    return x.grad[0].permute(1, 2, 0).numpy()


def agrees(model: Any, net: Any, pixels: Any, target: int = 1) -> None:
    """Raise unless logits and the gradient map of a wrapped network are those of plain torch."""
    close(model.activations(pixels[None])[0], logits(net, pixels))
    found = shisen.explain(model, pixels, "gradient", target=target)
    close(found.values, gradient(net, pixels, lambda y: y[0, target]), 1e-4)


def photo(folder: Path, name: str = "photo.png", size: tuple[int, int] = (40, 32)) -> Path:
    """Write a random color image and return its path."""
    pixels = np.random.default_rng(3).integers(0, 256, (*size, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(folder / name)
    return folder / name
