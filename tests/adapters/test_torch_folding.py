"""Folding a normalization into its convolution changes the time, never the answer, and leaves nothing behind."""

from __future__ import annotations

from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor, TimeoutError

import numpy as np
import pytest
import torch

from shisen.adapters.torch.adapter import TorchClassifier
from shisen.adapters.torch.folding import folded, pairs
from shisen.adapters.torch.prepacked_weights import Packed
from shisen.targets import ClassObjective

SEED = ClassObjective("class 1", ((1.0, (1,)),))

needs_blocks = pytest.mark.skipif(
    not (torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_convolution_pointwise")),
    reason="this torch keeps no weights in blocks",
)


def net(seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    made = torch.nn.Sequential(
        OrderedDict(
            first=torch.nn.Conv2d(3, 6, 3, padding=1),
            norm=torch.nn.BatchNorm2d(6),
            act=torch.nn.ReLU(),
            second=torch.nn.Conv2d(6, 8, 3, stride=2, bias=False),
            plain=torch.nn.BatchNorm2d(8, affine=False),
            last=torch.nn.ReLU6(),
            pool=torch.nn.AdaptiveAvgPool2d(1),
            flat=torch.nn.Flatten(),
            top=torch.nn.Linear(8, 4),
        )
    )
    for module in made.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            if module.affine:
                torch.nn.init.normal_(module.weight)
                torch.nn.init.normal_(module.bias)
    return made.eval()


def images(n: int = 2) -> np.ndarray:
    return np.random.default_rng(3).random((n, 12, 10, 3), dtype=np.float32)


def both(module: torch.nn.Module) -> tuple[TorchClassifier, TorchClassifier]:
    plain, quick = TorchClassifier(module, size=(12, 10, 3)), TorchClassifier(module, size=(12, 10, 3))
    quick.folds = True
    return plain, quick


def ran_normalizations(classifier: TorchClassifier) -> int:
    """Count the batch normalizations of one forward."""
    seen = []
    real = torch.nn.functional.batch_norm
    try:
        torch.nn.functional.batch_norm = lambda *a, **k: seen.append(1) or real(*a, **k)
        classifier.activations(images())
    finally:
        torch.nn.functional.batch_norm = real
    return len(seen)


def ran_in_place(classifier: TorchClassifier) -> list[str]:
    """Tell which activations wrote into what they were given, in one forward."""
    names = {id(m): name for name, m in classifier.module.named_modules()}
    real = {kind: kind.forward for kind in (torch.nn.ReLU, torch.nn.ReLU6)}
    seen = []
    try:
        for kind, forward in real.items():
            kind.forward = lambda self, x, f=forward: seen.append((names[id(self)], self.inplace)) or f(self, x)
        classifier.activations(images())
    finally:
        for kind, forward in real.items():
            kind.forward = forward
    return [name for name, inplace in seen if inplace]


def test_the_answer_is_the_same_and_the_normalizations_do_not_run() -> None:
    plain, quick = both(net())
    np.testing.assert_allclose(quick.activations(images()), plain.activations(images()), rtol=1e-5, atol=1e-5)
    assert (ran_normalizations(plain), ran_normalizations(quick)) == (2, 0)


def test_activations_write_into_what_they_are_given() -> None:
    plain, quick = both(net())
    plain.activations(images())
    quick.activations(images())
    assert (ran_in_place(plain), ran_in_place(quick)) == ([], ["act", "last"])


@pytest.mark.parametrize("point", ["first", "norm", "act", "second", "plain", "last"])
def test_a_point_is_seen_as_it_is_wherever_activations_write(point: str) -> None:
    plain, quick = both(net())
    quick.activations(images())
    for ours, theirs in zip(
        quick.activations(images(), [point, "logits"]), plain.activations(images(), [point, "logits"]), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_no_activation_writes_where_a_gradient_passes() -> None:
    _, quick = both(net())
    quick.gradients(images(), SEED, wrt="input")  # the first time, memory layouts are compared
    found = []
    real = torch.nn.ReLU.forward
    try:
        torch.nn.ReLU.forward = lambda self, x: found.append(self.inplace) or real(self, x)
        quick.gradients(images(), SEED, wrt="input")
    finally:
        torch.nn.ReLU.forward = real
    assert found == [False]


@pytest.mark.parametrize("point", ["input", "first", "norm", "act", "second", "plain", "last"])
def test_every_point_and_its_gradient_are_those_of_the_unfolded_network(point: str) -> None:
    plain, quick = both(net())
    for ours, theirs in zip(
        quick.gradients(images(), SEED, wrt=point), plain.gradients(images(), SEED, wrt=point), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("how", ["optimizer", "data", "state dict", "another parameter", "statistics"])
def test_changed_weights_are_noticed(how: str) -> None:
    module = net()
    plain, quick = both(module)
    before = quick.activations(images())
    with torch.no_grad():
        if how == "optimizer":
            module.first.weight.mul_(0.5)
        elif how == "data":
            module.norm.weight.data.normal_()
        elif how == "state dict":
            module.load_state_dict(net(7).state_dict())
        elif how == "another parameter":
            module.second.weight = torch.nn.Parameter(module.second.weight * 2)
        else:
            module.plain.running_mean.add_(1.0)
    after = quick.activations(images())
    np.testing.assert_allclose(after, plain.activations(images()), rtol=1e-5, atol=1e-5)
    assert float((after - before).abs().max()) > 1e-3


def test_everything_is_put_back_also_after_an_error() -> None:
    module = net()
    _, quick = both(module)
    quick.activations(images())
    weights = {name: id(p) for name, p in module.named_parameters()}
    handle = module.last.register_forward_hook(lambda *_: (_ for _ in ()).throw(RuntimeError("stop")))
    with pytest.raises(RuntimeError, match="stop"):
        quick.activations(images())
    handle.remove()
    assert {name: id(p) for name, p in module.named_parameters()} == weights
    assert not any("forward" in m.__dict__ or getattr(m, "inplace", False) for m in module.modules())


def test_a_hook_of_the_users_between_the_two_sees_what_it_always_saw() -> None:
    module = net()
    _, quick = both(module)
    quick.activations(images())
    heard = []
    handle = module.norm.register_forward_pre_hook(lambda _, inputs: heard.append(inputs[0].clone()))
    quick.activations(images())
    handle.remove()
    x = torch.as_tensor(images()).permute(0, 3, 1, 2)
    torch.testing.assert_close(heard[-1], module.first(x))


def test_a_hook_of_the_users_at_an_activation_sees_what_it_always_saw() -> None:
    module = net()
    plain, quick = both(module)
    quick.activations(images())
    heard = []
    handle = module.act.register_forward_hook(lambda _, inputs, output: heard.append((inputs[0], output)))
    assert ran_in_place(quick) == ["last"]
    handle.remove()
    want = plain.activations(images(), "norm").permute(0, 3, 1, 2)
    torch.testing.assert_close(heard[-1][0], want)
    torch.testing.assert_close(heard[-1][1], want.relu())


class Again(torch.nn.Module):
    """Reads what went into an activation once more behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.body = net()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        body = self.body
        y = body.norm(body.first(x))
        y = body.act(y) + y
        return body.top(body.last(body.plain(body.second(y))).mean((2, 3)))


def test_nothing_is_overwritten_that_the_network_reads_again() -> None:
    plain, quick = both(Again().eval())
    np.testing.assert_allclose(quick.activations(images()), plain.activations(images()), rtol=1e-5, atol=1e-5)
    assert ran_in_place(quick) == []
    assert ran_normalizations(quick) == 0  # folding alone still gives the same answer


class Within(torch.nn.Module):
    """The activation begins another part of the network than the normalization ends."""

    def __init__(self) -> None:
        super().__init__()
        made = net()
        self.first, self.norm, self.tail = made.first, made.norm, made[2:]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.tail(self.norm(self.first(x)))


def test_an_activation_that_begins_another_part_does_not_write_into_what_that_part_was_given() -> None:
    module = Within().eval()
    plain, quick = both(module)
    quick.activations(images())
    heard = []
    handle = module.tail.register_forward_pre_hook(lambda _, inputs: heard.append(inputs[0]))
    quick.activations(images())
    handle.remove()
    torch.testing.assert_close(heard[-1], plain.activations(images(), "norm").permute(0, 3, 1, 2))


def test_a_convolution_whose_output_is_used_twice_is_left_alone() -> None:
    class Twice(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = net()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.body.first(x)
            z = self.body.last(self.body.plain(self.body.second(self.body.act(self.body.norm(y) + y))))
            return self.body.top(z.mean((2, 3)))

    plain, quick = both(Twice().eval())
    np.testing.assert_allclose(quick.activations(images()), plain.activations(images()), rtol=1e-5, atol=1e-5)


@needs_blocks
def test_a_network_runs_where_blocks_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("not on this processor")

    monkeypatch.setattr(torch.ops.mkldnn, "_convolution_pointwise", fail)
    plain, quick = both(net())
    np.testing.assert_allclose(quick.activations(images()), plain.activations(images()), rtol=1e-5, atol=1e-5)
    assert (ran_normalizations(quick), ran_in_place(quick)) == (0, ["act", "last"])


@needs_blocks
def test_a_network_reads_its_weights_from_blocks() -> None:
    plain, quick = both(net())
    np.testing.assert_allclose(quick.activations(images()), plain.activations(images()), rtol=1e-5, atol=1e-5)
    weights = [pair.folded()[0] for pair in quick._pairs[1].values()]
    assert all(isinstance(w, Packed) and list(w.blocks) == [torch.float32] for w in weights)
    assert not any(isinstance(p, Packed) for p in quick.module.parameters())


@needs_blocks
def test_blocks_that_answer_otherwise_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    real = torch.ops.mkldnn._convolution_pointwise
    monkeypatch.setattr(torch.ops.mkldnn, "_convolution_pointwise", lambda *args: real(*args) * 1.01)
    plain, quick = both(net())
    np.testing.assert_allclose(quick.activations(images()), plain.activations(images()), rtol=1e-5, atol=1e-5)
    assert ran_in_place(quick) == ["act", "last"]


def test_numbers_that_are_none_are_not_lost() -> None:
    module = net()
    _, quick = both(module)
    quick.activations(images())
    module.first.weight.data[0, 0, 0, 0] = float("nan")
    assert bool(torch.isnan(quick.activations(images())).all())


def test_biases_asked_for_during_another_threads_forward_are_those_of_the_network_as_it_is() -> None:
    module = net()
    plain, quick = both(module)
    quick.activations(images())
    want = plain.biases(images())
    with ThreadPoolExecutor(1) as pool:
        with quick.lock, folded(pairs(module, quick.trace().calls), ()):
            asked = pool.submit(quick.biases, images())
            with pytest.raises(TimeoutError):
                asked.result(timeout=0.5)
        got = asked.result(timeout=30)
    assert got.keys() == want.keys()
    for name, value in want.items():
        np.testing.assert_allclose(got[name], value)


def test_only_networks_loaded_by_name_are_folded() -> None:
    import shisen

    assert shisen.load("efficientnet_lite0").network.folds
    assert not shisen.wrap(net()).network.folds


class Looking(torch.nn.Module):
    """A convolution with its normalization, and attention among its places."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = torch.nn.Conv2d(3, 8, 4, stride=4), torch.nn.BatchNorm2d(8)
        self.attn = torch.nn.MultiheadAttention(8, 2, batch_first=True)
        self.top = torch.nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.norm(self.stem(x)).flatten(2).transpose(1, 2)
        return self.top(self.attn(tokens, tokens, tokens)[0].mean(1))


def test_the_comparison_before_the_first_fold_is_not_taken_for_attention() -> None:
    torch.manual_seed(0)
    plain, quick = both(Looking().eval())
    (want,), (got,) = plain.attentions(images()), quick.attentions(images())
    assert quick._pairs
    assert got.path == want.path
    torch.testing.assert_close(got.values, want.values)
