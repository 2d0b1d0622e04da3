"""Checks of what registered methods claim about themselves: each raises AssertionError for a false claim."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

import nets
from shisen.adapters.torch.adapter import TorchClassifier
from shisen.adapters.wrappers import Passes, Watched
from shisen.registry import Method
from shisen.targets import ClassObjective, to_numpy

# as few passes as show the point
LIGHT: dict[str, dict[str, Any]] = {
    "smooth_grad": {"n_samples": 4},
    "smooth_grad_cam_pp": {"n_samples": 4},
    "integrated_gradients": {"n_steps": 64},
    "expected_gradients": {"n_samples": 4},
    "gradient_shap": {"n_samples": 4},
    "blur_ig": {"n_steps": 64},
    "guided_ig": {"n_steps": 12},
    "rise": {"n_samples": 20},
    "lime": {"n_samples": 30, "segments": "3x3"},
    "sobol": {"n_samples": 2, "grid": 4},
    "hsic": {"n_samples": 30, "grid": 4},
    "xrai": {"n_steps": 64},
    "adaptive_masks": {"max_evals": 48},
    "kernel_shap": {"n_samples": 40, "segments": "3x3"},
}
SIZE = (12, 16, 3)
NEED_AFFINE = ("cam", "shapley_cam")  # a network that is affine downstream of the layer


class Scaled(nn.Module):
    """The same network for images whose pixels are twice as large."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Any) -> Any:
        return self.net(x / 2)


def one_hot(*classes: int, weight: float = 1.0, score: str = "logit") -> ClassObjective:
    return ClassObjective("class", ((weight, classes or (2,)),), score)


def network(spec: Method, **options: Any) -> nn.Module:
    return nets.Transformer().eval() if spec.needs == "attention" else nets.Toy(**options)


def values(spec: Method, model: Any, x: Any, objective: Any = None, **options: Any) -> Any:
    given = {**LIGHT.get(spec.name, {}), **options}
    return to_numpy(spec(model, x, one_hot() if objective is None else objective, **given).values)


def maps_of(spec: Method, objective: Any = None, **options: Any) -> Any:
    return values(spec, TorchClassifier(network(spec), size=SIZE), nets.images(3), objective, **options)


def near(found: Any, wanted: Any, fraction: float = 1e-4) -> bool:
    return bool(np.abs(found - wanted).max() <= fraction * max(float(np.abs(wanted).max()), 1e-12))


def sign(spec: Method) -> None:
    """Values below zero appear if and only if they are claimed; a map that ignores the class may have none."""
    found = np.stack([maps_of(spec, one_hot(k)) for k in range(5)])
    assert (found > 0).any()
    negative = bool((found < 0).any())
    assert negative == spec.signed or (spec.signed and not spec.class_specific), f"signed={spec.signed} is false"


def class_specific(spec: Method) -> None:
    """Maps of two classes differ if and only if it is claimed."""
    found = [maps_of(spec, one_hot(k)) for k in range(5)]
    different = any(not near(other, found[0], 1e-6) for other in found[1:])
    assert different == spec.class_specific, f"class_specific={spec.class_specific} is false"


def scaling(spec: Method) -> float | None:
    """Return the power of the score's scale with which values scale: 0, 1, 2, or None if there is no such power."""
    once = maps_of(spec)
    factors = (0.5, 2.5)
    for power in (0.0, 1.0, 2.0):
        if all(near(maps_of(spec, one_hot(2, weight=f)), once * f**power) for f in factors):
            return power
    return None


def linear(spec: Method) -> None:
    """Values scale with the score if and only if it is claimed."""
    assert (scaling(spec) == 1.0) == spec.linear, f"linear={spec.linear} is false"


def unit(spec: Method) -> None:
    """Values scale with the score, and with the size of pixel values, as their unit says."""
    power = scaling(spec)
    words = spec.unit
    if words.startswith("{score} squared"):
        assert power == 2.0, words
    else:
        assert (power == 1.0) == words.startswith(("{score}", "probability")), words
    net, x = network(spec), nets.images(3)
    options = {"baseline": "black"} if spec.name == "occlusion" else {}
    once = values(spec, TorchClassifier(net, size=SIZE), x, **options)
    twice = values(spec, TorchClassifier(Scaled(net).eval(), size=SIZE), x * 2, **layer_of(spec), **options)
    wanted = once / 2 if "per unit of pixel value" in words else once
    assert near(twice, wanted, 1e-3), f"values do not change with the unit of pixels as {words!r} says"


def layer_of(spec: Method) -> dict[str, Any]:
    return {"layer": "net.act2"} if spec.layered else {}


def complete(spec: Method) -> None:
    """Values sum to the difference of scores in the notes, except for the gap noted, which is small."""
    for style in ("modules", "relu6"):
        x = nets.images(3)
        options = {"n_steps": 400} if "n_steps" in spec.options else {}  # ReLU6 makes the path uneven
        net = network(spec) if spec.needs == "attention" else nets.Toy(style)
        model = TorchClassifier(net, size=SIZE)
        result = spec(model, x, one_hot(), **{**LIGHT.get(spec.name, {}), **options})
        assert {"difference", "gap"} <= set(result.notes), "complete, but no difference is noted"
        sums = to_numpy(result.values).reshape(3, -1).sum(axis=1)
        difference, gap = (to_numpy(np.asarray(result.notes[k])) for k in ("difference", "gap"))
        np.testing.assert_allclose(sums, difference - gap, atol=1e-4)
        assert np.abs(difference).max() > 0.05, "nothing to attribute"
        assert (np.abs(gap) <= 0.02 * np.abs(difference).max()).all()


def incomplete(spec: Method) -> None:
    """A method that notes no difference of scores claims no completeness."""
    result = spec(TorchClassifier(network(spec), size=SIZE), nets.images(1), one_hot(), **LIGHT.get(spec.name, {}))
    assert "difference" not in result.notes


def passes(spec: Method) -> None:
    """The number of forward passes an image is what the claim says, for affine and other networks downstream."""
    cases: list[tuple[dict[str, Any], str | None]] = [({}, None)]
    if spec.layered and spec.needs != "attention":
        cases = (
            [({}, "act2"), ({"bent": True}, "act2"), ({}, "act1")] if spec.name not in NEED_AFFINE else [({}, "act2")]
        )
    for options, layer in cases:
        model = TorchClassifier(network(spec, **options), size=SIZE)
        x, given = nets.images(1), {**LIGHT.get(spec.name, {}), **({"layer": layer} if layer else {})}
        spec(model, x, one_hot(), **given)  # what is decided once for a network is decided now
        count = Passes()
        if spec.needs == "attention":  # not watched: the network's own forwards are counted
            handle = model.net.register_forward_pre_hook(lambda _, args, count=count: count("forward", len(args[0])))
            spec(model, x, one_hot(), **given)
            handle.remove()
        else:
            spec(Watched(model, count), x, one_hot(), **given)
        known: dict[str, Any] = {"affine": layer == "act2" and not options, "windows": SIZE[0] * SIZE[1], **given}
        if layer:
            a = to_numpy(model.activations(x, layer))[0].reshape(-1, 8 if layer == "act2" else 6)
            # constant channels are not run: masks of them are no masks, and zeros change nothing
            known |= {"channels": int((np.ptp(a, axis=0) > 0).sum()), "positions": len(a)}
        wanted = eval(spec.passes, {"__builtins__": {}}, known)
        assert count.total == wanted, f"{count.rows} for a claim of {spec.passes!r}, which is {wanted}"


def single(spec: Method) -> None:
    """The first and only gradient call sees the unaltered images, if and only if it is claimed."""
    seen: list[Any] = []

    class Kept(Watched):
        def gradients(self, images: Any, *given: Any, **options: Any) -> Any:
            seen.append(images)
            return super().gradients(images, *given, **options)

        def _like(self, model: Any) -> Any:
            return Kept(model, Passes())

    class Attending(TorchClassifier):
        def attentions(self, images: Any, *given: Any, **options: Any) -> Any:
            seen.extend([images] * (2 if options else 1))  # every block's score takes a pass more
            return super().attentions(images, *given, **options)

    model, x = Kept(Attending(network(spec), size=SIZE), Passes()), torch.tensor(nets.images(1))
    spec(model, x, one_hot(), **LIGHT.get(spec.name, {}))
    only = len(seen) == 1 and seen[0].shape == x.shape and bool((torch.as_tensor(seen[0]) == x).all())
    if spec.single:
        assert only, "single, but the gradient is not taken once, of the unaltered images"


CLAIMS: dict[str, Callable[[Method], None]] = {
    "signed": sign,
    "class_specific": class_specific,
    "linear": linear,
    "unit": unit,
    "passes": passes,
    "single": single,
}


def checks(spec: Method) -> dict[str, Callable[[Method], None]]:
    """Return the check of each claim of a method."""
    return {**CLAIMS, "complete": complete if spec.complete else incomplete}


def check(spec: Method) -> None:
    """Check every claim of one method."""
    for claim in checks(spec).values():
        claim(spec)
