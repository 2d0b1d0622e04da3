"""A torch network made from an ONNX graph by onnx2torch, trusted only after it gives the same logits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx2torch
import torch

from ...errors import ModelError, explain_error
from ..torch.adapter import TorchClassifier
from .graph import in_older_operators

if TYPE_CHECKING:
    from .adapter import OnnxClassifier

TOLERANCE = 1e-3
ADVICE = "Use occlusion, rise, score_cam, eigen_cam, ablation_cam or recipro_cam; they need no gradients."


class _Fixed(torch.nn.Module):
    """Turn images to the axes of the graph's input and take the graph's logits."""

    def __init__(self, net: Any, source: OnnxClassifier, output: int) -> None:
        super().__init__()
        self.net, self.channels_last, self.output = net, source.input_spec.channels_last, output
        self.rounds = source.input_spec.type == "uint8"

    def forward(self, x: Any) -> Any:
        if self.rounds:  # as bytes do; the gradient is that without rounding
            x = x + (x.round().clamp(0, 255) - x).detach()
        found = self.net(x.movedim(1, -1) if self.channels_last else x)
        return found[self.output] if isinstance(found, (tuple, list)) else found


class TorchEquivalent:
    """The torch network and the way from tensors of the graph to its modules.

    Args:
        source: the ONNX classifier.

    Raises:
        ModelError: if onnx2torch cannot convert the graph.
    """

    def __init__(self, source: OnnxClassifier) -> None:
        self.source = source
        outputs = [o.name for o in source.proto.graph.output]
        try:
            net = onnx2torch.convert(in_older_operators(source.proto))
        except Exception as problem:  # it raises NotImplementedError, ValueError and others
            raise ModelError(
                explain_error(
                    "Gradients need a graph that onnx2torch can convert.",
                    f"{type(problem).__name__}: {problem}",
                    ADVICE,
                )
            ) from problem
        fixed = _Fixed(net, source, outputs.index(source.output_spec.output))
        self.classifier = TorchClassifier(fixed.eval(), source.scaling, size=source.input_spec.size, head=source.head)
        self.known: dict[str, str] = {"input": "input", "logits": "logits"}
        self.checked = False
        self.sample: Any = None

    def images(self, images: Any) -> Any:
        """Return images as the torch network takes them."""
        return torch.as_tensor(np.asarray(images, dtype=np.float32))

    def check(self, x: Any) -> None:
        """Compare the logits of both on these images, once, before the first map.

        Raises:
            ModelError: if they differ.
        """
        if self.checked:
            return
        want = self.source.activations(x[:1])
        try:
            found = self.classifier.activations(self.images(x[:1])).cpu().numpy()
        except Exception as problem:
            raise ModelError(
                explain_error("The converted graph must run.", f"{type(problem).__name__}: {problem}", ADVICE)
            ) from problem
        scale = max(float(np.abs(want).max()), 1e-6)
        gap = float(np.abs(found - want).max()) / scale if found.shape == want.shape else float("inf")
        if not gap <= TOLERANCE:
            raise ModelError(
                explain_error(
                    "The converted graph must give the same logits as the ONNX file.",
                    f"a relative difference of {gap:.2g}",
                    ADVICE,
                )
            )
        self.checked, self.sample = True, x[:1]

    def module_of(self, point: str) -> str:
        """Return the module whose value is the tensor's, found by comparing values."""
        if point in self.known:
            return self.known[point]
        want = self.source.activations(self.sample, point)
        layers = [layer for layer in self.classifier.layers if layer.shape == want.shape[1:]]
        best, gap = "", float("inf")
        if layers:
            found = self.classifier.activations(self.images(self.sample), [layer.path for layer in layers])
            for layer, value in zip(layers, found, strict=True):
                distance = float(np.abs(value.cpu().numpy() - want).max())
                if distance < gap:
                    best, gap = layer.path, distance
        if gap > TOLERANCE * max(float(np.abs(want).max()), 1e-6):
            raise ModelError(
                explain_error(
                    "The layer must be one that the converted graph computes too.", repr(point), "Choose another layer."
                )
            )
        self.known[point] = best
        return best

    @staticmethod
    def objective(given: Any) -> Any:
        """Return an objective that is given NumPy arrays, as the ONNX side promises."""
        return lambda y: torch.as_tensor(np.asarray(given(y.cpu().numpy())), device=y.device)
