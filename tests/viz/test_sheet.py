from __future__ import annotations

import numpy as np
import pytest

from shisen.errors import InputError
from shisen.viz.sheet import tile


def test_images_lie_row_by_row():
    images = [np.full((4, 6), 10 * i, np.uint8) for i in range(5)]
    sheet = np.asarray(tile(images, per_row=2, gap=3, numbers=False, cell=1))
    assert sheet.shape == (3 * (4 + 3) + 3, 2 * (6 + 3) + 3, 3)
    for i in range(5):
        y, x = 3 + i // 2 * 7, 3 + i % 2 * 9
        assert (sheet[y : y + 4, x : x + 6] == 10 * i).all()
    assert (sheet[17:21, 12:18] == 255).all()  # the place that stays empty
    assert (sheet[:3] == 255).all()


def test_small_images_are_enlarged_by_a_whole_factor():
    image = np.arange(4, dtype=np.uint8).reshape(2, 2) * 50
    sheet = np.asarray(tile([image], gap=0, numbers=False, cell=7))
    np.testing.assert_array_equal(sheet[..., 0], np.kron(image, np.ones((4, 4), np.uint8)))


def test_other_sizes_are_centered():
    sheet = np.asarray(tile([np.zeros((6, 6), np.uint8), np.zeros((2, 4), np.uint8)], gap=0, numbers=False, cell=1))
    second = sheet[:, 6:, 0]
    assert (second[2:4, 1:5] == 0).all()
    assert (second == 0).sum() == 8


def test_numbers_stand_in_the_margin_only():
    images = [np.full((40, 40), 7, np.uint8) for _ in range(6)]
    plain = np.asarray(tile(images, per_row=3, gap=2, numbers=False))
    with_numbers = np.asarray(tile(images, per_row=3, gap=2))
    assert with_numbers.shape[0] > plain.shape[0]
    assert with_numbers.shape[1] > plain.shape[1]
    assert (with_numbers[..., 0] == 7).sum() >= (plain[..., 0] == 7).sum() == 6 * 40 * 40
    inside = with_numbers[-82:, -124:]
    assert set(np.unique(inside)) == {7, 255}
    left = with_numbers[-82:, :-128]
    assert left.min() < 150  # ink


def test_numbers_that_do_not_follow_each_other_are_written_by_row():
    images = [np.zeros((40, 40), np.uint8)] * 4
    named = np.asarray(tile(images, per_row=2, numbers=[3, 9, 700, 1]))
    counted = np.asarray(tile(images, per_row=2, numbers=[3, 4, 5, 6]))
    assert named.shape[0] < counted.shape[0]  # no counts at the top
    assert named.shape[1] > counted.shape[1]  # room for 700


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (3, 3)])
def test_tiny_images(size):
    sheet = tile([np.zeros(size, np.uint8)] * 40, cell=1)
    assert sheet.width > 16 * size[1]


def test_wrong_use_is_explained():
    with pytest.raises(InputError, match="at least one image"):
        tile([])
    with pytest.raises(InputError, match="2 numbers"):
        tile([np.zeros((2, 2), np.uint8)], numbers=[1, 2])
