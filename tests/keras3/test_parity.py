"""Every registered method gives the same map on Keras as on torch with the same weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nets
from nets_keras import toy
from shisen.adapters.keras.adapter import KerasClassifier
from shisen.adapters.torch.adapter import TorchClassifier
from shisen.adapters.weight_randomization import randomized
from shisen.adapters.wrappers import Batched
from shisen.errors import ModelError
from shisen.registry import METHODS
from shisen.targets import ClassObjective, TopKObjective, to_numpy
from shisen.types import Scaling

# as few passes as show the point
LIGHT: dict[str, dict[str, Any]] = {
    "smooth_grad": {"n_samples": 3},
    "smooth_grad_cam_pp": {"n_samples": 3},
    "integrated_gradients": {"n_steps": 6},
    "expected_gradients": {"n_samples": 3},
    "gradient_shap": {"n_samples": 3},
    "blur_ig": {"n_steps": 6},
    "guided_ig": {"n_steps": 6},
    "rise": {"n_samples": 12},
    "lime": {"n_samples": 12, "segments": "3x3"},
    "sobol": {"n_samples": 2, "grid": 4},
    "hsic": {"n_samples": 30, "grid": 4},
    "xrai": {"n_steps": 4},
    "adaptive_masks": {"max_evals": 48},
    "kernel_shap": {"n_samples": 12, "segments": "3x3"},
}
ATTENTION = [name for name in METHODS if METHODS[name].family == "attention"]
METHODS_HERE = [name for name in METHODS if name not in ATTENTION]
SCALING = Scaling((2.0, 1.5, 2.5), (-0.4, -0.5, -0.6))


def maps(name: str, model: Any, x: Any, objective: Any) -> Any:
    return to_numpy(METHODS[name](model, x, objective, **LIGHT.get(name, {})).values)


@pytest.fixture(scope="module", params=[("nested", "modules"), ("flat", "relu6")], ids=["nested", "relu6"])
def pair(request: Any) -> tuple[Any, Any]:
    """The same network in torch and in Keras, behind the same scaling; one pair for all methods."""
    style, net = request.param
    made = nets.Toy(net)
    one = TorchClassifier(made, SCALING, size=(12, 16, 3))
    return one, KerasClassifier(toy(made, style, head="softmax"), SCALING, size=(12, 16, 3))


@pytest.mark.parametrize("name", METHODS_HERE)
def test_the_same_map_as_torch(name: str, pair: tuple[Any, Any]) -> None:
    x, objective = nets.images(2), ClassObjective("a class each", ((1.0, (2, 4)),))
    want, got = (maps(name, model, x, objective) for model in pair)
    assert got.shape == want.shape
    assert np.abs(want).max() > 0
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-4 * np.abs(want).max())


@pytest.mark.parametrize("name", ["grad_cam", "guided_backprop"])
def test_a_batch_equals_its_images_however_it_is_cut(name: str) -> None:
    model = KerasClassifier(toy(nets.Toy()), size=(12, 16, 3))
    x, objective = nets.images(3), ClassObjective("a class each", ((1.0, (2, 4, 0)),))
    whole = maps(name, model, x, objective)
    cut = maps(name, Batched(model, 2), x, objective)
    np.testing.assert_allclose(cut, whole, atol=1e-4 * np.abs(whole).max())
    tall = maps(name, model, nets.images(1, 20, 8), TopKObjective())
    assert tall.shape[1] / tall.shape[2] == 20 / 8


@pytest.mark.parametrize("name", ATTENTION)
def test_attention_methods_say_what_they_need(name: str) -> None:
    with pytest.raises(ModelError, match="attention"):
        maps(name, KerasClassifier(toy(nets.Toy())), nets.images(), TopKObjective())


def test_randomized_weights_leave_the_original_alone() -> None:
    model = KerasClassifier(toy(nets.Toy()), SCALING, size=(12, 16, 3))
    x = nets.images()
    before = to_numpy(model.activations(x)).copy()
    after = to_numpy(randomized(model).activations(x))
    assert np.abs(before - after).max() > 0.05
    np.testing.assert_array_equal(to_numpy(model.activations(x)), before)


def test_the_same_layers_as_torch() -> None:
    made = nets.Toy()
    one, other = TorchClassifier(made, size=(12, 16, 3)), KerasClassifier(toy(made), size=(12, 16, 3))
    assert other.default_layer == one.default_layer == "act2"
    shapes = {r.path: (r.shape, r.parameters) for r in one.layers}
    for layer in other.layers:
        if layer.path in ("conv1", "conv2", "act1", "act2", "fc"):
            assert shapes[layer.path] == (layer.shape, layer.parameters)
