"""Attention of Keras transformers, however they compute it, against one in NumPy; and the methods made of it."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

import nets_vit
import shisen
from nets_vit import DEPTH, HEADS, KEYS, PATCH, WIDTH, Transformer
from shisen.adapters.keras.adapter import KerasClassifier
from shisen.adapters.wrappers import Batched
from shisen.errors import ModelError
from shisen.registry import METHODS, suiting
from shisen.targets import ClassObjective, to_numpy

CLOSE = {"rtol": 2e-3, "atol": 2e-5}
STYLES = ["layer", "dropout", "ops", "written out", "blocks"]
SIDES = (12, 16)


class ClassToken(layers.Layer):
    """Puts a learned token in front."""

    def build(self, shape: Any) -> None:
        self.token = self.add_weight(shape=(1, 1, shape[-1]), name="token")

    def call(self, x: Any) -> Any:
        return ops.concatenate([ops.broadcast_to(self.token, (ops.shape(x)[0], 1, x.shape[-1])), x], axis=1)


class OwnAttention(layers.Layer):
    """Self-attention through `keras.ops`, fused or written out with a softmax."""

    def __init__(self, fused: bool, **options: Any) -> None:
        super().__init__(**options)
        self.fused = fused
        self.parts = [layers.EinsumDense("ntc,chd->nthd", (None, HEADS, KEYS), bias_axes="hd") for _ in range(3)]
        self.out = layers.EinsumDense("nthd,hdc->ntc", (None, WIDTH), bias_axes="c")

    def build(self, shape: Any) -> None:
        for part in self.parts:
            part.build(shape)
        self.out.build((None, None, HEADS, KEYS))

    def call(self, x: Any) -> Any:
        q, k, v = (part(x) for part in self.parts)
        if self.fused:
            return self.out(ops.dot_product_attention(q, k, v))
        scores = ops.einsum("nthd,nshd->nhts", q, k) * KEYS**-0.5
        return self.out(ops.einsum("nhts,nshd->nthd", ops.softmax(scores, axis=-1), v))


class Block(layers.Layer):
    """A transformer's block as one layer."""

    def __init__(self, k: int, **options: Any) -> None:
        super().__init__(**options)
        self.norms = [layers.LayerNormalization(epsilon=1e-3, name=f"norm{i}") for i in range(2)]
        self.attention = layers.MultiHeadAttention(HEADS, KEYS, name=f"attention{k}")
        self.up = layers.Dense(2 * WIDTH, activation="relu", use_bias=False, name=f"up{k}")
        self.down = layers.Dense(WIDTH, use_bias=False, name=f"down{k}")

    def build(self, shape: Any) -> None:
        self.attention.build(shape, shape, shape)
        for norm in self.norms:
            norm.build(shape)
        self.up.build(shape)
        self.down.build((*shape[:-1], 2 * WIDTH))

    def call(self, x: Any) -> Any:
        v = self.norms[0](x)
        x = x + self.attention(v, v)
        return x + self.down(self.up(self.norms[1](x)))


def attention_in(style: str, k: int, v: Any) -> Any:
    if style in ("layer", "dropout"):
        rate = 0.1 if style == "dropout" else 0.0
        return layers.MultiHeadAttention(HEADS, KEYS, dropout=rate, name=f"attention{k}")(v, v)
    return OwnAttention(style == "ops", name=f"attention{k}")(v)


def transformer(style: str, mean: bool = False) -> Any:
    """Return the network of `nets_vit` in Keras, for images of any size."""
    w = nets_vit.weights()
    image = keras.Input((*SIDES, 3))
    x = layers.Conv2D(WIDTH, PATCH, PATCH, use_bias=False, name="patch")(image)
    x = layers.Reshape((-1, WIDTH), name="tokens")(x)
    x = x if mean else ClassToken(name="cls")(x)
    for k in range(DEPTH):
        if style == "blocks":
            x = Block(k, name=f"block{k}")(x)
            continue
        v = layers.LayerNormalization(epsilon=1e-3, name=f"first{k}")(x)
        x = layers.Add(name=f"middle{k}")([x, attention_in(style, k, v)])
        v = layers.LayerNormalization(epsilon=1e-3, name=f"second{k}")(x)
        v = layers.Dense(2 * WIDTH, activation="relu", use_bias=False, name=f"up{k}")(v)
        x = layers.Add(name=f"end{k}")([x, layers.Dense(WIDTH, use_bias=False, name=f"down{k}")(v)])
    x = layers.LayerNormalization(epsilon=1e-3, name="norm")(x)
    x = layers.GlobalAveragePooling1D(name="pool")(x) if mean else x[:, 0]
    net = keras.Model(image, layers.Dense(nets_vit.CLASSES, use_bias=False, activation="softmax", name="fc")(x))
    found = {layer.name: layer for layer in net._flatten_layers()}
    for name, layer in found.items():
        if name in w:
            layer.set_weights([w[name]])
    if not mean:
        found["cls"].set_weights([w["cls"]])
    for k in range(DEPTH):
        own = [part for n in ("query", "key", "value") for part in (w[f"{n}{k}"], w[f"{n}_bias{k}"])]
        found[f"attention{k}"].set_weights([*own, w[f"out{k}"], w[f"out_bias{k}"]])
    return net


def one_hot(*classes: int) -> ClassObjective:
    return ClassObjective("class", ((1.0, classes),))


def images(n: int = 2) -> Any:
    return np.random.default_rng(0).random((n, *SIDES, 3)).astype(np.float32)


@pytest.fixture(scope="module", params=[False, True], ids=["class token", "mean"])
def mean(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(scope="module")
def oracle(mean: bool) -> tuple[Transformer, Any, Any]:
    """The twin, the gradients from its answer, the gradients block by block; for classes 1 and 4."""
    twin = Transformer(mean)
    return twin, twin.gradients(images(), [1, 4]), twin.gradients(images(), [1, 4], per_block=True)


@pytest.mark.parametrize("style", STYLES)
def test_values_and_gradients_equal_the_twin(style: str, mean: bool, oracle: tuple[Transformer, Any, Any]) -> None:
    twin, gradients, per_block = oracle
    model, x = KerasClassifier(transformer(style, mean)), images()
    logits, _, attentions = twin.run(x)
    got = to_numpy(model.activations(x))
    np.testing.assert_allclose(got, logits, **CLOSE)
    without = model.attentions(x)
    assert [a.gradients for a in without] == [None] * DEPTH
    inside = "block{0}/attention{0}.attention" if style == "blocks" else "attention{0}.attention"
    assert [a.path for a in without] == [inside.format(k) for k in range(DEPTH)]
    for a, want in zip(without, attentions, strict=True):
        assert (a.grid, a.prefix, a.windows) == ((3, 4), 0 if mean else 1, 1)
        np.testing.assert_allclose(to_numpy(a.values), want, **CLOSE)
    for wanted, options in ((gradients, {}), (per_block, {"per_block": True})):
        for a, value, gradient in zip(model.attentions(x, one_hot(1, 4), **options), attentions, wanted, strict=True):
            np.testing.assert_allclose(to_numpy(a.values), value, **CLOSE)
            np.testing.assert_allclose(to_numpy(a.gradients), gradient, **CLOSE)
    np.testing.assert_allclose(to_numpy(model.activations(x)), got, rtol=1e-6)


def test_methods_equal_their_formulas(mean: bool, oracle: tuple[Transformer, Any, Any]) -> None:
    twin, gradients, per_block = oracle
    model, x = KerasClassifier(transformer("layer", mean)), images()
    values = twin.run(x)[2]
    identity = np.eye(values[0].shape[-1])
    rollout, chefer = identity, identity
    for a, g in zip(values, gradients, strict=True):
        mixed = (a.mean(1) + identity) / 2
        rollout = mixed / mixed.sum(-1, keepdims=True) @ rollout
        chefer = chefer + np.maximum(a * g, 0).mean(1) @ chefer
    first = 0 if mean else 1

    def looking(rows: Any) -> Any:
        row = rows.mean(1) if mean else rows[:, 0]
        return row[:, first:].reshape(2, 3, 4)

    legrad = np.mean([np.maximum(g, 0).mean((1, 2)) for g in per_block], axis=0)[:, first:].reshape(2, 3, 4)
    product = np.mean([(a * g).sum((1, 2)) for a, g in zip(values, gradients, strict=True)], axis=0)
    wanted = {
        "attention_rollout": looking(rollout),
        "chefer": looking(chefer - identity),
        "legrad": legrad,
        "attention_x_gradient": product[:, first:].reshape(2, 3, 4),
    }
    assert set(wanted) == {name for name, m in METHODS.items() if m.needs == "attention"}
    for name, want in wanted.items():
        got = to_numpy(METHODS[name](model, x, one_hot(1, 4)).values)
        np.testing.assert_allclose(got, want, atol=1e-4 * np.abs(want).max(), err_msg=name)
        cut = to_numpy(METHODS[name](Batched(model, 1), x, one_hot(1, 4)).values)
        np.testing.assert_allclose(cut, got, atol=1e-5 * np.abs(want).max(), err_msg=name)


def test_legrad_may_read_the_mean_of_all_tokens() -> None:
    model, x = KerasClassifier(transformer("layer")), images()
    gradients = Transformer(False).gradients(x, [1, 4], per_block=True, pooled=True)
    want = np.mean([np.maximum(g, 0).mean((1, 2)) for g in gradients], axis=0)[:, 1:].reshape(2, 3, 4)
    got = to_numpy(METHODS["legrad"](model, x, one_hot(1, 4), reads="mean").values)
    np.testing.assert_allclose(got, want, atol=1e-4 * np.abs(want).max())


def test_heads_of_attention_are_no_feature_maps() -> None:
    shapes = {r.path: r.shape for r in KerasClassifier(transformer("ops")).layers}
    assert shapes["attention1"] == (3, 4, WIDTH)
    assert shapes["end1"] == (3, 4, WIDTH)
    assert KerasClassifier(transformer("layer")).default_layer in shapes


def test_the_call_and_the_methods_on_offer() -> None:
    model = shisen.wrap(transformer("layer"), preprocess=shisen.Preprocess(SIDES), labels=list("abcde"))
    image = (images(1)[0] * 255).astype(np.uint8)
    e = shisen.explain(model, image, method="legrad", target="b")
    assert e.values.shape == (3, 4)
    assert "chefer" in suiting(model)
    heads = shisen.attention(model, image)
    assert heads.values.shape == (DEPTH, HEADS, 13, 13)


def test_a_block_that_cannot_be_told_is_an_error() -> None:
    image = keras.Input((*SIDES, 3))
    x = layers.Reshape((-1, WIDTH))(layers.Conv2D(WIDTH, PATCH, PATCH)(image))
    x = layers.GlobalAveragePooling1D()(layers.MultiHeadAttention(HEADS, KEYS, name="attention")(x, x))
    model = KerasClassifier(keras.Model(image, layers.Dense(5)(x)))
    with pytest.raises(ModelError, match=r"map after every block.*'attention'"):
        METHODS["legrad"](model, images(), one_hot(1, 4))
    assert to_numpy(METHODS["chefer"](model, images(), one_hot(1, 4)).values).shape == (2, 3, 4)
