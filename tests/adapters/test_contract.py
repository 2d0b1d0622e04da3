"""The contract between adapters and everything else: capabilities, the point table, layouts, the downstream check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import nets
import shisen
from nets_numpy import NumpyClassifier, NumpyNet
from shisen.adapters.base import DOWNSTREAM_TOLERANCE, lock_of
from shisen.adapters.capabilities import HasAttention, HasBiases, HasWeights, RunsDownstream
from shisen.adapters.capture import Capture
from shisen.adapters.layout import Layout
from shisen.adapters.points import Call, PointTable
from shisen.adapters.torch.adapter import TorchClassifier
from shisen.adapters.wrappers import Batched, Passes, Watched, capability
from shisen.errors import ModelError, UnknownName
from shisen.models.model import Model


class BatchMatters(nn.Module):
    """Adds `strength` times (rows − 1) of its largest logit: an answer that depends on how many go in together."""

    def __init__(self, strength: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.linear, self.strength = nn.Conv2d(3, 4, 3), nn.Linear(4, 5), strength

    def forward(self, x: Any) -> Any:
        logits = self.linear(self.conv(x).mean((2, 3)))
        return logits + self.strength * (len(logits) - 1) * logits.detach().abs().max()


@pytest.mark.parametrize(
    ("times", "allowed"), [(0.0, True), (0.01, True), (0.3, True), (0.8, False), (3.0, False), (300.0, False)]
)
def test_the_downstream_check_draws_the_line_at_its_tolerance(times: float, allowed: bool) -> None:
    """Three copies go in: the answer moves by 2 · strength of the largest logit."""
    net = BatchMatters(times * 1e-3)
    assert TorchClassifier(net, size=(8, 8, 3)).runs_downstream_only(nets.images(1, 8, 8), "conv") is allowed


def test_where_the_check_fails_every_answer_is_still_that_of_one_image() -> None:
    """`replaced` falls back to whole forwards, whose rows the network itself mixes; the values must be those."""
    net = BatchMatters(0.1)
    model, x = TorchClassifier(net, size=(8, 8, 3)), nets.images(1, 8, 8)
    value = model.activations(x, "conv")
    copies = torch.cat([value, 2 * value])
    with torch.no_grad():
        logits = net.linear(copies.mean((1, 2)))
    np.testing.assert_allclose(model.replaced(x, copies, "conv"), logits + 0.1 * logits.abs().max(), rtol=1e-5)


def test_the_tolerance_lies_between_rounding_and_what_a_map_shows() -> None:
    assert 1e-5 < DOWNSTREAM_TOLERANCE < 1e-2


def call(path: str, index: int = 1, module: str = "") -> Call:
    return Call(path, module or path, index, "ReLU", (1, 2, 3, 3), Layout("channels_first"), 0, 0)


def test_a_name_is_found_exactly_before_loosely_and_a_bare_name_is_the_last_call() -> None:
    table = PointTable((call("a.b"), call("act#1", 1, "act"), call("act#2", 2, "act"), call("a_b")))
    assert table.find("a.b").path == "a.b"
    assert table.find("a_b").path == "a_b"
    assert table.find("act").path == "act#2"
    assert table.find("act#1").index == 1
    assert table.find("a/b").path in ("a.b", "a_b")


def test_names_that_are_not_there_are_told_apart_from_layers_that_did_not_run() -> None:
    table = PointTable((call("conv"),), {"unused": "Dropout"})
    with pytest.raises(UnknownName, match="conv"):
        table.find("cnv")
    with pytest.raises(ModelError, match=r"'unused' \(Dropout\) must run"):
        table.find("unused")
    with pytest.raises(ModelError, match="no layers"):
        PointTable(()).find("conv")


def test_a_capture_counts_calls_and_names_what_was_not_reached() -> None:
    seen: list[tuple[str, Any]] = []

    def at_point(point: str, _: Call, output: Any) -> Any:
        seen.append((point, output))
        return -output

    table = PointTable((call("act#1", 1, "act"), call("act#2", 2, "act"), call("end")))
    capture = Capture(table, ["act#2", "end", "logits"], at_point)
    assert list(capture.modules) == ["act", "end"]
    assert [capture.see("act", v) for v in (1, 2, 3)] == [1, -2, 3]
    assert seen == [("act#2", 2)]
    with pytest.raises(ModelError, match="'end' must run"):
        capture.check()
    capture.see("end", 4)
    capture.check()


@pytest.mark.parametrize("library", ["numpy", "torch", "keras"])
@pytest.mark.parametrize(
    ("layout", "raw"),
    [
        (Layout("channels_first"), (2, 3, 4, 5)),
        (Layout("channels_last"), (2, 4, 5, 3)),
        (Layout("tokens", (2, 3), 1), (2, 8, 4)),
        (Layout("sequence", (2, 3), 2), (9, 2, 4)),
        (Layout("parts", parts=4), (8, 6, 3)),
        (Layout("plain"), (2, 7)),
    ],
    ids=lambda v: v.kind if isinstance(v, Layout) else "",
)
def test_every_layout_goes_there_and_back_in_every_library(layout: Layout, raw: tuple[int, ...], library: str) -> None:
    values: Any = np.random.default_rng(0).random(raw, dtype=np.float32)
    xp = None
    if library == "torch":
        values = torch.tensor(values)
    if library == "keras":
        keras = pytest.importorskip("keras")
        from shisen.adapters.keras.points import axis_functions

        values, xp = keras.ops.convert_to_tensor(values), axis_functions()
    last = layout.last(values, xp)
    if layout.map:
        assert tuple(last.shape) == (2, *layout.shape((raw[0], 1, raw[2]) if layout.kind == "sequence" else raw))
    np.testing.assert_array_equal(np.asarray(layout.back(last, values, xp)), np.asarray(values))


def test_tokens_of_one_image_keep_their_class_token_for_many_values() -> None:
    layout = Layout("tokens", (1, 2), 1)
    original = np.float32([[[7.0], [1.0], [2.0], [9.0]]])
    back = layout.back(np.float32([[[[3.0], [4.0]]], [[[5.0], [6.0]]]]), original)
    assert back[..., 0].tolist() == [[7, 3, 4, 9], [7, 5, 6, 9]]


def test_abilities_are_found_through_every_wrapper_and_missing_ones_are_none() -> None:
    adapter = TorchClassifier(nets.Toy())
    model = Watched(Batched(adapter, 2), Passes())
    for ability in (HasBiases, HasWeights, RunsDownstream):
        assert capability(model, ability) is adapter
    assert capability(model, HasAttention) is not adapter  # batched: images go in two at a time
    plain = Batched(NumpyClassifier(NumpyNet(), None, None, (8, 8, 3), None), 2)
    assert capability(plain, HasBiases) is None
    assert plain.precision == "float32"
    with pytest.raises(ModelError, match="attention"):
        plain.attentions(nets.images(1))


def test_a_network_has_one_lock_however_often_it_is_wrapped() -> None:
    net = nets.Toy()
    first, second = shisen.wrap(net).network, shisen.wrap(net).network
    assert first.lock is second.lock is lock_of(net)
    assert TorchClassifier(nets.Toy()).lock is not first.lock


def test_weights_are_all_told() -> None:
    net = nets.Toy()
    told: Mapping[str, Any] = TorchClassifier(net).weights()
    assert set(told) == set(net.state_dict())


def test_rebuilt_wrappers_keep_their_batch_size_and_labels() -> None:
    model = shisen.wrap(nets.Toy(), labels=list("abcd")).batched(3)
    again = model.rebuilt(TorchClassifier(nets.Toy()))
    assert (again.batch_size, list(again.labels)) == (3, list("abcd"))
    assert again.network is not model.network


def names(layers: Sequence[Any]) -> list[str]:
    return [replace(layer).path for layer in layers]


def test_layers_are_the_calls_in_order() -> None:
    model = TorchClassifier(nets.Toy())
    assert names(model.layers) == [c.path for c in model.trace().calls]


METHODS = ("grad_cam", "gradient", "integrated_gradients", "ablation_cam", "recipro_cam", "eigen_cam", "occlusion")


@pytest.mark.parametrize("method", METHODS)
def test_a_new_framework_is_six_methods_and_gives_the_maps_of_torch(method: str) -> None:
    net, x = NumpyNet(), nets.images(1, 6, 8)[0]
    ours = Model(NumpyClassifier(net, None, None, (6, 8, 3), None))
    theirs = shisen.wrap(net.torch())
    layers = ["features", "1"] if "cam" in method else [None, None]
    got, want = (
        shisen.explain(m, x, method, target=1, layer=layer).values
        for m, layer in zip((ours, theirs), layers, strict=True)
    )
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6)
