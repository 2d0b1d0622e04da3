"""What absence looks like."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nets
import shisen
from shisen._core.baselines import BASELINES, Eraser, baseline_pixels
from shisen.adapters.wrappers import Shared, Watched, network_zero
from shisen.errors import UnknownName
from shisen.evaluation.sample import Sample
from shisen.registry import METHODS
from shisen.targets import ClassObjective, to_numpy


def test_levels() -> None:
    x = nets.images()
    assert (baseline_pixels(x, "black") == 0).all()
    assert (baseline_pixels(x, "gray") == 0.5).all()
    np.testing.assert_allclose(baseline_pixels(x, 0.2), 0.2, rtol=1e-6)
    np.testing.assert_allclose(baseline_pixels(x, "mean")[1, 3, 4], x[1].mean(axis=(0, 1)), rtol=1e-5)
    np.testing.assert_allclose(baseline_pixels(x, "network_zero", (0.1, 0.2, 0.3))[1, 3, 4], [0.1, 0.2, 0.3])


def test_the_mean_color_of_a_large_image_is_as_exact_as_its_pixels() -> None:
    x = np.random.default_rng(0).random((1, 500, 400, 3), dtype=np.float32) * np.float32(0.1) + np.float32(0.8)
    np.testing.assert_allclose(baseline_pixels(x, "mean")[0, 0, 0], x.astype(float).mean(axis=(0, 1, 2)), rtol=1e-6)


@pytest.mark.parametrize(("side", "sigma", "radius"), [(224, 5.0, 5), (112, 2.5, 2), (448, 10.0, 10)])
def test_blur_is_that_of_rise_in_proportion_to_the_side(side: int, sigma: float, radius: int) -> None:
    x = np.zeros((1, side, side, 3), np.float32)
    x[:, side // 2, side // 2] = 1.0
    at = np.arange(side) - side // 2
    line = np.exp(-0.5 * (at / sigma) ** 2) * (np.abs(at) <= radius)
    want = np.outer(line, line) / line.sum() ** 2
    np.testing.assert_allclose(baseline_pixels(x, "blur")[0, ..., 1], want, atol=1e-7)


def test_blur_at_the_edge_counts_only_what_lies_inside() -> None:
    np.testing.assert_allclose(baseline_pixels(np.full((1, 30, 20, 1), 0.7, np.float32), "blur"), 0.7, rtol=1e-6)


def test_unknown_baselines_get_the_nearest_names() -> None:
    for given, near in (("grey", "'gray'"), ("zero", "'network_zero'")):
        with pytest.raises(UnknownName, match=near):
            baseline_pixels(nets.images(), given)


@pytest.mark.parametrize("baseline", [*BASELINES, 0.3])
def test_metrics_and_methods_use_the_same_pixels(baseline: str | float) -> None:
    x, zero = nets.images(1, 20, 16), (0.4, 0.5, 0.6)
    sample = Sample(x[0], np.zeros((4, 4)), 0, np.zeros(2), zero=zero)
    keep = np.zeros((1, 20, 16), np.float32)
    removed = sample.without(keep == 0, baseline)
    np.testing.assert_array_equal(Eraser(x, baseline, zero)(keep), removed)
    np.testing.assert_array_equal(sample.pixels(baseline), removed[0])


def test_the_networks_zero_is_found_through_every_wrapper_and_used_by_methods() -> None:
    preprocess = shisen.Preprocess(size=12, mean=(0.25, 0.5, 0.75), std=(0.5, 0.5, 0.5))
    model = shisen.wrap(nets.Toy().eval(), preprocess=preprocess)
    x = nets.images(2, 12, 12)
    for one in (model, Shared(model, x), Watched(model, lambda *_: None), model.network):
        assert network_zero(one, 3) == pytest.approx((0.25, 0.5, 0.75))
    assert network_zero(model, 1) == (0.0,)  # of other images than the network's, nothing is known
    assert network_zero(shisen.wrap(nets.Toy().eval()), 3) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("method", "options"),
    [("occlusion", {}), ("integrated_gradients", {}), ("rise", {"seed": 1}), ("score_cam", {"layer": "conv2"})],
)
def test_methods_replace_pixels_by_what_the_network_sees_as_zero(method: str, options: dict[str, Any]) -> None:
    gray = shisen.wrap(nets.Toy().eval(), preprocess=shisen.Preprocess(size=12, mean=(0.5,) * 3, std=(0.5,) * 3))
    x, objective = nets.images(2, 12, 12), ClassObjective("class 1", ((1.0, (1,)),))
    zero, half, black = (
        METHODS[method](gray, x, objective, baseline=baseline, **options).values
        for baseline in ("network_zero", 0.5, "black")
    )
    np.testing.assert_allclose(to_numpy(zero), to_numpy(half), rtol=1e-5, atol=1e-6)
    assert np.abs(to_numpy(zero) - to_numpy(black)).max() > 1e-3


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
