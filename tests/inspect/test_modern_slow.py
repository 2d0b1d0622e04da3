"""The modern recipe on a real network, against real photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import shisen
from shisen.inspect.feature_visualization import filters


@pytest.mark.slow
def test_most_filters_excite_their_channel_three_times_as_much_as_any_photograph(shared: Path) -> None:
    model = shisen.load("efficientnet_lite0")
    photos = sorted((shared / "photos").glob("*.jpg"))
    made = filters(model, "blocks.3.1", range(32), n_steps=48)
    ratio = made.compare(photos)
    assert (ratio >= 3).mean() >= 0.9
    assert made.fired.all()
    flat = np.full((1, 128, 128, 3), 0.5, np.float32)
    assert (made.final > np.asarray(model.activations(flat, "blocks.3.1")).mean((1, 2))[0, :32]).all()
