"""The last linear layer of a network: what it is given, and the network with another one."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from ..errors import ModelError, explain_error
from ..targets import class_logits, to_numpy

if TYPE_CHECKING:
    from ..models.model import Model

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
MODULES = {"torch": "torch_head", "keras": "keras_head"}


@dataclass(frozen=True)
class Layer:
    """A linear layer: logits = features · weightᵀ + bias."""

    weight: Doubles
    bias: Doubles

    def logits(self, features: Floats) -> Doubles:
        """Return the logits `(n, classes)` of features `(n, d)`."""
        return features @ self.weight.T + self.bias


class Head(Protocol):
    """A network cut in front of its last linear layer.

    Attributes:
        layer: the last linear layer.
        file: name of the file that `save` writes.
    """

    layer: Layer
    file: str

    def features(self, images: Floats) -> Floats:
        """Return what the last linear layer is given for prepared images `(n, h, w, c)`: `(n, d)`."""

    def save(self, folder: Path, layer: Layer) -> None:
        """Write the weights of the network with another last layer.

        Args:
            folder: where to.
            layer: the other layer.
        """

    def replaced(self, layer: Layer) -> Any:
        """Return a copy of the framework's network with another last layer; the network itself stays as it is."""


def head_of(model: Model, sample: Floats) -> Head:
    """Return a network cut in front of its last linear layer.

    Args:
        model: the network.
        sample: `(n, h, w, c)` prepared images on which the cut is verified.

    Returns:
        The network, cut.

    Raises:
        ModelError: for a framework or a network without one, or one that does something after it.
    """
    framework = model.framework.partition("-")[0]  # such as "keras-tensorflow"
    if framework not in MODULES:
        raise ModelError(
            explain_error(
                "A repair changes the last linear layer of a torch or Keras network.",
                model.framework,
                "Repair the network from which this file was exported.",
            )
        )
    module = importlib.import_module(f".{MODULES[framework]}", __package__)
    head: Head = module.cut(model)
    wanted = to_numpy(class_logits(model.activations(sample), model.head)).astype(np.float64)
    made = head.layer.logits(head.features(sample))
    near = 1e-3 * float(np.ptp(wanted)) + 1e-4
    if made.shape != wanted.shape or np.abs(_centered(made) - _centered(wanted)).max() > near:
        raise ModelError(
            explain_error(
                "The logits must be the output of a network's last linear layer.",
                f"{model.name}, whose logits are something else",
                "Fine-tune a backbone that ends in a linear classifier, and repair that.",
            )
        )
    return head


def _centered(logits: Doubles) -> Doubles:
    """Return logits without what is common to all classes: a softmax that was undone leaves it open."""
    return np.asarray(logits - logits.mean(1, keepdims=True))
