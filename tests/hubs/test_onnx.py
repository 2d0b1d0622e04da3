"""The same small networks as torch and as ONNX: equal answers, equal maps."""

from __future__ import annotations

import builtins
import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from torch import nn  # noqa: E402

import shisen  # noqa: E402
from shisen.adapters.onnx.adapter import OnnxClassifier  # noqa: E402
from shisen.adapters.torch.adapter import TorchClassifier  # noqa: E402
from shisen.errors import MissingDependency, ModelError, ShisenWarning, UnknownName  # noqa: E402
from shisen.registry import METHODS, get  # noqa: E402
from shisen.targets import ClassObjective  # noqa: E402
from shisen.types import Classifier, Scaling  # noqa: E402

SEED = ClassObjective("class", ((1.0, (2,)),))
SCALING = Scaling((2.0, 3.0, 4.0), (-1.0, 0.5, 0.0))


class Residual(nn.Module):
    """A skip connection, so that the graph behind the inner layer still needs the image."""

    def __init__(self, fixed: bool = False, softmax: bool = False, turned: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.fixed, self.softmax, self.turned = fixed, softmax, turned
        self.stem = nn.Conv2d(3, 8, 3, padding=1, stride=2)
        self.inner = nn.Conv2d(8, 8, 3, padding=1)
        self.last = nn.Conv2d(8, 12, 3, padding=1, stride=2)
        self.fc = nn.Linear(12, 5)

    def forward(self, x: Any) -> Any:
        x = x.permute(0, 3, 1, 2) if self.turned else x
        x = torch.relu(self.stem(x))
        x = torch.relu(self.last(torch.relu(self.inner(x)) + x))
        x = self.fc(x.mean((2, 3)))
        return x.softmax(-1) if self.softmax else x


def exported(net: Any, shape: tuple[int, ...] = (1, 3, 16, 24), dynamic: bool = True) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net.eval(), (torch.randn(shape),), buffer, dynamo=False, input_names=["x"], output_names=["y"],
            dynamic_axes={"x": {0: "n"}, "y": {0: "n"}} if dynamic else None,
        )  # fmt: skip
    return buffer.getvalue()


def images(n: int = 2) -> np.ndarray:
    return np.random.default_rng(0).random((n, 16, 24, 3), dtype=np.float32)


@pytest.fixture(scope="module")
def pair() -> tuple[TorchClassifier, OnnxClassifier]:
    net = Residual()
    return TorchClassifier(net, SCALING), OnnxClassifier(exported(net), SCALING)


def layer_of(model: OnnxClassifier, shape: tuple[int, ...], kind: str) -> str:
    return next(x.path for x in model.layers if x.shape == shape and x.kind == kind)


def test_the_logits_and_feature_maps_are_torchs(pair: tuple[TorchClassifier, OnnxClassifier]) -> None:
    net, graph = pair
    x = images()
    assert isinstance(graph, Classifier)
    np.testing.assert_allclose(graph.activations(x), net.activations(x).numpy(), atol=1e-5)
    inner = layer_of(graph, (8, 12, 8), "Conv")
    a, logits = graph.activations(x, (inner, "logits"))
    np.testing.assert_allclose(a, net.activations(x, "stem").numpy(), atol=1e-5)
    assert logits.shape == (2, 5)
    assert graph.head == "softmax"


def test_the_default_layer_is_the_last_map(pair: tuple[TorchClassifier, OnnxClassifier]) -> None:
    (default,) = [x for x in pair[1].layers if x.default]
    assert (default.kind, default.shape) == ("Relu", (4, 6, 12))


@pytest.mark.parametrize("fixed", [0, 1, 3])
def test_a_fixed_batch_is_filled_up(fixed: int) -> None:
    net = Residual()
    graph = OnnxClassifier(exported(net, (max(fixed, 1), 3, 16, 24), dynamic=not fixed))
    assert graph.input_spec.batch == fixed
    x = images(4)
    np.testing.assert_allclose(graph.activations(x), TorchClassifier(net).activations(x).numpy(), atol=1e-5)


def test_channels_last_inputs_are_recognized() -> None:
    net = Residual(turned=True)
    graph = OnnxClassifier(exported(net, (1, 16, 24, 3)))
    assert graph.input_spec.channels_last
    plain = Residual()
    np.testing.assert_allclose(
        graph.activations(images()), TorchClassifier(plain).activations(images()).numpy(), atol=1e-5
    )


def test_a_softmax_at_the_end_is_taken_off() -> None:
    graph = OnnxClassifier(exported(Residual(softmax=True)))
    want = TorchClassifier(Residual()).activations(images()).numpy()
    np.testing.assert_allclose(graph.activations(images()), want, atol=1e-5)
    assert graph.head == "softmax"


def test_the_graph_is_cut_behind_the_point(pair: tuple[TorchClassifier, OnnxClassifier]) -> None:
    net, graph = pair
    x = images(1)
    values = np.random.default_rng(1).random((5, 4, 6, 12), dtype=np.float32)
    want = values.mean((1, 2)) @ net.net.fc.weight.detach().numpy().T + net.net.fc.bias.detach().numpy()
    np.testing.assert_allclose(graph.replaced(x, values, graph.default_layer), want, atol=1e-5)
    assert graph.runs_downstream_only(x, graph.default_layer)
    inner = layer_of(graph, (8, 12, 8), "Add")
    assert graph.runs_downstream_only(x, inner)
    around = [p.path for p in graph.layers if p.kind == "Conv"][1]
    assert not graph.runs_downstream_only(x, around)
    maps = np.random.default_rng(2).random((3, 8, 12, 8), dtype=np.float32)
    np.testing.assert_allclose(graph.replaced(x, maps, around), net.replaced(x, maps, "inner").numpy(), atol=1e-5)


@pytest.mark.parametrize(
    "method", ["score_cam", "rise", "recipro_cam", "ablation_cam", "eigen_cam", "occlusion", "grad_cam", "gradient"]
)
def test_the_maps_are_torchs(pair: tuple[TorchClassifier, OnnxClassifier], method: str) -> None:
    if method not in METHODS:
        pytest.skip(f"{method} is not registered")
    net, graph = pair
    if method in ("grad_cam", "gradient"):
        pytest.importorskip("onnx2torch")
    x = images(1)
    spec = get(method)
    options: dict[str, Any] = {"n_samples": 50} if "n_samples" in spec.options else {}
    layers: list[Any] = [None, None]
    if spec.layered:  # the torch network calls its last ReLU as a function: no point of its own
        last = [p.path for p in graph.layers if p.kind == "Conv"][-1]
        layers = ["last", last]
    want = spec(net, x, SEED, layer=layers[0], **options).values
    found = spec(graph, x, SEED, layer=layers[1], **options).values
    want = want.numpy() if hasattr(want, "numpy") else np.asarray(want)
    assert isinstance(found, np.ndarray)
    assert np.abs(want).max() > 0
    np.testing.assert_allclose(found, want, atol=1e-4 * max(1.0, float(np.abs(want).max())))


def test_guided_backprop_runs_on_the_twin(pair: tuple[TorchClassifier, OnnxClassifier]) -> None:
    pytest.importorskip("onnx2torch")
    net, graph = pair
    want = net.rewired("guided").gradients(images(), SEED)[1].numpy()
    np.testing.assert_allclose(graph.rewired("guided").gradients(images(), SEED)[1], want, atol=1e-5)
    assert np.abs(want - net.gradients(images(), SEED)[1].numpy()).max() > 1e-3


def test_a_conversion_that_answers_differently_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    convert = pytest.importorskip("onnx2torch").convert
    graph = OnnxClassifier(exported(Residual()))

    def wrong(proto: Any) -> Any:
        net = convert(proto)
        with torch.no_grad():
            next(p for p in net.parameters() if p.dim() == 4).mul_(1.1)
        return net

    monkeypatch.setattr("onnx2torch.convert", wrong)
    with pytest.raises(ModelError, match=r"same logits.*rise"):
        graph.gradients(images(), SEED)


def test_without_onnx2torch_the_error_names_what_works(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.delitem(sys.modules, "shisen.adapters.onnx.torch_equivalent", raising=False)
    true_import = builtins.__import__

    def refuse(name: str, *args: Any, **options: Any) -> Any:
        if name == "onnx2torch":
            raise ImportError(name)
        return true_import(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingDependency, match="score_cam"):
        OnnxClassifier(exported(Residual())).gradients(images(), SEED)


def test_unknown_layers_and_broken_files_are_answered_in_words(pair: tuple[TorchClassifier, OnnxClassifier]) -> None:
    with pytest.raises(UnknownName, match="stem"):
        pair[1].activations(images(), "/stem/Conv_output_1")
    with pytest.raises(ModelError, match="readable"):
        OnnxClassifier(b"no graph at all")


def test_a_file_is_one_argument_away(tmp_path: Path) -> None:
    net = Residual()
    file = tmp_path / "inspector.onnx"
    file.write_bytes(exported(net))
    image = (images(1)[0] * 255).astype(np.uint8)
    with pytest.warns(ShisenWarning, match="16 × 24"):
        model = shisen.load(file, labels="a,b,c,d,e")
    assert model.name == "inspector"
    want = net(torch.tensor(image / np.float32(255))[None].permute(0, 3, 1, 2)).softmax(-1)[0].tolist()
    for p in model.predict(image):
        assert p.probability == pytest.approx(want["abcde".index(p.label)], abs=1e-5)
    found = shisen.explain(model, image, "rise" if "rise" in METHODS else "gradient", target="c")
    assert np.abs(found.values).max() > 0
    scaled = shisen.load(
        file, preprocess=shisen.Preprocess((16, 24), mean=(0.5, 0.5, 0.5), std=(0.25, 0.5, 0.5)), labels="a,b,c,d,e"
    )
    assert scaled.predict(image)[0].logit != model.predict(image)[0].logit


def test_a_class_token_network_has_a_default_layer_that_matters() -> None:
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    net = timm.create_model(
        "vit_tiny_patch16_224", img_size=(32, 48), embed_dim=24, depth=2, num_heads=4, patch_size=8, num_classes=5
    )
    graph = OnnxClassifier(exported(net, (1, 3, 32, 48)))
    (default,) = [x for x in graph.layers if x.default]
    assert default.shape == (4, 6, 24)
    x = np.random.default_rng(0).random((2, 32, 48, 3), dtype=np.float32)
    a = graph.activations(x, default.path)
    np.testing.assert_allclose(graph.replaced(x, a, default.path), graph.activations(x), atol=1e-5)
    assert np.abs(graph.replaced(x, a * 2, default.path) - graph.activations(x)).max() > 1e-4
