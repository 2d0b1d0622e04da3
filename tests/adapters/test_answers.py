"""Where the rows of an output are, which of several is explained, and that a class map is never the default layer."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

import shisen  # noqa: E402
from shisen.adapters.answers import Rows, named_tensors, rows_of, select_output, with_first  # noqa: E402
from shisen.errors import ModelError, ShisenWarning, Unsuited  # noqa: E402


@pytest.mark.parametrize(
    ("one", "two", "rows", "shape"),
    [
        ((1, 5), None, Rows(), (5,)),
        ((1,), None, Rows(), (1,)),
        ((), (2,), Rows(lost=True), (1,)),
        ((5,), (2, 5), Rows(lost=True), (5,)),
        ((5,), (10,), Rows(lost=True), (5,)),
        ((5,), None, Rows(lost=True), (5,)),
        ((12, 1, 6), (12, 2, 6), Rows(1), (12, 6)),
        ((12, 6), (12, 2, 6), Rows(1, lost=True), (12, 6)),
        ((4, 7, 7), (2, 4, 7, 7), Rows(lost=True), (4, 7, 7)),
    ],
)
def test_the_rows_are_found(one: tuple[int, ...], two: Any, rows: Rows, shape: tuple[int, ...]) -> None:
    assert rows_of(one, lambda: two) == (rows, shape)
    for n, given in ((1, one), (2, two)):
        if given is not None and rows != Rows():
            assert rows.apply(np.zeros(given), shape, np).shape == (n, *shape)


@pytest.mark.parametrize(("one", "two"), [((), ()), ((5,), (5,)), ((3, 4), (3, 4))])
def test_an_output_without_rows_is_refused(one: tuple[int, ...], two: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match="one row per image"):
        rows_of(one, lambda: two)


def test_an_output_of_no_numbers_is_refused() -> None:
    with pytest.raises(ModelError, match=r"at least one number per image.*\(1, 0\)"):
        rows_of((1, 0), lambda: (2, 0))


@dataclass
class Out:
    features: Any
    scores: Any


Named = namedtuple("Named", "features logits")


def test_the_part_with_one_row_of_numbers_is_explained() -> None:
    maps, scores = torch.zeros(1, 4, 7, 7), torch.ones(1, 3)
    for output in (
        (maps, scores),
        {"maps": maps, "y": scores},
        Out(maps, scores),
        Named(maps, scores),
        [[maps], scores],
    ):
        assert select_output(output, None, torch.is_tensor) is scores
    with pytest.warns(ShisenWarning, match=r"maps \(1, 4, 7, 7\), y \(1, 3\)\); 'y' is explained"):
        select_output({"maps": maps, "y": scores}, None, torch.is_tensor, announce=True)
    assert select_output(Out(maps, scores), "features", torch.is_tensor) is maps
    assert select_output(Named(maps, scores), 0, torch.is_tensor) is maps
    with pytest.raises(ModelError, match="detections: boxes, scores"):
        select_output([{"boxes": maps, "scores": scores}], None, torch.is_tensor)


def test_the_first_tensor_of_any_structure_is_replaced() -> None:
    a, b, new = torch.zeros(1), torch.ones(1), torch.full((1,), 7.0)
    for output in ((a, b), [a, b], {"z": a, "a": b}, Out(a, b), Named(a, b), ((), {"x": [a]}, b)):
        before = [t for _, t in named_tensors(output, torch.is_tensor)]
        after = [t for _, t in named_tensors(with_first(output, new, torch.is_tensor), torch.is_tensor)]
        assert type(with_first(output, new, torch.is_tensor)) is type(output)
        assert after == [new, *before[1:]]
        assert next(t for _, t in named_tensors(output, torch.is_tensor)) is a


class Squeeze(nn.Sequential):
    """Class maps, pooled, as in SqueezeNet and mini-XCEPTION."""

    def __init__(self, *end: nn.Module) -> None:
        torch.manual_seed(0)
        body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU())
        super().__init__(body, nn.Conv2d(8, 5, 1), *end, nn.AdaptiveAvgPool2d(1), nn.Flatten())


class Twice(nn.Module):
    def forward(self, x: Any) -> Any:
        return nn.functional.interpolate(x, scale_factor=2)


X = np.random.default_rng(0).random((8, 8, 3), dtype=np.float32)


@pytest.mark.parametrize(
    "end", [(), (nn.ReLU(),), (nn.ReLU(), nn.Dropout()), (Twice(), nn.BatchNorm2d(5, affine=False))]
)
def test_the_default_layer_is_before_the_class_map(end: tuple[nn.Module, ...]) -> None:
    model = shisen.wrap(Squeeze(*end).eval())
    found = shisen.explain(model, X, target=1)
    assert found.layer == "0"
    assert "before the class map 1: 8 × 8 positions, 8 channels" in next(p for p in model.layers if p.default).reason
    features = shisen.wrap(Squeeze(*end).eval(), head="none")  # numbers that are no classes: pooled features
    features.predict(X)
    assert features.default_layer != "0"


def test_as_many_channels_as_classes_before_a_linear_layer_are_no_class_map() -> None:
    net = nn.Sequential(Squeeze(nn.ReLU()), nn.Linear(5, 5)).eval()
    assert shisen.explain(shisen.wrap(net), X, target=1).layer == "0.2"


def test_a_module_that_only_resamples_is_passed_over() -> None:
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Sequential(nn.Conv2d(8, 6, 3), Twice()))
    net = nn.Sequential(body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3)).eval()
    assert shisen.explain(shisen.wrap(net), X, target=1).layer == "0.2.0"


class Tiles(nn.Module):
    """Four tiles of an image, or the image and its mirror image, go through the convolutions as a batch."""

    def __init__(self, mirrored: bool) -> None:
        super().__init__()
        self.mirrored = mirrored
        self.conv, self.fc = nn.Conv2d(3, 6, 3), nn.Linear(6, 4)

    def forward(self, x: Any) -> Any:
        n, c, h, w = x.shape
        if self.mirrored:
            tiles = torch.stack([x, x.flip(3)], 1).flatten(0, 1)
        else:
            tiles = x.reshape(n, c, 2, h // 2, 2, w // 2).permute(0, 2, 4, 1, 3, 5).reshape(-1, c, h // 2, w // 2)
        return self.fc(self.conv(tiles).relu().mean((2, 3))).reshape(n, -1, 4).mean(1)


@pytest.mark.parametrize(("mirrored", "count"), [(False, 4), (True, 2)])
def test_tiles_in_the_batch_are_named_as_the_reason(mirrored: bool, count: int) -> None:
    model = shisen.wrap(Tiles(mirrored))
    with pytest.raises(
        Unsuited, match=rf"folds tiles, views or copies of an image into the batch, {count} for one image"
    ):
        shisen.explain(model, X)
    with pytest.raises(Unsuited, match=r"layer='conv', whose map of one input has the shape \(\d+,\)"):
        shisen.explain(model, X, layer="conv")
    assert shisen.explain(model, X, "occlusion", window=4).values.shape == (8, 8)


def test_a_layer_of_single_numbers_is_refused() -> None:
    net = nn.Sequential(Squeeze(nn.ReLU()), nn.Linear(5, 5)).eval()
    with pytest.raises(Unsuited, match=r"spatial feature map.*layer='1'.*Use one of grad_cam"):
        shisen.explain(shisen.wrap(net), X, "layer_cam", layer="1", target=1)
