"""Explaining networks that are no classifiers of one class: the examples, against autograd by hand."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

TASKS = Path(__file__).resolve().parents[2] / "examples" / "tasks"


def task(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", TASKS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng(0).random((16, 24, 3), dtype=np.float32)


def by_hand(picture: np.ndarray, score: Any) -> np.ndarray:
    """The gradient of `score(x)` by the picture, by autograd alone."""
    x = torch.tensor(picture)[None].permute(0, 3, 1, 2).requires_grad_()
    (slope,) = torch.autograd.grad(score(x), x)
    return slope[0].permute(1, 2, 0).numpy()


def test_a_class_over_a_region_of_its_mask(picture: np.ndarray) -> None:
    example = task("segmentation")
    net = example.Segmenter().eval()
    mask = np.zeros((16, 24), bool)
    mask[3:6, 4:8] = True
    found = example.explain(net, picture, 1, mask)
    want = by_hand(picture, lambda x: net(x)["out"][0, 1][torch.tensor(mask)].mean())
    np.testing.assert_allclose(found.values, want, atol=1e-7)
    seen = np.abs(found.values).sum(-1) > 0
    assert seen[3:6, 4:8].any()
    reach = np.zeros_like(seen)
    reach[1:8, 2:10] = True  # two convolutions of 3 × 3 see two pixels around the region
    assert not seen[~reach].any()
    cam = example.explain(net, picture, 1, mask, "layer_cam")
    assert np.isfinite(cam.values).all()


def test_the_score_of_one_box_comes_from_its_cell(picture: np.ndarray) -> None:
    example = task("detection")
    net = example.Detector().eval()
    alive = [i for i in range(24) if np.abs(example.explain(net, picture, i).values).max() > 0]
    assert alive
    for box in alive[:3]:
        found = example.explain(net, picture, box)
        want = by_hand(picture, lambda x, box=box: net(x)["scores"][0, box])
        np.testing.assert_allclose(found.values, want, atol=1e-7)
        row, column = divmod(box, 6)
        outside = np.ones((16, 24), bool)
        outside[4 * row : 4 * row + 4, 4 * column : 4 * column + 4] = False
        assert not found.values[outside].any()
    side = example.explain_side(net, picture, alive[0], 2)
    np.testing.assert_allclose(side.values, by_hand(picture, lambda x: net(x)["boxes"][0, alive[0], 2]), atol=1e-7)


def test_a_number_is_the_sum_of_its_map(picture: np.ndarray) -> None:
    example = task("regression")
    net = example.Regressor().eval()
    found = example.explain(net, picture, n=200)
    with torch.no_grad():
        rise = float(net(torch.tensor(picture)[None].permute(0, 3, 1, 2)) - net(torch.zeros(1, 3, 16, 24)))
    assert float(found.values.sum()) == pytest.approx(rise, rel=2e-2, abs=1e-3)
    want = by_hand(picture, lambda x: net(x)[0, 0])
    np.testing.assert_allclose(example.explain(net, picture, "gradient").values, want, atol=1e-7)


def test_what_makes_two_pictures_alike(picture: np.ndarray) -> None:
    example = task("similarity")
    net = example.Embedder().eval()
    other = np.random.default_rng(1).random((16, 24, 3), dtype=np.float32) ** 3
    found = example.explain(net, picture, other)
    with torch.no_grad():
        e = net(torch.tensor(other)[None].permute(0, 3, 1, 2))
    want = by_hand(picture, lambda x: torch.nn.functional.cosine_similarity(net(x), e)[0])
    assert np.abs(want).max() > 0
    np.testing.assert_allclose(found.values, want, atol=1e-7)


def test_every_label_has_its_own_map(picture: np.ndarray) -> None:
    example = task("multilabel")
    net = example.Tagger().eval()
    found = example.explain(net, picture, above=0.0)
    assert set(found) == set(example.LABELS)
    for k, label in enumerate(example.LABELS):
        want = by_hand(picture, lambda x, k=k: net(x)[0, k])
        np.testing.assert_allclose(found[label].values, want, atol=1e-7)
    chances = example.explain(net, picture, above=0.0, score="probability")
    want = by_hand(picture, lambda x: net(x)[0, 1].sigmoid())
    np.testing.assert_allclose(chances[example.LABELS[1]].values, want, atol=1e-7)
    with torch.no_grad():
        p = net(torch.tensor(picture)[None].permute(0, 3, 1, 2))[0].sigmoid()
    middle = float(p.sort().values[:2].mean())
    assert len(example.explain(net, picture, above=middle)) == 2
