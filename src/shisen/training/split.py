"""A torch network as a chain of units, cut into a frozen body and a trainable part."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ..errors import ModelError, explain_error
from .settings import TRAINED_FRACTION


@dataclass(frozen=True)
class Split:
    """A network cut in two: trainable(body(x)) are its logits.

    Attributes:
        net: the whole network; both parts have its weights.
        body: what stays as it is.
        trainable: what is trained, the classifier included.
        features: the trainable part without its classifier.
        classifier: the last linear layer.
        trained: number of blocks in the trainable part.
    """

    net: Any
    body: Any
    trainable: Any
    features: Any
    classifier: Any
    trained: int


def last_linear(net: Any) -> tuple[str, Any]:
    """Return path and module of the last linear layer: the classifier."""
    found = [(path, m) for path, m in net.named_modules() if isinstance(m, nn.Linear)]
    if not found:
        raise ModelError(
            explain_error("A backbone must end in a linear classifier.", type(net).__name__, "Take another backbone.")
        )
    return found[-1]


def with_classes(net: Any, classes: int) -> Any:
    """Put a new linear classifier with zero weights instead of the old one; return the network.

    Args:
        net: the network.
        classes: number of classes.

    Returns:
        The network.
    """
    path, old = last_linear(net)
    new = nn.Linear(old.in_features, classes)
    nn.init.zeros_(new.weight)
    nn.init.zeros_(new.bias)
    parent, _, name = path.rpartition(".")
    setattr(net.get_submodule(parent) if parent else net, name, new.to(old.weight.device))
    return net


def split(net: Any, sample: Any, classes: int, blocks: int | None = None) -> Split:
    """Give a network a new classifier, and cut it in front of its last blocks.

    Networks that are a chain of their own modules are cut there, which is verified on the sample; others are
    run whole.

    Args:
        net: network with the classifier it was trained with.
        sample: `(n, c, h, w)`, scaled as the network expects.
        classes: number of logits of the new classifier.
        blocks: how many blocks are trained; None for 7 of 16.

    Returns:
        The network, cut into a frozen backbone and a trained part.

    Raises:
        ModelError: if there are fewer blocks.
    """
    units = _chain(net, sample)  # with the old classifier: zero weights would make any two chains equal
    old = last_linear(net)[1]
    with_classes(net, classes)
    classifier = last_linear(net)[1]
    if units is None or old not in units:
        return Split(net, nn.Identity(), net, None, classifier, 0)
    end = units.index(old)
    units[end] = classifier
    heavy = [i for i, unit in enumerate(units) if _is_block(unit)]
    if not heavy:  # no compound blocks: count convolutions
        heavy = [i for i, unit in enumerate(units) if isinstance(unit, nn.Conv2d)]
    wanted = math.ceil(TRAINED_FRACTION * len(heavy)) if blocks is None else blocks
    if not 0 <= wanted <= len(heavy):
        raise ModelError(
            explain_error(f"Between 0 and {len(heavy)} blocks can be trained.", wanted, "Leave the number out.")
        )
    cut = heavy[len(heavy) - wanted] if wanted else end
    trainable, features = nn.Sequential(*units[cut:]), nn.Sequential(*units[cut:end])
    return Split(net, nn.Sequential(*units[:cut]), trainable, features, classifier, wanted)


def _is_block(unit: Any) -> bool:
    return bool(list(unit.children())) and any(True for _ in unit.parameters())


def _chain(net: Any, sample: Any) -> list[Any] | None:
    """Return units whose chain equals the network on the sample, or None."""
    flat = _flat(net)
    index = next((i for i, m in enumerate(flat) if isinstance(m, nn.Linear)), None)
    if index is None:
        return None
    glue: Sequence[Sequence[Any]] = (
        (),
        (nn.Flatten(1),),
        (nn.AdaptiveAvgPool2d(1), nn.Flatten(1)),
    )
    before = index
    while before and isinstance(flat[before - 1], (nn.Dropout, nn.Identity)):
        before -= 1
    net.eval()
    with torch.no_grad():
        want = net(sample)
        for extra in glue:
            units = [*flat[:before], *extra, *flat[before:]]
            try:
                y = sample
                for unit in units:
                    y = unit(y)
            except (RuntimeError, TypeError, ValueError):
                continue
            if isinstance(y, torch.Tensor) and y.shape == want.shape:
                scale = float(want.abs().max()) or 1.0
                if torch.allclose(y, want, atol=1e-4 * scale):
                    return units
    return None


def _flat(module: Any) -> list[Any]:
    found: list[Any] = []
    for child in module.children():
        plain = isinstance(child, nn.Sequential) and type(child).forward is nn.Sequential.forward
        found += _flat(child) if plain else [child]
    return found
