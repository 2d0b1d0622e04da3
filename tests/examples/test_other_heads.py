"""The documented objectives for segmentation, regression and detection point to the right place."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    path = Path(__file__).resolve().parents[2] / "examples" / "other_heads.py"
    spec = importlib.util.spec_from_file_location("other_heads", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    explanations: dict[str, Any] = module.explanations()
    return explanations


def fraction(values: Any, rows: slice, columns: slice) -> float:
    positive = np.maximum(values, 0)
    return float(positive[rows, columns].sum() / positive.sum())


def test_a_segment_is_explained_by_its_own_square(found: dict[str, Any]) -> None:
    values = found["segmentation, blue region"].values
    assert values.shape == (32, 48)
    assert fraction(values, slice(18, 30), slice(32, 44)) > 0.99


def test_a_measured_number_is_explained_by_both_halves(found: dict[str, Any]) -> None:
    values = found["regression, brightness"].values
    assert (values[:, :16] > 0).all()  # light on the left speaks for it
    assert (values[:, 32:] < 0).all()
    # one gray value covered by 8 × 8 of black: 64 · 0.4 of 32 · 24 pixels
    assert values[30, 2] == pytest.approx(0.4 * 64 / (32 * 24), rel=1e-4)


def test_a_box_is_explained_by_what_lies_in_it(found: dict[str, Any]) -> None:
    values = found["detection, red box"].values
    away = np.abs(values).sum(axis=-1)
    away[:10, :16] = 0
    assert away.max() == 0
    assert values[..., 0].sum() > 0
