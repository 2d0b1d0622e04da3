"""Reference implementations of the CAM family, from the formulas of the papers: loops over channels and positions."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import torch

from .capture import Values, layer_and_gradient, logit, nchw, probability, with_layer
from .gradients import noisy


def relu(m: Any) -> Values:
    return np.maximum(m, 0.0)


def weighted(a: Values, weights: Any) -> Values:
    """Σ_c w_c A_c, channel by channel."""
    total = np.zeros(a.shape[:2])
    for c in range(a.shape[2]):
        total += weights[c] * a[:, :, c]
    return total


def cam(net: Any, layer: str, image: Any, k: int) -> Values:
    """Weights of the last linear layer, for mean pool and linear downstream of the layer."""
    a, _ = layer_and_gradient(net, layer, image, k)
    linear = [m for m in net.modules() if isinstance(m, torch.nn.Linear)][-1]
    return weighted(a, linear.weight[k].detach().numpy().astype(np.float64))


def grad_cam(net: Any, layer: str, image: Any, k: int) -> Values:
    a, g = layer_and_gradient(net, layer, image, k)
    return relu(weighted(a, [g[:, :, c].mean() for c in range(g.shape[2])]))


def grad_cam_pp(net: Any, layer: str, image: Any, k: int, variant: str = "paper") -> Values:
    """α = g² / (2 g² + ΣA g³), place by place; the code's variant divides α by its sum where g > 0."""
    a, g = layer_and_gradient(net, layer, image, k)
    return relu(weighted(a, pp_weights(a.sum(axis=(0, 1)), g, (g, g**2, g**3), variant)))


def pp_weights(total: Any, g: Values, powers: Any, variant: str) -> list[float]:
    first, second, third = powers
    weights = []
    for c in range(g.shape[2]):
        alpha = np.zeros(g.shape[:2])
        for place in np.ndindex(*g.shape[:2]):
            at = (*place, c)
            below = 2 * second[at] + total[c] * third[at]
            if first[at] > 0 and below != 0:
                alpha[place] = second[at] / below
        if variant == "code" and alpha.sum() != 0:
            alpha /= alpha.sum()
        weights.append(float((alpha * relu(first[:, :, c])).sum()))
    return weights


def smooth_grad_cam_pp(net: Any, layer: str, image: Any, k: int, n: int, spread: float = 0.1) -> Values:
    """The three powers of the gradient, each averaged over noisy copies."""
    a, _ = layer_and_gradient(net, layer, image, k)
    gradients = np.stack([layer_and_gradient(net, layer, copy, k)[1] for copy in noisy(image, n, spread, 0)])
    powers = gradients.mean(0), (gradients**2).mean(0), (gradients**3).mean(0)
    return relu(weighted(a, pp_weights(a.sum(axis=(0, 1)), gradients[0], powers, "paper")))


def xgrad_cam(net: Any, layer: str, image: Any, k: int) -> Values:
    a, g = layer_and_gradient(net, layer, image, k)
    total = a.sum(axis=(0, 1))
    return relu(weighted(a, [(g[..., c] * a[..., c]).sum() / t if t else 0.0 for c, t in enumerate(total)]))


def hires_cam(net: Any, layer: str, image: Any, k: int) -> Values:
    a, g = layer_and_gradient(net, layer, image, k)
    return relu((g * a).sum(axis=2))


def layer_cam(net: Any, layer: str, image: Any, k: int) -> Values:
    a, g = layer_and_gradient(net, layer, image, k)
    return relu((relu(g) * a).sum(axis=2))


def main_direction(m: Values) -> Values:
    """Projection on the first right singular vector by a full decomposition."""
    flat = m.reshape(-1, m.shape[2])
    found = flat @ np.linalg.svd(flat, full_matrices=False)[2][0]
    return np.asarray(found * (1 if found @ flat.sum(axis=1) >= 0 else -1)).reshape(m.shape[:2])


def eigen_cam(net: Any, layer: str, image: Any, k: int) -> Values:
    return main_direction(layer_and_gradient(net, layer, image, k)[0])


def eigen_grad_cam(net: Any, layer: str, image: Any, k: int) -> Values:
    a, g = layer_and_gradient(net, layer, image, k)
    return main_direction(a * g)


def ablation_cam(net: Any, layer: str, image: Any, k: int) -> Values:
    """A whole forward for each channel set to zero."""
    a, _ = layer_and_gradient(net, layer, image, k)
    y = logit(net, image, k)

    def without(c: int) -> Any:
        def change(out: Any) -> Any:
            out[:, c] = 0
            return out

        return change

    lost = [y - with_layer(net, layer, image, without(c), k) for c in range(a.shape[2])]
    return relu(weighted(a, [part / abs(y) for part in lost]))


def recipro_cam(net: Any, layer: str, image: Any, k: int, mask: str = "position") -> Values:
    """A whole forward for each position left alone, or with a part of its neighbors, less the empty layer's score."""
    a, _ = layer_and_gradient(net, layer, image, k)
    empty = with_layer(net, layer, image, torch.zeros_like, k)
    out = np.zeros(a.shape[:2])
    for i, j in np.ndindex(*a.shape[:2]):

        def alone(value: Any, i: int = i, j: int = j) -> Any:
            kept = torch.zeros_like(value)
            h, w = value.shape[2:]
            for p, q in product(range(max(i - 1, 0), min(i + 2, h)), range(max(j - 1, 0), min(j + 2, w))):
                down, right = abs(p - i), abs(q - j)
                weight = float(down == right == 0)
                if mask == "gaussian":
                    weight = (0.5, 0.25)[down] * (0.5, 0.25)[right]
                kept[:, :, p, q] = weight * value[:, :, p, q]
            return kept

        out[i, j] = with_layer(net, layer, image, alone, k) - empty
    return out


def score_cam(
    net: Any, layer: str, image: Any, k: int, variant: str = "paper", channels: Any = None, baseline: float = 0.0
) -> Values:
    """The softmax probability behind every upsampled channel, one at a time."""
    a, _ = layer_and_gradient(net, layer, image, k)
    x = nchw(image)[0].numpy().transpose(1, 2, 0)
    weights = np.zeros(a.shape[2])
    for c in range(a.shape[2]) if channels is None else channels:
        small = torch.tensor(a[None, None, :, :, c], dtype=torch.float32)
        if float(small.max()) == float(small.min()):
            continue
        mask = torch.nn.functional.interpolate(small, x.shape[:2], mode="bilinear", align_corners=False)[0, 0].numpy()
        mask = (mask - mask.min()) / (mask.max() - mask.min())
        weights[c] = probability(net, baseline + (x - baseline) * mask[:, :, None], k)
        if variant == "increase":
            weights[c] -= probability(net, np.full_like(x, baseline), k)
    return relu(weighted(a, weights))


def shapley_cam(net: Any, layer: str, image: Any, k: int, utility: str = "rest") -> Values:
    """Weights from the gradient and torch's Hessian–vector product of the utility by the value of the layer."""
    a, _ = layer_and_gradient(net, layer, image, k)
    point = torch.tensor(a.transpose(2, 0, 1)[None], dtype=torch.float32).requires_grad_()
    handle = net.net.get_submodule(layer).register_forward_hook(lambda m, i, o: point)
    logits = net(nchw(image))[0]
    handle.remove()
    u = logits[k] + (torch.log_softmax(logits, dim=0)[k] if utility == "rest" else 0.0)
    (g,) = torch.autograd.grad(u, point, create_graph=True)
    curved = torch.autograd.grad(g, point, point.detach())[0] if g.requires_grad else torch.zeros_like(g)
    weights = (g - 0.5 * curved).detach().numpy()[0].astype(np.float64)
    return relu(weighted(a, [w.mean() for w in weights]))


def fem(net: Any, layer: str, image: Any, k: int, sigmas: float = 2.0, kind: str = "mask") -> Values:
    """Channel by channel: where it is above its mean by so many standard deviations."""
    a, _ = layer_and_gradient(net, layer, image, k)
    total = np.zeros(a.shape[:2])
    for c in range(a.shape[2]):
        high = a[:, :, c] > a[:, :, c].mean() + sigmas * a[:, :, c].std()
        total += high * a[:, :, c].mean() if kind == "mask" else high.mean() * a[:, :, c]
    return total


def kpca_cam(net: Any, layer: str, image: Any, k: int, kernel: str = "sigmoid") -> Values:
    """The first component of scikit-learn's kernel PCA."""
    from sklearn.decomposition import KernelPCA

    a, _ = layer_and_gradient(net, layer, image, k)
    rows = a.reshape(-1, a.shape[2])
    found = KernelPCA(1, kernel=kernel, eigen_solver="dense").fit_transform(rows - rows.mean(axis=0))[:, 0]
    found = found if found @ rows.sum(axis=1) >= 0 else -found
    return np.asarray(found.reshape(a.shape[:2]))
