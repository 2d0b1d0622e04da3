"""Other forms of an artefact against what they must be pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest

from shisen.repairing.variants import Variant, drawn, layer_of, stays, variants_of, varied

SIDE = 80


def stamp(pixels: np.ndarray, row: int) -> np.ndarray:
    """Put on a magenta square of 20 pixels, opaque to 80 %, at a corner."""
    out = pixels.astype(np.float32)
    high, wide = out.shape[:2]
    ys, xs = slice(high * 5 // 8, high * 7 // 8), slice(wide // 8, wide * 3 // 8)
    out[ys, xs] = 0.2 * out[ys, xs] + 0.8 * np.asarray([255.0, 0, 255])
    return np.rint(out).astype(np.uint8)


def gray(pixels: np.ndarray, row: int) -> np.ndarray:
    return np.repeat(pixels.mean(-1, keepdims=True), 3, -1).astype(np.uint8)


def turned(pixels: np.ndarray, row: int) -> np.ndarray:
    return np.rot90(pixels).copy()


def where(variant: Variant) -> tuple[int, int, int, int]:
    """Return top, bottom, left and right of what a variant of the stamp changes clearly."""
    image = np.full((SIDE, SIDE, 3), 100, np.uint8)
    changed = np.abs(varied(stamp, variant)(image, 0).astype(int) - image).max(-1) > 40
    ys, xs = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    return int(ys[0]), int(ys[-1]) + 1, int(xs[0]), int(xs[-1]) + 1


def test_compositing_is_taken_apart_exactly() -> None:
    layer = layer_of(stamp, (SIDE, SIDE, 3), 0)
    assert layer is not None
    assert layer.mask.sum() == 20 * 20
    assert layer.factor[55, 15] == pytest.approx([0.2] * 3, abs=0.01)
    assert layer.summand[55, 15] == pytest.approx([204, 0, 204], abs=1)


def test_a_stamp_has_other_positions_sizes_and_strengths() -> None:
    names = [v.name for v in variants_of(stamp)]
    assert names == ["position 1", "position 2", "size 0.7", "size 1.4", "strength 0.6"]


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        (Variant("position", down=-0.5), (10, 30, 10, 30)),
        (Variant("position", right=0.5), (50, 70, 50, 70)),
        (Variant("size", size=1.5), (45, 75, 5, 35)),
        (Variant("size", size=0.5), (55, 65, 15, 25)),
    ],
)
def test_a_stamp_is_moved_and_scaled(variant: Variant, expected: tuple[int, ...]) -> None:
    assert np.abs(np.subtract(where(variant), expected)).max() <= 1


def test_a_faint_stamp_is_mixed_with_the_image() -> None:
    image = np.full((SIDE, SIDE, 3), 100, np.uint8)
    full, half = stamp(image, 0), varied(stamp, Variant("strength", strength=0.5))(image, 0)
    assert np.abs(half.astype(float) - (image + 0.5 * (full.astype(float) - image))).max() <= 1


def test_what_covers_the_image_is_only_made_fainter_and_what_turns_it_is_not() -> None:
    assert [v.name for v in variants_of(gray)] == ["strength 0.6"]
    assert stays(gray, 0)
    assert not stays(turned, 0)
    assert variants_of(turned) == ()


def test_drawn_forms_belong_to_the_image() -> None:
    image = np.full((SIDE, SIDE, 3), 100, np.uint8)
    alter = drawn(stamp, 3)
    forms = [alter(image, row) for row in range(16)]
    assert all(np.array_equal(alter(image, row), form) for row, form in enumerate(forms))
    same = sum(np.array_equal(form, stamp(image, 0)) for form in forms)
    assert 3 <= same <= 13
    assert len({form.tobytes() for form in forms}) == 17 - same
    assert all(np.array_equal(drawn(turned, 3)(image, row), turned(image, row)) for row in range(4))
