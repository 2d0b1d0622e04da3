"""The Keras adapter: points, gradients, tails and heads, against a twin in NumPy; the user's model stays as it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from nets_keras import SIDES, Twin, flat, images, nested, own, published, published_image
from shisen.adapters.keras.adapter import KerasClassifier
from shisen.errors import InputError, ModelError, ShisenWarning, UnknownName
from shisen.score_functions import CotangentObjective
from shisen.targets import ClassObjective, LayerObjective, TopKObjective, to_numpy
from shisen.types import Classifier, Scaling

SEED = ClassObjective("class 1", ((1.0, (1,)),))
CLOSE = {"rtol": 1e-4, "atol": 1e-6}


def cam(model: KerasClassifier, x: Any, layer: str, objective: Any = SEED) -> Any:
    a, g = (to_numpy(v) for v in model.gradients(x, objective, wrt=layer))
    return np.maximum((g.mean((1, 2), keepdims=True) * a).sum(-1), 0)


def twin_cam(v: dict[str, Any], g: dict[str, Any], point: str) -> Any:
    return np.maximum((g[point].mean((1, 2), keepdims=True) * v[point]).sum(-1), 0)


# ---- values and gradients


def test_published_grad_cam() -> None:
    model, objective = KerasClassifier(published()), ClassObjective("class 0", ((1.0, (0,)),))
    np.testing.assert_allclose(cam(model, published_image(), "conv1", objective)[0], [[11.25, 13.5], [20.25, 22.5]])
    np.testing.assert_allclose(cam(model, published_image(), "relu1", objective)[0], [[0, 4], [28, 32.5]])


@pytest.mark.parametrize(("make", "prefix"), [(flat, ""), (nested, "base/"), (own, "")])
def test_values_gradients_and_grad_cam_equal_the_twin(make: Any, prefix: str) -> None:
    model, x, twin = KerasClassifier(make()), images(3), Twin()
    v = twin.forward(x)
    g = twin.backward(v, np.eye(3)[[1, 1, 1]])
    points = ["input", f"{prefix}conv1", f"{prefix}conv2", "logits"]
    for point, got in zip(points, model.activations(x, points), strict=True):
        np.testing.assert_allclose(to_numpy(got), v[point.removeprefix(prefix)], **CLOSE)
    values, gradients = model.gradients(x, SEED, wrt=points[:3])
    for point, value, gradient in zip(points[:3], values, gradients, strict=True):
        name = point.removeprefix(prefix)
        np.testing.assert_allclose(to_numpy(value), v[name], **CLOSE)
        np.testing.assert_allclose(to_numpy(gradient), g[name], **CLOSE)
    np.testing.assert_allclose(cam(model, x, f"{prefix}conv1"), twin_cam(v, g, "conv1"), **CLOSE)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_nested_model_equals_the_flat_one(depth: int) -> None:
    x, model = images(), KerasClassifier(nested(depth=depth))
    prefix = "".join(f"base{level}/" for level in range(depth - 1, 0, -1)) + "base/"
    assert model.default_layer == f"{prefix}act2"
    np.testing.assert_allclose(cam(model, x, f"{prefix}conv2"), cam(KerasClassifier(flat()), x, "conv2"), **CLOSE)


def test_several_seeds_come_from_one_forward_with_an_axis_in_front() -> None:
    model, x, twin = KerasClassifier(flat()), images(), Twin()
    v = twin.forward(x)
    asked: list[int] = []

    def recorded(y: Any) -> Any:
        asked.append(len(y))
        return TopKObjective()(y)

    objectives = [SEED, CotangentObjective(recorded), ClassObjective("2 rather than 0", ((1.0, (2,)), (-1.0, (0,))))]
    value, gradients = model.gradients(x, objectives, wrt="conv2")
    assert asked == [2]
    np.testing.assert_allclose(to_numpy(value), v["conv2"], **CLOSE)
    top = np.eye(3)[v["logits"].argmax(-1)]
    for gradient, cotangent in zip(
        to_numpy(gradients), [np.eye(3)[[1, 1]], top, np.array([[-1.0, 0, 1]] * 2)], strict=True
    ):
        np.testing.assert_allclose(gradient, twin.backward(v, cotangent)["conv2"], **CLOSE)


def test_a_seed_that_depends_on_the_value() -> None:
    model, x, twin = KerasClassifier(flat(head="softmax")), images(), Twin()
    v = twin.forward(x)
    p = np.exp(v["logits"] - v["logits"].max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    want = p[:, 1:2] * (np.eye(3)[[1, 1]] - p)
    objective = ClassObjective("class 1", ((1.0, (1,)),), "probability")
    np.testing.assert_allclose(to_numpy(model.gradients(x, objective)[1]), twin.backward(v, want)["input"], **CLOSE)


def test_an_objective_on_a_layer() -> None:
    model, x, twin = KerasClassifier(flat()), images(), Twin()
    _, gradient = model.gradients(x, LayerObjective(((2, 1.0),)), at="conv1")
    cotangent = np.zeros(twin.forward(x)["conv1"].shape)
    cotangent[..., 2] = 1 / np.prod(cotangent.shape[1:3])
    from nets_keras import _transposed

    np.testing.assert_allclose(to_numpy(gradient), _transposed(cotangent, twin.w["conv1"]), **CLOSE)


def test_a_batch_equals_its_images_at_any_batch_size() -> None:
    model, x = KerasClassifier(flat()), images(5)
    whole = cam(model, x, "act1")
    for i in range(5):
        np.testing.assert_allclose(cam(model, x[i : i + 1], "act1")[0], whole[i], **CLOSE)


def test_a_problem_in_the_seed_arrives_as_it_is() -> None:
    model = KerasClassifier(flat())
    with pytest.raises(InputError, match="A class index must lie between 0 and 2"):
        model.gradients(images(), ClassObjective("none", ((1.0, (3,)),)))


def test_scaling_and_channel_order_belong_to_the_model() -> None:
    x = images()
    scaling = Scaling((2.0, 3.0, 4.0), (0.5, -0.5, 0.25), reverse=True)
    model, twin = KerasClassifier(flat(), scaling), Twin()
    v = twin.forward((x * [2, 3, 4] + [0.5, -0.5, 0.25])[..., ::-1])
    np.testing.assert_allclose(to_numpy(model.activations(x)), v["logits"], **CLOSE)
    want = twin.backward(v, np.eye(3)[[1, 1]])["input"][..., ::-1] * [2, 3, 4]
    value, gradient = model.gradients(x, SEED)
    np.testing.assert_allclose(to_numpy(value), x)
    np.testing.assert_allclose(to_numpy(gradient), want, **CLOSE)


# ---- replaced


@pytest.mark.parametrize(("make", "point"), [(flat, "act1"), (nested, "base/act1"), (own, "conv1")])
def test_replaced_equals_the_twin_for_many_values_of_one_image(make: Any, point: str) -> None:
    model, x, twin = KerasClassifier(make()), images(1), Twin()
    value = to_numpy(model.activations(x, point))
    values = np.concatenate([value] * 4)
    for c in range(4):
        values[c, ..., c] = 0
    name = point.removeprefix("base/")
    a = np.maximum(values, 0) if name == "conv1" else values
    from nets_keras import _convolve

    tail = np.maximum(_convolve(a.astype(float), twin.w["conv2"]) + twin.w["bias2"], 0).mean((1, 2))
    want = tail @ twin.w["fc"] + twin.w["bias"]
    np.testing.assert_allclose(to_numpy(model.replaced(x, values, point)), want, **CLOSE)
    assert model.runs_downstream_only(x, point)


def test_replaced_with_as_many_images_as_values() -> None:
    model, x = KerasClassifier(flat()), images(3)
    value = to_numpy(model.activations(x, "act1"))
    np.testing.assert_allclose(
        to_numpy(model.replaced(x, value[::-1], "act1")), to_numpy(model.activations(x))[::-1], **CLOSE
    )
    with pytest.raises(InputError, match="one image, or as many"):
        model.replaced(x, value[:2], "act1")


def test_replaced_beside_a_branch_that_cannot_be_shared() -> None:
    image = keras.Input((*SIDES, 3))
    a, b = layers.Conv2D(2, 3, name="a")(image), layers.Conv2D(2, 3, name="b")(image)
    x = layers.GlobalAveragePooling2D()(layers.Concatenate()([a, b]))
    net = keras.Model(image, layers.Dense(3)(x))
    model, x = KerasClassifier(net), images(1)
    assert not model.runs_downstream_only(x, "a")
    value = to_numpy(model.activations(x, "a"))
    got = to_numpy(model.replaced(x, np.concatenate([value, value * 0]), "a"))
    np.testing.assert_allclose(got[:1], to_numpy(model.activations(x)), **CLOSE)
    assert np.abs(got[1] - got[0]).max() > 1e-3


# ---- structure


def test_layers_are_named_in_forward_order_with_shapes_and_a_default() -> None:
    found = KerasClassifier(nested()).layers
    assert [(r.path, r.kind, r.shape, r.parameters) for r in found] == [
        ("base/conv1", "Conv2D", (5, 4, 4), 112),
        ("base/act1", "ReLU", (5, 4, 4), 0),
        ("base/conv2", "Conv2D", (4, 3, 5), 85),
        ("base/act2", "ReLU", (4, 3, 5), 0),
        ("base", "Functional", (4, 3, 5), 0),
        ("pool", "GlobalAveragePooling2D", (5,), 0),
        ("fc", "Dense", (3,), 18),
    ]
    assert [r.path for r in found if r.default] == ["base/act2"]


def test_a_layer_called_twice_is_two_points() -> None:
    image = keras.Input((*SIDES, 3))
    relu = layers.ReLU(name="relu")
    x = relu(layers.Conv2D(4, 3, name="c1")(image))
    x = relu(layers.Conv2D(5, 2, name="c2")(x))
    net = keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))
    model, x = KerasClassifier(net), images()
    first, second, last, c1, c2 = (to_numpy(v) for v in model.activations(x, ("relu#1", "relu#2", "relu", "c1", "c2")))
    np.testing.assert_array_equal(first, np.maximum(c1, 0))
    np.testing.assert_array_equal(second, np.maximum(c2, 0))
    np.testing.assert_array_equal(last, second)


@pytest.mark.filterwarnings("ignore:.*unbuilt state:UserWarning")
def test_unknown_and_unreachable_layers() -> None:
    class Spare(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.used = layers.Dense(3, name="used")
            self.spare = layers.Dense(3, name="spare")

        def call(self, x: Any) -> Any:
            return self.used(keras.ops.mean(x, axis=(1, 2)))

    model = KerasClassifier(Spare(), size=(*SIDES, 3))
    with pytest.raises(UnknownName, match=r"no layer 'sped'.*'used'"):
        model.activations(images(), "sped")
    with pytest.raises(ModelError, match=r"'spare'.*can be captured: used"):
        model.activations(images(), "spare")
    with pytest.raises(ModelError, match="has a spatial feature map"):
        _ = model.default_layer


def test_open_sizes_take_any_image() -> None:
    image = keras.Input((None, None, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(image)
    model = KerasClassifier(keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(x))))
    for shape in ((9, 6), (12, 20)):
        x = np.ones((2, *shape, 3), np.float32)
        assert cam(model, x, "conv").shape == (2, shape[0] - 2, shape[1] - 2)
        np.testing.assert_allclose(
            to_numpy(model.activations(x)), np.asarray(keras.ops.convert_to_numpy(model.net(x))), **CLOSE
        )


def test_a_model_with_several_outputs_needs_a_choice() -> None:
    image = keras.Input((*SIDES, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(image))
    outputs = {"one": layers.Dense(2, name="one")(x), "two": layers.Dense(3, activation="softmax", name="two")(x)}
    net = keras.Model(image, outputs)
    assert to_numpy(KerasClassifier(net, output="two").activations(images())).shape == (2, 3)
    assert KerasClassifier(net, output="two").head == "softmax"
    assert to_numpy(KerasClassifier(net, output=lambda o: o["one"]).activations(images())).shape == (2, 2)
    with pytest.raises(ModelError, match=r"part 'three'.*one.*two"):
        KerasClassifier(net, output="three").activations(images())
    listed = keras.Model(image, list(outputs.values()))
    assert to_numpy(KerasClassifier(listed, output=1).activations(images())).shape == (2, 3)


@pytest.mark.parametrize("pack", [lambda i: [i], lambda i: {"image": i}])
def test_an_input_declared_in_a_list_or_under_a_name(pack: Any) -> None:
    image = keras.Input((*SIDES, 3), name="image")
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, name="conv")(image))
    net = keras.Model(pack(image), layers.Dense(3)(x))
    model, x = KerasClassifier(net), images()
    assert model.size == (*SIDES, 3)
    want = np.asarray(keras.ops.convert_to_numpy(net(pack(keras.ops.convert_to_tensor(x)))))
    np.testing.assert_allclose(to_numpy(model.activations(x)), want, **CLOSE)


def test_several_inputs_are_refused() -> None:
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    with pytest.raises(ModelError, match="2 inputs: a, b"):
        KerasClassifier(keras.Model([a, b], layers.Add()([a, b])))


def test_channels_first_models_answer_channels_last(backend: str) -> None:
    image = keras.Input((3, *SIDES))
    x = layers.Conv2D(4, 3, name="conv", data_format="channels_first", activation="relu")(image)
    x = layers.GlobalAveragePooling2D(data_format="channels_first")(x)
    first = keras.Model(image, layers.Dense(3, name="fc")(x))
    image = keras.Input((*SIDES, 3))
    x = layers.Conv2D(4, 3, name="conv", activation="relu")(image)
    last = keras.Model(image, layers.Dense(3, name="fc")(layers.GlobalAveragePooling2D()(x)))
    last.set_weights(first.get_weights())
    x, got, want = images(), KerasClassifier(first), KerasClassifier(last)
    if backend == "tensorflow" and not _convolves_channels_first():
        with pytest.raises(ModelError, match=r"channels first.*KERAS_BACKEND=jax or torch"):
            got.activations(x)
        return
    assert got.layers[0].shape == want.layers[0].shape == (5, 4, 4)
    np.testing.assert_allclose(to_numpy(got.activations(x, "conv")), to_numpy(want.activations(x, "conv")), **CLOSE)
    np.testing.assert_allclose(to_numpy(got.gradients(x, SEED)[1]), to_numpy(want.gradients(x, SEED)[1]), **CLOSE)
    np.testing.assert_allclose(cam(got, x, "conv"), cam(want, x, "conv"), **CLOSE)
    value = to_numpy(want.activations(x, "conv"))
    np.testing.assert_allclose(
        to_numpy(got.replaced(x, value * 2, "conv")), to_numpy(want.replaced(x, value * 2, "conv")), **CLOSE
    )


def _convolves_channels_first() -> bool:
    """Tell whether TensorFlow has such kernels here: on a GPU, and on a processor in some builds."""
    import tensorflow as tf

    try:
        tf.nn.conv2d(tf.zeros((1, 1, 3, 3)), tf.zeros((1, 1, 1, 1)), 1, "VALID", data_format="NCHW")
    except tf.errors.OpError:
        return False
    return True


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_answers_float32(policy: str) -> None:
    image = keras.Input((*SIDES, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="conv", dtype=policy)(image)
    x = layers.Dense(3, name="fc", dtype=policy)(layers.GlobalAveragePooling2D(dtype=policy)(x))
    net = keras.Model(image, layers.Activation("softmax", dtype="float32")(x))
    model, x = KerasClassifier(net), images()
    a, g = (to_numpy(v) for v in model.gradients(x, SEED, wrt="conv"))
    assert a.dtype == g.dtype == to_numpy(model.activations(x)).dtype == np.float32
    fc = net.get_layer("fc").get_weights()[0]
    np.testing.assert_allclose(g, np.broadcast_to(fc[:, 1] / 20, g.shape), rtol=2e-2)
    assert to_numpy(model.rewired("guided").gradients(x, SEED)[1]).dtype == np.float32


def test_tokens_come_back_as_a_grid_without_the_class_token() -> None:
    class Prefix(layers.Layer):
        def call(self, x: Any) -> Any:
            return keras.ops.concatenate([keras.ops.mean(x, axis=1, keepdims=True), x], axis=1)

    image = keras.Input((8, 6, 3))
    x = layers.Conv2D(4, 2, strides=2, name="patches")(image)
    x = Prefix(name="prefix")(layers.Reshape((12, 4), name="rows")(x))
    x = layers.Dense(5, activation="relu", name="mix")(x)
    net = keras.Model(image, layers.Dense(3)(layers.Flatten()(x)))
    model, x = KerasClassifier(net), np.random.default_rng(0).normal(size=(2, 8, 6, 3)).astype(np.float32)
    shapes = {r.path: r.shape for r in model.layers}
    assert shapes["mix"] == (4, 3, 5)
    patches, rows, mix = (to_numpy(v) for v in model.activations(x, ("patches", "rows", "mix")))
    np.testing.assert_allclose(rows, patches, **CLOSE)
    inner = keras.Model(net.inputs[0], net.get_layer("mix").output)
    np.testing.assert_allclose(mix.reshape(2, 12, 5), np.asarray(keras.ops.convert_to_numpy(inner(x)))[:, 1:], **CLOSE)
    np.testing.assert_allclose(to_numpy(model.replaced(x, mix, "mix")), to_numpy(model.activations(x)), **CLOSE)
    many = to_numpy(model.replaced(x[:1], np.concatenate([mix[:1]] * 3), "mix"))
    np.testing.assert_allclose(many, to_numpy(model.activations(x[:1])).repeat(3, 0), **CLOSE)


# ---- heads


@pytest.mark.parametrize("make", [flat, nested, own])
def test_a_fused_softmax_is_undone(make: Any) -> None:
    x, v = images(), Twin().forward(images())
    net = make(head="softmax")
    model = KerasClassifier(net)
    assert model.head == "softmax"
    np.testing.assert_allclose(to_numpy(model.activations(x)), v["logits"], **CLOSE)
    probability = np.asarray(keras.ops.convert_to_numpy(net(x)))
    np.testing.assert_allclose(probability.sum(-1), 1, rtol=1e-5)
    gradient = to_numpy(model.gradients(x, SEED)[1])
    np.testing.assert_allclose(gradient, Twin().backward(v, np.eye(3)[[1, 1]])["input"], **CLOSE)


def test_a_softmax_layer_is_undone_and_keeps_its_own_value() -> None:
    x, v = images(), Twin().forward(images())
    model = KerasClassifier(flat(head="layer"))
    np.testing.assert_allclose(to_numpy(model.activations(x)), v["logits"], **CLOSE)
    np.testing.assert_allclose(to_numpy(model.activations(x, "soft")).sum(-1), 1, rtol=1e-5)


def test_a_single_sigmoid_unit() -> None:
    image = keras.Input((*SIDES, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, name="conv")(image))
    net = keras.Model(image, layers.Dense(1, activation="sigmoid", name="fc")(x))
    model, x = KerasClassifier(net), images()
    logits = to_numpy(model.activations(x))
    assert model.head == "sigmoid"
    assert logits.shape == (2, 1)
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), np.asarray(keras.ops.convert_to_numpy(net(x))), rtol=1e-5)
    positive = to_numpy(model.gradients(x, ClassObjective("yes", ((1.0, (1,)),), head="sigmoid"), wrt="conv")[1])
    negative = to_numpy(model.gradients(x, ClassObjective("no", ((1.0, (0,)),), head="sigmoid"), wrt="conv")[1])
    np.testing.assert_allclose(positive, -negative)
    fc = net.get_layer("fc").get_weights()[0][:, 0]
    np.testing.assert_allclose(positive, np.broadcast_to(fc / 20, positive.shape), rtol=1e-5)


def test_independent_sigmoid_units_and_plain_logits() -> None:
    assert KerasClassifier(flat(head="sigmoid")).head == "sigmoid"
    assert KerasClassifier(flat()).head == "softmax"


def test_probabilities_that_cannot_be_undone_are_told(backend: str) -> None:
    if backend == "jax":
        pytest.skip("structure is found without values on JAX")
    image = keras.Input((*SIDES, 3))
    x = keras.ops.exp(layers.Dense(3)(layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(image))))
    net = keras.Model(image, x / keras.ops.sum(x, axis=-1, keepdims=True))
    with pytest.warns(ShisenWarning, match="cannot be undone"):
        KerasClassifier(net).activations(images())


# ---- the user's model


@contextmanager
def unchanged(net: Any) -> Iterator[None]:
    parts = [net, *net._flatten_layers(include_self=False)]
    before = [{k: id(v) for k, v in vars(p).items()} for p in parts]
    weights, flags = net.get_weights(), [p.trainable for p in parts]
    gradients = [getattr(getattr(v, "value", None), "requires_grad", None) for v in net.variables]
    yield
    assert [p.trainable for p in parts] == flags
    assert [getattr(getattr(v, "value", None), "requires_grad", None) for v in net.variables] == gradients
    for a, b in zip(weights, net.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    for part, attributes in zip(parts, before, strict=True):
        assert "call" not in vars(part)
        assert {k: id(v) for k, v in vars(part).items() if k in attributes} == attributes


@pytest.mark.parametrize("make", [flat, nested, own])
def test_the_model_is_as_it_was(make: Any) -> None:
    net, x = make(head="softmax"), images()
    net(x)
    net.layers[0].trainable = False
    with unchanged(net):
        model = KerasClassifier(net)
        layer = model.default_layer
        model.gradients(x, SEED, wrt=("input", layer))
        model.rewired("guided").gradients(x, SEED)
        model.replaced(x, to_numpy(model.activations(x, layer)), layer)
        for problem in (KeyError("mine"), KeyboardInterrupt()):
            with pytest.raises(type(problem)):
                model.rewired("deconvnet").gradients(x, CotangentObjective(_raiser(problem)))


def _raiser(problem: BaseException) -> Any:
    def raises(y: Any) -> Any:
        raise problem

    return raises


def test_a_layer_that_fails_leaves_nothing_behind() -> None:
    class Fragile(layers.Layer):
        def call(self, x: Any) -> Any:
            if x.shape[1] == 4:
                raise RuntimeError("not this size")
            return x

    image = keras.Input((None, None, 3))
    x = Fragile(name="fragile")(layers.Conv2D(2, 3, name="conv")(image))
    net = keras.Model(image, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
    net(np.ones((1, 9, 9, 3), np.float32))
    with unchanged(net):
        model = KerasClassifier(net, size=(9, 9, 3))
        assert model.default_layer == "conv"
        with pytest.raises((RuntimeError, ModelError), match="not this size"):
            model.gradients(np.ones((1, 6, 6, 3), np.float32), SEED)


def test_training_and_explaining_take_turns() -> None:
    net, x = flat(head="softmax"), images()
    model = KerasClassifier(net)
    before = to_numpy(model.activations(x)).copy()
    net.set_weights([w * 1.5 for w in net.get_weights()])
    after = to_numpy(model.activations(x))
    assert np.abs(after - before).max() > 1e-2
    np.testing.assert_allclose(
        to_numpy(keras.ops.convert_to_numpy(keras.ops.softmax(after))),
        np.asarray(keras.ops.convert_to_numpy(net(x))),
        rtol=1e-4,
    )


def test_dropout_and_normalization_run_as_in_inference() -> None:
    image = keras.Input((*SIDES, 3))
    x = layers.BatchNormalization()(layers.Conv2D(4, 3, name="conv")(image))
    x = layers.Dropout(0.5)(layers.GlobalAveragePooling2D()(x))
    net = keras.Model(image, layers.Dense(3)(x))
    model, x = KerasClassifier(net), images()
    np.testing.assert_array_equal(to_numpy(model.activations(x)), to_numpy(model.activations(x)))
    np.testing.assert_allclose(
        to_numpy(model.activations(x)), np.asarray(keras.ops.convert_to_numpy(net(x, training=False))), **CLOSE
    )


def test_it_is_a_classifier_of_its_framework(backend: str) -> None:
    model = KerasClassifier(flat())
    assert isinstance(model, Classifier)
    assert model.framework == f"keras-{backend}"
    kinds = {"tensorflow": "numpy", "jax": "jax", "torch": "torch"}
    assert type(model.activations(images())).__module__.startswith(kinds[backend])


def test_a_float64_network_is_not_rounded_on_its_way(backend: str) -> None:
    if backend == "jax":
        pytest.skip("JAX computes in float64 only if it is told so before anything else")
    image = keras.Input((*SIDES, 3))
    seen: list[str] = []

    class Spy(layers.Layer):
        def call(self, x: Any) -> Any:
            seen.append(keras.backend.standardize_dtype(x.dtype))
            return x

    x = layers.Conv2D(4, 3, name="conv", dtype="float64")(image)
    x = layers.GlobalAveragePooling2D(dtype="float64")(Spy(dtype="float64", autocast=False)(x))
    model, x = KerasClassifier(keras.Model(image, layers.Dense(3, name="fc", dtype="float64")(x))), images()
    value, gradient = (to_numpy(v) for v in model.gradients(x, SEED, wrt="conv"))
    assert value.dtype == gradient.dtype == to_numpy(model.activations(x)).dtype == np.float32
    assert set(seen) == {"float64"}
    weight = model.net.get_layer("fc").get_weights()[0][:, 1] / 20
    np.testing.assert_allclose(gradient, np.broadcast_to(weight, gradient.shape), rtol=1e-6)
