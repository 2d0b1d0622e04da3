"""Situations of Keras models and ONNX files."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import shisen

from .situations import close, noise, photo, refused, works

X = noise(16, 16, 3)


def keras_net(channels: int = 3, activation: str | None = None) -> Any:
    """Return a small functional Keras model."""
    import keras

    keras.utils.set_random_seed(0)
    image = keras.Input((16, 16, channels), name="image")
    x = keras.layers.Conv2D(4, 3, activation="relu", name="conv")(image)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, keras.layers.Dense(3, activation=activation, name="out")(x))


def answer(net: Any, x: Any) -> Any:
    """Return what plain Keras answers."""
    import keras

    return keras.ops.convert_to_numpy(net(x))


@works("keras", "a gray .h5 file and a color photo")
def gray_file(folder: Path) -> None:
    net, path = keras_net(1, "softmax"), photo(folder)
    net.save(folder / "net.h5")
    gray = np.asarray(Image.open(path).convert("L").resize((16, 16), Image.Resampling.BILINEAR), np.float32) / 255
    found = shisen.load(folder / "net.h5").predict(path)
    want = answer(net, gray[None, ..., None])[0]
    close([p.probability for p in sorted(found, key=lambda p: p.index)], want, 1e-4)


@works("keras", "softmax in the last layer: logits are explained")
def fused(folder: Path) -> None:
    net = keras_net(activation="softmax")
    p = answer(net, X[None])[0]
    y = np.asarray(shisen.wrap(net).activations(X[None]))[0]
    close(y - y.max(), np.log(p / p.max()), 1e-3)


@refused("keras", "two inputs, and nothing said about the second")
def missing_input(folder: Path) -> None:
    shisen.wrap(_two())


def _two() -> Any:
    import keras

    keras.utils.set_random_seed(0)
    image, age = keras.Input((16, 16, 3), name="image"), keras.Input((2,), name="age")
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, activation="relu", name="conv")(image))
    return keras.Model([image, age], keras.layers.Dense(3)(keras.layers.Concatenate()([x, age])))


@works("keras", "two inputs, the second a constant")
def constant_input(folder: Path) -> None:
    net, age = _two(), np.array([[0.5, 2.0]], np.float32)
    model = shisen.wrap(net, inputs={"age": age})
    close(np.asarray(model.activations(X[None])), answer(net, [X[None], age]))
    assert shisen.explain(model, X, layer=net.get_layer("conv")).values.shape == (14, 14)


@works("keras", "a score function in TensorFlow, JAX or torch, whichever Keras runs on")
def score_function(folder: Path) -> None:
    import keras

    net = keras_net()
    model = shisen.wrap(net, head="none")
    found = shisen.explain(model, X, "gradient", target=lambda y: keras.ops.sum(y**2, axis=-1))
    y = answer(net, X[None])[0]
    assert abs(found.target.value - float((y**2).sum())) < 1e-5
    parts = [shisen.explain(model, X, "gradient", target=k).values for k in range(3)]
    close(found.values, sum(2 * y[k] * parts[k] for k in range(3)), 1e-4)


@works("keras", "a layer as a Keras layer")
def layer_object(folder: Path) -> None:
    net = keras_net()
    a, b = (shisen.explain(shisen.wrap(net), X, layer=which) for which in (net.get_layer("conv"), "conv"))
    close(a.values, b.values)


@refused("keras", "a lambda layer in a file, without trust")
def lambda_file(folder: Path) -> None:
    import keras

    image = keras.Input((16, 16, 3))
    net = keras.Model(image, keras.layers.Lambda(lambda t: t * 2.0, output_shape=(16, 16, 3))(image))
    net.save(folder / "net.keras")
    shisen.load(folder / "net.keras")


@refused("keras", "weights of another network")
def other_weights(folder: Path) -> None:
    keras_net(1).save_weights(folder / "other.weights.h5")
    keras_net().save(folder / "net.keras")
    shisen.load(folder / "net.keras", weights=folder / "other.weights.h5")


@refused("keras", "labels of another number than the classes")
def wrong_labels(folder: Path) -> None:
    keras_net().save(folder / "net.keras")
    shisen.load(folder / "net.keras", labels=["cat", "dog"])


@works("keras", "Rescaling, Normalization and Resizing layers as preprocessing")
def preprocessing_layers(folder: Path) -> None:
    import keras

    steps = keras.Sequential(
        [
            keras.layers.Resizing(20, 30),
            keras.layers.Rescaling(1 / 127.5, offset=-1),
        ]
    )
    found = shisen.Preprocess.of(steps)
    assert found.sides == (20, 30)
    close(found.range, (-1, 1))
    normal = keras.layers.Normalization(mean=[100.0, 110.0, 120.0], variance=[400.0, 100.0, 900.0])
    close(shisen.Preprocess.of(normal, size=16).std, (20, 10, 30))


@works("keras", "a SavedModel folder")
def saved_model(folder: Path) -> None:
    net = keras_net()
    net.export(str(folder / "saved"), verbose=False)
    model = shisen.load(folder / "saved", trust=True)
    close(np.asarray(model.activations(X[None])), answer(net, X[None]), 1e-4)
    assert shisen.explain(model, X, "occlusion", target=1).values.any()


@refused("keras", "a SavedModel folder without trust")
def saved_untrusted(folder: Path) -> None:
    (folder / "saved_model.pb").write_bytes(b"")
    shisen.load(folder)


@works("keras", "an input of bytes: arrays, image files and the default of a file are values 0 to 255")
def byte_input(folder: Path) -> None:
    net, path = _bytes(), photo(folder, size=(16, 16))
    pixels = np.asarray(Image.open(path))
    want = answer(net, pixels[None])[0]
    net.save(folder / "net.keras")
    for model in (shisen.wrap(net), shisen.wrap(net, preprocess={"size": 16}), shisen.load(folder / "net.keras")):
        for source in (path, pixels):
            close([p.logit for p in sorted(model.predict(source), key=lambda p: p.index)], want, 1e-4)
        assert shisen.explain(model, path, "occlusion", target=1, window=8).values.any()


@refused("keras", "an input of bytes and a preprocessing to 0 … 1, which would all be rounded to 0")
def byte_input_scaled(folder: Path) -> None:
    shisen.wrap(_bytes(), preprocess=shisen.Preprocess(16))


@refused("keras", "an input of bytes and an array from 0 to 1")
def byte_input_floats(folder: Path) -> None:
    shisen.wrap(_bytes()).predict(X)


def _bytes() -> Any:
    import keras

    keras.utils.set_random_seed(0)
    image = keras.Input((16, 16, 3), dtype="uint8")
    x = keras.layers.Conv2D(4, 3, activation="relu", name="conv")(keras.layers.Rescaling(1 / 255)(image))
    return keras.Model(image, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x)))


@works("keras", "a decoder beside the classifier in a dict: names, and the default layer before both")
def decoder(folder: Path) -> None:
    import keras

    net = keras_net()
    maps = net.get_layer("conv").output
    drawn = keras.layers.Conv2DTranspose(2, 3, name="decoder")(maps)
    both = keras.Model(net.input, {"classes": net.output, "drawn": drawn})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = shisen.wrap(both)
        assert model.default_layer == "conv", model.default_layer
    assert any("'classes' is explained" in str(w.message) for w in caught), [str(w.message) for w in caught]
    close(shisen.explain(model, X, target=1).values, shisen.explain(shisen.wrap(net), X, target=1).values, 1e-4)


@works("keras", "a model for a batch of one, by occlusion")
def one_image(folder: Path) -> None:
    import keras

    class One(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.inner = keras_net()

        def call(self, x: Any) -> Any:
            return keras.ops.reshape(self.inner(x), (1, 3))

    a, b = (
        shisen.explain(shisen.wrap(net), X, "occlusion", target=1, window=8, stride=8).values
        for net in (One(), keras_net())
    )
    close(a, b, 1e-4)


@works("keras", "a file whose first layer expects 0 … 1, or 0 … 255: each is given that")
def implied_range(folder: Path) -> None:
    import keras

    for layer, top in (
        (keras.layers.Rescaling(1 / 127.5, offset=-1), 255),
        (keras.layers.Rescaling(2.0, offset=-1), 1),
        (keras.layers.Normalization(mean=[0.5] * 3, variance=[0.04] * 3), 1),
        (keras.layers.Normalization(mean=[120.0] * 3, variance=[3000.0] * 3), 255),
    ):
        net, image = keras_net(), keras.Input((16, 16, 3))
        keras.Model(image, net(layer(image))).save(folder / "net.keras")
        found = shisen.load(folder / "net.keras").preprocess.range
        assert found == (0, top), (type(layer).__name__, found)


# ---- ONNX


def onnx_file(folder: Path, channels: int = 3, end: tuple[str, ...] = (), second: bool = False) -> tuple[Path, Any]:
    """Write a small ONNX file; return its path and a function that gives its logits."""
    import onnx
    import torch

    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(4, channels, 3, 3)).astype(np.float32)
    weights = rng.normal(size=(6 if second else 4, 3)).astype(np.float32)
    make, tensor, info = onnx.helper.make_node, onnx.numpy_helper.from_array, onnx.helper.make_tensor_value_info
    flat = "both" if second else "flat"
    nodes = [
        make("Conv", ["image", "kernel"], ["conv"]),
        make("Relu", ["conv"], ["act"]),
        make("GlobalAveragePool", ["act"], ["pool"]),
        make("Flatten", ["pool"], ["flat"]),
        *([make("Concat", ["flat", "age"], ["both"], axis=1)] if second else []),
        make("MatMul", [flat, "weights"], ["y0"]),
        *(make(kind, [f"y{i}"], [f"y{i + 1}"]) for i, kind in enumerate(end)),
    ]
    inputs = [info("image", 1, ["n", channels, 16, 16]), *([info("age", 1, ["n", 2])] if second else [])]
    graph = onnx.helper.make_graph(
        nodes,
        "net",
        inputs,
        [info(f"y{len(end)}", 1, ["n", 3])],
        [tensor(kernel, "kernel"), tensor(weights, "weights")],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "net.onnx")

    def logits(x: Any, age: Any = None) -> Any:
        maps = torch.nn.functional.conv2d(torch.tensor(x).permute(0, 3, 1, 2), torch.tensor(kernel)).relu()
        features = maps.mean((2, 3)).numpy()
        return (np.concatenate([features, age], 1) if second else features) @ weights

    return folder / "net.onnx", logits


@works("onnx", "a gray ONNX file and a color photo")
def gray_onnx(folder: Path) -> None:
    path, logits = onnx_file(folder, 1)
    model, image = shisen.load(path), photo(folder)
    gray = np.asarray(Image.open(image).convert("L").resize((16, 16), Image.Resampling.BILINEAR), np.float32) / 255
    close(model.activations(model.prepare(model.read(image))[0][None]), logits(gray[None, ..., None]), 1e-4)
    assert shisen.explain(model, image, "score_cam").heatmap.shape == (40, 32)


@works("onnx", "an ONNX file that ends in Softmax and Identity: logits are explained")
def softmax_identity(folder: Path) -> None:
    path, logits = onnx_file(folder, end=("Softmax", "Identity"))
    close(shisen.load(path).activations(X[None]), logits(X[None]), 1e-4)


@works("onnx", "an ONNX file of two inputs, the second a constant")
def constant_onnx(folder: Path) -> None:
    path, logits = onnx_file(folder, second=True)
    age = np.array([[0.5, 2.0]], np.float32)
    both = noise(2, 16, 16, 3)
    close(shisen.load(path, inputs={"age": age}).activations(both), logits(both, age.repeat(2, 0)), 1e-4)


@refused("onnx", "an ONNX file of two inputs, and nothing said about the second")
def missing_onnx(folder: Path) -> None:
    shisen.load(onnx_file(folder, second=True)[0])


@works("onnx", "a score function and an ONNX file, by occlusion")
def score_onnx(folder: Path) -> None:
    path, logits = onnx_file(folder)
    model = shisen.load(path, head="none")
    found = shisen.explain(model, X, "occlusion", target=lambda y: (y**2).sum(-1))
    seen = model.prepare(model.read(X))[0]
    close(found.target.value, (logits(seen[None]) ** 2).sum(), 1e-4)
    assert found.values.any()


@refused("onnx", "weights for an ONNX file")
def weights_onnx(folder: Path) -> None:
    shisen.load(onnx_file(folder)[0], weights=folder / "x.pt")


@refused("onnx", "labels of another number than the classes")
def labels_onnx(folder: Path) -> None:
    shisen.load(onnx_file(folder)[0], labels=["a", "b"]).predict(X)


@refused("onnx", "a layer that the graph does not have")
def layer_onnx(folder: Path) -> None:
    shisen.explain(shisen.load(onnx_file(folder)[0]), X, "score_cam", layer="conv9")


@works("onnx", "Grad-CAM without torch, where a mean over positions and a linear layer follow")
def cam_without_torch(folder: Path) -> None:
    from shisen.adapters.onnx.affine_gradient import affine_gradients

    def one_hot(y: Any) -> Any:
        return np.eye(3, dtype=np.float32)[[1] * len(y)]

    path, _ = onnx_file(folder)
    model, weights = shisen.load(path), _weights(path)
    both = noise(2, 16, 16, 3)
    values, rows = affine_gradients(model.network, both, [one_hot], "act")
    close(values["act"], model.activations(both, "act"))
    close(rows[0]["act"], np.broadcast_to(weights[:, 1] / 14**2, values["act"].shape), 1e-4)
    found = shisen.explain(model, photo(folder), target=1)
    maps = model.activations(model.prepare(model.read(photo(folder)))[0][None], "act")[0]
    close(found.values, np.maximum(maps @ weights[:, 1] / 14**2, 0), 1e-3)


def _weights(path: Path) -> Any:
    import onnx

    return next(onnx.numpy_helper.to_array(w) for w in onnx.load(path).graph.initializer if w.name == "weights")


def _converted(path: Path, kind: int) -> Path:
    """Give a file an input of bytes, or weights of half precision."""
    import onnx

    model = onnx.load(path)
    if kind == onnx.TensorProto.UINT8:
        model.graph.input[0].type.tensor_type.elem_type = kind
        model.graph.node.insert(0, onnx.helper.make_node("Cast", ["image"], ["floats"], to=onnx.TensorProto.FLOAT))
        model.graph.node[1].input[0] = "floats"
    else:
        for value in (*model.graph.input, *model.graph.output):
            value.type.tensor_type.elem_type = kind
        for weight in model.graph.initializer:
            half = onnx.numpy_helper.to_array(weight).astype(np.float16)
            weight.CopyFrom(onnx.numpy_helper.from_array(half, weight.name))
    onnx.save(model, path)
    return path


@works("onnx", "an input of bytes: values 0 to 255, and maps")
def byte_onnx(folder: Path) -> None:
    import onnx

    path, logits = onnx_file(folder)
    image = photo(folder, size=(16, 16))
    model = shisen.load(_converted(path, onnx.TensorProto.UINT8))
    want = logits(np.asarray(Image.open(image), np.float32)[None])[0]
    close([p.logit for p in sorted(model.predict(image), key=lambda p: p.index)], want, 1e-4)
    assert shisen.explain(model, image, target=int(want.argmax())).values.any()


@works("onnx", "a graph of half precision: layers and maps")
def half_onnx(folder: Path) -> None:
    import onnx

    path, logits = onnx_file(folder)
    model = shisen.load(_converted(path, onnx.TensorProto.FLOAT16))
    close(model.activations(X[None]), logits(X[None]), 1e-2)
    assert model.default_layer == "act", model.default_layer
    assert shisen.explain(model, photo(folder), "ablation_cam", target=1).values.shape == (14, 14)


@works("onnx", "dynamic int8: the default layer, and methods without gradients")
def int8_onnx(folder: Path) -> None:
    from onnxruntime.quantization import quantize_dynamic

    path, logits = onnx_file(folder)
    quantize_dynamic(path, folder / "int8.onnx")
    model = shisen.load(folder / "int8.onnx")
    close(model.activations(X[None]), logits(X[None]), 0.05)
    assert model.default_layer == "act", model.default_layer
    for method in ("ablation_cam", "recipro_cam", "occlusion"):
        assert shisen.explain(model, photo(folder), method).values.any(), method


@refused("onnx", "a graph that onnxruntime cannot run")
def broken_onnx(folder: Path) -> None:
    import onnx

    path, _ = onnx_file(folder)
    model = onnx.load(path)
    model.graph.node[1].op_type = "Reluu"
    onnx.save(model, path)
    shisen.load(path).predict(photo(folder))
