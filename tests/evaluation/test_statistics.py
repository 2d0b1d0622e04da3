from __future__ import annotations

import numpy as np
import pytest

from shisen.evaluation.statistics import difference


def test_verdicts() -> None:
    rng = np.random.default_rng(3)
    base = rng.normal(size=30)
    better = np.stack([base + 0.5 + 0.1 * rng.normal(size=30), base], axis=1)
    assert difference("a", "b", "m", better, True).verdict == "better"
    assert difference("a", "b", "m", better, False).verdict == "worse"
    assert difference("a", "b", "m", better, None).verdict == "different"
    same = np.stack([base, rng.permutation(base)], axis=1)
    found = difference("a", "b", "m", same, True)
    assert found.verdict == "no clear difference"
    assert found.interval.value == pytest.approx(0.0, abs=1e-12)
    assert "no clear difference" in found.sentence
