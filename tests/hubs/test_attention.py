"""Attention of every head: fused and explicit alike, in every library's way of writing it."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from shisen.adapters.torch.adapter import TorchClassifier  # noqa: E402
from shisen.adapters.wrappers import Batched  # noqa: E402
from shisen.errors import ModelError  # noqa: E402
from shisen.registry import get  # noqa: E402
from shisen.targets import ClassObjective  # noqa: E402

SEED = ClassObjective("class", ((1.0, (3,)),))


def images(n: int = 2, h: int = 32, w: int = 48) -> np.ndarray:
    return np.random.default_rng(1).random((n, h, w, 3), dtype=np.float32)


def small(fused: bool = True, **options: Any) -> Any:
    torch.manual_seed(0)
    net = timm.create_model(
        "vit_tiny_patch16_224", img_size=(32, 48), embed_dim=24, depth=3, num_heads=4, patch_size=8, num_classes=7,
        **options,
    ).eval()  # fmt: skip
    for block in net.blocks:
        block.attn.fused_attn = fused
    return net


def explicit(net: Any, x: np.ndarray) -> list[Any]:
    """Every block's softmax(Q Kᵀ / √d), from the block's own input and weights."""
    found = []

    def hook(module: Any, args: Any, _: Any) -> None:
        t = args[0]
        n, tokens, width = t.shape
        qkv = module.qkv(t).reshape(n, tokens, 3, module.num_heads, width // module.num_heads)
        q, k, _v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        found.append((q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])).softmax(-1))

    handles = [block.attn.register_forward_hook(hook) for block in net.blocks]
    with torch.no_grad():
        net(torch.tensor(x).permute(0, 3, 1, 2))
    for handle in handles:
        handle.remove()
    return found


@pytest.mark.parametrize("fused", [True, False])
def test_fused_attention_is_the_explicit_formula(fused: bool) -> None:
    net, x = small(fused), images()
    layers = TorchClassifier(net).attentions(x)
    assert [a.path for a in layers] == [f"blocks.{i}.attn.attention" for i in range(3)]
    for layer, want in zip(layers, explicit(net, x), strict=True):
        assert layer.gradients is None
        assert (layer.grid, layer.prefix, layer.windows) == ((4, 6), 1, 1)
        torch.testing.assert_close(layer.values, want, atol=1e-5, rtol=0)


def test_the_gradient_by_an_attention_is_the_finite_difference() -> None:
    net, x = small().double(), images(1)

    def score(change: Any, at: int) -> float:
        """The score when `change` is added to one block's attention, by a forward of our own."""
        t = torch.tensor(x, dtype=torch.float64).permute(0, 3, 1, 2)
        hidden = net.norm_pre(net.patch_drop(net._pos_embed(net.patch_embed(t))))
        for i, block in enumerate(net.blocks):
            normed = block.norm1(hidden)
            n, tokens, width = normed.shape
            q, k, v = block.attn.qkv(normed).reshape(n, tokens, 3, 4, width // 4).permute(2, 0, 3, 1, 4).unbind(0)
            fractions = (q @ k.transpose(-2, -1) / math.sqrt(width // 4)).softmax(-1)
            if i == at:
                fractions = fractions + change
            hidden = hidden + block.attn.proj((fractions @ v).transpose(1, 2).reshape(n, tokens, width))
            hidden = hidden + block.mlp(block.norm2(hidden))
        return float(net.forward_head(net.norm(hidden))[0, 3])

    layers = TorchClassifier(net).attentions(x, SEED)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for at, layer in enumerate(layers):
            way = torch.randn(layer.values.shape, generator=generator, dtype=torch.float64)
            gradient = (score(1e-4 * way, at) - score(-1e-4 * way, at)) / 2e-4
            assert gradient == pytest.approx(float((layer.gradients.double() * way).sum()), rel=1e-4)


class Encoder(nn.Module):
    """PyTorch's own encoder, whose native fast path computes attention out of sight."""

    def __init__(self, first: bool = True) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.patch = nn.Conv2d(3, 12, 8, 8)
        self.blocks = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(12, 3, 24, batch_first=first), 2, enable_nested_tensor=False
        )
        self.first = first
        self.fc = nn.Linear(12, 5)

    def forward(self, t: Any) -> Any:
        tokens = self.patch(t).flatten(2).permute(0, 2, 1) if self.first else self.patch(t).flatten(2).permute(2, 0, 1)
        return self.fc(self.blocks(tokens).mean(1 if self.first else 0))


@pytest.mark.parametrize("first", [True, False])
def test_multihead_attention_is_what_pytorch_itself_tells(first: bool) -> None:
    net, x = Encoder(first).eval(), images()
    layers = TorchClassifier(net).attentions(x, SEED)
    seen: list[Any] = []

    def hook(module: Any, args: Any, given: Any, _: Any) -> None:
        with torch.no_grad():
            told = {**given, "need_weights": True, "average_attn_weights": False, "is_causal": False}
            seen.append(type(module).forward(module, *args, **told)[1])

    handles = [b.self_attn.register_forward_hook(hook, with_kwargs=True) for b in net.blocks.layers]
    with torch.no_grad():
        net(torch.tensor(x).permute(0, 3, 1, 2))
    for handle in handles:
        handle.remove()
    assert len(layers) == len(seen) == 2
    for layer, want in zip(layers, seen, strict=True):
        assert layer.path.endswith("self_attn.attention")
        torch.testing.assert_close(layer.values, want, atol=1e-5, rtol=0)
        assert layer.gradients.abs().max() > 0


def test_watching_does_not_change_the_answer_and_leaves_nothing_behind() -> None:
    before = (functional.scaled_dot_product_attention, functional.multi_head_attention_forward, functional.softmax)
    for net in (small(), small(False), Encoder().eval()):
        x = images()
        state = copy.deepcopy(net.state_dict())
        model = TorchClassifier(net)
        plain = model.activations(x)
        asked: list[Any] = []

        def objective(y: Any, asked: list[Any] = asked) -> Any:
            asked.append(y)
            return torch.ones_like(y)

        model.attentions(x, objective)
        torch.testing.assert_close(asked[0], plain, atol=1e-5, rtol=1e-5)

        def failing(y: Any) -> Any:
            raise RuntimeError("no")

        with pytest.raises(RuntimeError, match="no"):
            model.attentions(x, failing)
        assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
        assert all(p.requires_grad and p.grad is None for p in net.parameters())
        assert all(torch.equal(v, state[k]) for k, v in net.state_dict().items())
        assert torch.overrides._get_current_function_mode() is None
    now = (functional.scaled_dot_product_attention, functional.multi_head_attention_forward, functional.softmax)
    assert now == before


def test_a_chunked_batch_tells_the_same() -> None:
    model, x = TorchClassifier(small()), images(3)
    whole, parts = model.attentions(x, SEED), Batched(model, 2).attentions(x, SEED)
    for a, b in zip(whole, parts, strict=True):
        torch.testing.assert_close(a.values, b.values)
        torch.testing.assert_close(a.gradients, b.gradients, atol=1e-6, rtol=1e-4)


# ---- the methods, against slow twins


def test_rollout_is_the_product_of_mixed_attentions() -> None:
    net, x = small(), images()
    want = []
    for row in range(2):
        total = np.eye(25)
        for a in explicit(net, x):
            mixed = a[row].double().numpy().mean(0) / 2 + np.eye(25) / 2
            total = mixed @ total
        want.append(total[0, 1:].reshape(4, 6))
        assert total[0].sum() == pytest.approx(1)
    found = get("attention_rollout")(TorchClassifier(net), x, SEED).values
    np.testing.assert_allclose(found.numpy(), np.stack(want), atol=1e-6)


def test_where_places_are_averaged_beside_a_class_token_the_places_read() -> None:
    net, x = small(global_pool="avg"), images()
    model = TorchClassifier(net)
    layers = model.attentions(x, SEED)
    assert layers[-1].prefix == 1
    rollout, relevance = np.eye(25)[None], np.eye(25)[None]
    for layer in layers:
        a, g = (np.asarray(v, np.float64) for v in (layer.values, layer.gradients))
        rollout = (a.mean(1) / 2 + np.eye(25) / 2) @ rollout
        relevance = relevance + np.maximum(a * g, 0).mean(1) @ relevance
    for name, want in (("attention_rollout", rollout), ("chefer", relevance - np.eye(25))):
        found = get(name)(model, x, SEED).values
        np.testing.assert_allclose(found.numpy(), want[:, 1:, 1:].mean(1).reshape(2, 4, 6), rtol=1e-2)
        assert not np.allclose(found.numpy(), want[:, 0, 1:].reshape(2, 4, 6), rtol=0.1, atol=0)


def test_chefer_is_relevance_added_layer_by_layer() -> None:
    model, x = TorchClassifier(small()), images()
    layers = model.attentions(x, SEED)
    want = []
    for row in range(2):
        relevance = np.eye(25)
        for layer in layers:
            cam = (layer.values[row] * layer.gradients[row]).double().numpy()
            relevance = relevance + np.maximum(cam, 0).mean(0) @ relevance
        want.append(relevance[0, 1:].reshape(4, 6))
    np.testing.assert_allclose(get("chefer")(model, x, SEED).values.numpy(), np.stack(want), atol=1e-6)


def legrad_by_hand(net: Any, x: np.ndarray, k: int) -> np.ndarray:
    """LeGrad straight from the paper: a forward of our own that keeps each attention and reads each block's tokens."""
    maps = []
    for image in x:
        t = torch.tensor(image)[None].permute(0, 3, 1, 2)
        hidden = net.norm_pre(net.patch_drop(net._pos_embed(net.patch_embed(t))))
        total = torch.zeros(24)
        for block in net.blocks:
            normed = block.norm1(hidden)
            _, tokens, width = normed.shape
            q, key, v = block.attn.qkv(normed).reshape(1, tokens, 3, 4, width // 4).permute(2, 0, 3, 1, 4).unbind(0)
            fractions = (q @ key.transpose(-2, -1) / math.sqrt(width // 4)).softmax(-1).detach().requires_grad_()
            hidden = hidden + block.attn.proj((fractions @ v).transpose(1, 2).reshape(1, tokens, width))
            hidden = hidden + block.mlp(block.norm2(hidden))
            score = net.head(net.norm(hidden)[:, 0])[0, k]
            (gradient,) = torch.autograd.grad(score, fractions, retain_graph=True)
            total = total + gradient.clamp(min=0).mean((0, 1, 2))[1:].detach()
        maps.append((total / len(net.blocks)).reshape(4, 6).numpy())
    return np.stack(maps)


@pytest.mark.parametrize("fused", [True, False])
def test_legrad_is_the_paper_by_hand(fused: bool) -> None:
    net, x = small(fused), images()
    want = legrad_by_hand(net, x, 3)
    assert want.max() > 0
    found = get("legrad")(TorchClassifier(net), x, SEED).values.numpy()
    np.testing.assert_allclose(found, want, atol=1e-6 * want.max() + 1e-9, rtol=1e-4)


@pytest.mark.parametrize("method", ["attention_rollout", "chefer", "legrad", "attention_x_gradient"])
def test_a_batch_is_its_images(method: str) -> None:
    model, x = TorchClassifier(small()), images(3)
    whole = get(method)(model, x, SEED).values
    one = get(method)(model, x[1:2], SEED).values
    torch.testing.assert_close(whole[1:2], one, atol=1e-6, rtol=1e-4)
    assert whole.abs().amax(dim=(1, 2)).min() > 0


def test_attention_times_gradient_is_the_change_when_heads_look_away() -> None:
    """With one linear layer downstream, the fractions of all tokens sum to what attention adds to the score."""

    class Linear(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.patch = nn.Conv2d(3, 12, 8, 8)
            self.attention = nn.MultiheadAttention(12, 3, batch_first=True)
            self.fc = nn.Linear(12, 5)

        def forward(self, t: Any) -> Any:
            tokens = self.patch(t).flatten(2).transpose(1, 2)
            return self.fc(self.attention(tokens, tokens, tokens)[0].mean(1))

    net, x = Linear().eval(), images()
    with torch.no_grad():
        want = net(torch.tensor(x).permute(0, 3, 1, 2))[:, 3] - net.fc(net.attention.out_proj.bias)[3]
    found = get("attention_x_gradient")(TorchClassifier(net), x, SEED).values
    torch.testing.assert_close(found.sum((1, 2)), want, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("method", ["attention_rollout", "chefer", "legrad", "attention_x_gradient"])
def test_networks_without_attention_are_refused_with_a_way_out(method: str) -> None:
    cnn = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5))
    with pytest.raises(ModelError, match="grad_cam"):
        get(method)(TorchClassifier(cnn), images(), SEED)


def test_transformers_networks_tell_the_same_fused_and_not() -> None:
    hub = pytest.importorskip("transformers")
    config = hub.AutoConfig.for_model(
        "vit", image_size=(32, 48), patch_size=8, hidden_size=24, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=48, num_labels=5,
    )  # fmt: skip
    nets = []
    for way in ("sdpa", "eager"):
        torch.manual_seed(0)
        nets.append(hub.AutoModelForImageClassification.from_config(config, attn_implementation=way).eval())
    nets[1].load_state_dict(nets[0].state_dict())
    x = images()
    fused, eager = (TorchClassifier(net).attentions(x, SEED) for net in nets)
    with torch.no_grad():
        told = nets[1](torch.tensor(x).permute(0, 3, 1, 2), output_attentions=True).attentions
    assert len(fused) == len(eager) == len(told) == 2
    for a, b, want in zip(fused, eager, told, strict=True):
        assert a.path == b.path
        assert (a.grid, a.prefix) == ((4, 6), 1)
        torch.testing.assert_close(a.values, want, atol=1e-5, rtol=0)
        torch.testing.assert_close(b.values, want, atol=1e-5, rtol=0)
        torch.testing.assert_close(a.gradients, b.gradients, atol=1e-6, rtol=1e-3)
