"""Explanations of one Keras model in threads, beside one that runs it and, on torch, one that trains it."""

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

MAPS = 4


def model() -> Any:
    keras.utils.set_random_seed(0)
    image = keras.Input((12, 12, 3))
    x = layers.Conv2D(6, 3, activation="relu")(image)
    x = layers.Conv2D(8, 3, activation="relu")(x)
    return keras.Model(image, layers.Dense(4)(layers.GlobalAveragePooling2D()(x)))


def gradients(net: Any, x: Any) -> list[Any]:
    import torch

    score = net(torch.tensor(x), training=True).square().sum()
    return list(torch.autograd.grad(score, [v.value for v in net.trainable_variables]))


def test_maps_inference_and_training_do_not_disturb_each_other() -> None:
    net, x = model(), np.random.default_rng(0).random((1, 12, 12, 3), dtype=np.float32)
    want = shisen.explain(shisen.wrap(net), x[0], "grad_cam", target=1).values
    answer = np.asarray(keras.ops.convert_to_numpy(net(x)))
    done, problems = threading.Event(), list[BaseException]()
    rounds = [0, 0]

    def infer() -> None:
        found = keras.ops.convert_to_numpy(net(x))
        np.testing.assert_allclose(found, answer, rtol=1e-5, atol=1e-6)
        rounds[0] += 1

    trains = keras.config.backend() == "torch"
    known = gradients(net, x) if trains else []

    def learn() -> None:
        for got, one in zip(gradients(net, x), known, strict=True):
            assert float((got - one).abs().max()) <= 1e-5 * float(one.abs().max())
        rounds[1] += 1

    def again(work: Callable[[], None]) -> None:
        try:
            while not done.is_set():
                work()
        except BaseException as problem:
            problems.append(problem)

    def explain(_: int) -> float:
        own = shisen.wrap(net)
        found = [shisen.explain(own, x[0], "grad_cam", target=1).values for _ in range(MAPS)]
        return max(float(np.abs(one - want).max()) for one in found)

    others = [threading.Thread(target=again, args=(work,)) for work in ((infer, learn) if trains else (infer,))]
    for thread in others:
        thread.start()
    try:
        with ThreadPoolExecutor(4) as pool:
            worst = max(pool.map(explain, range(4)))
    finally:
        done.set()
        for thread in others:
            thread.join()
    if problems:
        raise problems[0]
    assert worst == pytest.approx(0, abs=1e-6)
    assert rounds[0] > 0
    assert rounds[1] > 0 or not trains
