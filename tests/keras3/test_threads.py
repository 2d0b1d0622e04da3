"""Explanations of one Keras model in threads, beside a thread that runs it and one that trains it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import shisen


def model() -> Any:
    keras.utils.set_random_seed(0)
    image = keras.Input((12, 12, 3))
    x = layers.Conv2D(6, 3, activation="relu")(image)
    x = layers.Conv2D(8, 3, activation="relu")(x)
    return keras.Model(image, layers.Dense(4)(layers.GlobalAveragePooling2D()(x)))


def gradients(net: Any, x: Any) -> list[Any]:
    """Return the gradients of one training step, without writing them to the weights."""
    backend = keras.config.backend()
    if backend == "torch":
        import torch

        score = net(torch.tensor(x), training=True).square().sum()
        found = torch.autograd.grad(score, [v.value for v in net.trainable_variables])
    elif backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            score = tf.reduce_sum(net(x, training=True) ** 2)
        found = tape.gradient(score, [v.value for v in net.trainable_variables])
    else:
        import jax

        def score_of(weights: Any) -> Any:
            y, _ = net.stateless_call(weights, [v.value for v in net.non_trainable_variables], x, training=True)
            return (y**2).sum()

        found = jax.grad(score_of)([v.value for v in net.trainable_variables])
    return [np.asarray(keras.ops.convert_to_numpy(g)) for g in found]


@pytest.mark.parametrize(("workers", "maps"), [(4, 4), pytest.param(8, 200, marks=pytest.mark.slow)])
def test_maps_inference_and_training_do_not_disturb_each_other(workers: int, maps: int) -> None:
    net, x = model(), np.random.default_rng(0).random((1, 12, 12, 3), dtype=np.float32)
    want = shisen.explain(shisen.wrap(net), x[0], "grad_cam", target=1).values
    answer = np.asarray(keras.ops.convert_to_numpy(net(x)))
    done, problems = threading.Event(), list[BaseException]()
    rounds = [0, 0]

    def infer() -> None:
        found = keras.ops.convert_to_numpy(net(x))
        np.testing.assert_allclose(found, answer, rtol=1e-5, atol=1e-6)
        rounds[0] += 1

    known = gradients(net, x)

    def learn() -> None:
        for got, one in zip(gradients(net, x), known, strict=True):
            np.testing.assert_allclose(got, one, rtol=1e-5, atol=1e-5 * float(np.abs(one).max()))
        rounds[1] += 1

    def again(work: Callable[[], None]) -> None:
        try:
            while not done.is_set():
                work()
        except BaseException as problem:
            problems.append(problem)

    def explain(_: int) -> float:
        own = shisen.wrap(net)
        found = [shisen.explain(own, x[0], "grad_cam", target=1).values for _ in range(maps)]
        return max(float(np.abs(one - want).max()) for one in found)

    others = [threading.Thread(target=again, args=(work,)) for work in (infer, learn)]
    for thread in others:
        thread.start()
    try:
        with ThreadPoolExecutor(workers) as pool:
            worst = max(pool.map(explain, range(workers)))
    finally:
        done.set()
        for thread in others:
            thread.join()
    if problems:
        raise problems[0]
    assert worst == pytest.approx(0, abs=1e-6)
    assert min(rounds) > 0
