"""The confusion matrix, calibration and mistakes of a hand-made folder."""

from __future__ import annotations

import numpy as np
import pytest

from shisen.auditing.confusion import confusion


def test_a_hand_made_folder() -> None:
    true = np.array([0, 0, 0, 1, 1, -1])
    said = np.array([0, 1, 0, 1, 0, 1])
    sure = np.array([0.9, 0.75, 0.95, 0.6, 0.99, 0.5])
    found = confusion(["cat", "dog"], true, said, sure)
    assert found.counts == ((2, 1), (1, 1))
    assert (found.accuracy.hits, found.accuracy.n) == (3, 5)
    assert [s.value for s in found.recall] == pytest.approx([2 / 3, 1 / 2])
    assert [s.value for s in found.precision] == pytest.approx([2 / 3, 1 / 2])
    assert found.mistakes == (4, 1)  # the most confident first
    assert found.largest == ((1, "cat", "dog"), (1, "dog", "cat"))
    bins = {round(c, 3): (a, n) for c, a, n in found.calibration}
    assert bins == {0.6: (1.0, 1), 0.75: (0.0, 1), round((0.9 + 0.95 + 0.99) / 3, 3): (pytest.approx(2 / 3), 3)}
    want = (0.4 * 1 + 0.75 * 1 + abs((0.9 + 0.95 + 0.99) / 3 - 2 / 3) * 3) / 5
    assert found.calibration_error == pytest.approx(want)
