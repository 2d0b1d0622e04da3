"""Which axes of an output are height, width and channels, in networks of tokens and windows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from shisen.adapters.layout import Layout, is_map, token_layout
from shisen.adapters.points import Call
from shisen.adapters.torch.adapter import TorchClassifier
from shisen.adapters.torch.axes import layout_of
from shisen.errors import ModelError
from shisen.targets import ClassObjective


def call(shape: tuple[int, ...], layout: Layout) -> Call:
    return Call("seen", "seen", 1, "Conv2d", shape, layout, 0, 0)


CONV = [call((1, 8, 12, 16), Layout("channels_first"))]


@pytest.mark.parametrize(
    ("module", "shape", "want"),
    [
        (nn.Conv2d(3, 12, 1), (1, 12, 8, 12), Layout("channels_first")),
        (nn.LayerNorm(9), (1, 12, 16, 9), Layout("channels_last")),
        (nn.LayerNorm(9), (1, 6, 8, 9), Layout("channels_last")),  # half of the map before it, as after patch merging
        (nn.LayerNorm(9), (1, 16, 49, 9), Layout("plain")),  # windows × places of a window
        (nn.ReLU(), (1, 12, 16, 9), Layout("channels_last")),
        (nn.ReLU(), (1, 9, 12, 16), Layout("channels_first")),
        (nn.Dropout(), (1, 3, 193, 193), Layout("plain")),  # heads × queries × keys
        (nn.Linear(9, 9), (16, 12, 9), Layout("parts", parts=16)),
        (nn.Linear(9, 9), (1, 192, 9), Layout("tokens", (12, 16), 0)),
        (nn.Linear(9, 9), (1, 193, 9), Layout("tokens", (12, 16), 1)),
        (nn.Linear(9, 9), (1, 197, 9), Layout("tokens", (12, 16), 5)),
        (nn.Linear(9, 9), (193, 1, 9), Layout("sequence", (12, 16), 1)),
        (nn.Linear(9, 9), (1, 48, 9), Layout("tokens", (6, 8), 0)),
        (nn.Linear(9, 9), (1, 50, 9), Layout("plain")),
    ],
)
def test_the_axes_are_told_apart(module: Any, shape: tuple[int, ...], want: Layout) -> None:
    assert layout_of(module, shape, [call((1, 8, 12, 16), Layout("channels_first"))], (48, 64)) == want


def test_without_a_map_the_images_proportions_decide() -> None:
    assert token_layout(4 * 6 + 1, [], (64, 96)) == Layout("tokens", (4, 6), 1)
    assert token_layout(4 * 6 + 5, [], (64, 96)) == Layout("tokens", (4, 6), 5)
    assert is_map((4, 6), [], (64, 96))
    assert not is_map((6, 4), [], (64, 96))


@pytest.mark.parametrize(
    ("layout", "raw"),
    [
        (Layout("channels_first"), (2, 5, 3, 4)),
        (Layout("channels_last"), (2, 3, 4, 5)),
        (Layout("tokens", (3, 4), 2), (2, 14, 5)),
        (Layout("sequence", (3, 4), 2), (14, 2, 5)),
        (Layout("parts", parts=3), (6, 4, 5)),
    ],
)
def test_there_and_back_again(layout: Layout, raw: tuple[int, ...]) -> None:
    value = torch.randn(raw)
    last = layout.last(value)
    one = (3, *raw[1:]) if layout.kind == "parts" else raw
    assert tuple(last.shape) == (2, *layout.shape(one))
    torch.testing.assert_close(layout.back(last, value), value)


class Reader(nn.Module):
    """Two blocks of attention; the answer is read from the class token or from the mean of the patches."""

    def __init__(self, mean: bool, first: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.mean, self.first = mean, first
        self.patch = nn.Conv2d(3, 8, 4, 4)
        self.cls = nn.Parameter(torch.randn(1, 1, 8))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(8, 2, 16, batch_first=not first, norm_first=True) for _ in range(2)
        )
        self.norm = nn.LayerNorm(8)
        self.fc = nn.Linear(8, 3)

    def forward(self, t: Any) -> Any:
        tokens = self.patch(t).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.cls.expand(len(t), 1, 8), tokens], 1)
        if self.first:
            tokens = tokens.transpose(0, 1)
        for block in self.blocks:
            tokens = block(tokens)
        tokens = self.norm(tokens)
        if self.first:
            tokens = tokens.transpose(0, 1)
        return self.fc(tokens[:, 1:].mean(1) if self.mean else tokens[:, 0])


@pytest.mark.parametrize("first", [False, True])
def test_the_default_layer_of_a_class_token_network_is_one_that_the_answer_depends_on(first: bool) -> None:
    model = TorchClassifier(Reader(False, first), size=(12, 16, 3))
    (default,) = [layer for layer in model.layers if layer.default]
    assert default.path == "blocks.1.norm1"
    assert default.shape == (3, 4, 8)
    assert "class token" in default.reason
    x = np.random.default_rng(0).random((2, 12, 16, 3), dtype=np.float32)
    objective = ClassObjective("class", ((1.0, (1,)),))
    with pytest.raises(ModelError, match="must depend on 'norm'"):
        model.gradients(x, objective, wrt="norm")
    assert model.gradients(x, objective, wrt=default.path)[1].abs().amax(dim=(1, 2, 3)).min() > 0


@pytest.mark.parametrize("first", [False, True])
def test_where_all_patches_are_read_the_last_tokens_are_the_default(first: bool) -> None:
    model = TorchClassifier(Reader(True, first), size=(12, 16, 3))
    assert model.default_layer == "norm"


def test_windows_keep_the_batch_apart() -> None:
    class Windows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patch = nn.Conv2d(3, 4, 2, 2)
            self.inner = nn.Linear(4, 4)
            self.fc = nn.Linear(4, 3)

        def forward(self, t: Any) -> Any:
            n = len(t)
            x = self.patch(t).permute(0, 2, 3, 1).reshape(n, 2, 3, 2, 4, 4).transpose(2, 3)
            return self.fc(self.inner(x.reshape(n * 4, 12, 4)).reshape(n, -1, 4).mean(1))

    torch.manual_seed(0)
    model = TorchClassifier(Windows(), size=(12, 16, 3))
    x = np.random.default_rng(0).random((3, 12, 16, 3), dtype=np.float32)
    both = model.activations(x, "inner")
    assert both.shape == (3, 48, 4)
    torch.testing.assert_close(both[1:2], model.activations(x[1:2], "inner"))
    assert not next(layer for layer in model.layers if layer.path == "inner").spatial
