"""Maps that are compared have one scale."""

from __future__ import annotations

import numpy as np

from shisen.auditing.thumbnails import heat

PIXELS = np.full((32, 32, 3), 120, np.uint8)
VALUES = np.zeros((4, 4), np.float32)
VALUES[1, 1] = 2.0


def test_a_weak_map_is_as_warm_as_a_strong_one_only_by_its_own_scale() -> None:
    assert heat(VALUES, PIXELS) == heat(0.01 * VALUES, PIXELS)
    assert heat(VALUES, PIXELS, 2.0) == heat(VALUES, PIXELS)
    assert heat(0.01 * VALUES, PIXELS, 2.0) != heat(VALUES, PIXELS)
    assert heat(0 * VALUES, PIXELS, 2.0) == heat(0 * VALUES, PIXELS)
