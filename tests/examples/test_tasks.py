"""Explaining networks that are no classifiers of one class: the examples, against autograd by hand."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage

TASKS = Path(__file__).resolve().parents[2] / "examples" / "tasks"


def task(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", TASKS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(TASKS))  # as when the file is run
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(TASKS))
    return module


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).random((16, 24, 3), dtype=np.float32)


def by_hand(image: np.ndarray, score: Any) -> np.ndarray:
    """The gradient of `score(x)` by the image, by autograd alone."""
    x = torch.tensor(image)[None].permute(0, 3, 1, 2).requires_grad_()
    (gradient,) = torch.autograd.grad(score(x), x)
    return gradient[0].permute(1, 2, 0).numpy()


def test_a_class_over_a_region_of_its_mask(image: np.ndarray) -> None:
    example = task("segmentation")
    net = example.Segmenter().eval()
    mask = np.zeros((16, 24), bool)
    mask[3:6, 4:8] = True
    found = example.explain(net, image, 1, mask)
    want = by_hand(image, lambda x: net(x)["out"][0, 1][torch.tensor(mask)].mean())
    np.testing.assert_allclose(found.values, want, atol=1e-7)
    seen = np.abs(found.values).sum(-1) > 0
    assert seen[3:6, 4:8].any()
    reach = np.zeros_like(seen)
    reach[1:8, 2:10] = True  # two convolutions of 3 × 3 see two pixels around the region
    assert not seen[~reach].any()
    cam = example.explain(net, image, 1, mask, "layer_cam")
    assert np.isfinite(cam.values).all()


def test_the_score_of_one_box_comes_from_around_its_cell(image: np.ndarray) -> None:
    example = task("detection")
    net = example.Detector().eval()
    alive = [i for i in range(24) if np.abs(example.explain(net, image, i).values).max() > 0]
    assert alive
    for box in alive[:3]:
        found = example.explain(net, image, box)
        want = by_hand(image, lambda x, box=box: net(x)["scores"][0, box])
        np.testing.assert_allclose(found.values, want, atol=1e-7)
        row, column = divmod(box, 6)
        outside = np.ones((16, 24), bool)
        outside[max(0, 4 * row - 12) : 4 * row + 16, max(0, 4 * column - 12) : 4 * column + 16] = False
        assert not found.values[outside].any()
    side = example.explain_side(net, image, alive[0], 2)
    np.testing.assert_allclose(side.values, by_hand(image, lambda x: net(x)["boxes"][0, alive[0], 2]), atol=1e-7)


def test_a_number_is_the_sum_of_its_map(image: np.ndarray) -> None:
    example = task("regression")
    net = example.Regressor().eval()
    found = example.explain(net, image, n_steps=200)
    with torch.no_grad():
        rise = float(net(torch.tensor(image)[None].permute(0, 3, 1, 2)) - net(torch.zeros(1, 3, 16, 24)))
    assert float(found.values.sum()) == pytest.approx(rise, rel=2e-2, abs=1e-3)
    want = by_hand(image, lambda x: net(x)[0, 0])
    np.testing.assert_allclose(example.explain(net, image, "gradient").values, want, atol=1e-7)


def test_what_makes_two_images_alike(image: np.ndarray) -> None:
    example = task("similarity")
    net = example.Embedder().eval()
    other = np.random.default_rng(1).random((16, 24, 3), dtype=np.float32) ** 3
    found = example.explain(net, image, other)
    with torch.no_grad():
        e = net(torch.tensor(other)[None].permute(0, 3, 1, 2))
    want = by_hand(image, lambda x: torch.nn.functional.cosine_similarity(net(x), e)[0])
    assert np.abs(want).max() > 0
    np.testing.assert_allclose(found.values, want, atol=1e-7)


def test_every_label_has_its_own_map(image: np.ndarray) -> None:
    example = task("multilabel")
    net = example.Tagger().eval()
    found = example.explain(net, image, above=0.0)
    assert set(found) == set(example.LABELS)
    for k, label in enumerate(example.LABELS):
        want = by_hand(image, lambda x, k=k: net(x)[0, k])
        np.testing.assert_allclose(found[label].values, want, atol=1e-7)
    chances = example.explain(net, image, above=0.0, score="probability")
    want = by_hand(image, lambda x: net(x)[0, 1].sigmoid())
    np.testing.assert_allclose(chances[example.LABELS[1]].values, want, atol=1e-7)
    with torch.no_grad():
        p = net(torch.tensor(image)[None].permute(0, 3, 1, 2))[0].sigmoid()
    middle = float(p.sort().values[:2].mean())
    assert len(example.explain(net, image, above=middle)) == 2


def on(found: Any, mask: np.ndarray) -> float:
    """The fraction of a map's positive part within three pixels of a thing."""
    wide = ndimage.binary_dilation(mask, iterations=3)
    values = np.maximum(found.heatmap, 0)
    return float(values[wide].sum() / values.sum())


@pytest.mark.slow
def test_trained_networks_are_explained_by_the_thing_that_was_asked_for(tmp_path: Path) -> None:
    shapes = task("shapes")
    draw = np.random.default_rng(11)
    shown, masks, boxes = shapes.image(draw, [0, 1, 2])
    segmentation = task("segmentation")
    assert on(segmentation.explain(segmentation.trained(), shown, 2, masks[1]), masks[1]) > 0.9
    detection = task("detection")
    left, top, right, bottom = boxes[1]
    cell = int((top + bottom) / 8) * (shapes.SIDE // 4) + int((left + right) / 8)
    assert on(detection.explain(detection.trained(), shown, cell), masks[1]) > 0.4
    regression = task("regression")
    found = regression.explain(regression.trained(), shown)
    assert found.values[masks[0]].sum() > 0.5 * found.values.sum()
    multilabel = task("multilabel")
    shown, masks, _ = shapes.image(draw, [0, 2])
    maps = multilabel.explain(multilabel.trained(), shown, method="layer_cam")
    assert set(maps) == {"disc", "triangle"}
    assert on(maps["disc"], masks[0]) > 0.5
    assert on(maps["triangle"], masks[2]) > 0.5


@pytest.mark.slow
def test_an_example_is_run_as_a_file(tmp_path: Path) -> None:
    words = [sys.executable, str(TASKS / "segmentation.py"), str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "square: " in done.stdout
    assert (tmp_path / "segmentation.png").is_file()
