"""A network that cuts its graph is told apart from one without evidence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import nets
import shisen
from shisen.adapters.torch.adapter import TorchClassifier
from shisen.errors import ModelError


class NoGradient(torch.autograd.Function):
    """An operation of which torch only learns on the way back that it has no gradient."""

    @staticmethod
    def forward(_: Any, x: Any) -> Any:  # type: ignore[override]
        return x.clone()

    @staticmethod
    def backward(_: Any, __: Any) -> Any:  # type: ignore[override]
        raise NotImplementedError("no derivative")


CUTS: dict[str, Callable[[Any], Any]] = {
    "detach": lambda x: x.detach(),
    "numpy": lambda x: torch.as_tensor(np.tanh(x.detach().numpy())),
    "argmax": lambda x: torch.nn.functional.one_hot(x.argmax(1), x.shape[1]).movedim(-1, 1).float(),
    "threshold": lambda x: (x > 0.1).float(),
    "round": lambda x: torch.round(4 * x),
    "sign": lambda x: torch.sign(x - 0.1),
}


class Cut(nets.Toy):
    def __init__(self, cut: Callable[[Any], Any] = CUTS["detach"]) -> None:
        super().__init__()
        self.cut = cut

    def forward(self, x: Any) -> Any:
        x = self.cut(self.down(self.act1(self.norm(self.conv1(x)))))
        return self.fc(self.pool(self.act2(self.conv2(x))).flatten(1))


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize(("method", "layer"), [("gradient", None), ("grad_cam", "conv1"), ("guided_backprop", None)])
def test_the_score_does_not_depend_on_what_lies_before_the_cut(method: str, layer: str | None, cut: str) -> None:
    model = shisen.wrap(Cut(CUTS[cut]))
    with pytest.raises(ModelError, match=r"does not depend on .* detach\(\)"):
        shisen.explain(model, nets.images(1)[0], method, target=1, layer=layer)
    assert shisen.explain(model, nets.images(1)[0], "occlusion", target=1).values.any()


def test_operations_without_a_derivative_are_named_and_the_other_methods_run() -> None:
    model = shisen.wrap(Cut(NoGradient.apply))
    with pytest.raises(ModelError, match=r"differentiable from 'input'.*NotImplementedError: no derivative.*occlusion"):
        shisen.explain(model, nets.images(1)[0], "gradient", target=1)
    assert shisen.explain(model, nets.images(1)[0], "occlusion", target=1).values.any()


def test_errors_of_a_score_function_remain_its_own() -> None:
    def objective(_: Any) -> Any:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        TorchClassifier(nets.Toy()).gradients(nets.images(1), objective)


def test_a_score_that_is_constant_has_no_evidence_but_no_cut_either() -> None:
    net = nets.Toy()
    with torch.no_grad():
        net.conv2.weight.zero_()
        net.conv2.bias.fill_(-1.0)
    assert not shisen.explain(shisen.wrap(net), nets.images(1)[0], "gradient", target=1).values.any()


def test_after_the_cut_everything_is_as_ever() -> None:
    x = nets.images(1)[0]
    found, want = (
        shisen.explain(shisen.wrap(net), x, "grad_cam", target=1, layer="act2").values for net in (Cut(), nets.Toy())
    )
    np.testing.assert_allclose(found, want, rtol=1e-5)
