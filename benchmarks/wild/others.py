"""Situations of Keras models and ONNX files."""

from __future__ import annotations

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
