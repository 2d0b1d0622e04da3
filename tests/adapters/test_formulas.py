"""Decisions that all adapters share, and small formulas of the torch adapter, by values worked out by hand."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import nets
from shisen.adapters.answers import select_output
from shisen.adapters.attention import attention_names, block_around, token_grid
from shisen.adapters.base import TRACES
from shisen.adapters.layout import Layout, is_map, token_layout
from shisen.adapters.points import (
    NOT_SPATIAL,
    Call,
    as_layers,
    default_call,
    default_candidates,
    name_calls,
    token_candidates,
)
from shisen.adapters.rules import check_rule
from shisen.adapters.torch.adapter import TorchClassifier
from shisen.adapters.torch.attention import _Attentions, blocks_of
from shisen.adapters.torch.axes import layout_of
from shisen.adapters.torch.biases import bias_of, biases
from shisen.adapters.torch.folding import Pair, changed, seen
from shisen.adapters.torch.io import (
    device_of,
    first_tensor,
    guess_size,
    initial_batch_size,
    network_input,
    to_tensor,
    with_first,
)
from shisen.adapters.torch.sparse_backward import LiveRows, live_rows
from shisen.adapters.torch.window_layout import cut_of
from shisen.adapters.trace import head_of, warn_if_probabilities
from shisen.adapters.weight_randomization import randomized
from shisen.adapters.wrappers import (
    DOWNSTREAM_BYTES,
    Batched,
    Passes,
    Recorded,
    Shared,
    Watched,
    downstream_batch,
    network_zero,
)
from shisen.errors import InputError, ModelError, ShisenWarning
from shisen.targets import ClassObjective
from shisen.types import Scaling


def call(
    path: str, shape: tuple[int, ...] = (1, 8, 4, 6), layout: Layout | None = None, kind: str = "Conv2d", **more: Any
) -> Call:
    given = {"module": path, "index": 1, "parameters": 0, "tensor": hash(path), **more}
    return Call(path=path, kind=kind, shape=shape, layout=layout or Layout("channels_first"), **given)


# ---- how axes lie


@pytest.mark.parametrize(
    ("cells", "maps", "size", "wanted"),
    [
        ((7, 7), [], (224, 224), True),
        ((7, 8), [], (224, 224), True),  # a row or a column of padding more
        ((7, 9), [], (224, 224), False),
        ((1, 1), [], (224, 224), False),
        ((14, 7), [], (200, 100), True),
        ((7, 14), [], (200, 100), False),
        ((8, 6), [], (200, 100), False),
        ((14, 10), [(14, 10)], (99, 99), True),
        ((7, 5), [(14, 10)], (99, 99), True),
        ((4, 3), [(14, 10)], (99, 99), True),  # a quarter, rounded up
        ((5, 4), [(14, 10)], (99, 99), False),  # no third
        ((2, 2), [(14, 10)], (99, 99), False),  # no eighth
        ((28, 20), [(14, 10)], (280, 200), False),  # never larger
        ((9, 9), [(14, 10), (18, 18)], (99, 99), True),
    ],
)
def test_what_can_be_a_map(cells: Any, maps: Any, size: Any, wanted: bool) -> None:
    assert is_map(cells, maps, size) is wanted


@pytest.mark.parametrize(
    ("tokens", "maps", "grid", "prefix"),
    [
        (196, [(14, 14)], (14, 14), 0),
        (212, [(14, 14)], (14, 14), 16),  # as many registers as have been seen
        (213, [(14, 14)], None, 0),
        (49, [(14, 14)], (7, 7), 0),
        (50, [(14, 14)], None, 0),  # a reduction has no class token
        (16, [(14, 14)], (4, 4), 0),
        (12, [(3, 3)], (3, 3), 3),
        (9, [(2, 2)], None, 0),  # more beside the grid than on it
        (8, [(2, 2)], None, 0),
        (7, [(2, 2)], (2, 2), 3),
        (2, [(1, 1)], None, 0),
        (2, [(2, 1)], (2, 1), 0),
        (196, [(14, 14), (12, 16)], (12, 16), 4),  # the latest map first
        (197, [(14, 14), (13, 13)], (14, 14), 1),
    ],
)
def test_tokens_lie_on_a_map_seen_before(tokens: int, maps: Any, grid: Any, prefix: int) -> None:
    assert token_layout(tokens, maps, (224, 224)) == (Layout("tokens", grid, prefix) if grid else Layout("plain"))


@pytest.mark.parametrize(
    ("tokens", "size", "grid", "prefix"),
    [
        (196, (224, 224), (14, 14), 0),
        (197, (224, 224), (14, 14), 1),
        (198, (224, 224), (14, 14), 2),
        (201, (224, 224), (14, 14), 5),
        (199, (224, 224), None, 0),
        (30, (224, 224), (5, 5), 5),  # 5 × 6 would fit less well
        (20, (224, 224), (4, 5), 0),
        (98, (200, 100), (14, 7), 0),
        (99, (200, 100), (14, 7), 1),
        (23, (224, 224), None, 0),
        (1, (224, 224), None, 0),
        (3, (300, 100), (3, 1), 0),
    ],
)
def test_tokens_lie_as_the_image_does(tokens: int, size: Any, grid: Any, prefix: int) -> None:
    assert token_layout(tokens, [], size) == (Layout("tokens", grid, prefix) if grid else Layout("plain"))


@pytest.mark.parametrize(
    ("cells", "maps", "size", "wanted"),
    [
        ((8,), [], (32,), True),
        ((33,), [], (32,), False),
        ((1,), [], (32,), False),
        ((4, 4), [], (32,), False),
        ((4, 8, 8), [], (8, 16, 16), True),
        ((4, 4, 4), [(8, 8, 4)], (16, 16, 16), True),  # every axis has a reduction of its own
        ((3, 4, 4), [(8, 8, 4)], (16, 16, 16), False),
        ((8,), [(16,)], (64,), True),
        ((5,), [(16,)], (64,), False),
    ],
)
def test_what_can_be_a_map_of_a_signal_or_a_volume(cells: Any, maps: Any, size: Any, wanted: bool) -> None:
    assert is_map(cells, maps, size) is wanted


@pytest.mark.parametrize(
    ("tokens", "size", "grid", "prefix"),
    [
        (16, (64,), (16,), 0),
        (17, (64,), (16,), 1),
        (11, (64,), None, 0),
        (8 * 16, (16, 64, 64), (8, 4, 4), 0),
        (8 * 16 + 1, (16, 64, 64), (8, 4, 4), 1),
        (4 * 6, (4, 8, 12), (4, 2, 3), 0),
        (1, (4, 8, 12), None, 0),
    ],
)
def test_tokens_lie_as_a_signal_or_a_volume_does(tokens: int, size: Any, grid: Any, prefix: int) -> None:
    assert token_layout(tokens, [], size) == (Layout("tokens", grid, prefix) if grid else Layout("plain"))


def test_shapes_of_one_image() -> None:
    assert Layout("channels_first").shape((1, 8, 4, 6)) == (4, 6, 8)
    assert Layout("channels_last").shape((1, 4, 6, 8)) == (4, 6, 8)
    assert Layout("tokens", (4, 6), 1).shape((1, 25, 8)) == (4, 6, 8)
    assert Layout("sequence", (4, 6), 1).shape((25, 1, 8)) == (4, 6, 8)
    assert Layout("parts", parts=3).shape((3, 5, 8)) == (15, 8)
    assert Layout("plain").shape((1, 7)) == (7,)
    assert [
        Layout(kind).map for kind in ("channels_first", "channels_last", "tokens", "sequence", "parts", "plain")
    ] == [True] * 4 + [False] * 2


class Permute(nn.Module):
    def __init__(self, *dims: int) -> None:
        super().__init__()
        self.dims = dims


@pytest.mark.parametrize(
    ("module", "shape", "before", "kind"),
    [
        (Permute(0, 2, 3, 1), (1, 4, 6, 8), [], "channels_last"),
        (Permute(0, 3, 1, 2), (1, 8, 4, 6), [], "channels_first"),
        (Permute(0, 1, 3, 2), (1, 4, 6, 5), [], "channels_last"),  # by the image's proportions
        (nn.GroupNorm(1, 8), (1, 8, 5, 5), [], "channels_first"),
        (nn.BatchNorm2d(8), (1, 8, 5, 5), [], "channels_first"),
        (nn.Identity(), (1, 9, 4, 6), [], "channels_first"),
        (nn.Identity(), (1, 4, 6, 5), [], "channels_last"),
        (nn.Identity(), (1, 9, 9, 9), [], "channels_first"),
        (nn.Identity(), (1, 9, 9, 9), [call("a", (1, 8, 4, 6))], "plain"),  # heads of attention
        (nn.GELU(), (1, 9, 9, 9), [call("a", (1, 8, 4, 6))], "channels_first"),
        (nn.GELU(), (1, 9, 9, 9), [call("a", (1, 9, 9, 9), Layout("plain"))], "plain"),  # as before
        (nn.GELU(), (1, 7), [], "plain"),
        (nn.GELU(), (1, 1, 7), [], "plain"),
        (nn.GELU(), (25, 1, 7), [call("a", (1, 8, 4, 6))], "sequence"),
        (nn.GELU(), (25, 2, 7), [call("a", (1, 8, 4, 6))], "parts"),
        (nn.GELU(), (25, 1, 7), [call("a", (25, 1, 7), Layout("parts", parts=25))], "parts"),
        (nn.GELU(), (1, 25, 7), [call("a", (1, 8, 4, 6))], "tokens"),
    ],
)
def test_axes_are_told_by_the_module_then_by_what_was_seen(module: Any, shape: Any, before: Any, kind: str) -> None:
    found = layout_of(module, shape, before, (32, 48))
    assert found.kind == kind
    if kind in ("tokens", "sequence"):
        assert (found.grid, found.prefix) == ((4, 6), 1)
    if kind == "parts":
        assert found.parts == 25


# ---- points


def test_modules_called_again_are_numbered() -> None:
    calls = [call("a"), call("b", index=1), call("b", index=2), call("c")]
    assert [c.path for c in name_calls(calls)] == ["a", "b#1", "b#2", "c"]


def test_the_default_point_is_the_last_map_that_no_pooling_made() -> None:
    calls = [
        call("first", tensor=1),
        call("relu", kind="ReLU", tensor=2),
        call("narrow", (1, 1, 4, 6), tensor=3),  # one channel
        call("single", (1, 8, 1, 1), tensor=4),  # one position
        call("column", (1, 8, 2, 1), tensor=5),
        call("pool", kind="MaxPool2d", tensor=6),
        call("holder", kind="Sequential", tensor=6),  # returns what was pooled
        call("vector", (1, 8), Layout("plain"), tensor=7),
        call("several", tensor=8, bundled=True),
        call("answer", tensor=9),
        call("block", kind="Sequential", tensor=2),
    ]
    assert [c.path for c in default_candidates(calls, 9)] == ["first", "relu", "column", "block"]
    assert [c.path for c in default_candidates(calls, 9, innermost=True)] == ["first", "relu", "column"]
    pooled = ["first", "column", "pool", "holder", "answer"]
    assert [c.path for c in default_candidates(calls, 0, ("ReLU",))] == pooled
    found, reason = default_call(calls[:2])
    assert found is calls[1]
    assert str(reason) == "last feature map before pooling: 4 × 6 positions, 8 channels"
    assert default_call([]) == (None, NOT_SPATIAL)
    layers = as_layers(calls[:2], calls[1], "why")
    assert [(layer.path, layer.default, layer.reason) for layer in layers] == [
        ("first", False, ""),
        ("relu", True, "why"),
    ]
    assert layers[0].shape == (4, 6, 8)


def test_tokens_of_the_last_width_are_candidates() -> None:
    wide, narrow = Layout("tokens", (4, 6), 1), Layout("tokens", (4, 6), 1)
    calls = [
        call("a", (1, 25, 8), wide, "Block"),
        call("b", (1, 25, 32), narrow, "GELU"),
        call("c", (1, 25, 8), wide, "Linear"),
        call("d", (1, 25, 8), wide, "LayerNorm"),
    ]
    assert [c.path for c in token_candidates(calls)] == ["a", "d"]


def test_attentions_are_named_after_their_modules() -> None:
    assert attention_names(["a", "b", "a"]) == ["a.attention#1", "b.attention", "a.attention#2"]
    assert attention_names([""]) == ["attention#1"]
    assert attention_names(["", ""]) == ["attention#1", "attention#2"]


def test_the_block_around_an_attention_is_the_largest_that_holds_no_other() -> None:
    tokens = Layout("tokens", (4, 6), 1)
    calls = [call(p, (1, 25, 8), tokens) for p in ("net.0.attn", "net.0", "net.1.attn", "net.1", "net")]
    modules = ["net.0.attn.core", "net.1.attn.core"]
    assert [c.path for c in blocks_of(modules, calls)] == ["net.0", "net.1"]
    assert block_around("net.0.attn.core", modules, calls, ".").path == "net.0"  # type: ignore[union-attr]
    assert block_around("net.0.attn.core", modules[:1], calls, ".").path == "net"  # type: ignore[union-attr]
    assert block_around("net.0.attn.core", [*modules, "net.0.attn.core"], calls, ".") is None, "twice in one module"
    assert block_around("other", ["other"], calls, ".") is None
    assert block_around("net.0.attn", ["net.0.attn", "net.0"], calls, ".").path == "net.0.attn"  # type: ignore[union-attr]
    coarse = [*calls[:1], call("net.0", (1, 97, 8), tokens), *calls[2:]]
    assert [c.path for c in blocks_of(modules, coarse)] == ["net.1"], "maps of another shape are left out"
    with pytest.raises(ModelError, match="without such a block"):
        blocks_of(["elsewhere"], calls)
    assert token_grid(calls, 25) == tokens
    assert token_grid(calls, 24) is None
    assert token_grid([call("a", (1, 8, 25, 1))], 8) is None


# ---- ends of a network


@pytest.mark.parametrize(
    ("shape", "activation", "head"),
    [
        ((1, 5), "", "softmax"), ((1, 5), "softmax", "softmax"), ((1, 5), "sigmoid", "sigmoid"),
        ((1, 1), "", "sigmoid"), ((1,), "softmax", "sigmoid"), ((1, 5, 7), "softmax", "none"), ((1, 2), "", "softmax"),
    ],
)  # fmt: skip
def test_heads(shape: tuple[int, ...], activation: str, head: str) -> None:
    assert head_of(shape, activation) == head


def test_probabilities_are_rows_of_sum_one() -> None:
    with pytest.warns(ShisenWarning, match="probabilities"):
        warn_if_probabilities(np.array([[0.2, 0.80005]]))
    with pytest.warns(ShisenWarning, match="probabilities"):
        warn_if_probabilities(np.array([[0.0, 1.0]]))
    for other in ([[0.2, 0.8002]], [[1.5, -0.5]], [[1.0]], [[[0.5, 0.5]]], [[0.5, 0.5], [0.5, 0.6]]):
        warn_if_probabilities(np.array(other))


def test_the_logits_are_selected_from_any_output() -> None:
    three, four = torch.full((1, 3), 3.0), torch.full((1, 3), 4.0)
    of = torch.is_tensor
    assert select_output(["x", three, four], None, of) is three
    assert select_output(["x", three, four], 2, of) is four
    assert select_output(["x", three, four], "b", of, ("a", "b", "c")) is three
    assert select_output({"aux": three, "logits": four}, None, of) is four
    assert select_output({"aux": three, "main": four}, "aux", of) is three
    torch.testing.assert_close(select_output(three, lambda v: v + 1, of), four)
    for output, wanted in (({"aux": three}, "main"), ([three, four], 5), (three, "a")):
        with pytest.raises(ModelError, match="must have a part"):
            select_output(output, wanted, of)
    with pytest.raises(ModelError, match="must return a tensor"):
        select_output("words", None, of)


class Named(NamedTuple):
    words: str
    value: Any


def test_the_first_tensor_is_found_and_replaced_wherever_it_is() -> None:
    one, two = torch.zeros(1), torch.ones(1)
    for output in (one, (one, 3), [None, one], {"a": "x", "b": [one]}, Named("x", one)):
        assert first_tensor(output) is one
        changed_output = with_first(output, two)
        assert type(changed_output) is type(output)
        assert first_tensor(changed_output) is two
        assert first_tensor(output) is one, "the output itself is left as it is"
    assert with_first((one, 3), two)[1] == 3
    assert first_tensor("words") is None
    assert first_tensor([1, {"a": 2}]) is None


def test_pixels_become_what_a_network_takes() -> None:
    x = torch.rand(2, 3, 4, 3)
    net = nn.Linear(2, 2).double()
    scaling = Scaling((2.0, 3.0, 4.0), (-1.0, 0.5, 0.0), reverse=True)
    wanted = (x * torch.tensor(scaling.scale) + torch.tensor(scaling.shift)).flip(-1).permute(0, 3, 1, 2)
    found = network_input(net, scaling, x)
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, wanted.double())
    assert network_input(net, scaling, x, contiguous=True).is_contiguous()
    assert not found.is_contiguous()
    assert network_input(net, None, x[0]).shape == x[0].shape
    gray = network_input(net, None, torch.rand(2, 3, 4, 1), contiguous=True)
    assert gray.stride() == (12, 12, 4, 1)
    assert network_input(nn.ReLU(), None, x).dtype == torch.float32
    assert device_of(nn.ReLU()) == torch.device("cpu")
    with torch.inference_mode():
        made = torch.rand(1, 2, 2, 3)
        assert not to_tensor(made, "cpu").is_inference()


def test_biases_are_in_the_units_of_their_points() -> None:
    norm = nn.BatchNorm2d(2, eps=0.0).eval()
    norm.running_mean.copy_(torch.tensor([1.0, 2.0]))
    norm.running_var.copy_(torch.tensor([4.0, 16.0]))
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([3.0, 5.0]))
        norm.bias.copy_(torch.tensor([0.25, -1.0]))
    plain, none = nn.Conv2d(3, 2, 1), nn.Conv2d(3, 2, 1, bias=False)
    zero = nn.Linear(2, 2)
    nn.init.zeros_(zero.bias)
    net = nn.ModuleDict({"norm": norm, "plain": plain, "none": none, "zero": zero, "act": nn.ReLU()})
    calls = [call(name) for name in net]
    found = biases(net, calls, Scaling((2.0, 4.0, 5.0), (1.0, 0.0, -2.0)))
    assert set(found) == {"input", "norm", "plain"}
    torch.testing.assert_close(found["input"], torch.tensor([0.5, 0.0, -0.4]))
    torch.testing.assert_close(found["norm"], torch.tensor([-1 / 2 * 3 + 0.25, -2 / 4 * 5 - 1]))
    torch.testing.assert_close(found["plain"], plain.bias.detach())
    assert "input" not in biases(net, calls, Scaling((2.0, 4.0, 5.0), (0.0, 0.0, 0.0)))
    assert "input" not in biases(net, calls, None)
    assert bias_of(nn.BatchNorm2d(2, track_running_stats=False)) is None
    bare = nn.BatchNorm2d(2, affine=False)
    torch.testing.assert_close(bias_of(bare), -bare.running_mean / torch.sqrt(bare.running_var + bare.eps))


def test_a_trace_knows_the_shape_of_the_answer() -> None:
    assert TorchClassifier(nets.Toy(classes=7), size=(12, 16, 3)).trace().logits == (7,)


def test_batches_of_processors_are_as_large_as_four_images_of_224() -> None:
    assert initial_batch_size("cpu", (224, 224, 3)) == 4
    assert initial_batch_size("cpu", (112, 112, 3)) == 16
    assert initial_batch_size("cpu", (448, 112, 3)) == 4
    assert initial_batch_size("cpu", (32, 32, 3)) == 32
    assert initial_batch_size("cpu", (900, 900, 3)) == 2
    assert initial_batch_size("cuda:0", (900, 900, 3)) == 32
    assert guess_size(nn.Sequential(nn.ReLU(), nn.Conv2d(7, 2, 1), nn.Conv2d(2, 2, 1))) == (224, 224, 7)
    assert guess_size(nn.Linear(2, 2)) == (224, 224, 3)


# ---- wrappers


def test_the_network_s_zero_is_a_pixel() -> None:
    net = nets.Toy()
    scaled = TorchClassifier(net, scaling=Scaling((2.0, 4.0, 1.0), (-1.0, -8.0, 3.0)), size=(12, 16, 3))
    assert network_zero(scaled, 3) == (0.5, 1.0, 0.0), "held to 0 and 1"
    assert network_zero(Batched(scaled, 4), 3) == (0.5, 1.0, 0.0)
    assert network_zero(scaled, 2) == (0.0, 0.0)
    assert network_zero(TorchClassifier(net, size=(12, 16, 3)), 3) == (0.0, 0.0, 0.0)


def test_as_many_values_go_in_as_32_megabytes_hold() -> None:
    assert DOWNSTREAM_BYTES == 32 * 2**20
    assert downstream_batch(np.zeros((8, 8, 128)), 4) == 2**25 // (4 * 8 * 8 * 128)
    assert downstream_batch(np.zeros((8, 8, 128)), 5000) == 5000
    assert downstream_batch(np.zeros((4096, 4096)), 2) == 2


@pytest.fixture(scope="module")
def toy() -> TorchClassifier:
    return TorchClassifier(nets.Toy(), size=(12, 16, 3))


def one_hot(*classes: int) -> ClassObjective:
    return ClassObjective("class", ((1.0, classes),))


def test_batches_have_the_stated_size_and_a_rest(toy: TorchClassifier) -> None:
    rows: list[tuple[str, int]] = []
    model = Batched(Watched(toy, lambda kind, n: rows.append((kind, n))), 3)
    x = nets.images(7)
    model.activations(x)
    model.activations(x[:3])
    model.activations(x, "input")
    values, gradients = model.gradients(x, [one_hot(1), one_hot(2)], wrt="act2")
    model.replaced(x, values, "act2")
    assert rows == [
        *(("activations", n) for n in (3, 3, 1, 3)), *(("gradients", n) for n in (3, 3, 1)),
        *(("replaced", n) for n in (3, 3, 1)),
    ]  # fmt: skip
    assert gradients.shape == (2, *values.shape)
    own = one_hot(0, 1, 2, 3, 4, 0, 1)  # a class each
    torch.testing.assert_close(model.gradients(x, own)[1], toy.gradients(x, own)[1])
    assert Batched(toy, 1).batch_size == 1
    with pytest.raises(InputError, match="at least 1"):
        Batched(toy, 0)


def test_passes_are_counted_by_kind_and_in_all() -> None:
    passes = Passes()
    for kind, n in (("a", 2), ("b", 3), ("a", 5)):
        passes(kind, n)
    assert passes.rows == {"a": 7, "b": 3}
    assert (passes.total, passes.calls) == (10, 3)


def test_an_objective_that_remembers_is_equal_to_the_objective() -> None:
    plain = one_hot(1)
    recorded = Recorded(plain)
    assert recorded == plain
    assert recorded == Recorded(one_hot(1))
    assert recorded != one_hot(2)
    assert hash(recorded) == hash(plain)
    assert recorded.name == plain.name
    first = torch.rand(2, 5)
    recorded.take(np.arange(2))(first)
    recorded(first + 1)
    torch.testing.assert_close(recorded.whole, torch.cat([first, first + 1]))


def test_only_the_images_in_hand_are_remembered(toy: TorchClassifier) -> None:
    x, passes = nets.images(2), Passes()
    model = Shared(Watched(toy, passes), x, [one_hot(1), one_hot(3)])
    model.gradients(x, one_hot(3), wrt="act2")
    assert passes.calls == 1
    model.gradients(x, one_hot(1), wrt="act2")
    model.activations(x, "act2")
    model.activations(x)
    assert passes.calls == 1, "the values and the logits of one forward"
    model.gradients(x, one_hot(1))
    assert passes.calls == 2
    model.activations(x.copy())
    assert passes.calls == 3
    model.gradients(x, one_hot(2), wrt="act2")
    assert passes.calls == 4, "another objective"
    model.gradients(x, one_hot(2), wrt=("act2",))
    model.gradients(x, one_hot(2), wrt=("act2",))
    assert passes.calls == 6
    assert model.rewired("guided") is model.rewired("guided")
    assert Shared(toy, x).activations(x, "conv1").shape[-1] == 6


def test_a_layer_asked_for_first_brings_the_gradients_that_will_be_needed(toy: TorchClassifier) -> None:
    x, passes = nets.images(2), Passes()
    model = Shared(Watched(toy, passes), x, [one_hot(1)])
    model.activations(x, "act2")
    model.gradients(x, one_hot(1), wrt="act2")
    assert passes.rows == {"gradients": 2}
    alone = Shared(Watched(toy, passes), x)
    alone.activations(x, "act2")
    assert passes.rows == {"gradients": 2, "activations": 2}


def test_structures_of_the_last_eight_sizes_are_kept() -> None:
    model = TorchClassifier(nets.Toy())
    for k in range(TRACES + 2):
        model.activations(nets.images(1, 8 + k, 8))
    kept = list(model._memory.traces)
    assert TRACES == 8
    assert kept == [(8 + k, 8, 3) for k in range(2, TRACES + 2)]


def test_a_fraction_of_the_layers_is_randomized(toy: TorchClassifier) -> None:
    for wrong in (-0.01, 1.01):
        with pytest.raises(InputError, match="fraction"):
            randomized(toy, wrong)
    before = {k: v.clone() for k, v in toy.net.state_dict().items()}
    none, whole = randomized(toy, 0.0), randomized(toy, 1.0)
    assert none.batch_size == toy.batch_size
    for model, same in ((none, True), (whole, False)):
        weights = model.model.net.state_dict()
        assert torch.equal(weights["conv1.weight"], before["conv1.weight"]) is same
        assert torch.equal(weights["conv1.weight"].ravel().sort()[0], before["conv1.weight"].ravel().sort()[0])
    torch.testing.assert_close(
        randomized(toy, 1.0, seed=1).activations(nets.images(1)),
        randomized(toy, 1.0, seed=1).activations(nets.images(1)),
    )


def test_rules_need_relus_and_tell_of_other_activations() -> None:
    check_rule("guided", 2, {})
    with pytest.warns(ShisenWarning, match=r"met 2 ReLUs, but 1 × GELU, 3 × SiLU keep"):
        check_rule("guided", 2, {"GELU": 1, "SiLU": 3})
    with pytest.raises(ModelError, match="no ReLU on the way"):
        check_rule("guided", 0, {})


# ---- torch


def test_a_written_weight_is_noticed_at_its_first_middle_and_last_number() -> None:
    for size, places in ((1, [0]), (2, [0, 1]), (3, [0, 1, 2]), (9, [0, 4, 8]), (101, [0, 50, 100])):
        for at in places:
            weight = torch.arange(float(size)) + 1
            then = seen(weight)
            assert not changed(weight, then)
            weight.data[at] += 1
            assert changed(weight, then), (size, at)
    weight = torch.ones(3)
    then = seen(weight)
    weight.add_(0)
    assert changed(weight, then), "written to, if with the same numbers"
    assert changed(torch.ones(3), seen(torch.ones(3)))
    assert not changed(None, seen(None))
    assert changed(None, seen(weight))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("affine", [True, False])
def test_a_folded_pair_is_its_formula(bias: bool, affine: bool) -> None:
    torch.manual_seed(0)
    conv, norm = nn.Conv2d(2, 3, 1, bias=bias), nn.BatchNorm2d(3, eps=0.5, affine=affine).eval()
    norm.running_mean.copy_(torch.tensor([1.0, 2, 3]))
    norm.running_var.copy_(torch.tensor([0.5, 3.5, 8.5]))
    if affine:
        with torch.no_grad():
            norm.weight.copy_(torch.tensor([2.0, 3, 4]))
            norm.bias.copy_(torch.tensor([0.5, -1, 2]))
    pair = Pair(conv.eval(), norm)
    weight, shift = pair.folded()
    x = torch.rand(1, 2, 4, 4)
    torch.testing.assert_close(functional.conv2d(x, weight, shift), norm(conv(x)))
    assert pair.folded()[0] is weight, "made once"
    assert pair.free
    assert not pair.alone, "no activation"
    assert not Pair(conv.train(), norm).free
    assert not Pair(conv.eval(), norm.train()).free
    for module in (conv, norm.eval()):
        for register in (module.register_forward_hook, module.register_forward_pre_hook):
            handle = register(lambda *_: None)
            assert not pair.free
            handle.remove()
    assert pair.free


def test_half_of_sixteen_rows_may_be_alive() -> None:
    rows = torch.zeros(16, 6)
    rows[[1, 3, 5, 7, 9, 11, 13, 15], 5] = torch.nan
    assert live_rows(rows).tolist() == [1, 3, 5, 7, 9, 11, 13, 15]
    rows[0, 5] = 1
    assert live_rows(rows) is None
    assert live_rows(torch.zeros(15, 6)) is None
    assert live_rows(torch.zeros(16, 6)).tolist() == []


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_a_backward_pass_that_skips_zeros_is_the_same(approximate: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 20, 6, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(6, 6).double()
    y = functional.gelu(x @ weight, approximate=approximate)
    q, k, v = (functional.linear(y, torch.randn(6, 6).double()).reshape(2, 20, 2, 3).transpose(1, 2) for _ in range(3))
    out = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(2, 20, 6)
    cotangent = torch.zeros(2, 20, 6, dtype=torch.float64)
    cotangent[:, 0] = torch.randn(2, 6)
    (want,) = torch.autograd.grad(out, x, cotangent, retain_graph=True)
    with LiveRows():
        (found,) = torch.autograd.grad(out, x, cotangent)
    torch.testing.assert_close(found, want)


def attended(run: Any, rows: int = 2) -> tuple[Any, list[Any]]:
    """The answer of a function with every attention computed by its formula, and the attentions."""
    with torch.no_grad():
        want = run()
        with _Attentions(lambda: ("here", "Attention"), rows, False) as mode:
            found = run()
    pairs = zip(found, want, strict=True) if isinstance(found, tuple) else [(found, want)]
    for one, other in pairs:
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other)
    return want, [s.values for s in mode.seen]


MASK = torch.rand(4, 5, generator=torch.Generator().manual_seed(1)) > 0.3
MASK[:, 0] = True


@pytest.mark.parametrize(
    "options",
    [{}, {"scale": 0.3}, {"attn_mask": MASK}, {"attn_mask": MASK.float()}, {"is_causal": True}],
    ids=["plain", "scale", "bool", "float", "causal"],
)
def test_fused_attention_is_its_formula(options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, 3, n, 6) for n in (4, 5, 5))
    _, (values,) = attended(lambda: functional.scaled_dot_product_attention(q, k, v, **options))
    assert values.shape == (2, 3, 4, 5)
    torch.testing.assert_close(values.sum(-1), torch.ones(2, 3, 4))
    if options.get("attn_mask") is MASK:
        assert (values[:, :, ~MASK] == 0).all()
    if "is_causal" in options:
        assert (values[..., torch.ones(4, 5, dtype=torch.bool).triu(1)] == 0).all()


def test_fused_attention_of_three_axes_and_of_grouped_queries() -> None:
    q, k, v = (torch.randn(6, n, 4) for n in (4, 5, 5))
    _, (values,) = attended(lambda: functional.scaled_dot_product_attention(q, k, v))
    assert values.shape == (2, 3, 4, 5), "three heads of two images"
    q, k, v = torch.randn(2, 6, 4, 8), torch.randn(2, 3, 5, 8), torch.randn(2, 3, 5, 8)
    _, (values,) = attended(lambda: functional.scaled_dot_product_attention(q, k, v, enable_gqa=True))
    assert values.shape == (2, 6, 4, 5)


@pytest.mark.parametrize(
    ("made", "called"),
    [
        ({}, {}),
        ({"bias": False}, {"average_attn_weights": False}),
        ({"kdim": 5, "vdim": 7}, {}),
        ({}, {"need_weights": False}),
        ({}, {"attn_mask": ~MASK}),
        ({}, {"attn_mask": MASK.float()}),
        ({}, {"attn_mask": torch.stack([~MASK] * 6)}),
        ({}, {"key_padding_mask": torch.tensor([[False] * 5, [False] * 3 + [True] * 2])}),
    ],
    ids=["plain", "every head", "widths", "answer only", "bool", "float", "a mask a head", "padding"],
)
def test_multi_head_attention_is_its_formula(made: dict[str, Any], called: dict[str, Any]) -> None:
    torch.manual_seed(0)
    module = nn.MultiheadAttention(12, 3, batch_first=True, **made).train()  # not the fast path
    q, k, v = torch.randn(2, 4, 12), torch.randn(2, 5, made.get("kdim", 12)), torch.randn(2, 5, made.get("vdim", 12))
    _, (values,) = attended(lambda: module(q, k, v, **called))
    with torch.no_grad():
        want = module(q, k, v, **{**called, "need_weights": True, "average_attn_weights": False})[1]
    torch.testing.assert_close(values, want)


def test_attention_written_out_is_told_from_other_softmaxes() -> None:
    scores = torch.randn(2, 3, 4, 4)

    def kept(run: Any, kind: str = "Attention", rows: int = 2) -> list[tuple[int, ...]]:
        with torch.no_grad(), _Attentions(lambda: ("here", kind), rows, False) as mode:
            torch.testing.assert_close(run(), run())
        return [tuple(s.values.shape) for s in mode.seen[::2]]

    assert kept(lambda: scores.softmax(-1)) == [(2, 3, 4, 4)]
    assert kept(lambda: functional.softmax(scores, dim=3)) == [(2, 3, 4, 4)]
    assert kept(lambda: scores.softmax(-1), "Block") == [(2, 3, 4, 4)]
    assert kept(lambda: scores[..., :3].softmax(-1), "Block") == []
    assert kept(lambda: scores[..., :3].softmax(-1)) == [(2, 3, 4, 3)]
    assert kept(lambda: scores.softmax(1)) == []
    assert kept(lambda: scores[..., :1].softmax(-1)) == []
    assert kept(lambda: scores[0, 0].softmax(-1)) == []
    assert kept(lambda: scores.reshape(6, 4, 4).softmax(-1)) == [(2, 3, 4, 4)]
    assert kept(lambda: scores.reshape(6, 4, 4).softmax(-1), "Block") == []
    assert kept(lambda: scores.reshape(6, 4, 4).softmax(-1), rows=4) == []
    assert kept(lambda: torch.randn(2, 5, 3, 4, 4, generator=torch.Generator()).softmax(-1) * 0) == [(10, 3, 4, 4)]


def windows(x: Any, shift: int = 0) -> Any:
    """Windows of 2 × 2, `(windows, tokens, channels)`."""
    x = x.roll((-shift, -shift), (1, 2))
    n, h, w, c = x.shape
    return x.reshape(n, h // 2, 2, w // 2, 2, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, 4, c)


@pytest.mark.parametrize("shift", [0, 1])
def test_windows_are_traced_back_to_the_map(shift: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 4, 6, 3, requires_grad=True)
    tokens = windows(x, shift)
    scores = (tokens @ tokens.transpose(1, 2))[:, None]
    calls = [call("block", (1, 4, 6, 3), Layout("channels_last"))]
    found = cut_of(scores, "block.attn", {"block.attn": tokens, "block": x}, calls)
    assert found is not None
    assert found.grid == (4, 6)
    number = torch.arange(24.0).reshape(1, 4, 6, 1)
    np.testing.assert_array_equal(found.positions, windows(number, shift)[..., 0].numpy().astype(int))
    assert cut_of(scores[..., :3], "block.attn", {"block": x}, calls) is None, "queries that are no keys"
    assert cut_of(scores, "other", {"block": x}, calls) is None
    assert cut_of(scores, "block.attn", {"block": x}, []) is None, "it is not known how the axes lie"
    half = (tokens + tokens.flip(1)) / 2
    mixed = (half @ half.transpose(1, 2))[:, None]
    assert cut_of(mixed, "block", {"block": x}, calls) is None, "a token of two positions"


def test_padding_of_windows_is_no_position() -> None:
    x = torch.randn(1, 3, 4, 3, requires_grad=True)
    tokens = windows(functional.pad(x, (0, 0, 0, 0, 0, 1)))
    scores = (tokens @ tokens.transpose(1, 2))[:, None]
    found = cut_of(scores, "block", {"block": x}, [call("block", (1, 3, 4, 3), Layout("channels_last"))])
    assert found is not None
    number = functional.pad(torch.arange(12.0).reshape(1, 3, 4, 1), (0, 0, 0, 0, 0, 1), value=-1.0)
    np.testing.assert_array_equal(found.positions, windows(number)[..., 0].numpy().astype(int))


def test_a_gradient_starts_at_the_first_attention() -> None:
    scores = torch.randn(1, 2, 3, 3)
    with _Attentions(lambda: ("here", "Attention"), 1, True) as mode:
        answer = scores.softmax(-1)
    assert answer.requires_grad
    assert mode.seen[0].values is answer
    assert mode.seen[0].module == "here"
