"""The last linear layer of a torch network."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from .._core.io import write_file
from ..adapters.capture import in_this_thread
from ..training.split import last_linear
from .head import Layer

if TYPE_CHECKING:
    from ..models.model import Model


class TorchHead:
    """A torch network cut in front of its last linear layer; see `head.Head`.

    Args:
        model: the network.
    """

    file = "weights.safetensors"

    def __init__(self, model: Model) -> None:
        self.model, self.net = model, model.network.net
        self.path, self.linear = last_linear(self.net)
        weight, bias = (
            None if p is None else p.detach().cpu().numpy().astype(np.float64)
            for p in (self.linear.weight, self.linear.bias)
        )
        assert weight is not None
        self.layer = Layer(weight, np.zeros(len(weight)) if bias is None else bias)

    def features(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return what the last linear layer is given."""
        seen: list[Any] = []

        def look(_: Any, given: tuple[Any, ...]) -> None:
            seen.append(given[0].detach().float().cpu().numpy().copy())

        handle = self.linear.register_forward_pre_hook(in_this_thread(look))
        try:
            self.model.activations(images)
        finally:
            handle.remove()
        return np.concatenate(seen)

    def save(self, folder: Path, layer: Layer) -> None:
        """Write the weights."""
        from safetensors.torch import save

        state = self.replaced(layer).state_dict()
        write_file(folder / self.file, save({k: v.detach().cpu().contiguous() for k, v in state.items()}))

    def replaced(self, layer: Layer) -> Any:
        """Return a copy of the network with another last layer."""
        net = copy.deepcopy(self.net)
        linear = net.get_submodule(self.path)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(layer.weight))
            if linear.bias is None:
                linear.bias = torch.nn.Parameter(linear.weight.new_zeros(len(layer.weight)))
            linear.bias.copy_(torch.from_numpy(layer.bias))
        return net


def cut(model: Model) -> TorchHead:
    """Return a torch network cut in front of its last linear layer."""
    return TorchHead(model)
