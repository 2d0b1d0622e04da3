"""A network that has forgotten what it learned, from the answer downwards, as a copy: the original never changes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import InputError, ModelError, explain_error
from ..types import Classifier
from .wrappers import Batched, Wrapper


def randomized(model: Classifier, up_to: float = 1.0, seed: int = 0) -> Classifier:
    """Return a copy of a network whose topmost layers have their weights permuted.

    Args:
        model: any torch or Keras classifier, wrapped or not; a `Model` gives a `Model`.
        up_to: fraction of the layers with weights, counted from the answer, 0 to 1.
        seed: of the permutations.

    Returns:
        The same kind of classifier around the copy.

    Raises:
        InputError: if `up_to` is no share.
        ModelError: for a framework whose networks cannot be copied.
    """
    if not 0.0 <= up_to <= 1.0:
        raise InputError(explain_error("up_to is a fraction of the layers, 0 to 1.", up_to, "Use 1 for all layers."))
    adapter: Any = model
    while isinstance(adapter, Wrapper):
        adapter = adapter.model
    rng = np.random.default_rng(seed)
    if adapter.framework == "torch":
        network = _torch(adapter, up_to, rng)
    elif hasattr(getattr(adapter, "net", None), "get_weights"):
        network = _keras(adapter, up_to, rng)
    else:
        raise ModelError(
            explain_error("Only torch and Keras networks can be randomized.", adapter.framework, "Load such a model.")
        )
    small = Batched(network, model.batch_size)
    around = getattr(model, "around", None)
    twin: Classifier = small if around is None else around(small)
    return twin


def _permuted(values: Any, rng: np.random.Generator) -> Any:
    return rng.permutation(values.reshape(-1)).reshape(values.shape)


def _torch(adapter: Any, up_to: float, rng: np.random.Generator) -> Any:
    import copy

    import torch

    net = copy.deepcopy(adapter.net)
    owners = {name: m for name, m in net.named_modules() if next(m.parameters(recurse=False), None) is not None}
    called = [layer.path.split("#")[0] for layer in adapter.layers]
    first = {name: called.index(name) if name in called else -1 for name in owners}  # never seen: lowest
    upward = sorted(owners, key=lambda name: first[name])
    done: set[int] = set()
    for name in upward[len(upward) - math.ceil(up_to * len(upward)) :]:
        for parameter in owners[name].parameters(recurse=False):
            if id(parameter) not in done:  # weights may be shared
                done.add(id(parameter))
                shuffled = _permuted(parameter.detach().cpu().float().numpy(), rng)
                with torch.no_grad():
                    parameter.copy_(torch.as_tensor(shuffled).to(parameter.device, parameter.dtype))
    twin = type(adapter)(net, adapter.scaling, adapter.output, adapter.size, adapter.head)
    twin.batch_size, twin.rule, twin.precision = adapter.batch_size, adapter.rule, adapter.precision
    return twin


def _keras(adapter: Any, up_to: float, rng: np.random.Generator) -> Any:
    import keras

    net = keras.models.clone_model(adapter.net)
    net.set_weights(adapter.net.get_weights())
    layers = [x for x in net._flatten_layers(include_self=False) if x.trainable_weights and not hasattr(x, "layers")]
    for layer in layers[len(layers) - math.ceil(up_to * len(layers)) :]:
        for variable in layer.trainable_weights:
            variable.assign(_permuted(np.asarray(keras.ops.convert_to_numpy(variable)), rng))
    twin = type(adapter)(net, adapter.scaling, adapter.output, adapter.size, adapter.head)
    twin.batch_size, twin.rule = adapter.batch_size, adapter.rule
    return twin
