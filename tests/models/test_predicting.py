"""Predicting a list runs the same batches as explaining it, and loses no image to another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch import nn

import nets
import shisen
from shisen.errors import ImageError
from shisen.models.predicting import predict_each

BATCHES: list[tuple[int, bool]] = []


class Counted(nn.Module):
    """A network that notes the size and the memory layout of every batch."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nets.Toy()

    def forward(self, x: Any) -> Any:
        BATCHES.append((len(x), x.is_contiguous()))
        return self.body(x)


class OneAtATime(nn.Module):
    """A network that refuses batches, as one exported for a single image does."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nets.Toy()

    def forward(self, x: Any) -> Any:
        if len(x) > 1:
            raise RuntimeError("one image at a time")
        return self.body(x)


def same(got: list[Any], want: list[Any]) -> None:
    for ours, theirs in zip(got, want, strict=True):
        assert [p.index for p in ours] == [p.index for p in theirs]
        np.testing.assert_allclose([p.logit for p in ours], [p.logit for p in theirs], rtol=1e-5, atol=1e-6)


def test_a_list_runs_the_batches_that_explaining_it_runs() -> None:
    model, images = shisen.wrap(Counted().eval()).batched(3), list(nets.images(7))
    alone = [model.predict(x) for x in images]
    shisen.explain(model, images)
    BATCHES.clear()
    explained = shisen.explain(model, images)
    ran = BATCHES.copy()
    BATCHES.clear()
    predicted = model.predict(images)
    assert ran == BATCHES
    assert [n for n, _ in ran] == [3, 3, 1]
    same(predicted, alone)
    same(predicted, [e.predictions for e in explained])


def test_images_of_several_shapes_keep_their_order() -> None:
    model = shisen.wrap(nets.Toy().eval())
    images = [*nets.images(2), *nets.images(2, 9, 11), *nets.images(1)]
    same(model.predict(images), [model.predict(x) for x in images])


def test_a_network_for_one_image_at_a_time_predicts_a_list() -> None:
    model, images = shisen.wrap(OneAtATime().eval()), list(nets.images(3))
    same(model.predict(images), [model.predict(x) for x in images])
    assert all(isinstance(found, list) for _, found in predict_each(model, images))


def test_a_bad_image_of_a_list_is_named(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    Image.fromarray((nets.images(1)[0] * 255).astype(np.uint8)).save(good)
    bad.write_bytes(b"no image")
    model = shisen.wrap(nets.Toy().eval(), preprocess=shisen.Preprocess((12, 16)))
    with pytest.raises(ImageError, match="bad.png"):
        model.predict([good, bad, good])
    found = [answer for _, answer in predict_each(model, [good, bad, good])]
    assert [isinstance(answer, str) for answer in found] == [False, True, False]
    assert found[0] == found[2]


def test_lists_of_lists_keep_their_form() -> None:
    model, (a, b) = shisen.wrap(nets.Toy().eval()), nets.images(2)
    found = model.predict([[a], [b, a]])
    assert [len(part) for part in found] == [1, 2]
    assert found[0][0][0].index == model.predict(a)[0].index


def test_nothing_is_predicted_of_nothing() -> None:
    assert shisen.wrap(nets.Toy().eval()).predict([]) == []
