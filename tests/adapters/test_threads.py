"""Explanations in threads, beside a thread that runs and one that trains the same network: nobody is disturbed."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import nets
import shisen
from shisen.adapters.torch.adapter import TorchClassifier
from shisen.errors import ShisenError


class Small(nn.Module):
    """Convolutions with ReLUs; in training mode, which must not change while it is explained."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.act, self.second = nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 8, 3)
        self.last, self.top = nn.ReLU(), nn.Linear(8, 4)

    def forward(self, x: Any) -> Any:
        x = self.last(self.second(self.act(self.first(x))))
        return self.top(x.mean((2, 3)))


class Closed(Small):
    """One whose attributes are functions that hold on to its own modules, in every way that Python has."""

    def __init__(self) -> None:
        super().__init__()
        top = self.top

        def mean(x: Any) -> Any:
            return x.mean((2, 3))

        self.steps = [functools.partial(lambda f, x: f(x), mean), lambda x, layer=top: layer(x)]
        self.read = lambda x: self.steps[1](self.steps[0](x))

    def forward(self, x: Any) -> Any:
        return self.read(self.last(self.second(self.act(self.first(x)))))


class Locked(Small):
    """One that holds what cannot be copied: a lock, inside an object inside a list."""

    def __init__(self) -> None:
        super().__init__()
        self.guards = [SimpleNamespace(lock=threading.Lock())]


class Unique(Small):
    """One that cannot be copied."""

    def __deepcopy__(self, memo: Any) -> Any:
        raise TypeError("there is only one")


def gradients_of(net: nn.Module, x: Any) -> list[Any]:
    """Return the gradients of one training step, without writing them to the parameters."""
    assert all(m.training for m in net.modules())
    loss = nn.functional.cross_entropy(net(x), torch.tensor([1, 2]))
    return list(torch.autograd.grad(loss, list(net.parameters())))


def beside(work: Callable[[], Any], others: list[Callable[[], None]]) -> Any:
    """Run `work` while every other function runs again and again in a thread; their errors are raised."""
    done, problems = threading.Event(), list[BaseException]()

    def again(other: Callable[[], None]) -> None:
        try:
            while not done.is_set():
                other()
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=again, args=(other,)) for other in others]
    for thread in threads:
        thread.start()
    try:
        found = work()
    finally:
        done.set()
        for thread in threads:
            thread.join()
    if problems:
        raise problems[0]
    return found


@pytest.mark.parametrize("kind", [Small, Closed, Locked])
@pytest.mark.parametrize("maps", [5, pytest.param(200, marks=pytest.mark.slow)])
def test_maps_inference_and_training_do_not_disturb_each_other(maps: int, kind: type[Small]) -> None:
    net = kind().train()
    x = nets.images(2, 12, 12)
    shown = torch.tensor(x).permute(0, 3, 1, 2)
    want = shisen.explain(shisen.wrap(net), x[0], "grad_cam", target=1).values
    undisturbed = gradients_of(net, shown)
    with torch.no_grad():
        answer = net(shown)
    counts = [0, 0]

    def infer() -> None:
        with torch.no_grad():
            torch.testing.assert_close(net(shown), answer, rtol=0, atol=0)
        counts[0] += 1

    def learn() -> None:
        for got, known in zip(gradients_of(net, shown), undisturbed, strict=True):
            torch.testing.assert_close(got, known, rtol=0, atol=0)
        counts[1] += 1

    def explain(_: int) -> float:
        model = shisen.wrap(net)
        found = [shisen.explain(model, x[0], "grad_cam", target=1).values for _ in range(maps)]
        return max(float(np.abs(one - want).max()) for one in found)

    def work() -> list[float]:
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(explain, range(8)))

    assert max(beside(work, [infer, learn])) <= 1e-6
    assert min(counts) > 0


def test_the_module_itself_is_never_touched() -> None:
    net = Small().train()
    model = TorchClassifier(net, size=(12, 12, 3))
    seen: list[tuple[bool, bool, int]] = []
    original = nn.Conv2d.forward

    def look(self: nn.Conv2d, x: Any) -> Any:
        seen.append((net.training, net.first.weight.requires_grad, len(net.first._forward_hooks)))
        return original(self, x)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.Conv2d, "forward", look)
        model.gradients(nets.images(1, 12, 12), lambda y: torch.ones_like(y), wrt="last")
    assert set(seen) == {(True, True, 0)}
    assert model.module is not net
    assert model.module.first.weight.data_ptr() == net.first.weight.data_ptr()


@pytest.mark.parametrize("change", ["in place", "data", "parameter", "layer", "flag", "double"])
def test_what_is_done_to_the_module_later_counts(change: str) -> None:
    net, x = Small().eval(), nets.images(2, 12, 12)
    model = TorchClassifier(net, size=(12, 12, 3))
    before = model.activations(x)
    with torch.no_grad():
        if change == "in place":
            net.top.weight.mul_(2)
        elif change == "data":
            net.top.weight.data = net.top.weight.data * 2
        elif change == "parameter":
            net.top.weight = nn.Parameter(net.top.weight * 2)
        elif change == "layer":
            net.last = nn.Sigmoid()
        elif change == "flag":
            net.top.bias = None
        else:
            net.double().top.weight.mul_(2)
        want = net(torch.tensor(x).permute(0, 3, 1, 2).to(net.top.weight.dtype)).float()
    assert not torch.allclose(before, want)
    torch.testing.assert_close(model.activations(x), want)


def test_hooks_of_the_user_still_run_in_an_explanation() -> None:
    net, x = Small().eval(), nets.images(1, 12, 12)
    model = TorchClassifier(net, size=(12, 12, 3))
    plain = model.activations(x)
    handle = net.top.register_forward_hook(lambda _, __, y: 3 * y)
    torch.testing.assert_close(model.activations(x), 3 * plain)
    handle.remove()
    torch.testing.assert_close(model.activations(x), plain)


def test_a_module_that_cannot_be_copied_runs_for_others_meanwhile() -> None:
    net, x = Unique().eval(), nets.images(2, 12, 12)
    shown = torch.tensor(x).permute(0, 3, 1, 2)
    want, answer = shisen.explain(shisen.wrap(net), x[0], "grad_cam", target=1).values, net(shown)
    known = torch.autograd.grad(answer.sum(), list(net.parameters()))

    def infer() -> None:
        torch.testing.assert_close(net(shown), answer, rtol=0, atol=0)

    def learn() -> None:
        for got, one in zip(torch.autograd.grad(net(shown).sum(), list(net.parameters())), known, strict=True):
            torch.testing.assert_close(got, one, rtol=0, atol=0)

    def work() -> list[Any]:
        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(lambda _: shisen.explain(shisen.wrap(net), x[0], "grad_cam", target=1), range(40)))

    for found in beside(work, [infer, learn]):
        np.testing.assert_allclose(found.values, want, atol=1e-6)


def test_functions_inside_a_module_are_copied_with_it() -> None:
    net, x = Closed().train(), nets.images(2, 12, 12)
    model = TorchClassifier(net, size=(12, 12, 3))
    plain = model.activations(x)
    assert model.module is not net
    handle = net.top.register_forward_hook(lambda _, __, y: 3 * y)
    torch.testing.assert_close(model.activations(x), 3 * plain)
    handle.remove()
    assert not net.top.weight.grad_fn
    assert all(m.training for m in net.modules())


def test_many_methods_at_once_on_one_model() -> None:
    net, x = Small().train(), nets.images(1, 12, 12)[0]
    names = ("gradient", "guided_backprop", "grad_cam", "layer_cam", "ablation_cam", "recipro_cam", "occlusion", "rise")
    model = shisen.wrap(net)
    want = [shisen.explain(model, x, name, target=1).values for name in names]
    with ThreadPoolExecutor(len(names)) as pool:
        for shared in (True, False):
            found = pool.map(
                lambda n, m=shared: shisen.explain(model if m else shisen.wrap(net), x, n, target=1), names
            )
            for one, values in zip(found, want, strict=True):
                np.testing.assert_allclose(one.values, values, atol=1e-6)


def test_an_error_in_one_thread_remains_there() -> None:
    net, x = Small().train(), nets.images(1, 12, 12)[0]
    model = shisen.wrap(net)
    want = shisen.explain(model, x, "grad_cam", target=1).values

    def fail() -> None:
        for options in ({"layer": "nowhere"}, {"target": 99}, {"target": lambda y: y["nothing"]}):
            with pytest.raises(ShisenError):
                shisen.explain(model, x, "grad_cam", **options)

    def work() -> list[Any]:
        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(lambda _: shisen.explain(model, x, "grad_cam", target=1).values, range(40)))

    for found in beside(work, [fail]):
        np.testing.assert_allclose(found, want, atol=1e-6)


def test_a_server_of_asyncio_explains_one_image_in_each_task() -> None:
    net, shown = Small(), nets.images(6, 12, 12)
    model = shisen.wrap(net)
    want = [shisen.explain(model, x, "grad_cam", target=1).values for x in shown]

    async def serve() -> list[Any]:
        tasks = [asyncio.to_thread(shisen.explain, model, x, "grad_cam", target=1) for x in shown]
        return await asyncio.gather(*tasks)

    for found, values in zip(asyncio.run(serve()), want, strict=True):
        np.testing.assert_allclose(found.values, values, atol=1e-6)


def test_a_module_that_cannot_be_copied_is_used_itself_and_given_back() -> None:
    net, x = Unique().train(), nets.images(1, 12, 12)
    twin = Small().eval()
    twin.load_state_dict(net.state_dict())
    model, known = TorchClassifier(net, size=(12, 12, 3)), TorchClassifier(twin, size=(12, 12, 3))
    torch.testing.assert_close(model.activations(x), known.activations(x))
    assert model.module is net
    assert all(m.training for m in net.modules())
    assert all(p.requires_grad for p in net.parameters())
