from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from evaluation.samples import case
from shisen.evaluation.batching import Schedule, Task
from shisen.evaluation.fills import filled, kept
from shisen.evaluation.sample import Ask, Outcome


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
        logits = yield Ask(images, rows=tuple(str(v) for v in values) if named else ())
        return Outcome(0.0, parts={"logits": logits})

    tasks = []
    for number in range(20):
        image, named = number % 2, number != 7
        values = [float(v) + 100 * image for v in rng.integers(0, 9, size=rng.integers(1, 7))]
        tasks.append(Task(number, image, "map", metric(number, values, named)))
    found = dict(Schedule(scores, lambda *_: None, batch_size).run(tasks))
    assert len(found) == len(tasks)
    for ident, outcome in found.items():
        np.testing.assert_allclose(outcome.parts["logits"], wanted[ident])
    unnamed = [row[0] / 4.0 for row in wanted[7]]
    for value in unnamed:
        asked.remove(value)
    assert len(asked) == len(set(asked))


def test_composed_is_blended() -> None:
    one = case(np.random.default_rng(1).random((8, 8)))
    keep = kept(one.ranks, np.asarray([0, 3, 64]), one.size)
    for fill in ("zero", "mean", "blur"):
        empty = filled(one, fill)
        np.testing.assert_array_equal(one.composed(keep, empty), one.blended(keep, empty))


def test_ranks_fall_with_the_heat_and_then_with_the_draw() -> None:
    for values in (np.zeros((4, 4)), np.asarray([[0.0, -0.0, 1.0], [1.0, -1.0, 0.0], [2.0, 0.0, 1.0]])):
        one = case(values)
        draw = one.rng("ties").random(one.heat.size)
        want = np.lexsort((-draw, -one.heat.ravel().astype(np.float64)))
        np.testing.assert_array_equal(one.ranks, want)
