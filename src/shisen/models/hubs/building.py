"""From a hub's architecture and weights to a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..labels import Labels
from ..model import Model
from ..preprocess import Preprocess
from ..weight_files import fitted, load_weights, read_weights
from ..wrapping import Request, assemble, to_device
from .network import reachable


def built(
    build: Callable[[int | None], Any],
    pretrained: Callable[[], Any],
    request: Request,
    *,
    random: bool,
    name: str,
    host: str,
) -> Any:
    """Return the network with weights from a file, with random ones, or with those of the hub.

    Args:
        build: builds it with random weights, for a number of classes or for the usual one.
        pretrained: builds it with the hub's weights.
        request: what the caller requested.
        random: whether random weights were requested.
        name: of the network, with the hub in front.
        host: from which the weights come.
    """
    if request.weights:
        return _filled(build, request)
    if random:
        return build(None)
    with reachable(name, host):
        return pretrained()


def source_of(request: Request, random: bool, hub: str) -> str:
    """Return where the weights come from, in words.

    Args:
        request: what the caller requested.
        random: whether random weights were requested.
        hub: the hub and its name of the weights.
    """
    return request.weights or ("random weights" if random else hub)


def made(net: Any, preprocess: Preprocess, labels: Labels, request: Request, *, name: str, source: str) -> Model:
    """Return the model of a network, with the published labels if there are as many as classes.

    Args:
        net: the network.
        preprocess: what the hub publishes.
        labels: what the hub publishes.
        request: what the caller requested.
        name: of the network, with the hub in front.
        source: where the weights come from.
    """
    classes = _classes_of(net)
    known = labels if classes in (None, len(labels)) else None
    net = to_device(net.eval(), request.device)
    return assemble(net, request, preprocess=preprocess, labels=known, name=name, source=source)


def _classes_of(net: Any) -> int | None:
    """Return the number of classes as the last linear layer has it."""
    sizes = [m.out_features for m in net.modules() if hasattr(m, "out_features") and hasattr(m, "weight")]
    known = getattr(getattr(net, "config", None), "num_labels", None) or getattr(net, "num_classes", None)
    return int(known) if known else (int(sizes[-1]) if sizes else None)


def _filled(build: Callable[[int | None], Any], request: Request) -> Any:
    """Build the architecture and put in weights from a file; the file decides how many classes there are."""
    path = str(request.weights)
    net = build(None)
    own = net.state_dict()
    weights = fitted(read_weights(path, trust=request.trust), own, path)
    sizes = {
        int(weights[k].shape[0])
        for k in own
        if k in weights and weights[k].ndim and weights[k].shape != own[k].shape and own[k].ndim == weights[k].ndim
    }
    if len(sizes) == 1:
        net = build(sizes.pop())
    load_weights(net, path, trust=request.trust)
    return net
