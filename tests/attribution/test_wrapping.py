"""Several layers in one map, flipped and scaled copies, options that are refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import nets
from properties.claims import NEED_AFFINE
from shisen._core.image_ops import resize
from shisen.adapters.torch.adapter import TorchClassifier
from shisen.adapters.wrappers import Batched, Passes, Watched
from shisen.attribution.downstream import is_affine
from shisen.attribution.path_and_noise import Noise
from shisen.attribution.smoothing import smoothed
from shisen.attribution.test_time_augmentation import WIDER, augmented
from shisen.errors import InputError, ModelError, UnknownName
from shisen.registry import METHODS, get
from shisen.score_functions import CotangentObjective
from shisen.targets import ClassObjective, to_numpy

SEED = ClassObjective("class 2", ((1.0, (2,)),))


@pytest.fixture(scope="module")
def model() -> TorchClassifier:
    return TorchClassifier(nets.Toy(), size=(12, 16, 3))


def maps(method: Any, model: Any, x: Any, **options: Any) -> Any:
    return to_numpy(get(method)(model, x, SEED, **options).values)


@pytest.mark.parametrize("name", [n for n, m in METHODS.items() if m.family == "cam" and n not in NEED_AFFINE])
def test_fused_layers_are_the_mean_of_shares_at_the_largest_size(name: str, model: TorchClassifier) -> None:
    x = nets.images()
    options = {"n_samples": 3} if name == "smooth_grad_cam_pp" else {}
    want = 0.0
    for layer in ("act1", "act2"):
        one = maps(name, model, x, layer=layer, **options)
        one = one / np.abs(one).max(axis=(1, 2), keepdims=True)
        want = want + resize(one, (12, 16)) / 2
    found = maps(name, model, x, layer=["act1", "act2"], **options)
    np.testing.assert_allclose(found, want, atol=1e-5)


def test_one_layer_in_a_list_keeps_its_unit(model: TorchClassifier) -> None:
    x = nets.images()
    np.testing.assert_array_equal(maps("grad_cam", model, x, layer=["act2"]), maps("grad_cam", model, x, layer="act2"))
    with pytest.raises(InputError, match="at least one"):
        maps("grad_cam", model, x, layer=[])


@pytest.mark.parametrize("name", ["gradient", "grad_cam", "occlusion"])
def test_a_flipped_image_gives_the_flipped_map_once_augmented(name: str, model: TorchClassifier) -> None:
    x = nets.images()
    method = augmented(name)
    plain, mirrored = maps(method, model, x), maps(method, model, x[:, :, ::-1].copy())
    np.testing.assert_allclose(mirrored, plain[:, :, ::-1], atol=1e-5 * np.abs(plain).max())
    assert not np.allclose(plain, maps(name, model, x), atol=1e-3 * np.abs(plain).max())


def test_augmented_maps_are_means_of_maps_laid_back(model: TorchClassifier) -> None:
    x = nets.images()
    copies = []
    for scale in (1.0, 1.5):
        large = resize(x, (round(12 * scale), round(16 * scale)))
        found = maps("grad_cam", model, large), maps("grad_cam", model, large[:, :, ::-1].copy())[:, :, ::-1]
        copies += [resize(np.ascontiguousarray(f), (6, 8)) for f in found]
    want = np.mean(copies, axis=0)
    found = get(augmented("grad_cam", scales=(1.0, 1.5)))(model, x, SEED)
    np.testing.assert_allclose(to_numpy(found.values), want, atol=1e-6)
    assert found.notes["copies"] == 4


def test_a_map_is_widened_no_further_than_keeps_the_answer(model: TorchClassifier) -> None:
    x = torch.as_tensor(nets.images())
    objective = ClassObjective("class 1", ((1.0, (1,)),), "logit", "softmax")
    plain = to_numpy(get(augmented("grad_cam", flip=False))(model, x, objective).values)
    chance = to_numpy(model.activations(x)).astype(float)
    chance = np.exp(chance[:, 1]) / np.exp(chance).sum(1)

    def kept(row: int, power: float) -> float:
        wide = to_numpy(resize(torch.tensor(plain[row : row + 1] ** power), tuple(x.shape[1:3])))[0]
        mask = torch.tensor((wide - wide.min()) / (wide.max() - wide.min()))[..., None]
        y = to_numpy(model.activations((mask * x[row] + (1 - mask) * 0.5)[None])).astype(float)[0]
        return float(np.exp(y[1]) / np.exp(y).sum())

    for keep in (0.5, 0.97, 1.0):
        found = get(augmented("grad_cam", flip=False, keep=keep))(model, x, objective)
        for row, power in enumerate(found.notes["widened_by_power"]):
            fractions = [kept(row, p) for p in WIDER]
            enough = [p for p, s in zip(WIDER, fractions, strict=True) if s >= keep * chance[row]]
            assert power == (enough[0] if enough else WIDER[int(np.argmax(fractions))])
            np.testing.assert_allclose(to_numpy(found.values)[row], plain[row] ** power, rtol=1e-5)
    with pytest.raises(InputError, match="keep needs a class"):
        get(augmented("gradient", keep=0.9))(model, x, CotangentObjective(lambda y: y))
    with pytest.raises(InputError, match="color channels"):
        get(augmented("gradient", keep=0.9))(model, x, objective)
    with pytest.raises(InputError, match="fraction"):
        augmented("gradient", keep=2.0)


def test_an_augmented_map_may_follow_another_score_with_another_extent(model: TorchClassifier) -> None:
    x = nets.images()
    rather = replace(SEED, score="log_probability")
    want = to_numpy(get("grad_cam")(model, x, rather).values)
    found = get(augmented("grad_cam", flip=False, score="log_probability", power=0.5))(model, x, SEED)
    np.testing.assert_allclose(to_numpy(found.values), np.sqrt(want), rtol=1e-5)
    assert not np.allclose(want, maps("grad_cam", model, x))
    assert found.notes == {"copies": 1, "score": "log_probability", "power": 0.5}
    signed = maps(augmented("input_x_gradient", flip=False, power=0.5), model, x)
    plain = maps("input_x_gradient", model, x)
    np.testing.assert_allclose(signed, np.sign(plain) * np.sqrt(np.abs(plain)), rtol=1e-5)
    with pytest.raises(InputError, match="power"):
        augmented("gradient", power=0.0)
    with pytest.raises(InputError, match="log_probability"):
        augmented("gradient", score="odds")


@pytest.mark.parametrize("name", ["grad_cam", "hires_cam", "layer_cam"])
def test_fused_layers_take_one_pass(name: str, model: TorchClassifier) -> None:
    x = nets.images()
    count = Passes()
    get(name)(Watched(model, count), x, SEED, layer=["act1", "act2"])
    assert count.rows == {"gradients": len(x)}


def test_an_augmented_method_keeps_its_options_and_drops_claims_it_cannot_hold() -> None:
    method = augmented("integrated_gradients")
    assert "n_steps" in method.options
    assert not method.complete
    assert not method.single
    with pytest.raises(UnknownName, match="baseline"):
        method.check({"baselin": 0})
    with pytest.raises(InputError, match="positive"):
        augmented("gradient", scales=(0.0,))


@pytest.mark.parametrize(("layer", "straight"), [("pool", True), ("act2", True), ("conv2", False), ("norm", False)])
def test_affine_tails_are_told_from_others(layer: str, straight: bool, model: TorchClassifier) -> None:
    assert is_affine(model, nets.images(1), layer) is straight


@pytest.mark.parametrize("style", ["functional", "relu6"])
def test_functional_and_clipped_bends_are_seen(style: str) -> None:
    assert not is_affine(TorchClassifier(nets.Toy(style)), nets.images(1), "conv2")
    assert not is_affine(TorchClassifier(nets.Toy(style, bent=True)), nets.images(1), "pool")


def test_max_pools_and_normalization_over_features_are_bends() -> None:
    import torch
    from torch import nn

    torch.manual_seed(0)
    downstream_batch = [
        [nn.AdaptiveMaxPool2d(1), nn.Flatten()],
        [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(4)],
        [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Hardswish()],
    ]
    for tail in downstream_batch:
        net = nn.Sequential(nn.Conv2d(3, 4, 3), *tail, nn.Linear(4, 3)).eval()
        assert not is_affine(TorchClassifier(net), nets.images(1), "0")
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(4 * 35, 3)).eval()
    assert is_affine(TorchClassifier(net), nets.images(1), "0")


def test_cam_refuses_networks_it_does_not_suit(model: TorchClassifier) -> None:
    with pytest.raises(ModelError, match=r"mean pool.*grad_cam"):
        maps("cam", model, nets.images(), layer="act1")
    with pytest.raises(ModelError, match="non-linear"):
        maps("cam", TorchClassifier(nets.Toy(bent=True)), nets.images(), layer="act2")


def test_a_probability_has_no_closed_form_and_says_so(model: TorchClassifier) -> None:
    objective = ClassObjective("class 2", ((1.0, (2,)),), "probability")
    found = METHODS["ablation_cam"](model, nets.images(), objective, layer="act2")
    assert "not linear" in found.notes["run"]
    assert "only the layers downstream" in found.notes["run"]
    assert METHODS["ablation_cam"](model, nets.images(), SEED, layer="act2").notes["run"] == "closed form"


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("smooth_grad", {"statistic": "median"}, "variance"),
        ("smooth_grad", {"n_samples": 0}, "at least 1"),
        ("grad_cam_pp", {"variant": "other"}, "'code'"),
        ("score_cam", {"variant": "other"}, "increase"),
        ("score_cam", {"max_channels": 0}, "at least 1"),
        ("occlusion", {"window": 40}, "window 40"),
        ("occlusion", {"window": 3, "stride": 4}, "stride 4"),
        ("rise", {"p": 1.0}, "p 1.0"),
        ("lime", {"segments": "7"}, "7x7"),
        ("kernel_shap", {"n_samples": 2}, "at least 4"),
        ("guided_grad_cam", {"cam": "gradient"}, "class activation map"),
        ("full_grad", {"variant": "other"}, "'paper'"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    name: str, options: dict[str, Any], words: str, model: TorchClassifier
) -> None:
    with pytest.raises(InputError, match=words):
        maps(name, model, nets.images(), **options)


def test_superpixels_follow_the_image(model: TorchClassifier) -> None:
    pytest.importorskip("skimage")
    x = np.zeros((1, 48, 64, 3), np.float32)
    x[:, :, 21:] = (0.9, 0.6, 0.1)
    from shisen.attribution.superpixels import cut

    pieces = cut(x[0], 12, 10.0)
    assert sorted(np.unique(pieces)) == list(range(pieces.max() + 1))
    assert not set(pieces[:, :21].ravel()) & set(pieces[:, 21:].ravel())
    values = maps("lime", model, x, n_samples=40, segments=12)[0]
    for piece in range(pieces.max() + 1):
        assert np.ptp(values[pieces == piece]) < 1e-6


@pytest.mark.parametrize("statistic", ["mean", "square", "variance"])
def test_smoothing_the_gradient_is_smooth_grad(model: TorchClassifier, statistic: Any) -> None:
    x = nets.images()
    found = smoothed("gradient", statistic=statistic, n_samples=6, seed=3)
    want = maps("smooth_grad", model, x, n_samples=6, statistic=statistic, seed=3)
    np.testing.assert_allclose(maps(found, model, x), want, rtol=0, atol=1e-6 * np.abs(want).max())
    assert found.signed == (statistic == "mean")
    assert found.unit == ("{score} squared" if statistic != "mean" else "{score}") + " per unit of pixel value"


@pytest.mark.parametrize(("name", "options"), [("grad_cam", {"layer": "act1"}), ("occlusion", {"window": 4})])
def test_smoothing_any_method_is_a_statistic_over_noisy_copies(
    name: str, options: dict[str, Any], model: TorchClassifier
) -> None:
    x = nets.images()
    draws = np.concatenate(list(Noise(5, 0.2, 1).draws(x.shape[1:], iter([range(5)]))))
    deviation = 0.2 * (x.max(axis=(1, 2, 3)) - x.min(axis=(1, 2, 3)))[:, None, None, None]
    copies = np.stack([maps(name, model, x + deviation * draw, **options) for draw in draws])
    for statistic, want in {"mean": copies.mean(0), "square": (copies**2).mean(0), "variance": copies.var(0)}.items():
        made = smoothed(name, statistic=statistic, n_samples=5, noise_std=0.2, seed=1)  # type: ignore[arg-type]
        for shown in (model, Batched(model, 2)):
            np.testing.assert_allclose(maps(made, shown, x, **options), want, rtol=0, atol=1e-4 * np.abs(want).max())
    with pytest.raises(InputError, match="statistic"):
        smoothed(name, statistic="median")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="n_samples"):
        smoothed(name, n_samples=0)


def test_baselines_as_images_must_fit_the_image(model: TorchClassifier) -> None:
    x = nets.images()
    one = maps("expected_gradients", model, x, baselines=np.zeros((1, 12, 16, 3)), n_samples=4)
    np.testing.assert_array_equal(one, maps("expected_gradients", model, x, baselines="black", n_samples=4))
    for wrong in (np.zeros((1, 6, 8, 3)), np.zeros((12, 16, 3)), np.zeros((0, 12, 16, 3))):
        with pytest.raises(InputError, match=r"shape \(k, 12, 16, 3\)"):
            maps("expected_gradients", model, x, baselines=wrong)
    with pytest.raises(InputError, match="at least one baseline"):
        maps("gradient_shap", model, x, baselines=())
    with pytest.raises(InputError, match="max_sigma"):
        maps("blur_ig", model, x, max_sigma=0.0)
    with pytest.raises(InputError, match="fraction"):
        maps("guided_ig", model, x, fraction=0.0)
