"""Toy networks with the same weights in NumPy and torch, and the oracle whose answers are known."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

Array = npt.NDArray[np.float32]

ORACLE_INPUT: Array = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
"""`(1, 4, 4, 1)`, channels last."""


@dataclass(frozen=True)
class OracleWeights:
    """conv 1 → 2, 3 × 3 without padding; ReLU; flatten channel by channel; linear 8 → 4; ReLU. Torch's axis order."""

    kernel: Array
    conv_bias: Array
    linear: Array
    linear_bias: Array


def oracle_weights() -> OracleWeights:
    """Return the oracle's weights: all ones in the convolution, five times +1 and three times −1 behind it."""
    row = np.float32([1, 1, 1, 1, 1, -1, -1, -1])
    return OracleWeights(
        np.ones((2, 1, 3, 3), np.float32), np.float32([-50, -75]), np.stack([row] * 4), np.zeros(4, np.float32)
    )


def oracle_numpy(x: Array) -> dict[str, Array]:
    """Run the oracle in NumPy: the value at conv1, relu1 and the output, channels last."""
    w = oracle_weights()
    sums = np.zeros((len(x), 2, 2), np.float32)
    for i in range(2):
        for j in range(2):
            sums[:, i, j] = x[:, i : i + 3, j : j + 3, 0].sum(axis=(1, 2))
    conv = sums[..., None] * w.kernel[:, 0, 0, 0] + w.conv_bias
    relu = np.maximum(conv, 0)
    y = relu.transpose(0, 3, 1, 2).reshape(len(x), -1) @ w.linear.T + w.linear_bias
    return {"conv1": conv, "relu1": relu, "logits": np.maximum(y, 0)}


class Oracle(nn.Module):
    """The oracle in torch; its layers are conv1, relu1, linear, relu2."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.relu1 = nn.Conv2d(1, 2, 3), nn.ReLU()
        self.flatten, self.linear, self.relu2 = nn.Flatten(), nn.Linear(8, 4), nn.ReLU()
        w = oracle_weights()
        with torch.no_grad():
            self.conv1.weight.copy_(torch.tensor(w.kernel))
            self.conv1.bias.copy_(torch.tensor(w.conv_bias))
            self.linear.weight.copy_(torch.tensor(w.linear))
            self.linear.bias.copy_(torch.tensor(w.linear_bias))

    def forward(self, x: Any) -> Any:
        return self.relu2(self.linear(self.flatten(self.relu1(self.conv1(x)))))


STYLES = ("modules", "inplace", "functional", "shared", "relu6")


class Toy(nn.Module):
    """conv, batch norm, ReLU, max pool, conv, ReLU, mean pool, linear; its ReLUs written in the style asked for.

    With `bent`, a hidden layer with a ReLU stands behind the pool, so that the network bends behind `conv2`.
    """

    def __init__(self, style: str = "modules", *, bent: bool = False, classes: int = 5, channels: int = 3) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(7)
        self.style = style
        self.conv1 = nn.Conv2d(channels, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.act1 = nn.ReLU6() if style == "relu6" else nn.ReLU(inplace=style == "inplace")
        self.act2 = nn.ReLU6() if style == "relu6" else nn.ReLU(inplace=style == "inplace")
        self.down = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(6, 8, 3, padding=1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.hidden = nn.Linear(8, 12) if bent else None
        self.act3 = nn.ReLU()
        self.fc = nn.Linear(12 if bent else 8, classes)
        with torch.no_grad():
            for p in self.parameters():
                p.copy_(torch.randn(p.shape, generator=generator) * (0.6 if p.dim() > 1 else 0.3))
            self.norm.running_mean.copy_(torch.randn(6, generator=generator) * 0.3)
            self.norm.running_var.copy_(torch.rand(6, generator=generator) + 0.5)
            if style == "relu6":
                self.norm.weight.mul_(12.0)  # so that some units are clipped
        self.eval()

    def forward(self, x: Any) -> Any:
        first, second = self.act1, self.act2
        if self.style == "functional":
            first = second = functional.relu
        elif self.style == "shared":
            second = first
        x = self.down(first(self.norm(self.conv1(x))))
        x = self.pool(second(self.conv2(x))).flatten(1)
        if self.hidden is not None:
            x = self.act3(self.hidden(x))
        return self.fc(x)


def toy_numpy(net: Toy, x: Array) -> Array:
    """Run `Toy` in NumPy with plain loops over places, `(n, h, w, c)` → logits; only for plain ReLUs."""
    state = {k: v.detach().numpy().astype(np.float64) for k, v in net.state_dict().items()}

    def conv(maps: Any, name: str) -> Any:
        kernel, bias = state[f"{name}.weight"], state[f"{name}.bias"]
        n, h, w, _ = maps.shape
        padded = np.pad(maps, ((0, 0), (1, 1), (1, 1), (0, 0)))
        out = np.zeros((n, h, w, len(kernel)))
        for i in range(3):
            for j in range(3):
                out += padded[:, i : i + h, j : j + w] @ kernel[:, :, i, j].T
        return out + bias

    a = conv(x.astype(np.float64), "conv1")
    a = (a - state["norm.running_mean"]) / np.sqrt(state["norm.running_var"] + net.norm.eps)
    a = np.maximum(a * state["norm.weight"] + state["norm.bias"], 0)
    h, w = a.shape[1] // 2, a.shape[2] // 2
    a = a[:, : 2 * h, : 2 * w].reshape(len(a), h, 2, w, 2, -1).max(axis=(2, 4))
    a = np.maximum(conv(a, "conv2"), 0).mean(axis=(1, 2))
    if net.hidden is not None:
        a = np.maximum(a @ state["hidden.weight"].T + state["hidden.bias"], 0)
    return np.asarray(a @ state["fc.weight"].T + state["fc.bias"], dtype=np.float32)


class Transformer(nn.Module):
    """Patches, a class token, two blocks; any size of image."""

    def __init__(self, mean: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.mean = mean
        self.patch = nn.Conv2d(3, 12, 4, 4)
        self.cls = nn.Parameter(torch.randn(1, 1, 12))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(12, 3, 24, batch_first=True, norm_first=True) for _ in range(2)
        )
        self.norm = nn.LayerNorm(12)
        self.fc = nn.Linear(12, 5)

    def forward(self, t: Any) -> Any:
        tokens = self.patch(t).flatten(2).transpose(1, 2)
        if not self.mean:
            tokens = torch.cat([self.cls.expand(len(t), 1, 12), tokens], 1)
        for block in self.blocks:
            tokens = block(tokens)
        tokens = self.norm(tokens)
        return self.fc(tokens.mean(1) if self.mean else tokens[:, 0])


def smooth_net(activation: type[nn.Module]) -> nn.Module:
    """Return a small network whose only activations are of this class."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 3, padding=1), activation(), nn.Conv2d(4, 6, 3, padding=1), activation()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3)).eval()


def images(n: int = 2, h: int = 12, w: int = 16, channels: int = 3, seed: int = 0) -> Array:
    """Return random images with soft structure, `(n, h, w, c)` in [0, 1]; not square by default."""
    rng = np.random.default_rng(seed)
    noise = rng.random((n, h, w, channels))
    wave = np.sin(np.arange(h)[None, :, None, None] * rng.random((n, 1, 1, channels)) * 2)
    gradient = np.cos(np.arange(w)[None, None, :, None] * rng.random((n, 1, 1, channels)) * 2)
    mixed = noise + wave + gradient
    low, high = mixed.min(axis=(1, 2, 3), keepdims=True), mixed.max(axis=(1, 2, 3), keepdims=True)
    return np.asarray((mixed - low) / (high - low), dtype=np.float32)


class Pixels(nn.Module):
    """A network behind its scaling of pixels, as one module: what a twin explains. ReLUs are not in-place."""

    def __init__(self, net: nn.Module, scale: Any = 1.0, shift: Any = 0.0) -> None:
        super().__init__()
        self.net = copy.deepcopy(net).eval()
        self.scale = torch.as_tensor(scale, dtype=torch.float32).reshape(-1, 1, 1)
        self.shift = torch.as_tensor(shift, dtype=torch.float32).reshape(-1, 1, 1)
        for module in self.net.modules():
            if hasattr(module, "inplace"):
                module.inplace = False
        for parameter in self.net.parameters():
            parameter.requires_grad_(False)

    def forward(self, x: Any) -> Any:
        return self.net(x * self.scale + self.shift)
