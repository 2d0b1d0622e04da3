"""Kinds of artefact for the shortcut benchmark: every one changes an image as it says; the lot keeps kinds apart."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("scipy")
data = pytest.importorskip("skimage.data")

HERE = Path(__file__).resolve().parents[2] / "benchmarks" / "shortcuts"


@pytest.fixture(scope="module")
def bench() -> Any:
    sys.path.insert(0, str(HERE))
    try:
        import kinds_objects
        import kinds_overlays
        import kinds_transforms
        import lot

        return SimpleNamespace(
            lot=lot, kinds={**kinds_transforms.TRANSFORMS, **kinds_overlays.OVERLAYS, **kinds_objects.OBJECTS}
        )
    finally:
        sys.path.remove(str(HERE))


def test_every_kind_changes_the_image_where_its_mask_says_and_is_drawn_anew(bench: Any) -> None:
    photo = Image.fromarray(data.astronaut()).resize((150, 140))
    before = np.asarray(photo)
    for name, kind in bench.kinds.items():
        given, mask = kind(np.random.default_rng(3))(photo, np.random.default_rng(4))
        again, _ = kind(np.random.default_rng(3))(photo, np.random.default_rng(4))
        np.testing.assert_array_equal(np.asarray(given), np.asarray(again), err_msg=name)
        assert (given.size, given.mode) == (photo.size, "RGB"), name
        changed = (np.asarray(given) != before).any(-1)
        assert changed.any(), name
        if mask is not None:
            assert mask.shape == before.shape[:2], name
            assert 0 < mask.mean() < 0.6, name
            outside = changed & ~mask
            # feathered rims and anti-aliased writing reach a little beyond
            assert outside.mean() < 0.05, name


def test_the_lot_keeps_half_of_every_family_and_nothing_that_was_named(bench: Any) -> None:
    kept, seen = set(bench.lot.confirmation()), set(bench.lot.development())
    assert not kept & seen
    assert kept | seen == set(bench.lot.ALL)
    assert not kept & bench.lot.NAMED
    assert seen >= bench.lot.NAMED
    for kinds in bench.lot.FAMILIES.values():
        free = set(kinds) - bench.lot.NAMED
        assert len(kept & free) == len(free) // 2
    assert len(bench.kinds) >= 60
