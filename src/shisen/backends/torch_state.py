"""Borrow a torch module for one call and give it back exactly as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def borrowed(net: Any) -> Iterator[None]:
    """Put a module in evaluation mode with frozen parameters; restore every flag, also after an exception.

    Parameters are frozen so that no graph is stored before the point where a method starts one. Gradients that
    the user has accumulated are not touched, since gradients are asked for by `torch.autograd.grad`.
    """
    import torch

    training = [m for m in net.modules() if m.training]
    trainable = [p for p in net.parameters() if p.requires_grad]
    try:
        for module in training:
            module.training = False
        for parameter in trainable:
            parameter.requires_grad_(False)
        with torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        for module in training:
            module.training = True
        for parameter in trainable:
            parameter.requires_grad_(True)
