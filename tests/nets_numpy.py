"""A framework of our own, NumPy, and its adapter: what a new framework has to fill in, as small as it gets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from shisen.adapters.base import Adapter
from shisen.adapters.layout import Layout
from shisen.adapters.points import Call, PointTable, default_call, default_candidates
from shisen.adapters.trace import Trace, head_of

Array = npt.NDArray[np.float32]


class NumpyNet:
    """A 1 × 1 convolution "features" with a ReLU, the mean over positions, and a linear layer; channels last."""

    def __init__(self, seed: int = 0, channels: int = 6, classes: int = 4) -> None:
        rng = np.random.default_rng(seed)
        self.mix = rng.standard_normal((3, channels)).astype(np.float32)
        self.read = rng.standard_normal((channels, classes)).astype(np.float32)

    def features(self, x: Array) -> Array:
        return np.maximum(x @ self.mix, 0)

    def answer(self, features: Array) -> Array:
        return np.asarray(features.mean(axis=(1, 2)) @ self.read)

    def torch(self) -> nn.Module:
        """Return the same network in torch; its features are layer "1"."""
        conv, linear = nn.Conv2d(3, self.mix.shape[1], 1, bias=False), nn.Linear(*self.read.shape, bias=False)
        with torch.no_grad():
            conv.weight.copy_(torch.tensor(self.mix.T[:, :, None, None]))
            linear.weight.copy_(torch.tensor(self.read.T))
        return nn.Sequential(conv, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear).eval()


class NumpyClassifier(Adapter):
    """The adapter of `NumpyNet`."""

    framework = "numpy"

    def to_tensor(self, images: Any) -> Array:
        return np.asarray(images, np.float32)

    def to_array(self, tensor: Any) -> Array:
        return np.asarray(tensor, np.float32)

    def repeated(self, x: Array, count: int) -> Array:
        return np.repeat(x, count, axis=0)

    def record(self, x: Array) -> Trace:
        a = self.net.features(x)
        y = self.net.answer(a)
        calls = (
            Call("features", "features", 1, "Conv", a.shape, Layout("channels_last"), self.net.mix.size, 1),
            Call("read", "read", 1, "Linear", y.shape, Layout("plain"), self.net.read.size, 2),
        )
        return Trace(
            PointTable(calls), *default_call(default_candidates(calls, 2)), "", head_of(y.shape, ""), y[0].shape
        )

    def forward(self, x: Array, points: Sequence[str], values: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        table = self.trace(x).points
        given = {table.find(p).path: v for p, v in (values or {}).items()}
        a = given.get("features")
        a = self.net.features(x) if a is None else a
        found = {"features": a, "logits": self.net.answer(a)}
        return {p: found[p if p == "logits" else table.find(p).path] for p in points}

    def differentiate(
        self, x: Array, objectives: Sequence[Any], at: str, wrt: Sequence[str]
    ) -> tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]:
        a = self.net.features(x)
        rows = []
        for objective in objectives:
            at_features = (objective(self.net.answer(a)) @ self.net.read.T)[:, None, None] / a[0, ..., 0].size
            at_features = np.broadcast_to(at_features, a.shape)
            rows.append({"features": at_features, "input": (at_features * (a > 0)) @ self.net.mix.T})
        return {"features": a, "input": x}, rows
