from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from evaluation.samples import sample
from shisen.evaluation.batching import RequestBatcher, Task
from shisen.evaluation.requests import Outcome, ScoreRequest
from shisen.evaluation.sample import first


@pytest.mark.parametrize("batch_size", [1, 3, 8, 100])
def test_equal_images_of_a_image_travel_once(batch_size: int) -> None:
    rng = np.random.default_rng(0)
    asked: list[float] = []

    def scores(images: Any) -> Any:
        assert 0 < len(images) <= batch_size
        asked.extend(float(v) for v in images[:, 0, 0, 0])
        return images.sum(axis=(1, 2, 3))[:, None] * [[1.0, 2.0]]

    wanted = {}

    def metric(ident: Any, values: Any, named: bool) -> Any:
        images = np.broadcast_to(np.asarray(values, dtype=np.float32)[:, None, None, None], (len(values), 2, 2, 1))
        wanted[ident] = [(4.0 * v, 8.0 * v) for v in values]
        logits = yield ScoreRequest(images, rows=tuple(str(v) for v in values) if named else ())
        return Outcome(0.0, parts={"logits": logits})

    tasks = []
    for number in range(20):
        image, named = number % 2, number != 7
        values = [float(v) + 100 * image for v in rng.integers(0, 9, size=rng.integers(1, 7))]
        tasks.append(Task(number, image, "map", metric(number, values, named)))
    found = dict(RequestBatcher(scores, lambda *_: None, batch_size).run(tasks))
    assert len(found) == len(tasks)
    for ident, outcome in found.items():
        np.testing.assert_allclose(outcome.parts["logits"], wanted[ident])
    unnamed = [row[0] / 4.0 for row in wanted[7]]
    for value in unnamed:
        asked.remove(value)
    assert len(asked) == len(set(asked))


def test_removed_pixels_are_those_of_the_baseline_and_the_others_those_of_the_image() -> None:
    one = sample(np.random.default_rng(1).random((8, 8)))
    removed = first(one.ranks, np.asarray([0, 3, 64]), one.size)
    assert removed.sum(axis=(1, 2)).tolist() == [0, 3, 64]
    for baseline in ("network_zero", "mean", "blur", "gray"):
        found = one.without(removed, baseline)
        for image, gone in zip(found, removed, strict=True):
            np.testing.assert_array_equal(image[gone], one.pixels(baseline)[gone])
            np.testing.assert_array_equal(image[~gone], one.image[~gone])
    np.testing.assert_array_equal(one.without(removed, "network_zero"), one.blended(~removed))


def test_ranks_fall_with_the_heat_and_then_with_the_draw() -> None:
    for values in (np.zeros((4, 4)), np.asarray([[0.0, -0.0, 1.0], [1.0, -1.0, 0.0], [2.0, 0.0, 1.0]])):
        one = sample(values)
        draw = one.rng("ties").random(one.heat.size)
        want = np.lexsort((-draw, -one.heat.ravel().astype(np.float64)))
        np.testing.assert_array_equal(one.ranks, want)
