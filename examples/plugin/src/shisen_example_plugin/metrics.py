"""A metric of explanations."""

from __future__ import annotations

import numpy as np

from shisen.evaluation.metrics import metric
from shisen.evaluation.requests import Outcome
from shisen.evaluation.sample import Sample


@metric(
    family="shape",
    unit="fraction of half the diagonal",
    higher_is_better=None,
    paper="none",
    needs="map",
)
def center_distance(sample: Sample) -> Outcome:
    """Distance of the map's center of mass from the center of the image: 0 at the center, 1 in a corner.

    Returns:
        A fraction in [0, 1]; 0 for a zero map.
    """
    weights = np.abs(sample.heat.astype(np.float64))
    total = weights.sum()
    if total == 0.0:
        return Outcome(0.0)
    h, w = weights.shape
    row = (weights.sum(axis=1) @ (np.arange(h) + 0.5)) / total - h / 2
    column = (weights.sum(axis=0) @ (np.arange(w) + 0.5)) / total - w / 2
    return Outcome(float(np.hypot(row, column) / np.hypot(h / 2, w / 2)))
