"""Slow twins of the gradient family: one image, one copy, one step at a time."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from scipy.special import ndtri

from .capture import Values, input_gradient, logit, nchw


def gradient(net: Any, image: Any, k: int) -> Values:
    """∂y/∂x."""
    return input_gradient(net, image, k)


def input_x_gradient(net: Any, image: Any, k: int) -> Values:
    """x · ∂y/∂x."""
    return np.asarray(image) * input_gradient(net, image, k)


def noisy(image: Any, n: int, spread: float, seed: int) -> list[Any]:
    """Return n noisy copies; the deviation is a fraction of the image's range."""
    rng = np.random.default_rng(seed)
    image = np.asarray(image, dtype=np.float32)
    sigma = spread * (image.max() - image.min())
    draws = [ndtri((rng.integers(0, 2**16, image.shape, np.uint16) + 0.5) / 2**16) for _ in range(n)]
    return [image + sigma * np.float32(draw) for draw in draws]


def smooth_grad(net: Any, image: Any, k: int, n: int, statistic: str = "mean", spread: float = 0.1) -> Values:
    """Mean, mean square or variance of the gradients of noisy copies."""
    gradients = np.stack([input_gradient(net, copy_, k) for copy_ in noisy(image, n, spread, 0)])
    return {"mean": gradients.mean(0), "square": (gradients**2).mean(0), "variance": gradients.var(0)}[statistic]


def integrated_gradients(net: Any, image: Any, k: int, n: int, baseline: float = 0.0) -> Values:
    """(x − b) · the mean gradient at the middles of n steps from b to x."""
    image = np.asarray(image, dtype=np.float32)
    base = np.full_like(image, baseline)
    points = [base + np.float32((i + 0.5) / n) * (image - base) for i in range(n)]
    return (image - base) * np.mean([input_gradient(net, p, k) for p in points], axis=0)


def rewired(net: Any, rule: str) -> Any:
    """Return a copy of the network whose ReLU modules pass gradients back by a rule, set by backward hooks."""
    twin = copy.deepcopy(net)
    for module in twin.modules():
        if isinstance(module, (torch.nn.ReLU, torch.nn.ReLU6)):
            if rule == "guided":
                module.register_full_backward_hook(lambda m, inward, outward: (inward[0].clamp(min=0),))
            else:
                module.register_full_backward_hook(lambda m, inward, outward: (outward[0].clamp(min=0),))
    return twin


def guided_backprop(net: Any, image: Any, k: int) -> Values:
    """relu(g) · [A > 0] at every ReLU."""
    return input_gradient(rewired(net, "guided"), image, k)


def deconvnet(net: Any, image: Any, k: int) -> Values:
    """relu(g) at every ReLU."""
    return input_gradient(rewired(net, "deconvnet"), image, k)


def guided_grad_cam(net: Any, layer: str, image: Any, k: int) -> Values:
    """Guided backprop times Grad-CAM, enlarged by torch's bilinear interpolation."""
    from .cams import grad_cam

    small = torch.tensor(grad_cam(net, layer, image, k), dtype=torch.float32)[None, None]
    large = torch.nn.functional.interpolate(small, np.shape(image)[:2], mode="bilinear", align_corners=False)
    return guided_backprop(net, image, k) * large[0, 0].numpy()[:, :, None]


def spreading(small: int, large: int) -> Values:
    """Return the `(large, small)` matrix that shares out each value, from what bilinear interpolation does to units."""
    units = torch.eye(small)[:, None, :]
    shared = torch.nn.functional.interpolate(units, size=large, mode="linear", align_corners=False)[:, 0].numpy().T
    return np.asarray(shared / shared.sum(axis=0, keepdims=True), np.float64)


def full_grad(net: Any, image: Any, k: int) -> tuple[Values, float]:
    """Return the map of all shares with a place, and the sum of those without one.

    The bias of a layer is what it gives for zeros; a ReLU6's is what it gives beyond gradient times input.
    """
    kept: list[tuple[Any, Any, Any]] = []

    def keep(module: Any, inputs: Any, output: Any) -> None:
        output.retain_grad()
        kept.append((module, inputs[0], output))

    kinds = (torch.nn.Conv2d, torch.nn.BatchNorm2d, torch.nn.Linear, torch.nn.ReLU6)
    handles = [m.register_forward_hook(keep) for m in net.modules() if isinstance(m, kinds)]
    x = nchw(image)
    scaled = (x * net.scale + net.shift).requires_grad_()
    net.net(scaled)[0, k].backward()
    for handle in handles:
        handle.remove()
    total = (scaled.detach() * scaled.grad)[0].sum(dim=0).numpy().astype(np.float64)
    placeless = 0.0
    h, w = total.shape
    for module, z, out in kept:
        if isinstance(module, torch.nn.ReLU6):
            inside = (z > 0) & (z < 6)
            bias = (out - inside * z).detach()
        else:
            with torch.no_grad():
                bias = module(torch.zeros_like(z[:1]))
                if bias.dim() == 4 and isinstance(module, torch.nn.Conv2d):
                    bias = (torch.zeros(bias.shape[1]) if module.bias is None else module.bias)[None, :, None, None]
        fraction = (out.grad * bias)[0].detach().numpy().astype(np.float64)
        if fraction.ndim == 3:
            m = fraction.sum(axis=0)
            total += spreading(m.shape[0], h) @ m @ spreading(m.shape[1], w).T
        else:
            placeless += float(fraction.sum())
    return total, placeless


def score(net: Any, image: Any, k: int) -> float:
    """Return the logit, for the sums that the shares must have."""
    return logit(net, image, k)
