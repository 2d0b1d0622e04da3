"""The one tool the twins share: the value of a layer and the gradient there, by plain autograd, image by image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

Values = npt.NDArray[np.float64]


def nchw(image: Any) -> Any:
    """Turn one image `(h, w, c)` into a batch of one, `(1, c, h, w)`."""
    return torch.tensor(np.asarray(image, dtype=np.float32).transpose(2, 0, 1)[None])


def logit(net: Any, image: Any, k: int) -> float:
    """Return the logit of class k for one image."""
    with torch.no_grad():
        return float(net(nchw(image))[0, k])


def probability(net: Any, image: Any, k: int) -> float:
    """Return the softmax probability of class k for one image."""
    with torch.no_grad():
        return float(torch.softmax(net(nchw(image))[0], dim=0)[k])


def input_gradient(net: Any, image: Any, k: int) -> Values:
    """Return ∂ logit k / ∂ pixels, `(h, w, c)`."""
    x = nchw(image).requires_grad_()
    net(x)[0, k].backward()
    return np.asarray(x.grad[0].numpy().transpose(1, 2, 0), dtype=np.float64)


def layer_and_gradient(net: Any, layer: str, image: Any, k: int) -> tuple[Values, Values]:
    """Return the value of a layer and ∂ logit k / ∂ value, both `(h, w, c)`."""
    kept: list[Any] = []

    def keep(module: Any, inputs: Any, output: Any) -> None:
        output.retain_grad()
        kept.append(output)

    handle = net.net.get_submodule(layer).register_forward_hook(keep)
    net(nchw(image).requires_grad_())[0, k].backward()
    handle.remove()
    a, g = kept[-1][0], kept[-1].grad[0]
    return tuple(np.asarray(t.detach().numpy().transpose(1, 2, 0), np.float64) for t in (a, g))  # type: ignore[return-value]


def with_layer(net: Any, layer: str, image: Any, change: Callable[[Any], Any], k: int) -> float:
    """Return logit k when the value of a layer, `(1, c, h, w)`, is changed by a function."""
    handle = net.net.get_submodule(layer).register_forward_hook(lambda m, i, o: change(o.clone()))
    try:
        return logit(net, image, k)
    finally:
        handle.remove()
