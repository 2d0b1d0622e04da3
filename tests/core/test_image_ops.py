"""Resizing and blurring: equal to torch's interpolation, sums kept where they should be."""

from __future__ import annotations

import numpy as np
import pytest
import threadpoolctl
import torch

from shisen._core.image_ops import blur, box_mean, distribute, one_thread, resize


@pytest.mark.parametrize("size", [(5, 7), (8, 8), (24, 10), (3, 4), (1, 30)])
def test_resize_is_bilinear_with_half_pixel_centers(size: tuple[int, int]) -> None:
    maps = np.random.default_rng(0).random((2, 5, 7, 3), dtype=np.float32)
    want = torch.nn.functional.interpolate(
        torch.tensor(maps.transpose(0, 3, 1, 2)), size, mode="bilinear", align_corners=False
    )
    np.testing.assert_allclose(resize(maps, size), want.numpy().transpose(0, 2, 3, 1), atol=1e-6)
    np.testing.assert_allclose(resize(maps[..., 0], size), want.numpy()[:, 0], atol=1e-6)
    torch_maps = torch.tensor(maps)
    np.testing.assert_allclose(resize(torch_maps, size).numpy(), resize(maps, size), atol=1e-6)


@pytest.mark.parametrize("size", [(5, 7), (11, 20), (3, 4), (50, 70)])
def test_spreading_keeps_every_values_sum(size: tuple[int, int]) -> None:
    for place in np.ndindex(5, 7):
        one = np.zeros((1, 5, 7), np.float32)
        one[(0, *place)] = 2.0
        large = distribute(one, size)
        assert large.sum() == pytest.approx(2.0, rel=1e-5)
        assert (large >= 0).all()


def test_blur_keeps_a_constant_and_spreads_a_point_by_its_deviation() -> None:
    np.testing.assert_allclose(blur(np.full((1, 9, 13), 3.0, np.float32), 2.0), 3.0, rtol=1e-6)
    point = np.zeros((1, 61, 61), np.float32)
    point[0, 30, 30] = 1.0
    spot = blur(point, 4.0)[0]
    at = np.arange(61) - 30
    assert spot.sum() == pytest.approx(1.0, rel=1e-4)
    assert (spot.sum(axis=1) * at**2).sum() == pytest.approx(16.0, rel=1e-3)


@pytest.mark.parametrize("width", [1, 3, 9])
def test_a_box_mean_counts_what_lies_beyond_the_border_as_zero(width: int) -> None:
    values = np.random.default_rng(0).random((2, 7, 12), dtype=np.float32)
    half, found = width // 2, box_mean(values, width)
    padded = np.pad(values, ((0, 0), (half, half), (half, half)))
    for place in np.ndindex(*values.shape):
        n, y, x = place
        want = padded[n, y : y + width, x : x + width].astype(float).sum() / width**2
        assert found[place] == pytest.approx(want, rel=1e-5)
    assert found.dtype == np.float32


def test_a_box_mean_far_from_everything_is_exactly_zero() -> None:
    values = np.zeros((1, 40, 40), np.float32)
    values[0, :6, :6] = np.random.default_rng(1).random((6, 6))
    far = box_mean(values, 5)[0]
    assert (far[8:] == 0).all()
    assert (far[:, 8:] == 0).all()
    assert (far[:8, :8] > 0).all()


def test_a_cut_gaussian_has_no_weight_beyond_its_radius() -> None:
    point = np.zeros((1, 31, 31, 1), np.float32)
    point[0, 15, 15] = 1.0
    spot = blur(point, 3.0, 4)[0, ..., 0]
    assert (spot[15, 11:20] > 0).all()
    assert spot[15, 10] == spot[15, 20] == 0.0
    assert spot.sum() == pytest.approx(1.0, rel=1e-5)


def test_products_of_numpy_keep_to_one_thread_and_the_number_is_put_back_after_the_last() -> None:
    def threads() -> set[int]:
        return {p["num_threads"] for p in threadpoolctl.threadpool_info() if "numpy" in p["filepath"]}

    before = threads()
    assert before, "NumPy's products are not made by a library whose threads can be counted"
    array = np.zeros((1, 2, 2), np.float32)
    first, second = one_thread(array), one_thread(array)
    first.__enter__()
    second.__enter__()
    assert threads() == {1}
    first.__exit__(None, None, None)  # the one that came first leaves first, as two visitors of a page may
    assert threads() == {1}
    second.__exit__(None, None, None)
    assert threads() == before
    with pytest.raises(ZeroDivisionError), one_thread(array):
        raise ZeroDivisionError
    assert threads() == before
