"""Rows of zeros are left out of a backward pass, and nothing but time changes."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from benchmarks.shapes import ViTB16
from torch.utils._python_dispatch import TorchDispatchMode

from shisen.adapters.torch.adapter import TorchClassifier
from shisen.adapters.torch.rewire import vector_jacobian
from shisen.adapters.torch.sparse_backward import LiveRows, live_rows


class Rows(TorchDispatchMode):  # type: ignore[misc]
    """Record with how many rows each product of matrices was made."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func._schema.name == "aten::mm":
            self.seen.append(len(args[0]))
        return func(*args, **(kwargs or {}))


class Queries(Rows):
    """Record for how many queries attention was followed back."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if "attention" in func._schema.name:
            self.seen.append(args[0].shape[2])
        return func(*args, **(kwargs or {}))


def transformer(mean: bool = False) -> Any:
    torch.manual_seed(0)
    net = ViTB16(classes=7, width=32, depth=2, heads=4).eval()
    if mean:
        net.norm.register_forward_hook(lambda _, __, out: out.mean(dim=1, keepdim=True).expand_as(out))
    return net


def both(net: Any, images: torch.Tensor) -> tuple[Any, Any, list[int], list[int]]:
    """Return the gradient at the tokens in front of the last block as shisen and as plain torch make it."""
    adapter = TorchClassifier(net)

    def asked() -> Any:
        return adapter.gradients(images, lambda y: torch.eye(7)[[3] * len(y)], wrt="blocks.1.norm1")[1]

    asked()  # the first looks at the network
    with Rows() as ours:
        found = asked()
    kept: list[Any] = []
    handle = net.blocks[1].norm1.register_forward_hook(lambda _, __, out: kept.append(out))
    score = net(images.permute(0, 3, 1, 2))[:, 3].sum()
    handle.remove()
    with Rows() as plain:
        (want,) = torch.autograd.grad(score, kept)
    return found, want[:, 1:].reshape(found.shape), ours.seen, plain.seen


def test_a_class_token_alone_goes_back_through_the_last_perceptron() -> None:
    images = torch.rand(2, 224, 224, 3)
    found, want, ours, plain = both(transformer(), images)
    assert found.abs().max() > 0
    torch.testing.assert_close(found, want, rtol=1e-5, atol=1e-5 * float(want.abs().max()))
    tokens = 2 * 197
    assert plain.count(tokens) == 4  # two of the perceptron, one behind and one in front of the attention
    assert ours.count(tokens) == 1  # keys and values of all tokens
    assert ours.count(2) >= 3


def test_all_tokens_go_back_where_the_answer_is_their_mean() -> None:
    found, want, ours, plain = both(transformer(mean=True), torch.rand(2, 224, 224, 3))
    torch.testing.assert_close(found, want, rtol=1e-5, atol=1e-5 * float(want.abs().max()))
    assert sorted(ours) == sorted(plain)


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_slopes_of_gelu_are_made_where_there_is_something_to_pass_on(approximate: str) -> None:
    x = torch.randn(3, 20, 5, requires_grad=True)
    gradients = torch.zeros(3, 20, 5)
    gradients[1, 4] = torch.randn(5)
    y = torch.nn.functional.gelu(x, approximate=approximate)
    (want,) = torch.autograd.grad(y, x, gradients, retain_graph=True)
    with LiveRows():
        (found,) = torch.autograd.grad(y, x, gradients)
    torch.testing.assert_close(found, want)
    assert found[1, 4].abs().sum() > 0


@pytest.mark.parametrize("causal", [False, True])
def test_attention_follows_the_queries_that_are_asked(causal: bool) -> None:
    q, k, v = (torch.randn(2, 3, 20, 8, requires_grad=True) for _ in range(3))
    gradients = torch.zeros(2, 3, 20, 8)
    gradients[:, :, 4] = torch.randn(2, 3, 8)
    gradients[0, 1, 9, 7] = 2.0
    y = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal)
    want = torch.autograd.grad(y, (q, k, v), gradients, retain_graph=True)
    with Queries() as plain:
        torch.autograd.grad(y, (q, k, v), gradients, retain_graph=True)
    with Queries() as seen, LiveRows():
        found = torch.autograd.grad(y, (q, k, v), gradients)
    for ours, theirs in zip(found, want, strict=True):
        assert ours.abs().max() > 0
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    assert plain.seen == [20]  # the operator is the one that is looked for
    assert seen.seen == [20 if causal else 2]


def test_a_row_lives_if_any_of_its_values_is_not_zero() -> None:
    gradients = torch.zeros(40, 9)
    gradients[3, 8], gradients[7, 0], gradients[20, 5] = 1e-30, -1.0, float("nan")
    assert live_rows(gradients).tolist() == [3, 7, 20]
    assert live_rows(gradients[:10]) is None  # too few for looking to pay
    gradients[:, 6] = 1.0
    assert live_rows(gradients) is None
    assert live_rows(torch.zeros(40, 9)).tolist() == []


def test_a_product_without_live_rows_is_zero() -> None:
    x = torch.randn(4, 8, 6, requires_grad=True)
    y = torch.nn.functional.linear(x, torch.randn(5, 6))
    (found,) = vector_jacobian(y, [x], torch.zeros_like(y), None, keep=False, names=["x"])
    assert found.shape == x.shape
    assert not found.any()


@pytest.mark.parametrize("method", ["grad_cam", "guided_backprop"])
def test_a_gradient_does_not_import_torchs_compiler(method: str) -> None:
    code = f"""
import sys, numpy, torch, shisen
torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1))
if "{method}" == "grad_cam":
    from benchmarks.shapes import ViTB16
    net = ViTB16(classes=7, width=32, depth=2, heads=4)
else:
    net = torch.nn.Sequential(net, torch.nn.Flatten(), torch.nn.Linear(4, 5))
model = shisen.wrap(net.eval())
found = shisen.explain(model, numpy.random.rand(224, 224, 3).astype("float32"), "{method}")
assert found.values.size > 9
print([name for name in ("torch._dynamo", "sympy") if name in sys.modules])
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
