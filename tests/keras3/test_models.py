"""Keras models by name and from files: what they expect, what they answer, what is refused."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import shisen
from nets_keras import SIDES, flat, images
from shisen.errors import MissingDependency, ModelError, ShisenWarning, UnknownName
from shisen.models import keras_files
from shisen.models.keras_presets import application, applications
from shisen.models.preprocess import Preprocess
from shisen.models.torch_archive import read_tensors
from shisen.models.wrapping import not_a_network
from shisen.targets import to_numpy

PLAIN = "ignore:.*preprocessing is not known:shisen.errors.ShisenWarning"


@pytest.fixture(scope="module")
def lite() -> Any:
    return shisen.load("efficientnet_lite0", framework="keras")


# ---- embedded


def test_lite0_answers_as_in_torch(lite: Any) -> None:
    torch_model = shisen.load("efficientnet_lite0", framework="torch")
    x = np.random.default_rng(0).random((1, 64, 64, 3), np.float32)
    want, got = to_numpy(torch_model.activations(x)), to_numpy(lite.activations(x))
    np.testing.assert_allclose(got, want, atol=1e-4 * np.abs(want).max())
    assert lite.labels[386] == torch_model.labels[386]
    assert lite.preprocess == torch_model.preprocess
    assert lite.default_layer == torch_model.default_layer == "head"


@pytest.mark.parametrize("method", ["gradient", "grad_cam", "guided_backprop", "deconvnet"])
def test_lite0_explains_as_in_torch(lite: Any, method: str) -> None:
    torch_model = shisen.load("efficientnet_lite0", framework="torch")
    y, x = np.mgrid[:160, :120]
    image = np.uint8(127 + 120 * np.sin(x[..., None] / [9, 13, 17] + y[..., None] / [21, 8, 5]))
    # small, since of a million units some lie so close to the bend of a ReLU that rounding decides
    want = shisen.explain(torch_model, image, method=method, target=207, size=64).values
    got = shisen.explain(lite, image, method=method, target=207, size=64).values
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-4 * np.abs(want).max())


def test_layers_answer_to_their_names_in_torch(lite: Any) -> None:
    torch_model = shisen.load("efficientnet_lite0", framework="torch")
    x = np.random.default_rng(0).random((1, 64, 64, 3), np.float32)
    for path in ("stem", "blocks.2.1", "blocks.3.0.expand", "head"):
        want, got = to_numpy(torch_model.activations(x, path)), to_numpy(lite.activations(x, path))
        np.testing.assert_allclose(got, want, atol=1e-4 * np.abs(want).max())


def test_lite0_needs_no_torch(backend: str) -> None:
    if backend == "torch":
        pytest.skip("this backend is torch")
    code = (
        "import sys, numpy as np, shisen\n"
        "model = shisen.load('efficientnet_lite0', framework='keras')\n"
        "e = shisen.explain(model, np.zeros((64, 48, 3), np.uint8), method='grad_cam', target=3)\n"
        "print(model.framework, e.heatmap.shape, 'torch' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True)
    assert f"keras-{backend} (64, 48) False" in found.stdout, found.stderr[-2000:]


@pytest.mark.parametrize("legacy", [False, True])
def test_archives_of_torch_are_read_without_torch(tmp_path: Path, legacy: bool) -> None:
    import torch

    whole = torch.arange(24.0).reshape(2, 3, 4)
    tensors = {
        "whole": whole,
        "turned": whole.permute(2, 0, 1),
        "part": whole[1, :, 1:3],
        "count": torch.tensor(7),
        "half": torch.tensor([0.5, 2.0], dtype=torch.float16),
        "empty": torch.zeros(0, 3),
        "parameter": torch.nn.Parameter(torch.ones(2)),
    }
    path = tmp_path / "weights.pth"
    torch.save(tensors, path, _use_new_zipfile_serialization=not legacy)
    found = read_tensors(path)
    assert list(found) == list(tensors)
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.detach().numpy().dtype
        np.testing.assert_array_equal(found[name], tensor.detach().numpy())


class Evil:
    def __reduce__(self) -> Any:
        return (print, ("executed",))


@pytest.mark.parametrize("zipped", [False, True])
def test_archives_that_would_execute_are_refused(tmp_path: Path, zipped: bool, capsys: Any) -> None:
    path = tmp_path / "evil.pth"
    if zipped:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", pickle.dumps({"a": Evil()}))
    else:
        path.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ModelError, match=r"executes no code.*builtins\.print"):
        read_tensors(path)
    assert "executed" not in capsys.readouterr().out


# ---- keras.applications


def test_every_application_is_known_with_its_own_preprocessing() -> None:
    known = applications()
    assert {"VGG16", "Xception", "MobileNetV3Small", "ConvNeXtTiny", "EfficientNetV2B0", "NASNetMobile"} <= set(known)
    rng = np.random.default_rng(0)
    modules = {entry.module.__name__: entry for entry in known.values()}
    assert len(modules) >= 13
    for entry in modules.values():

        class Net:
            input_shape = (None, None, None, 3)

        found = entry.preprocess(Net())
        pixels = rng.integers(0, 256, (2, 4, 5, 3)).astype(np.float32)
        scaling = found.scaling()
        got = pixels / 255 * np.float32(scaling.scale) + np.float32(scaling.shift)
        got = got[..., ::-1] if scaling.reverse else got
        want = np.asarray(entry.module.preprocess_input(pixels.copy(), data_format="channels_last"))
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-3, err_msg=entry.name)


def test_sizes_and_labels_come_from_the_network() -> None:
    chosen = application("mobilenet-v2")
    net = chosen.build(weights=None, input_shape=(96, 64, 3), alpha=0.35)
    assert chosen.name == "MobileNetV2"
    assert chosen.preprocess(net).sides == (96, 64)
    assert chosen.preprocess(net).scaling().shift == pytest.approx((-1, -1, -1))
    assert chosen.labels(net)[386] == "African elephant"
    with pytest.raises(UnknownName, match="VGG16"):
        application("VGG15")


def test_weights_come_from_a_file(tmp_path: Path, backend: str) -> None:
    if backend == "jax":
        pytest.skip("drawing random weights compiles a program for each shape; nothing here depends on the backend")
    net = keras.applications.MobileNetV2(weights=None, input_shape=(224, 224, 3))
    path = tmp_path / "own.weights.h5"
    net.save_weights(path)
    model = shisen.load("keras:MobileNetV2", weights=path)
    x = np.random.default_rng(0).random((1, 224, 224, 3), np.float32)
    want = np.asarray(keras.ops.convert_to_numpy(net(x * 2 - 1)))
    got = to_numpy(model.activations(x))
    np.testing.assert_allclose(got - got.max(), np.log(want / want.max()), atol=1e-3)
    assert model.default_layer == "out_relu"
    with pytest.raises(ModelError, match="must fit the network"):
        shisen.load("keras:MobileNet", weights=path)


def test_without_network_and_cache_the_error_is_one_clear_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: Any, **__: Any) -> Any:
        raise Exception("URL fetch failure on https://somewhere: None -- unreachable")

    monkeypatch.setattr(keras.src.applications.mobilenet.file_utils, "get_file", offline)
    with pytest.raises(ModelError, match=r"weights of MobileNet must lie in .* or be downloaded.*--weights"):
        shisen.load("keras:mobilenet")


# ---- files


@pytest.mark.filterwarnings(PLAIN)
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5:UserWarning")
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_saved_models_come_back(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"small{suffix}"
    net = flat("fused", head="softmax")
    net.save(path)
    model = shisen.load(path, labels=["cat", "dog", "bird"])
    assert model.preprocess.sides == SIDES
    assert model.name == "small"
    x = images()
    p = np.asarray(keras.ops.convert_to_numpy(net(x)))
    got = to_numpy(model.activations(x))
    np.testing.assert_allclose(got - got.max(-1, keepdims=True), np.log(p / p.max(-1, keepdims=True)), atol=1e-4)
    image = np.random.default_rng(0).integers(0, 256, (*SIDES, 3), np.uint8)
    e = shisen.explain(model, image, method="grad_cam", target="dog", layer="conv2")
    assert e.target.indices == (1,)


def test_scaling_is_guessed_aloud_or_read_from_the_model(tmp_path: Path) -> None:
    with pytest.warns(ShisenWarning, match="preprocessing is not known"):
        assert keras_files.guessed_preprocess(flat()).range == (0.0, 1.0)
    image = keras.Input((8, 8, 3))
    net = keras.Model(image, layers.Dense(2)(layers.Flatten()(layers.Rescaling(1 / 255)(image))))
    assert keras_files.guessed_preprocess(net).range == (0.0, 255.0)
    with pytest.warns(ShisenWarning, match="2 channels, values 0 to 1"):
        assert keras_files.guessed_preprocess(keras.Model(*[keras.Input((8, 8, 2))] * 2)).channels == 2
    assert keras_files.guessed_preprocess(flat(), {"mean": 0.5}) == Preprocess(SIDES)  # named: nothing to warn of
    assert keras_files.guessed_preprocess(keras.Model(*[keras.Input((None, None, 3))] * 2)) is None


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5:UserWarning")
@pytest.mark.filterwarnings(PLAIN)
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_lambda_layers_are_refused_unless_trusted(tmp_path: Path, suffix: str) -> None:
    image = keras.Input((8, 8, 3))
    x = layers.Lambda(lambda t: t * 2.0, name="twice", output_shape=(8, 8, 3))(image)
    net = keras.Model(image, layers.Dense(2)(layers.Flatten()(x)))
    path = tmp_path / f"code{suffix}"
    net.save(path)
    with pytest.raises(ModelError, match=r"must not execute code.*Lambda 'twice'.*shisen\.wrap"):
        shisen.load(path)
    model = shisen.load(path, trust=True)
    x = np.ones((1, 8, 8, 3), np.float32)
    np.testing.assert_allclose(
        to_numpy(model.activations(x)), np.asarray(keras.ops.convert_to_numpy(net(x))), rtol=1e-5
    )


def test_foreign_classes_are_refused_unless_registered(tmp_path: Path) -> None:
    path = tmp_path / "foreign.keras"
    flat().save(path)
    with zipfile.ZipFile(path) as archive:
        config, rest = json.loads(archive.read("config.json")), {n: archive.read(n) for n in archive.namelist()}
    config["config"]["layers"][1] |= {"module": "os", "class_name": "system", "registered_name": None}
    rest["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in rest.items():
            archive.writestr(name, data)
    with pytest.raises(ModelError, match=r"os\.system"):
        shisen.load(path)


def test_damaged_and_weights_only_files_are_told_apart(tmp_path: Path) -> None:
    broken = tmp_path / "broken.keras"
    broken.write_bytes(b"no model")
    with pytest.raises(ModelError, match="must be readable"):
        shisen.load(broken)
    only = tmp_path / "only.weights.h5"
    flat().save_weights(only)
    with pytest.raises(ModelError, match="holds weights only"):
        shisen.load(only)


def test_a_framework_function_is_taken_as_preprocessing() -> None:
    net = keras.Sequential([keras.Input((8, 6, 3)), layers.Flatten(), layers.Dense(2)])
    model = shisen.wrap(net, preprocess=keras.applications.vgg16.preprocess_input, labels=["a", "b"])
    assert model.preprocess.sides == (8, 6)
    assert model.preprocess.channel_order == "bgr"
    image = np.random.default_rng(0).integers(0, 256, (8, 6, 3), np.uint8)
    want = net(keras.applications.vgg16.preprocess_input(image[None].astype(np.float32)))
    got = [p.logit for p in sorted(model.predict(image), key=lambda p: p.index)]
    np.testing.assert_allclose(got, np.asarray(keras.ops.convert_to_numpy(want))[0], rtol=1e-4)


def test_keras_is_asked_for_by_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "keras")
    monkeypatch.setattr(keras_files.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match=r"shisen\[keras\]"):
        keras_files.import_keras("The model")


def test_a_network_without_its_classifier_returns_features(backend: str) -> None:
    model = shisen.load("keras:MobileNet@random", top=False)
    assert model.head == "none"
    x = np.random.default_rng(0).random((1, *model.preprocess.sides, 3), np.float32)
    want = to_numpy(model.network.net(2 * x - 1))[0]
    best = model.predict(x[0], top=1)[0]
    assert best.index == int(want.argmax())
    assert best.probability == pytest.approx(float(want.max()), rel=1e-3)  # the number itself: no softmax over features


def test_a_layer_object_names_its_layer_inside_of_a_nested_model_too() -> None:
    inner = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 3, name="conv"), layers.ReLU(name="act")])
    outer = keras.Sequential([keras.Input((8, 8, 3)), inner, layers.GlobalAveragePooling2D(), layers.Dense(3)])
    image = np.random.default_rng(0).random((8, 8, 3), np.float32)
    for net, layer in ((inner, inner.get_layer("conv")), (outer, inner.get_layer("act"))):
        target = 1 if net is outer else (lambda y: y[:, 2, 3, 1])
        model = shisen.wrap(net, preprocess=Preprocess(8))
        own = shisen.explain(model, image, target=target, layer=layer)
        named = shisen.explain(model, image, target=target, layer=own.layer)
        assert own.layer.endswith(layer.name)
        np.testing.assert_array_equal(own.values, named.values)


def test_a_bare_layer_is_told_how_to_become_a_model() -> None:
    assert "wrap keras.Sequential([keras.Input(shape), layer])" in not_a_network(layers.Conv2D(4, 3))
