"""Other libraries agree, where they offer the same method; each test needs its library."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import nets
from shisen.adapters.torch.adapter import TorchClassifier
from shisen.attribution.xrai import by_regions, overlapping_segments
from shisen.naming import contrast_similar, resolve
from shisen.registry import METHODS
from shisen.targets import ClassObjective, to_numpy

K = 2


def ours(name: str, net: Any, x: Any, **options: Any) -> Any:
    objective = ClassObjective("class", ((1.0, (K,)),))
    return to_numpy(METHODS[name](TorchClassifier(net), x, objective, **options).values)


def correlated(a: Any, b: Any, least: float = 0.999) -> None:
    assert np.corrcoef(np.ravel(a), np.ravel(b))[0, 1] > least


def gradients_for_pair(net: Any) -> Any:
    """Return the function through which the library `saliency` calls a network."""
    core = pytest.importorskip("saliency.core")

    def call(images: Any, call_model_args: Any = None, expected_keys: Any = None) -> Any:
        x = torch.tensor(np.asarray(images, np.float32).transpose(0, 3, 1, 2)).requires_grad_()
        (g,) = torch.autograd.grad(net(x)[:, K].sum(), x)
        return {core.INPUT_OUTPUT_GRADIENTS: g.numpy().transpose(0, 2, 3, 1)}

    return call


def test_blur_ig_is_that_of_its_authors_in_the_limit_of_many_steps() -> None:
    core, net, x = pytest.importorskip("saliency.core"), nets.Toy(), nets.images(1)
    found = core.BlurIG().GetMask(x[0], gradients_for_pair(net), max_sigma=3.0, steps=200, grad_step=0.001)
    correlated(ours("blur_ig", net, x, n_steps=200, max_sigma=3.0, border="zero")[0], found)


def grad_cam_package(kind: str, net: Any, layer: str, x: Any, targets: Any = None, **options: Any) -> Any:
    """Return the map of the package grad-cam, which scales it to [0, 1]."""
    package = pytest.importorskip("pytorch_grad_cam")
    made = getattr(package, kind)(net, [net.get_submodule(layer)])
    return made(torch.tensor(x.transpose(0, 3, 1, 2)), targets=targets, **options)[0]


def drawn_alike(values: Any, found: Any) -> None:
    """Hold our map, drawn like theirs at the size of the image, to theirs."""
    cv2 = pytest.importorskip("cv2")
    positive = np.maximum(np.asarray(values, np.float32), 0)
    scaled = (positive - positive.min()) / np.ptp(positive)
    correlated(cv2.resize(scaled, found.shape[::-1]), found)


def test_shapley_cam_is_that_of_its_author() -> None:
    targets = pytest.importorskip("pytorch_grad_cam.utils.model_targets")
    net, x = nets.Toy(), nets.images(1)
    found = grad_cam_package("ShapleyCAM", net, "act2", x, [targets.ClassifierOutputReST(K)])
    drawn_alike(ours("shapley_cam", net, x, layer="act2")[0], found)


def test_fem_and_kpca_cam_of_the_package() -> None:
    net, x = nets.Toy(), nets.images(1)
    drawn_alike(ours("fem", net, x, layer="act2", weighted="activation")[0], grad_cam_package("FEM", net, "act2", x))
    values, found = ours("kpca_cam", net, x, layer="act2")[0], grad_cam_package("KPCA_CAM", net, "act2", x)
    same = np.corrcoef(np.repeat(np.repeat(values, 2, 0), 2, 1).ravel(), found.ravel())[0, 1] > 0
    drawn_alike(values if same else -values, found)  # their sign is arbitrary


def test_finer_cam_with_one_similar_class() -> None:
    net, x = nets.Toy(), nets.images(1)
    found = grad_cam_package("FinerCAM", net, "act2", x, alpha=0.6, comparison_categories=[1])
    objective = resolve(contrast_similar(1, 0.6), find=int, names=(), head="softmax")
    drawn_alike(to_numpy(METHODS["grad_cam"](TorchClassifier(net), x, objective, layer="act2").values)[0], found)


def test_xrai_takes_regions_as_its_authors_do() -> None:
    core, net = pytest.importorskip("saliency.core"), nets.Toy()
    x = nets.images(1, 224, 224)
    values = ours("integrated_gradients", net, x, n_steps=4)[0].sum(axis=-1)
    found = core.XRAI().GetMask(x[0], gradients_for_pair(net), base_attribution=np.repeat(values[:, :, None], 3, 2))
    correlated(by_regions(values.astype(np.float64), overlapping_segments(x[0]))[0], found)
