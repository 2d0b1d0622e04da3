"""The torch adapter: what it captures, what it leaves alone, and networks written in every style."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from shisen.adapters.torch.adapter import TorchClassifier
from shisen.adapters.wrappers import Batched, Passes, Shared, Watched
from shisen.errors import InputError, ModelError, ShisenWarning, UnknownName
from shisen.score_functions import CotangentObjective
from shisen.targets import ClassObjective, LayerObjective, TopKObjective
from shisen.types import Classifier, Scaling


def one_hot(*classes: int) -> ClassObjective:
    return ClassObjective("class", ((1.0, classes or (0,)),))


def images(n: int = 2, h: int = 12, w: int = 16) -> np.ndarray:
    return np.random.default_rng(0).random((n, h, w, 3), dtype=np.float32)


class Small(nn.Module):
    """conv, batch norm, ReLU, conv, ReLU, mean pool, linear; written in the style asked for."""

    def __init__(self, style: str = "modules") -> None:
        super().__init__()
        self.style = style
        self.conv1 = nn.Conv2d(3, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.act = nn.ReLU6() if style == "relu6" else nn.ReLU(inplace=style == "inplace")
        self.conv2 = nn.Conv2d(6, 8, 3, padding=1, stride=2)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Linear(8, 5)

    def forward(self, x: Any) -> Any:
        act = functional.relu if self.style == "functional" else self.act
        x = act(self.norm(self.conv1(x)))
        x = act(self.conv2(x))
        return self.fc(self.drop(self.pool(x).flatten(1)))


@pytest.fixture
def net() -> Small:
    torch.manual_seed(0)
    small = Small()
    with torch.no_grad():
        small.norm.running_mean.uniform_(-0.2, 0.2)
        small.norm.running_var.uniform_(0.5, 1.5)
    return small.eval()


def by_hand(net: Small, x: np.ndarray, k: int) -> np.ndarray:
    """The plain input gradient by autograd alone."""
    t = torch.tensor(x.transpose(0, 3, 1, 2), requires_grad=True)
    net(t)[:, k].sum().backward()
    net.zero_grad(set_to_none=True)
    return t.grad.numpy().transpose(0, 2, 3, 1)


def test_it_answers_to_the_protocol(net: Small) -> None:
    model = TorchClassifier(net)
    assert isinstance(model, Classifier)
    assert isinstance(Batched(model, 2), Classifier)
    assert model.framework == "torch"


def test_the_gradient_is_autograds(net: Small) -> None:
    x = images()
    model = TorchClassifier(net)
    value, gradient = model.gradients(x, one_hot(3))
    np.testing.assert_array_equal(value.numpy(), x)
    np.testing.assert_allclose(gradient.numpy(), by_hand(net, x, 3), atol=1e-7)


def test_scaling_belongs_to_the_network_side(net: Small) -> None:
    x = images()
    scaling = Scaling((2.0, 3.0, 4.0), (-1.0, 0.5, 0.0), reverse=True)
    inner = (x * np.float32([2, 3, 4]) + np.float32([-1, 0.5, 0]))[..., ::-1].copy()
    model = TorchClassifier(net, scaling)
    np.testing.assert_allclose(model.activations(x).numpy(), TorchClassifier(net).activations(inner).numpy(), atol=1e-6)
    want = by_hand(net, inner, 1)[..., ::-1] * np.float32([2, 3, 4])
    np.testing.assert_allclose(model.gradients(x, one_hot(1))[1].numpy(), want, atol=1e-6)


def test_several_points_come_from_one_forward(net: Small) -> None:
    x = images()
    calls: list[int] = []
    net.conv1.register_forward_hook(lambda *_: calls.append(1))
    model = TorchClassifier(net)
    model.activations(x)
    calls.clear()
    a, b, logits = model.activations(x, ("conv1", "conv2", "logits"))
    assert len(calls) == 1
    t = torch.tensor(x.transpose(0, 3, 1, 2))
    with torch.no_grad():
        first = net.conv1(t)
        second = net.conv2(net.act(net.norm(first)))
    np.testing.assert_allclose(a.numpy(), first.numpy().transpose(0, 2, 3, 1), atol=1e-6)
    np.testing.assert_allclose(b.numpy(), second.numpy().transpose(0, 2, 3, 1), atol=1e-6)
    np.testing.assert_allclose(logits.numpy(), net(t).detach().numpy(), atol=1e-6)


def test_a_forward_stops_at_the_last_point_asked_for(net: Small) -> None:
    calls: list[int] = []
    net.fc.register_forward_hook(lambda *_: calls.append(1))
    model = TorchClassifier(net, size=(12, 16, 3))
    _ = model.layers
    calls.clear()
    model.activations(images(), "conv1")
    assert not calls


def test_gradients_at_two_layers_equal_those_at_one(net: Small) -> None:
    x = images()
    model = TorchClassifier(net)
    (a1, a2), (g1, g2) = model.gradients(x, one_hot(2), wrt=("conv1", "conv2"))
    for path, a, g in (("conv1", a1, g1), ("conv2", a2, g2)):
        value, gradient = model.gradients(x, one_hot(2), wrt=path)
        np.testing.assert_allclose(a.numpy(), value.numpy(), atol=1e-7)
        np.testing.assert_allclose(g.numpy(), gradient.numpy(), atol=1e-7)
    assert float(g1.abs().max()) > 0


def test_several_seeds_share_one_forward(net: Small) -> None:
    x = images()
    model = TorchClassifier(net)
    value, gradients = model.gradients(x, [one_hot(0), one_hot(4)], wrt="conv2")
    assert gradients.shape == (2, *value.shape)
    for k, gradient in zip((0, 4), gradients, strict=True):
        np.testing.assert_allclose(gradient.numpy(), model.gradients(x, one_hot(k), wrt="conv2")[1].numpy(), atol=1e-7)


def test_a_seed_on_a_layer_asks_what_a_channel_likes(net: Small) -> None:
    x = images()
    t = torch.tensor(x.transpose(0, 3, 1, 2), requires_grad=True)
    net.conv2(net.act(net.norm(net.conv1(t))))[:, 3].mean(dim=(1, 2)).sum().backward()
    gradient = TorchClassifier(net).gradients(x, LayerObjective(((3, 1.0),)), at="conv2")[1]
    np.testing.assert_allclose(gradient.numpy(), t.grad.numpy().transpose(0, 2, 3, 1), atol=1e-7)


@pytest.mark.parametrize("style", ["modules", "inplace", "functional", "relu6"])
@pytest.mark.parametrize("rule", ["guided", "deconvnet"])
def test_rewired_relus_fire_in_every_style(style: str, rule: str) -> None:
    torch.manual_seed(1)
    net = Small(style).eval()
    x = images() * 4

    class Rule(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, z: Any) -> Any:
            ctx.save_for_backward(z)
            return z.clamp(0, 6) if style == "relu6" else z.clamp(min=0)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            (z,) = ctx.saved_tensors
            open_ = (z > 0) & (z < 6) if style == "relu6" else z > 0
            return g.clamp(min=0) * (open_ if rule == "guided" else 1)

    t = torch.tensor(x.transpose(0, 3, 1, 2), requires_grad=True)
    z = Rule.apply(net.conv2(Rule.apply(net.norm(net.conv1(t)))))
    net.fc(net.pool(z).flatten(1))[:, 2].sum().backward()
    model = TorchClassifier(net)
    found = model.rewired(rule).gradients(x, one_hot(2))[1].numpy()
    np.testing.assert_allclose(found, t.grad.numpy().transpose(0, 2, 3, 1), atol=1e-7)
    assert np.abs(found - model.gradients(x, one_hot(2))[1].numpy()).max() > 1e-4


def test_a_network_without_relus_is_refused_by_name() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GELU(), nn.Conv2d(4, 4, 3), nn.SiLU(), nn.Flatten(), nn.LazyLinear(3))
    net(torch.zeros(1, 3, 12, 16))
    with pytest.raises(ModelError, match=r"1 × SiLU, 1 × GELU.*grad_cam"):
        TorchClassifier(net, size=(12, 16, 3)).rewired("guided").gradients(images(), one_hot(0))


def test_a_partly_rewired_network_warns() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GELU(), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3))
    net(torch.zeros(1, 3, 12, 16))
    with pytest.warns(ShisenWarning, match="1 × GELU keep the plain gradient"):
        TorchClassifier(net, size=(12, 16, 3)).rewired("guided").gradients(images(), one_hot(0))


def snapshot(net: nn.Module) -> Any:
    return (
        {k: v.clone() for k, v in net.state_dict().items()},
        [m.training for m in net.modules()],
        [p.requires_grad for p in net.parameters()],
        [None if p.grad is None else p.grad.clone() for p in net.parameters()],
        [len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in net.modules()],
    )


def assert_same(a: Any, b: Any) -> None:
    assert all(torch.equal(a[0][k], b[0][k]) for k in a[0])
    assert a[1:3] == b[1:3]
    assert all((x is None and y is None) or torch.equal(x, y) for x, y in zip(a[3], b[3], strict=True))
    assert a[4] == b[4]


def test_the_users_model_is_left_as_it_was(net: Small) -> None:
    net.train()
    net.norm.eval()
    net.conv1.weight.requires_grad_(False)
    net(torch.rand(2, 3, 12, 16)).sum().backward()
    before = snapshot(net)
    model = TorchClassifier(net)
    model.gradients(images(), one_hot(0))
    model.gradients(images(), one_hot(0), wrt="conv2")
    model.rewired("guided").gradients(images(), one_hot(0))
    model.replaced(images(1), torch.zeros(3, 6, 8, 8), "conv2")
    assert_same(before, snapshot(net))


@pytest.mark.parametrize("where", ["objective", "network"])
def test_the_users_model_is_left_as_it_was_after_an_exception(net: Small, where: str) -> None:
    net.train()
    model = TorchClassifier(net)
    _ = model.layers
    before = snapshot(net)

    def broken(_: Any) -> Any:
        raise RuntimeError("on purpose")

    handle = net.fc.register_forward_hook(lambda *_: broken(0)) if where == "network" else None
    with pytest.raises((RuntimeError, ModelError), match="on purpose"):
        model.gradients(images(), CotangentObjective(broken) if where == "objective" else one_hot(0), wrt="conv2")
    if handle:
        handle.remove()
    assert_same(before, snapshot(net))
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("mode", ["no_grad", "inference", "frozen", "training"])
def test_it_works_whatever_mode_the_caller_is_in(net: Small, mode: str) -> None:
    x = images()
    want = TorchClassifier(copy.deepcopy(net)).gradients(x, one_hot(1), wrt="conv2")[1].numpy()
    if mode == "frozen":
        net.requires_grad_(False)
    if mode == "training":
        net.train()
    context = {"no_grad": torch.no_grad(), "inference": torch.inference_mode()}.get(mode, torch.enable_grad())
    with context:
        found = TorchClassifier(net).gradients(torch.as_tensor(x), one_hot(1), wrt="conv2")[1]
    np.testing.assert_allclose(found.numpy(), want, atol=1e-7)


def test_half_precision_gives_float32_maps_close_to_the_full_ones(net: Small) -> None:
    x = images()
    want = TorchClassifier(net).gradients(x, one_hot(1), wrt="act#2")
    found = TorchClassifier(copy.deepcopy(net).bfloat16()).gradients(x, one_hot(1), wrt="act#2")
    for half, full in zip(found, want, strict=True):
        assert half.dtype == torch.float32
        np.testing.assert_allclose(half.numpy(), full.numpy(), atol=2e-2 * float(full.abs().max()))


def test_a_module_called_twice_is_two_points(net: Small) -> None:
    model = TorchClassifier(net)
    paths = [layer.path for layer in model.layers]
    assert "act#1" in paths
    assert "act#2" in paths
    assert "act" not in paths
    first, second, bare = model.activations(images(), ("act#1", "act#2", "act"))
    assert first.shape == (2, 12, 16, 6)
    np.testing.assert_array_equal(second.numpy(), bare.numpy())
    assert second.shape == (2, 6, 8, 8)


def test_an_in_place_layer_behind_the_point_does_not_overwrite_it() -> None:
    torch.manual_seed(1)
    net = Small("inplace").eval()
    twin = Small("modules").eval()
    twin.load_state_dict(net.state_dict())
    x = images()
    for call in ("norm", "conv2"):
        assert float(TorchClassifier(twin).activations(x, call).min()) < 0
        np.testing.assert_array_equal(
            TorchClassifier(net).activations(x, call).numpy(), TorchClassifier(twin).activations(x, call).numpy()
        )
        for mine, theirs in zip(
            TorchClassifier(net).gradients(x, one_hot(0), wrt=call),
            TorchClassifier(twin).gradients(x, one_hot(0), wrt=call),
            strict=True,
        ):
            np.testing.assert_array_equal(mine.numpy(), theirs.numpy())


def test_the_default_layer_is_the_last_map_before_pooling_and_says_so(net: Small) -> None:
    model = TorchClassifier(net, size=(12, 16, 3))
    assert model.default_layer == "act#2"
    (default,) = [layer for layer in model.layers if layer.default]
    assert default.reason == "last feature map before pooling: 6 × 8 positions, 8 channels"


def test_a_squeeze_excite_gate_is_not_the_default_layer() -> None:
    class Gate(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Conv2d(4, 4, 1)

        def forward(self, x: Any) -> Any:
            return x * torch.sigmoid(self.fc(x.mean((2, 3), keepdim=True)))

    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), Gate(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    assert TorchClassifier(net.eval(), size=(12, 16, 3)).default_layer == "2"


def test_an_unknown_layer_is_answered_with_the_nearest(net: Small) -> None:
    with pytest.raises(UnknownName, match="Did you mean 'conv2'"):
        TorchClassifier(net).activations(images(), "convv2")


def test_a_network_without_places_has_no_default_layer() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(12 * 16 * 3, 4))
    with pytest.raises(ModelError, match="no layer of this network has a spatial feature map"):
        _ = TorchClassifier(net, size=(12, 16, 3)).default_layer


@pytest.mark.parametrize("kind", ["module", "function", "log"])
def test_a_softmax_at_the_end_is_undone(net: Small, kind: str) -> None:
    x = images()
    want = TorchClassifier(net).gradients(x, one_hot(1))[1].numpy()

    class ModelIO(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.last = net, nn.Softmax(dim=-1)

        def forward(self, t: Any) -> Any:
            y = self.body(t)
            return {"module": self.last, "function": lambda z: z.softmax(-1), "log": lambda z: z.log_softmax(-1)}[kind](
                y
            )

    model = TorchClassifier(ModelIO().eval(), size=(12, 16, 3))
    np.testing.assert_allclose(model.activations(x).numpy(), TorchClassifier(net).activations(x).numpy(), atol=1e-6)
    np.testing.assert_allclose(model.gradients(x, one_hot(1))[1].numpy(), want, atol=1e-7)
    probable = ClassObjective("p", ((1.0, (1,)),), "probability")
    assert np.abs(model.gradients(x, probable)[1].numpy() - want).max() > 1e-3 * np.abs(want).max()


@pytest.mark.parametrize("squeeze", [False, True])
def test_a_binary_head_with_one_sigmoid_answers_for_both_classes(net: Small, squeeze: bool) -> None:
    class Binary(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.fc = net, nn.Linear(5, 1)

        def forward(self, t: Any) -> Any:
            y = torch.sigmoid(self.fc(self.body(t)))
            return y.squeeze(1) if squeeze else y

    model = TorchClassifier(Binary().eval(), size=(12, 16, 3))
    x = images()
    assert model.head == "sigmoid"
    assert model.activations(x).shape == (2, 1)
    no, yes = (ClassObjective("c", ((1.0, (k,)),), head="sigmoid") for k in (0, 1))
    np.testing.assert_allclose(model.gradients(x, yes)[1].numpy(), -model.gradients(x, no)[1].numpy(), atol=1e-8)
    assert float(model.activations(x).abs().max()) < 50
    assert not torch.allclose(model.activations(x), torch.sigmoid(model.activations(x)))


def test_probabilities_that_cannot_be_undone_are_reported(net: Small) -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = net

        def forward(self, t: Any) -> Any:
            e = self.body(t).exp()
            return e / e.sum(-1, keepdim=True)

    with pytest.warns(ShisenWarning, match="probabilities"):
        _ = TorchClassifier(Own(), size=(12, 16, 3)).head


@pytest.mark.parametrize("output", ["scores", None])
def test_a_dict_output_is_selected(net: Small, output: str | None) -> None:
    class Many(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = net

        def forward(self, t: Any) -> Any:
            y = self.body(t)
            return {"aux": y * 0, "scores": y} if output else {"aux": y * 0, "logits": y}

    x = images()
    found = TorchClassifier(Many(), output=output).activations(x)
    np.testing.assert_allclose(found.numpy(), TorchClassifier(net).activations(x).numpy())


def test_a_missing_output_names_those_there_are(net: Small) -> None:
    class Many(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = net

        def forward(self, t: Any) -> Any:
            return {"aux": t, "scores": self.body(t)}

    with pytest.raises(ModelError, match=r"'score'.*\['aux', 'scores'\]"):
        TorchClassifier(Many(), output="score").activations(images())


def test_the_tail_runs_alone_behind_replaced_values(net: Small) -> None:
    x = images(1)
    calls: list[int] = []
    net.conv1.register_forward_hook(lambda m, i, o: calls.append(o.shape[0]))
    model = TorchClassifier(net)
    a = model.activations(x, "act#2")
    values = torch.cat([a, a * 0, a * 2])
    found = model.replaced(x, values, "act#2")
    assert max(calls) == 1
    assert model.runs_downstream_only(x, "act#2")
    with torch.no_grad():
        want = net.fc(values.mean(dim=(1, 2)))
    np.testing.assert_allclose(found.numpy(), want.numpy(), atol=1e-6)


def test_a_network_that_reshapes_by_its_batch_falls_back_to_whole_forwards() -> None:
    torch.manual_seed(0)

    class Reshaping(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4 * 10 * 14, 3)

        def forward(self, t: Any) -> Any:
            n = t.shape[0]
            return self.fc(self.conv(t).reshape(n, -1))

    net = Reshaping().eval()
    model = TorchClassifier(net)
    x = images(1)
    a = model.activations(x, "conv")
    assert not model.runs_downstream_only(x, "conv")
    found = model.replaced(x, torch.cat([a, a * 0.5]), "conv")
    want = net.fc(torch.cat([a, a * 0.5]).permute(0, 3, 1, 2).reshape(2, -1))
    np.testing.assert_allclose(found.numpy(), want.detach().numpy(), atol=1e-6)


def test_replaced_refuses_batches_that_do_not_fit(net: Small) -> None:
    with pytest.raises(InputError, match="2 images, 3 values"):
        TorchClassifier(net).replaced(images(2), torch.zeros(3, 6, 8, 8), "conv2")


def test_tokens_come_back_as_a_grid_and_the_class_token_stays_apart() -> None:
    torch.manual_seed(0)

    class Tiny(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patch = nn.Conv2d(3, 8, 4, 4)
            self.cls = nn.Parameter(torch.randn(1, 1, 8))
            self.block = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
            self.fc = nn.Linear(8, 3)

        def forward(self, t: Any) -> Any:
            tokens = self.patch(t).flatten(2).transpose(1, 2)
            tokens = torch.cat([self.cls.expand(len(t), 1, 8), tokens], 1)
            return self.fc(self.block(tokens)[:, 0])

    model = TorchClassifier(Tiny(), size=(12, 16, 3))
    x = images(1)
    grid = model.activations(x, "block")
    assert grid.shape == (1, 3, 4, 8)
    logits = model.activations(x)
    # only the class token is read, so other patch tokens change nothing
    np.testing.assert_allclose(model.replaced(x, grid * 0, "block").numpy(), logits.numpy(), atol=1e-6)
    (shape,) = {layer.shape for layer in model.layers if layer.path == "block"}
    assert shape == (3, 4, 8)


def test_a_chunked_batch_equals_the_whole_batch(net: Small) -> None:
    x = images(5)
    whole, parts = TorchClassifier(net), Batched(TorchClassifier(net), 2)
    each = one_hot(0, 1, 2, 3, 4)
    np.testing.assert_allclose(parts.activations(x).numpy(), whole.activations(x).numpy(), atol=1e-6)
    for mine, theirs in zip(
        parts.gradients(x, each, wrt=("conv1", "input")), whole.gradients(x, each, wrt=("conv1", "input")), strict=True
    ):
        for a, b in zip(mine, theirs, strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-6)
    many = parts.gradients(x, [each, one_hot(1)])[1]
    np.testing.assert_allclose(many.numpy(), whole.gradients(x, [each, one_hot(1)])[1].numpy(), atol=1e-7)
    values = torch.rand(5, 6, 8, 8)
    np.testing.assert_allclose(
        parts.replaced(x[:1], values, "act").numpy(), whole.replaced(x[:1], values, "act").numpy(), atol=1e-6
    )


def test_no_pass_is_larger_than_the_chunk(net: Small) -> None:
    rows: list[int] = []
    net.conv1.register_forward_hook(lambda m, i, o: rows.append(o.shape[0]))
    Batched(TorchClassifier(net), 2).gradients(images(5), one_hot(0))
    assert max(rows) == 2


def test_passes_are_counted(net: Small) -> None:
    passes = Passes()
    model = Watched(TorchClassifier(net), passes)
    model.activations(images(3))
    model.gradients(images(2), one_hot(0))
    model.rewired("guided").gradients(images(2), one_hot(0))
    model.activations(images(3), "input")
    assert passes.rows == {"activations": 3, "gradients": 4}
    assert (passes.calls, passes.total) == (3, 7)


def test_shared_asks_once_for_all_seeds_and_methods(net: Small) -> None:
    passes = Passes()
    x, family = images(1), [one_hot(0), one_hot(1), one_hot(2)]
    model = Shared(Watched(TorchClassifier(net), passes), x, family)
    gradients = [model.gradients(x, s, wrt="conv2")[1] for s in family]
    model.gradients(x, family[1], wrt="conv2")
    model.activations(x, "conv2")
    assert passes.calls == 1
    for s, gradient in zip(family, gradients, strict=True):
        np.testing.assert_allclose(
            gradient.numpy(), TorchClassifier(net).gradients(x, s, wrt="conv2")[1].numpy(), atol=1e-7
        )


def test_the_top_class_is_chosen_from_the_same_forward(net: Small) -> None:
    x = images(4)
    best = TorchClassifier(net).activations(x).argmax(-1)
    want = TorchClassifier(net).gradients(x, one_hot(*best.tolist()))[1]
    np.testing.assert_array_equal(TorchClassifier(net).gradients(x, TopKObjective())[1].numpy(), want.numpy())


def test_a_score_that_does_not_depend_on_the_layer_has_no_gradient(net: Small) -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.unused = net, nn.Conv2d(3, 2, 1)

        def forward(self, t: Any) -> Any:
            self.unused(t)
            return self.body(t)

    with pytest.raises(ModelError, match="must depend on 'unused'"):
        TorchClassifier(Two()).gradients(images(), one_hot(0), wrt="unused")
