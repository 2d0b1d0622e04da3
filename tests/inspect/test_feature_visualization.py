"""Images for channels: that they excite them, that they can be made again, and that silence is marked."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import shisen
from shisen.errors import InputError, UnknownName
from shisen.inspect.feature_visualization import filters
from shisen.inspect.filters import FilterGrid
from shisen.inspect.objectives import mixture, opposite
from shisen.inspect.optimizer import Adam, deprocessed
from shisen.inspect.recipes import RECIPES, Recipe
from shisen.inspect.transforms import RandomTransform


class Net(torch.nn.Module):
    """Two convolutions with fixed random weights, a channel that never answers, and three classes."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.one = torch.nn.Conv2d(3, 6, 3, padding=1)
        self.relu = torch.nn.ReLU()
        self.two = torch.nn.Conv2d(6, 5, 3, stride=2, padding=1)
        self.out = torch.nn.Linear(5, 3)
        with torch.no_grad():
            self.one.weight[4] = 0.0
            self.one.bias[4] = -1.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.two(self.relu(self.one(x))).mean((2, 3)))


@pytest.fixture(scope="module")
def model() -> shisen.Model:
    return shisen.wrap(Net().eval(), labels=["ant", "bee", "cat"])


@pytest.mark.parametrize("recipe", ["article", "modern", "strong", "maco"])
def test_the_objective_rises_for_every_channel(model: shisen.Model, recipe: str) -> None:
    made = filters(model, "two", range(5), recipe=recipe, size=32, n_steps=30)
    assert made.images.shape == (5, 32, 32, 3)
    assert made.objective.shape == (30, 5)
    assert (made.objective[-3:].mean(axis=0) > made.objective[:3].mean(axis=0)).all()
    assert (made.final > made.gray).all()
    assert made.fired.all()


@pytest.mark.parametrize("recipe", ["article", "modern", "maco"])
def test_the_same_seed_makes_the_same_images_however_they_are_batched(model: shisen.Model, recipe: str) -> None:
    one = filters(model, "two", range(4), recipe=recipe, size=16, n_steps=5)
    again = filters(model.batched(3), "two", range(4), recipe=recipe, size=16, n_steps=5)
    np.testing.assert_allclose(one.images, again.images, atol=2e-4)
    alone = filters(model, "two", [2], recipe=recipe, size=16, n_steps=5)
    np.testing.assert_allclose(one.images[2], alone.images[0], atol=2e-4)
    other = filters(model, "two", range(4), recipe=recipe, size=16, n_steps=5, seed=1)
    assert np.abs(one.images - other.images).max() > 0.02


def test_the_last_steps_see_the_image_unmoved(model: shisen.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Recipe("fourier", 12, 0.05)
    images = {}
    for name, recipe in {
        "none": plain,
        "all": replace(plain, transform=RandomTransform(), final_steps=1.0),
        "some": replace(plain, transform=RandomTransform(border=0.0), final_steps=1 / 4),
    }.items():
        monkeypatch.setitem(RECIPES, "tried", recipe)
        made = filters(model, "two", range(3), recipe="tried", size=32)
        images[name] = made.images
    np.testing.assert_array_equal(images["none"], images["all"])
    monkeypatch.setitem(RECIPES, "tried", replace(plain, transform=RandomTransform(border=0.0), final_steps=1 / 4))
    steps: list[bool] = []
    draw = RandomTransform.draw
    monkeypatch.setattr(RandomTransform, "draw", lambda *given: steps.append(True) or draw(*given))
    made = filters(model, "two", range(3), recipe="tried", size=32)
    assert len(steps) == 9
    np.testing.assert_array_equal(made.images, images["some"])
    assert (made.final > made.objective[-1]).all()  # one step further, on the same unmoved image


def test_the_article_step_by_step(model: shisen.Model) -> None:
    made = filters(model, "two", [1], recipe="article", size=16)
    x = torch.tensor(np.random.default_rng([0, 0]).random((1, 16, 16, 3)) * 20 + 128, dtype=torch.float32)
    net = Net().eval()
    for _ in range(40):
        x.requires_grad_()
        loss = net.two(net.relu(net.one((x / 255).permute(0, 3, 1, 2))))[:, 1].mean()
        (gradient,) = torch.autograd.grad(loss, x)
        gradient = gradient / gradient.square().mean().sqrt()
        x = (x + gradient).detach()
    y = x[0].numpy()
    y = np.clip((y - y.mean()) / (y.std() + 1e-5) * 0.1 + 0.5, 0, 1)
    np.testing.assert_allclose(made.images[0], y, atol=1e-3)


def test_deprocessing_has_mean_half_and_deviation_a_tenth() -> None:
    shown = deprocessed(np.random.default_rng(0).normal(0.5, 0.01, (2, 8, 8, 3)).astype(np.float32))
    np.testing.assert_allclose(shown.mean(axis=(1, 2, 3)), 0.5, atol=1e-3)
    np.testing.assert_allclose(shown.std(axis=(1, 2, 3)), 0.1, atol=2e-3)


def test_adams_first_step_is_the_rate_along_the_sign() -> None:
    stepped = Adam(0.1).step(np.zeros((1, 3), np.float32), np.array([[5.0, -1e-3, 0.0]], np.float32))
    np.testing.assert_allclose(stepped, [[0.1, -0.1, 0.0]], atol=1e-4)


def test_a_channel_that_never_answers_is_marked_and_not_shown_as_a_pattern(model: shisen.Model) -> None:
    made = filters(model, "relu", [3, 4], size=32, n_steps=10)
    assert made.fired.tolist() == [True, False]
    reds = [(np.asarray(made.grid())[:, half] == (200, 40, 40)).all(-1).sum() for half in (slice(0, 36), slice(37, 80))]
    assert reds[0] == 0
    assert reds[1] > 20


def test_classes_objectives_and_repeats(model: shisen.Model) -> None:
    made = filters(model, "logits", [2, 0], size=16, n_steps=5)
    assert [made.name(i) for i in (0, 1)] == ["cat", "ant"]
    logits = model.activations(made.images)
    np.testing.assert_allclose(made.final, [logits[0, 2], logits[1, 0]], atol=1e-5)
    mixed = filters(model, "two", [1, opposite(1), mixture({0: 1, 2: -1})], size=16, n_steps=10)
    value = np.asarray(model.activations(mixed.images, "two")).mean((1, 2))
    np.testing.assert_allclose(mixed.final, [value[0, 1], -value[1, 1], value[2, 0] - value[2, 2]], atol=1e-5)
    twice = filters(model, "two", [1, 1], size=16, n_steps=2)
    assert np.abs(twice.images[0] - twice.images[1]).max() > 0.01


def test_diversity_makes_images_of_one_channel_less_alike(model: shisen.Model) -> None:
    from shisen.inspect.objectives import likeness

    def alike(weight: float) -> float:
        made = filters(model, "two", [1] * 3, size=32, n_steps=20, diversity=weight)
        y = np.asarray(model.activations(made.images, "two"))
        return float(likeness(y, np.zeros(3))[0].mean())

    assert alike(5.0) < alike(0.0)


def test_comparing_with_photographs_by_hand(model: shisen.Model) -> None:
    made = filters(model, "two", range(5), size=16, n_steps=10)
    photos = np.random.default_rng(0).random((20, 24, 24, 3)).astype(np.float32)
    best = np.asarray(model.activations(photos, "two")).mean((1, 2)).max(axis=0)
    want = np.where(best > 0, made.final / np.where(best > 0, best, 1), np.where(made.final > 0, np.inf, 0))
    ratio = made.compare(photos)
    np.testing.assert_allclose(ratio, want, rtol=1e-5)
    np.testing.assert_allclose(made.compare(list(photos)), ratio, rtol=1e-5)
    marked = made.marked(np.array([2, 0.5, 2, 2, 2]))
    assert marked.fired.tolist() == [True, False, True, True, True]
    with pytest.raises(InputError, match="photos"):
        made.compare([])


def test_saving_writes_the_grid_and_its_figures(model: shisen.Model, tmp_path: Path) -> None:
    made: FilterGrid = filters(model, "two", range(3), size=16, n_steps=2)
    made.save(tmp_path / "f.png", per_row=2)
    record = json.loads((tmp_path / "f.json").read_text())
    assert [f["channel"] for f in record["filters"]] == ["0", "1", "2"]
    assert record["steps"] == 2
    np.testing.assert_allclose([f["final"] for f in record["filters"]], made.final, rtol=1e-5)


def test_progress_is_told_and_may_stop(model: shisen.Model) -> None:
    told: list[tuple[int, int]] = []
    filters(model.batched(2), "two", range(4), size=16, n_steps=3, progress=lambda d, t, _: told.append((d, t)))
    assert told == [(i, 6) for i in range(1, 7)]

    def stop(done: int, total: int, words: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        filters(model, "two", [0], size=16, n_steps=3, progress=stop)


def test_what_cannot_be_asked(model: shisen.Model) -> None:
    with pytest.raises(UnknownName, match="modern"):
        filters(model, "two", [0], recipe="modem")
    with pytest.raises(UnknownName, match="two"):
        filters(model, "tow", [0])
    with pytest.raises(InputError, match="At least one channel"):
        filters(model, "two", [])
    with pytest.raises(InputError, match="between 0 and 4"):
        filters(model, "two", [5], size=16, n_steps=1)
