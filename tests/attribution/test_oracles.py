"""The oracle of the toy network, to the digits given, and small properties with known answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import nets
from shisen.adapters.torch.adapter import TorchClassifier
from shisen.registry import METHODS
from shisen.targets import ClassObjective, to_numpy


@pytest.fixture
def model() -> TorchClassifier:
    return TorchClassifier(nets.Oracle(), size=(4, 4, 1), head="softmax")


def run(model: Any, name: str, layer: str | None = None, **options: Any) -> Any:
    objective = ClassObjective("class 0", ((1.0, (0,)),))
    return to_numpy(METHODS[name](model, nets.ORACLE_INPUT, objective, layer=layer, **options).values)[0]


def test_the_oracle_is_the_same_network_in_numpy_and_torch(model: TorchClassifier) -> None:
    want = nets.oracle_numpy(nets.ORACLE_INPUT)
    np.testing.assert_array_equal(want["relu1"][0].transpose(2, 0, 1), [[[0, 4], [31, 40]], [[0, 0], [6, 15]]])
    for point in ("conv1", "relu1", "logits"):
        np.testing.assert_array_equal(to_numpy(model.activations(nets.ORACLE_INPUT, point)), want[point])


def test_grad_cam(model: TorchClassifier) -> None:
    np.testing.assert_allclose(run(model, "grad_cam", "conv1"), [[11.25, 13.5], [20.25, 22.5]])
    np.testing.assert_allclose(run(model, "grad_cam", "relu1"), [[0, 4], [28, 32.5]])


def test_guided_backprop(model: TorchClassifier) -> None:
    want = [[0, 1, 1, 1], [1, 3, 3, 2], [1, 3, 3, 2], [1, 2, 2, 1]]
    np.testing.assert_allclose(run(model, "guided_backprop")[..., 0], want)


def test_deconvnet(model: TorchClassifier) -> None:
    want = [[2, 3, 3, 1], [3, 5, 5, 2], [3, 5, 5, 2], [1, 2, 2, 1]]
    np.testing.assert_allclose(run(model, "deconvnet")[..., 0], want)


def test_grad_cam_pp_of_the_paper(model: TorchClassifier) -> None:
    values = run(model, "grad_cam_pp", "relu1")
    first, second = 4 / 77, 1 / 23
    np.testing.assert_allclose(values, [[0, 4 * first], [31 * first + 6 * second, 40 * first + 15 * second]], rtol=1e-6)
    np.testing.assert_allclose((values / values.max()).ravel(), [0, 0.0761, 0.6854, 1], atol=5e-5)


def test_grad_cam_pp_of_the_authors_code(model: TorchClassifier) -> None:
    values = run(model, "grad_cam_pp", "relu1", variant="code")
    np.testing.assert_allclose((values / values.max()).ravel(), [0, 0.0727, 0.6727, 1], atol=5e-5)


def test_guided_grad_cam_multiplies_without_rescaling(model: TorchClassifier) -> None:
    guided = np.float32([[0, 1, 1, 1], [1, 3, 3, 2], [1, 3, 3, 2], [1, 2, 2, 1]])
    cam = torch.tensor([[[[11.25, 13.5], [20.25, 22.5]]]])
    large = torch.nn.functional.interpolate(cam, (4, 4), mode="bilinear", align_corners=False)[0, 0].numpy()
    np.testing.assert_allclose(run(model, "guided_grad_cam", "conv1")[..., 0], guided * large, rtol=1e-6)


def test_deconvnet_projects_a_layer_back_without_a_class(model: TorchClassifier) -> None:
    # relu1's own values go back through the ReLU and the kernels of ones
    relu1 = nets.oracle_numpy(nets.ORACLE_INPUT)["relu1"][0].sum(axis=2)
    want = np.zeros((4, 4))
    for i in range(2):
        for j in range(2):
            want[i : i + 3, j : j + 3] += relu1[i, j]
    np.testing.assert_allclose(run(model, "deconvnet", from_layer="relu1")[..., 0], want)


def test_ablation_cam_keeps_its_signs_for_a_negative_logit() -> None:
    net = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(2, 1))
    with torch.no_grad():
        net[3].weight.copy_(torch.tensor([[1.0, -3.0]]))
        net[3].bias.zero_()
    model = TorchClassifier(net, size=(2, 2, 2), head="none")
    x = np.zeros((1, 2, 2, 2), np.float32)
    x[0, 0, 0, 0] = x[0, 1, 1, 1] = 4.0  # channel 0 speaks for the class at the top, channel 1 against it below
    objective = ClassObjective("class 0", ((1.0, (0,)),), head="none")
    result = METHODS["ablation_cam"](model, x, objective, layer="0")
    assert float(model.activations(x)[0, 0]) == -2.0
    np.testing.assert_allclose(to_numpy(result.values)[0], [[4 * 1 / 2, 0], [0, 0]])


def test_one_position_of_recipro_cam_by_hand(model: TorchClassifier) -> None:
    # behind relu1: linear and ReLU; place (1, 1) alone gives relu(40 − 15) = 25, (1, 0) gives 31 − 6
    np.testing.assert_allclose(run(model, "recipro_cam", "relu1"), [[0, 4], [25, 25]])
    notes = METHODS["recipro_cam"](model, nets.ORACLE_INPUT, ClassObjective("0", ((1.0, (0,)),)), layer="relu1").notes
    assert "non-linear" in notes["run"]
