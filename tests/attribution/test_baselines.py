"""What absence looks like."""

from __future__ import annotations

import numpy as np
import pytest

import nets
from shisen.attribution.baselines import Eraser, filling
from shisen.errors import UnknownName


def test_levels() -> None:
    x = nets.images()
    assert (filling(x, "zero") == 0).all()
    assert (filling(x, "gray") == 0.5).all()
    np.testing.assert_allclose(filling(x, 0.2), 0.2, rtol=1e-6)
    np.testing.assert_allclose(filling(x, "mean")[1, 3, 4], x[1].mean(axis=(0, 1)), rtol=1e-5)


def test_the_mean_color_of_a_large_image_is_as_exact_as_its_pixels() -> None:
    x = np.random.default_rng(0).random((1, 500, 400, 3), dtype=np.float32) * np.float32(0.1) + np.float32(0.8)
    np.testing.assert_allclose(filling(x, "mean")[0, 0, 0], x.astype(float).mean(axis=(0, 1, 2)), rtol=1e-6)


def test_blur_takes_the_edge_out_of_a_image() -> None:
    x = np.zeros((1, 20, 20, 3), np.float32)
    x[:, :, 10:] = 1.0
    soft = filling(x, "blur")
    assert 0.1 < soft[0, 10, 9, 0] < 0.5 < soft[0, 10, 10, 0] < 0.9


def test_unknown_fills_get_the_nearest_names() -> None:
    with pytest.raises(UnknownName, match="'gray'"):
        filling(nets.images(), "gray")


def test_an_eraser_changes_only_what_is_not_kept_and_orders_masks_before_images() -> None:
    x = nets.images(2, 6, 8)
    keep = np.ones((3, 6, 8), np.float32)
    for i in range(3):
        keep[i, i, i] = 0
    out = Eraser(x, "gray")(keep)
    assert out.shape == (6, 6, 8, 3)
    for row in range(6):
        mask, image = divmod(row, 2)
        changed = (out[row] != x[image]).any(axis=-1)
        assert list(zip(*np.nonzero(changed), strict=True)) == [(mask, mask)]
        np.testing.assert_allclose(out[row, mask, mask], 0.5)


def test_inpainting_continues_the_surroundings() -> None:
    gradient = np.linspace(0, 1, 40, dtype=np.float32)[None, None, :, None] * np.ones((1, 40, 1, 3), np.float32)
    keep = np.ones((1, 40, 40), np.float32)
    keep[:, 17:22, 17:22] = 0
    found = Eraser(gradient, "inpaint")(keep)
    np.testing.assert_allclose(found[0, 17:22, 17:22], gradient[0, 17:22, 17:22], atol=0.04)
    np.testing.assert_array_equal(found[0, :15], gradient[0, :15])


def test_inpainting_is_not_drawn_from_what_was_taken_away() -> None:
    x = np.full((1, 40, 40, 3), 0.25, np.float32)
    x[:, 10:30, 10:30] = 1.0
    keep = np.ones((1, 40, 40), np.float32)
    keep[:, 10:30, 10:30] = 0
    np.testing.assert_allclose(Eraser(x, "inpaint")(keep), 0.25, atol=1e-5)
