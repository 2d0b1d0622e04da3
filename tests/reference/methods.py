"""Which reference implementation each registered method is compared with; a method without one fails its tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import nets
from shisen.adapters.torch.adapter import TorchClassifier
from shisen.attribution.superpixels import cut
from shisen.registry import Method
from shisen.targets import ClassObjective, to_numpy

from . import attention, cams, gradients, indices, paths, perturbations

POINTS = (("act2", False), ("conv2", True), ("norm", False), ("act1", True))
"""Layers of `nets.Toy`, and whether it is non-linear downstream of conv2."""


@dataclass(frozen=True)
class Reference:
    """A slow implementation of a method with certain options.

    Attributes:
        function: from net, image and class to the map; at a layer from net, layer, image and class.
        options: of the method.
        points: (layer, bent) pairs at which both are compared.
    """

    function: Callable[..., Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    points: tuple[tuple[str, bool], ...] = POINTS


def over_segments(values: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """Return a reference that paints one value a cell of a 2 × 4 grid."""

    def run(net: Any, image: Any, k: int) -> Any:
        segments = cut(image, "2x4", 10.0)
        return perturbations.painted(values(net, image, k, segments, **options), segments)

    return run


def with_options(function: Callable[..., Any], *more: Any, **options: Any) -> Callable[..., Any]:
    return lambda *given: function(*given, *more, **options)


# where activations are negative, the α of Smooth Grad-CAM++ has poles, and rounding decides the side of one
POSITIVE = tuple(point for point in POINTS if point[0] != "norm")

REFERENCES: dict[str, dict[str, Reference]] = {
    "gradient": {"": Reference(gradients.gradient)},
    "input_x_gradient": {"": Reference(gradients.input_x_gradient)},
    "guided_backprop": {"": Reference(gradients.guided_backprop)},
    "deconvnet": {"": Reference(gradients.deconvnet)},
    "guided_grad_cam": {"": Reference(gradients.guided_grad_cam)},
    "smooth_grad": {
        kind: Reference(with_options(gradients.smooth_grad, 6, kind), {"n_samples": 6, "statistic": kind})
        for kind in ("mean", "square", "variance")
    },
    "integrated_gradients": {
        "black": Reference(with_options(gradients.integrated_gradients, 7), {"n_steps": 7}),
        "gray": Reference(with_options(gradients.integrated_gradients, 7, 0.5), {"n_steps": 7, "baseline": "gray"}),
    },
    "expected_gradients": {
        "": Reference(
            with_options(paths.expected_gradients, 7, (0.0, 0.25)), {"n_samples": 7, "baselines": ("black", 0.25)}
        )
    },
    "gradient_shap": {
        "": Reference(
            with_options(paths.expected_gradients, 5, (0.5, 0.25, 0.0), 0.2),
            {"n_samples": 5, "baselines": ("gray", 0.25, "black"), "noise_std": 0.2},
        )
    },
    "blur_ig": {
        kind: Reference(with_options(paths.blur_ig, 5, kind), {"n_steps": 5, "border": kind})
        for kind in ("inside", "zero")
    },
    "guided_ig": {
        "": Reference(
            with_options(paths.guided_ig, 9, 0.3, 0.15), {"n_steps": 9, "fraction": 0.3, "max_distance": 0.15}
        )
    },
    "full_grad": {"": Reference(lambda net, x, k: gradients.full_grad(net, x, k)[0])},
    "cam": {"": Reference(cams.cam, points=(("act2", False),))},
    "grad_cam": {"": Reference(cams.grad_cam)},
    "xgrad_cam": {"": Reference(cams.xgrad_cam)},
    "hires_cam": {"": Reference(cams.hires_cam)},
    "layer_cam": {"": Reference(cams.layer_cam)},
    "grad_cam_pp": {
        "paper": Reference(cams.grad_cam_pp),
        "code": Reference(with_options(cams.grad_cam_pp, "code"), {"variant": "code"}),
    },
    "smooth_grad_cam_pp": {"": Reference(with_options(cams.smooth_grad_cam_pp, 4), {"n_samples": 4}, POSITIVE)},
    "shapley_cam": {
        kind: Reference(with_options(cams.shapley_cam, kind), {"utility": kind}, (("act2", False),))
        for kind in ("rest", "score")
    },
    "fem": {
        kind: Reference(with_options(cams.fem, 1.5, kind), {"sigmas": 1.5, "weighted": kind})
        for kind in ("mask", "activation")
    },
    "kpca_cam": {kind: Reference(with_options(cams.kpca_cam, kind), {"kernel": kind}) for kind in ("sigmoid", "rbf")},
    "eigen_cam": {"": Reference(cams.eigen_cam)},
    "eigen_grad_cam": {"": Reference(cams.eigen_grad_cam)},
    "ablation_cam": {"": Reference(cams.ablation_cam)},
    "recipro_cam": {
        kind: Reference(with_options(cams.recipro_cam, kind), {"mask": kind}) for kind in ("position", "gaussian")
    },
    "score_cam": {
        "code": Reference(cams.score_cam),
        "increase": Reference(
            with_options(cams.score_cam, "increase", baseline=0.5), {"variant": "increase", "baseline": 0.5}
        ),
    },
    "occlusion": {"": Reference(with_options(perturbations.occlusion, 4, 3), {"window": 4, "stride": 3})},
    "rise": {
        kind: Reference(with_options(perturbations.rise, 40, variant=kind), {"n_samples": 40, "variant": kind})
        for kind in ("centered", "paper")
    },
    "lime": {"": Reference(over_segments(perturbations.lime, n=60), {"n_samples": 60, "segments": "2x4"})},
    # 2⁸ = 256 choices fit into n_samples, so the regression must give the definition's values
    "kernel_shap": {"": Reference(over_segments(perturbations.shapley), {"n_samples": 300, "segments": "2x4"})},
    "sobol": {"": Reference(with_options(indices.sobol, 4, 3), {"n_samples": 4, "grid": 3})},
    "hsic": {
        kind: Reference(with_options(indices.hsic, 30, 3, kind), {"n_samples": 30, "grid": 3, "bandwidth": kind})
        for kind in ("distance", "score")
    },
    "xrai": {"": Reference(with_options(indices.xrai, 6), {"n_steps": 6})},
    "adaptive_masks": {
        "": Reference(with_options(indices.adaptive_masks, 35, (0.15, 0.3)), {"max_evals": 70, "widths": (0.15, 0.3)})
    },
    "attention_rollout": {"": Reference(attention.attention_rollout)},
    "chefer": {"": Reference(attention.chefer)},
    "legrad": {kind: Reference(with_options(attention.legrad, kind), {"reads": kind}) for kind in ("network", "mean")},
    "attention_x_gradient": {"": Reference(attention.attention_x_gradient)},
}


def same(values: Any, wanted: Any, fraction: float = 1e-5) -> None:
    """Hold values to a reference, within a fraction of its range, zero included: maps are drawn from zero."""
    values, wanted = to_numpy(values).astype(np.float64), np.asarray(wanted)
    assert values.shape == wanted.shape
    assert wanted.max() > wanted.min(), "a constant map cannot tell a right method from a wrong one"
    span = float(max(wanted.max(), 0) - min(wanted.min(), 0))
    np.testing.assert_allclose(values, wanted, rtol=0, atol=fraction * span)


def run(spec: Method, model: Any, x: Any, k: int, **options: Any) -> Any:
    return spec(model, x, ClassObjective(f"class {k}", ((1.0, (k,)),)), **options)


def agrees(spec: Method) -> None:
    """Raise unless a method equals every reference it has, on all networks, layers and images that suit it."""
    found = REFERENCES.get(spec.name)
    assert found, f"{spec.name} has no reference implementation: write one, and add it to tests/reference/methods.py"
    for reference in found.values():
        if spec.needs == "attention":
            for mean in (False, True):
                _without_layer(spec, reference, nets.Transformer(mean).eval(), nets.Transformer(mean).eval(), f"{mean}")
        elif not spec.layered:
            for style in ("modules", "relu6"):
                net = nets.Toy(style)
                _without_layer(spec, reference, net, nets.Pixels(net), style)
        else:
            for layer, bent in reference.points:
                _at_layer(spec, reference, layer, bent)


WANTED: dict[tuple[int, str], Any] = {}
"""Maps of references, which are slow: the same networks and images are asked about again and again."""


def _wanted(reference: Reference, where: str, make: Callable[[], Any]) -> Any:
    key = id(reference), where
    if key not in WANTED:
        WANTED[key] = make()
    return WANTED[key]


def _without_layer(spec: Method, reference: Reference, net: Any, slow: Any, where: str) -> None:
    x, k = nets.images(), 1
    found = run(spec, TorchClassifier(net), x, k, **reference.options).values
    same(found, _wanted(reference, where, lambda: np.stack([reference.function(slow, one, k) for one in x])))


def _at_layer(spec: Method, reference: Reference, layer: str, bent: bool) -> None:
    net, x = nets.Toy(bent=bent), nets.images()

    def make() -> list[Any]:
        return [np.stack([reference.function(nets.Pixels(net), layer, one, k) for one in x]) for k in range(5)]

    maps = _wanted(reference, f"{layer} {bent}", make)
    k = int(np.argmax([m.max() - m.min() for m in maps]))  # a class whose map is not zero everywhere
    same(run(spec, TorchClassifier(net), x, k, layer=layer, **reference.options).values, maps[k])
