"""Common patches: planted ones are found with their members, mask and colors; natural images give none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from shisen.auditing.compositing import blended, extended, filled, removed
from shisen.auditing.patch_search import Patch, at_own_size, common_patches, completed

SIDE = 64


def composited(pixels: Any, template: Any, alpha: Any) -> Any:
    return blended(pixels, extended(template, alpha), alpha)


def natural(count: int, seed: int) -> np.ndarray:
    draw = np.random.default_rng(seed)
    small = draw.integers(0, 256, (count, 12, 12, 3)).astype(np.uint8)
    grown = [np.asarray(Image.fromarray(s).resize((SIDE, SIDE), Image.Resampling.BICUBIC)) for s in small]
    return np.stack(grown)


LABELS = np.repeat([0, 1, 2], 30)


@pytest.mark.parametrize("affected", [6, 15, 30])
def test_an_opaque_patch_is_found(affected: int) -> None:
    canvases = natural(90, 1)
    stamp = np.random.default_rng(7).integers(0, 256, (14, 14, 3)).astype(np.uint8)
    rows = np.arange(30, 30 + affected)
    canvases[rows, 40:54, 8:22] = stamp
    best = common_patches(canvases, LABELS, 1)[0]
    assert set(best.members) == set(rows.tolist())
    assert best.inside == affected
    truth = np.zeros((SIDE, SIDE), bool)
    truth[40:54, 8:22] = True
    assert (best.mask & truth).sum() / (best.mask | truth).sum() > 0.8
    assert np.abs(best.template[42:52, 10:20] - stamp[2:12, 2:12]).max() < 12


def test_a_translucent_patch_is_taken_apart() -> None:
    canvases = natural(90, 2).astype(np.float32)
    stamp = np.random.default_rng(3).integers(0, 2, (16, 16, 1)) * np.full(3, 255.0)
    canvases[:20, 5:21, 30:46] = 0.3 * canvases[:20, 5:21, 30:46] + 0.7 * stamp
    best = common_patches(np.rint(canvases).astype(np.uint8), LABELS, 0)[0]
    assert len(set(best.members) & set(range(20))) >= 18
    inside = best.alpha[8:18, 33:43]
    assert np.median(inside) == pytest.approx(0.7, abs=0.1)
    assert np.abs(best.template[8:18, 33:43] - stamp[3:13, 3:13]).mean() < 40


def test_a_rim_that_is_covered_in_part_is_put_on_too() -> None:
    canvases = natural(90, 6).astype(np.float32)
    alpha = np.zeros((SIDE, SIDE, 1), np.float32)
    alpha[30:44, 10:24] = 0.5  # as where a thing ends within a pixel
    alpha[31:43, 11:23] = 1.0
    canvases[:30] = (1 - alpha) * canvases[:30] + alpha * np.array([240.0, 40.0, 200.0])
    best = common_patches(np.rint(canvases).astype(np.uint8), LABELS, 0)[0]
    plain = np.full((SIDE, SIDE, 3), 90, np.uint8)
    wanted = (1 - alpha) * plain + alpha * np.array([240.0, 40.0, 200.0])
    put = composited(plain, best.template, best.alpha).astype(np.float32)
    assert np.abs(put - wanted).mean((0, 1)).max() < 1.0
    assert np.abs(put[30, 12:22] - wanted[30, 12:22]).mean() < 15  # without a rim: 52


def test_a_patch_in_every_class_belongs_to_none() -> None:
    canvases = natural(90, 3)
    canvases[::2, 40:54, 8:22] = np.random.default_rng(7).integers(0, 256, (14, 14, 3))
    for label in range(3):
        for patch in common_patches(canvases, LABELS, label):
            assert not patch.mask[40:54, 8:22].mean() > 0.5


def test_natural_images_give_next_to_nothing() -> None:
    found = [p for label in range(3) for p in common_patches(natural(90, 4), LABELS, label)]
    assert max((p.inside for p in found), default=0) <= 5


def test_paste_and_remove() -> None:
    pixels = natural(1, 5)[0]
    alpha = np.zeros((SIDE, SIDE), np.float32)
    alpha[10:20, 10:20] = 1.0
    template = np.full((SIDE, SIDE, 3), 200.0, np.float32)
    put = composited(pixels, template, alpha)
    assert (put[11:19, 11:19] == 200).all()
    assert np.array_equal(put[25:], pixels[25:])
    flat = np.full((SIDE, SIDE, 3), 90, np.uint8)
    flat[10:20, 10:20] = 255
    assert (removed(flat, alpha > 0) == 90).all()


def test_a_patch_is_taken_as_sharp_as_the_images_are() -> None:
    fine = np.repeat(np.repeat(natural(60, 4), 3, 1), 3, 2)  # 192 pixels; patches are found on 64
    stamp = np.zeros((24, 30), bool)
    stamp[::8], stamp[:, ::4] = True, True  # strokes of one pixel, a third of one in the small copies
    fine[:20, 150:174, 12:42][:, stamp] = (255, 0, 255)
    small = np.stack([np.asarray(Image.fromarray(f).resize((SIDE, SIDE), Image.Resampling.BOX)) for f in fine])
    coarse = np.zeros((SIDE, SIDE), np.float32)
    coarse[50:58, 4:14] = 0.5
    patch = Patch(small[:20].mean(0).astype(np.float32), coarse, tuple(range(20)), 20, 9.0)
    template, alpha = at_own_size(fine, patch.mask, members=20, rest=20)
    strokes = np.zeros((192, 192), bool)
    strokes[150:174, 12:42] = stamp
    assert (alpha[strokes] > 0.85).all()
    assert (alpha[~strokes] < 0.5).all()
    np.testing.assert_allclose(template[strokes].mean(0), (255, 0, 255), atol=12)
    ground = natural(1, 9)[0].repeat(3, 0).repeat(3, 1)
    real = ground.copy()
    real[strokes] = (255, 0, 255)

    def off(mixed: np.ndarray) -> float:
        return float(np.abs(mixed.astype(float) - real)[150:174, 12:42].mean())

    assert off(composited(ground, template, alpha)) < 0.35 * off(composited(ground, patch.template, patch.alpha))


def test_a_control_covers_the_place_without_the_strokes() -> None:
    alpha = np.zeros((64, 96), np.float32)
    alpha[20:32, 10:50:4] = 0.9
    covered = filled(alpha)
    np.testing.assert_allclose(covered[20:32, 10:47], 0.9)
    assert covered.sum() < 1.2 * 0.9 * 12 * 37
    frame = np.zeros((64, 64), np.float32)
    frame[:2] = frame[-2:] = frame[:, :2] = frame[:, -2:] = 1.0
    assert (filled(frame)[12:-12, 12:-12] == 0).all(), "a border is not the whole image"


def test_all_four_corners_of_a_mask_are_recovered_from_one() -> None:
    canvases = natural(90, 8)
    corner = np.add.outer(np.arange(14), np.arange(14)) < 13  # as a round field of view leaves them dark
    mask = np.zeros((SIDE, SIDE), bool)
    for y, x in ((0, 0), (0, 1), (1, 0), (1, 1)):
        part = corner[:: -1 if y else 1, :: -1 if x else 1]
        mask[y * 50 : y * 50 + 14, x * 50 : x * 50 + 14] = part
    canvases[:20][:, mask] = 8
    labels = np.repeat([0, 1, 2], 30)
    first = next(p for p in common_patches(canvases, labels, 0) if len(set(p.members) & set(range(20))) >= 18)
    whole = completed(canvases, labels == 0, first)
    assert (whole.mask & mask).sum() / (whole.mask | mask).sum() > 0.8
    assert whole.members == first.members
    small = replace(first, members=first.members[:4])
    assert completed(canvases, labels == 0, small) is small, "four images have much in common by chance"
