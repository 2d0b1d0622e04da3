"""Score functions written with torch. Import it late: it loads torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ..scores import Scores


class TorchScores(Scores):
    """Evaluates and differentiates score functions with torch; arrays of NumPy are handed over as tensors."""

    library = "torch"

    def value(self, y: Any) -> Any:
        with torch.inference_mode(False), torch.no_grad():
            found = self.rows(_tensor(y))
        return found if isinstance(y, torch.Tensor) else found.numpy()

    def gradient(self, y: Any) -> Any:
        given = _tensor(y)
        with torch.inference_mode(False), torch.enable_grad():
            leaf = given.detach().clone().requires_grad_()
            scores = self.rows(leaf)
            if not scores.requires_grad:
                raise self.not_differentiable()
            (gradient,) = torch.autograd.grad(scores.sum(), leaf, allow_unused=True)
        found = torch.zeros_like(given) if gradient is None else gradient
        return found if isinstance(y, torch.Tensor) else found.numpy()

    def stacked(self, parts: list[Any]) -> Any:
        return torch.stack([torch.as_tensor(p, dtype=torch.float32).reshape(()) for p in parts])


def _tensor(y: Any) -> Any:
    return y if isinstance(y, torch.Tensor) else torch.as_tensor(np.array(y))
