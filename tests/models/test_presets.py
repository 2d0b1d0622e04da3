"""Recipes are tested by accuracy on labeled photographs: the wrong normalization must cost points."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from shisen.errors import UnknownName
from shisen.models.image_io import open_image
from shisen.models.preprocess import Preprocess
from shisen.models.presets import RECIPES, recipe

LEAST = {0: 0.88, 1: 0.86, 2: 0.86}


def top1(folder: Path, variant: int, preprocess: Preprocess, step: int = 1) -> float:
    """The fraction of photographs, or of every `step`-th, whose class comes first."""
    torch = pytest.importorskip("torch")
    from shisen.models.efficientnet_lite_torch import load_net

    net, scaling = load_net(variant), preprocess.scaling()
    with open(folder / "labels.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))[::step]
    right = 0
    for start in range(0, len(rows), 16):
        batch = rows[start : start + 16]
        pixels = np.stack([preprocess.pixels(open_image(folder / row["file"]))[0] for row in batch])
        values = (pixels * np.float32(scaling.scale) + np.float32(scaling.shift)).astype(np.float32)
        with torch.no_grad():
            logits = net(torch.from_numpy(values).permute(0, 3, 1, 2))
        right += sum(int(k) == int(row["class_index"]) for k, row in zip(logits.argmax(1), batch, strict=True))
    return right / len(rows)


@pytest.mark.shared
@pytest.mark.parametrize("variant", [0, *(pytest.param(v, marks=pytest.mark.slow) for v in (1, 2))])
def test_accuracy_on_labeled_photographs(variant: int, shared: Path) -> None:
    assert top1(shared / "photos", variant, recipe(f"efficientnet_lite{variant}").preprocess) >= LEAST[variant]


@pytest.mark.shared
def test_the_wrong_normalization_costs_points(shared: Path) -> None:
    right = recipe("efficientnet_lite0").preprocess
    wrong = replace(right, range=(0, 1), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    assert top1(shared / "photos", 0, wrong, step=2) < LEAST[0] - 0.05


def test_the_table() -> None:
    assert list(RECIPES) == ["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"]
    assert [r.preprocess.sides for r in RECIPES.values()] == [(224, 224), (240, 240), (260, 260)]
    assert [r.preprocess.resize for r in RECIPES.values()] == [256, 274, 297]
    scaling = recipe("EfficientNet-Lite0").preprocess.scaling()
    np.testing.assert_allclose(np.add(np.multiply(255 / 255, scaling.scale), scaling.shift), [1.0] * 3)
    np.testing.assert_allclose(np.add(np.multiply(127 / 255, scaling.scale), scaling.shift), [0.0] * 3, atol=1e-12)
    assert recipe("efficientnet_lite1").labels().find("African elephant") == 386


def test_unknown_names_bring_the_nearest() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'efficientnet_lite0'"):
        recipe("efficientnet_light0")
