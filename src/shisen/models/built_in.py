"""The embedded networks, in every framework that can build them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from ..adapters.capabilities import Verified
from ..adapters.wrappers import capability
from ..errors import Message, require, unknown
from .model import Model
from .presets import RECIPES
from .weight_files import load_weights
from .wrapping import Request, assemble, installed, to_device


def _in_torch(name: str) -> Any:
    if not installed("torch"):
        raise require("torch", "torch", Message("The model {name}", name=repr(name)))
    from .efficientnet_lite_torch import load_net

    return load_net(RECIPES[name].variant)


def _in_keras(name: str) -> Any:
    from .keras_files import import_keras

    import_keras(f"The model {name!r} in Keras")
    from .efficientnet_lite_keras import load_net

    return load_net(RECIPES[name].variant)  # reads its weights without torch


BUILDERS: Mapping[str, Callable[[str], Any]] = MappingProxyType({"torch": _in_torch, "keras": _in_keras})
"""Framework → what builds a network by its name; the first that is installed is the default."""


def load_built_in(name: str, request: Request) -> Model:
    """Load one of the embedded networks.

    Args:
        name: name of the model.
        request: how the model is to be loaded.

    Returns:
        The model.

    Raises:
        MissingDependency: if the framework is not installed.
        UnknownName: if there is no such framework.
    """
    framework = request.framework or next((f for f in BUILDERS if installed(f)), "torch")
    if framework not in BUILDERS:
        raise unknown("framework", framework, BUILDERS)
    recipe, net = RECIPES[name], BUILDERS[framework](name)
    if request.weights:
        load_weights(net, request.weights, trust=request.trust)
    net = to_device(net, request.device)
    model = assemble(net, request, preprocess=recipe.preprocess, labels=recipe.labels(), name=name)
    network = capability(model, Verified) if request.inputs is None else None
    if network is not None:
        network.verified = True  # see tests/models/test_efficientnet_lite.py
    return model
