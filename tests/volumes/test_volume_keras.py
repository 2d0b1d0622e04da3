"""Keras networks of signals and volumes give the maps of torch with the same weights; so do ONNX graphs."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
keras = pytest.importorskip("keras")

import shisen  # noqa: E402
from nets_volumes import convolutional, flat  # noqa: E402
from shisen import registry  # noqa: E402
from shisen.adapters.keras.adapter import KerasClassifier  # noqa: E402
from shisen.adapters.torch.adapter import TorchClassifier  # noqa: E402
from shisen.errors import InputError  # noqa: E402
from shisen.targets import ClassObjective, to_numpy  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
OBJECTIVE = ClassObjective("class", ((1.0, (1,)),))
METHODS = ("grad_cam", "hires_cam", "grad_cam_pp", "gradient", "guided_backprop", "ablation_cam", "score_cam")


def same_in_keras(net: Any, rank: int, shape: tuple[int | None, ...]) -> Any:
    """Return the network of `nets_volumes.convolutional` in Keras, channels last."""
    conv = getattr(keras.layers, f"Conv{rank}D")
    made = keras.Sequential([
        keras.Input(shape),
        conv(4, 3, padding="same", name="a"), keras.layers.BatchNormalization(epsilon=1e-5, name="b"),
        keras.layers.ReLU(), conv(6, 3, padding="same", name="c"), keras.layers.ReLU(name="d"),
        getattr(keras.layers, f"GlobalAveragePooling{rank}D")(),
        keras.layers.Dense(5, activation="relu", name="e"), keras.layers.Dense(3, name="f"),
    ])  # fmt: skip
    turned = (*range(2, rank + 2), 1, 0)
    for name, layer in (("a", net[0]), ("c", net[3])):
        made.get_layer(name).set_weights([layer.weight.detach().numpy().transpose(turned), layer.bias.detach().numpy()])
    norm = net[1]
    made.get_layer("b").set_weights(
        [t.detach().numpy() for t in (norm.weight, norm.bias, norm.running_mean, norm.running_var)]
    )
    for name, layer in (("e", net[7]), ("f", net[9])):
        made.get_layer(name).set_weights([layer.weight.detach().numpy().T, layer.bias.detach().numpy()])
    return made


def noise(*shape: int) -> Any:
    return np.random.default_rng(1).random(shape, dtype=np.float32)


@pytest.mark.parametrize(("rank", "shape"), [(1, (20, 2)), (3, (5, 6, 7, 2))])
def test_keras_gives_the_maps_of_torch(rank: int, shape: tuple[int, ...]) -> None:
    net, x = convolutional(rank, 2), noise(2, *shape)
    ours, theirs = TorchClassifier(net), KerasClassifier(same_in_keras(net, rank, shape))
    assert theirs.default_layer == "d"
    assert next(layer for layer in theirs.layers if layer.default).shape == (*shape[:-1], 6)
    before = [w.copy() for w in theirs.net.get_weights()]
    for name in METHODS:
        wanted, found = (to_numpy(registry.get(name)(m, x, OBJECTIVE).values) for m in (ours, theirs))
        assert found.shape == wanted.shape
        assert np.abs(found - wanted).max() <= 1e-4 * np.abs(wanted).max(), name
    assert all(np.array_equal(a, b) for a, b in zip(before, theirs.net.get_weights(), strict=True))


@pytest.mark.parametrize(
    "name", ["grad_cam", "xgrad_cam", "layer_cam", "eigen_grad_cam", "gradient", "input_x_gradient"]
)
def test_a_volume_of_one_slice_has_the_map_of_the_image(name: str) -> None:
    net = convolutional(2, 2)
    image = noise(1, 9, 8, 2)
    wanted = registry.get(name)(KerasClassifier(same_in_keras(net, 2, (9, 8, 2))), image, OBJECTIVE).values
    volume = KerasClassifier(same_in_keras(flat(net), 3, (1, 9, 8, 2)))
    found = registry.get(name)(volume, image[:, None], OBJECTIVE).values
    np.testing.assert_allclose(to_numpy(found)[:, 0], to_numpy(wanted), atol=1e-6)


def test_a_model_of_fixed_size_names_the_option_that_resamples() -> None:
    model = shisen.wrap(same_in_keras(convolutional(3), 3, (5, 6, 7, 1)))
    with pytest.raises(InputError, match=r"size \(5, 6, 7\).*--size 5x6x7"):
        model.predict(noise(8, 8, 8))
    resampled = shisen.wrap(same_in_keras(convolutional(3), 3, (5, 6, 7, 1)), preprocess={"mean": (0.5,)})
    assert shisen.explain(resampled, noise(8, 8, 8), target=1).heatmap.shape == (8, 8, 8)


@pytest.mark.parametrize(("rank", "shape"), [(1, (20, 2)), (3, (5, 6, 7, 2))])
def test_onnx_gives_the_maps_of_torch(rank: int, shape: tuple[int, ...]) -> None:
    pytest.importorskip("onnxruntime")
    from shisen.adapters.onnx.adapter import OnnxClassifier

    net, x, buffer = convolutional(rank, 2), noise(1, *shape), io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(net, (torch.as_tensor(x).movedim(-1, 1),), buffer, dynamo=False, input_names=["x"])
    found, ours = OnnxClassifier(buffer.getvalue()), TorchClassifier(net)
    default = next(layer for layer in found.layers if layer.default)
    assert default.shape == (*shape[:-1], 6)
    names = ["occlusion", "eigen_cam", "score_cam"] + (["grad_cam"] if installed("onnx2torch") else [])
    for name in names:
        a, b = (to_numpy(registry.get(name)(m, x, OBJECTIVE).values) for m in (found, ours))
        np.testing.assert_allclose(a, b, atol=1e-4 * np.abs(b).max() + 1e-7)  # occlusion: rounding of the logits


def installed(package: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(package) is not None
