"""Networks with several inputs: the image is explained, the others are filled in; or the error names them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import shisen
from shisen.errors import InputError, ModelError

torch = pytest.importorskip("torch")

IMAGE = np.random.default_rng(0).random((12, 10, 3), dtype=np.float32)
OTHER = np.random.default_rng(1).random((12, 10, 3), dtype=np.float32)
AGE = np.array([[0.3, -1.0]], np.float32)


class WithAge(torch.nn.Module):  # type: ignore[name-defined,misc]
    """An image and two numbers about the patient."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = torch.nn.Conv2d(3, 4, 3)
        self.act = torch.nn.ReLU()
        self.drop = torch.nn.Dropout(0.5)
        self.fc = torch.nn.Linear(6, 3)

    def forward(self, image: Any, age: Any, scale: float = 1.0) -> Any:
        features = torch.nn.functional.dropout(self.act(self.conv(image)).mean((2, 3)), training=self.training)
        return self.fc(torch.cat([self.drop(features), age], 1)) * scale


class WithDict(WithAge):
    def forward(self, batch: Any) -> Any:  # type: ignore[override]
        return super().forward(batch["image"], batch["age"])


def plain(net: Any, image: Any = IMAGE, **more: Any) -> Any:
    net.eval()
    x = torch.tensor(image).permute(2, 0, 1)[None].requires_grad_()
    y = net(x, torch.tensor(AGE), **more)
    (gradient,) = torch.autograd.grad(y[0, 1], x)
    return y.detach().numpy()[0], gradient[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize(
    ("net", "inputs", "scale"),
    [
        (WithAge(), {"age": AGE}, 1.0),
        (WithAge(), {"age": torch.tensor(AGE), "scale": 2.0}, 2.0),
        (WithAge(), lambda x: (x, torch.tensor(AGE).expand(len(x), -1)), 1.0),
        (WithAge(), lambda x: {"image": x, "age": torch.tensor(AGE).expand(len(x), -1)}, 1.0),
        (WithDict(), lambda x: ({"image": x, "age": torch.tensor(AGE).expand(len(x), -1)},), 1.0),
        (WithDict(), lambda x: {"image": x, "age": torch.tensor(AGE).expand(len(x), -1)}, 1.0),
    ],
)
def test_a_torch_network_with_a_second_input(net: Any, inputs: Any, scale: float) -> None:
    reference = WithAge()
    net.load_state_dict(reference.state_dict())
    logits, gradient = plain(reference, scale=scale)
    net.train()
    model = shisen.wrap(net, inputs=inputs, head="softmax")
    np.testing.assert_allclose(model.activations(np.stack([IMAGE, OTHER]))[0], logits, rtol=1e-5)
    found = shisen.explain(model, IMAGE, "gradient", target=1)
    np.testing.assert_allclose(found.values, gradient, atol=1e-7)
    assert shisen.explain(model, IMAGE, layer=net.act).layer == "act"  # the network's own layers, under their own names
    assert net.training
    assert all(m.training for m in net.modules())
    assert not any(m._forward_hooks for m in net.modules())


@pytest.mark.parametrize(
    "forward",
    [
        lambda net, x: net.act(net.conv(x.permute(0, 3, 1, 2))).mean((2, 3)),
        lambda net, x: net.act(net.conv(x["pixels"])).mean((2, 3)),
        lambda net, x: net.act(net.conv(x[0])).mean((2, 3)) * x[1],
    ],
)
def test_networks_of_another_structure_are_sent_to_inputs(forward: Any) -> None:
    class Other(WithAge):
        def forward(self, x: Any) -> Any:  # type: ignore[override]
            return forward(self, x)

    with pytest.raises(
        ModelError, match=r"must run on an input of this size.*channels last, a dict.*pass inputs=.*; if"
    ):
        shisen.explain(shisen.wrap(Other()), IMAGE)


def test_missing_inputs_are_named_before_anything_runs() -> None:
    with pytest.raises(InputError, match=r"WithAge with the inputs image, age.*inputs=\{'age': value"):
        shisen.wrap(WithAge())
    with pytest.raises(InputError, match=r"name all inputs but the image: image, age, scale"):
        shisen.wrap(WithAge(), inputs={"weight": 3})
    with pytest.raises(InputError, match="Missing: age"):
        shisen.wrap(WithAge(), inputs={"scale": 2.0})


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("as_dict", [False, True])
def test_a_keras_network_with_a_second_input(as_dict: bool) -> None:
    keras = pytest.importorskip("keras")
    image, age = keras.Input((12, 10, 3), name="image"), keras.Input((2,), name="age")
    x = keras.layers.Conv2D(4, 3, activation="relu", name="conv")(image)
    x = keras.layers.Concatenate()([keras.layers.GlobalAveragePooling2D()(x), age])
    out = keras.layers.Dense(3)(x)
    net = keras.Model({"image": image, "age": age} if as_dict else [image, age], out)
    given: Any = {"image": IMAGE[None], "age": AGE} if as_dict else [IMAGE[None], AGE]
    with pytest.raises(InputError, match=r"the inputs image, age"):
        shisen.wrap(net)
    model = shisen.wrap(net, inputs={"age": AGE})
    want = keras.ops.convert_to_numpy(net(given))[0]
    got = model.activations(np.stack([IMAGE, OTHER]))
    np.testing.assert_allclose(np.asarray(got)[0], want, rtol=1e-5)
    found = shisen.explain(model, IMAGE, layer=net.get_layer("conv"), target=1)
    assert found.layer.endswith("conv")
    assert found.values.shape == (10, 8)
    by_function = shisen.wrap(
        net,
        inputs=lambda x: (
            {"image": x, "age": keras.ops.repeat(keras.ops.convert_to_tensor(AGE), keras.ops.shape(x)[0], 0)}
            if as_dict
            else [x, keras.ops.repeat(keras.ops.convert_to_tensor(AGE), keras.ops.shape(x)[0], 0)]
        ),
    )
    np.testing.assert_allclose(np.asarray(by_function.activations(IMAGE[None]))[0], want, rtol=1e-5)


def test_an_onnx_file_with_a_second_input(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    make, tensor = onnx.helper.make_node, onnx.numpy_helper.from_array
    kernel = np.random.default_rng(2).normal(size=(4, 3, 3, 3)).astype(np.float32)
    weights = np.random.default_rng(3).normal(size=(6, 3)).astype(np.float32)
    graph = onnx.helper.make_graph(
        [
            make("Conv", ["image", "kernel"], ["conv"]),
            make("Relu", ["conv"], ["act"]),
            make("GlobalAveragePool", ["act"], ["pool"]),
            make("Flatten", ["pool"], ["flat"]),
            make("Concat", ["flat", "age"], ["both"], axis=1),
            make("MatMul", ["both", "weights"], ["logits"]),
        ],
        "two_inputs",
        [
            onnx.helper.make_tensor_value_info("image", 1, ["n", 3, 12, 10]),
            onnx.helper.make_tensor_value_info("age", 1, ["n", 2]),
        ],
        [onnx.helper.make_tensor_value_info("logits", 1, ["n", 3])],
        [tensor(kernel, "kernel"), tensor(weights, "weights")],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "two.onnx")
    with pytest.raises((InputError, ModelError), match="age"):
        shisen.load(tmp_path / "two.onnx", preprocess={"range": (0, 1)})
    with pytest.raises(InputError, match="all inputs but the image: image, age"):
        shisen.load(tmp_path / "two.onnx", preprocess={"range": (0, 1)}, inputs={"weight": 1})
    loaded = shisen.load(tmp_path / "two.onnx", preprocess={"range": (0, 1)}, inputs={"age": AGE})
    got = loaded.activations(np.stack([IMAGE, OTHER]))
    features = torch.nn.functional.conv2d(
        torch.tensor(np.stack([IMAGE, OTHER])).permute(0, 3, 1, 2), torch.tensor(kernel)
    )
    pooled = np.concatenate([features.relu().mean((2, 3)).numpy(), AGE.repeat(2, 0)], 1)
    np.testing.assert_allclose(got, pooled @ weights, rtol=1e-4, atol=1e-5)
    assert shisen.explain(loaded, IMAGE, "score_cam", target=1).values.shape == (10, 8)
