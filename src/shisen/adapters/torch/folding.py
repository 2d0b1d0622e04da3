"""Convolutions with the batch normalization that follows folded in, for the time of one forward.

    norm(conv(x)) = (γ/σ · W) * x + (β + γ/σ · (b − μ)),  σ = √(variance + ε)

In evaluation mode both are the same function; a normalization less is a pass over memory less. What the convolution
hands on is then nobody's but that of the activation after it, which writes into it instead of into fresh memory. Done
only to networks that shisen has loaded itself, and only to pairs that nobody looks between.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from typing import Any

import torch

from ..points import Call
from .prepacked_weights import packed

Seen = tuple[Any, int, int, Any, Any]
"""A tensor, its version, its address, some of its numbers and what they were."""


class Pair:
    """One convolution and its normalization, and what the two make together.

    Args:
        conv: the convolution.
        norm: the batch normalization right after it.
        act: the activation right after that, if it could work in-place and does not.
        packs: whether the weight is prepacked for oneDNN.
    """

    def __init__(self, conv: Any, norm: Any, act: Any = None, *, packs: bool = False) -> None:
        self.conv, self.norm, self.act, self.packs = conv, norm, act, packs
        self._seen: list[Seen] = []
        self._folded: tuple[Any, Any] = (None, None)

    def folded(self) -> tuple[Any, Any]:
        """Return weight and bias of both together, made anew when a weight has changed."""
        conv, norm = self.conv, self.norm
        own, after, kept = conv._parameters, norm._parameters, norm._buffers  # far quicker than attributes of modules
        now = (own["weight"], own["bias"], after["weight"], after["bias"], kept["running_mean"], kept["running_var"])
        if not self._seen or any(changed(t, then) for t, then in zip(now, self._seen, strict=True)):
            with torch.no_grad():
                scale = torch.rsqrt(norm.running_var + norm.eps)
                scale = scale if norm.weight is None else scale * norm.weight
                shift = -norm.running_mean if conv.bias is None else conv.bias - norm.running_mean
                bias = shift * scale if norm.bias is None else shift * scale + norm.bias
                weight = conv.weight * scale[:, None, None, None]
                self._folded = (packed(weight) if self.packs else weight, bias)
            self._seen = [seen(t) for t in now]
        return self._folded

    @property
    def free(self) -> bool:
        """Whether no hook observes the value between the two, nor after the second."""
        return not (
            self.conv.training
            or self.norm.training
            or self.conv._forward_hooks
            or self.conv._forward_pre_hooks
            or self.norm._forward_hooks
            or self.norm._forward_pre_hooks
        )

    @property
    def alone(self) -> bool:
        """Whether no hook observes the input of the activation."""
        return self.act is not None and not (self.act._forward_hooks or self.act._forward_pre_hooks)


def seen(tensor: Any) -> Seen:
    """Return what is needed to notice later that a tensor has changed."""
    if tensor is None:
        return None, 0, 0, None, None
    if tensor.device.type != "cpu":
        return tensor, tensor._version, tensor.data_ptr(), None, None
    numbers = tensor.detach().numpy().ravel(order="K")  # a view: what is written through .data shows here too
    some = numbers[:: max(1, (numbers.size - 1) // 2)]  # the first, a middle one and one at the end
    return tensor, tensor._version, tensor.data_ptr(), some, some.tolist()


def changed(tensor: Any, then: Seen) -> bool:
    """Return whether a tensor is another one, or has been moved or written to, since `seen`.

    Args:
        tensor: the tensor.
        then: the tensor as it was seen before.
    """
    known, version, address, some, values = then
    if tensor is not known:
        return True
    if tensor is None:
        return False
    if tensor._version != version or tensor.data_ptr() != address:
        return True
    return some is not None and some.tolist() != values  # writing through .data raises no version


def pairs(net: Any, calls: Sequence[Call]) -> dict[tuple[str, str], Pair]:
    """Return every convolution followed at once by a batch normalization, each called once, by their paths.

    Args:
        net: the network.
        calls: calls of the traced forward pass, in order.
    """
    counts: dict[str, int] = {}
    for call in calls:
        counts[call.module] = counts.get(call.module, 0) + 1
    found = {}
    for first, second, third in zip_longest(calls, calls[1:], calls[2:]):
        if second is None or counts[first.module] > 1 or counts[second.module] > 1 or first.shape != second.shape:
            continue
        conv, norm = net.get_submodule(first.module), net.get_submodule(second.module)
        if (
            isinstance(conv, torch.nn.Conv2d)
            and conv._parameters.get("weight") is not None  # not one that is computed from others
            and type(norm) is torch.nn.BatchNorm2d
            and norm.running_mean is not None
            and conv.weight.dtype == torch.float32
        ):
            # beside the normalization: nothing that begins between the two can have been given what is overwritten
            beside = third is not None and counts[third.module] == 1 and _parent(third) == _parent(second)
            act = net.get_submodule(third.module) if third is not None and beside else None
            found[first.module, second.module] = Pair(conv, norm, act if _can_write(act) else None, packs=True)
    return found


def _parent(call: Call) -> str:
    return call.module.rpartition(".")[0]


def _can_write(act: Any) -> bool:
    return type(act).__module__ == "torch.nn.modules.activation" and getattr(act, "inplace", None) is False


def agreed(
    found: dict[tuple[str, str], Pair], forward: Callable[[], Any], plain: Any = None
) -> dict[tuple[str, str], Pair]:
    """Return the pairs with as many of their shortcuts as leave the answer the same; none if folding changes it.

    Args:
        found: from `pairs`.
        forward: one forward of the network; returns its logits.
        plain: what it returns of the network as it is, if that is known.
    """
    if not found:
        return found
    loose = {paths: Pair(pair.conv, pair.norm, pair.act) for paths, pair in found.items()}
    apart = {paths: Pair(pair.conv, pair.norm) for paths, pair in found.items()}
    with torch.no_grad():
        plain = forward() if plain is None else plain
        for tried in (found, loose, apart):
            try:
                with folded(tried, ()):
                    quick = forward()
            except RuntimeError:  # the network itself has just run
                continue
            if bool((plain - quick).abs().max() <= 1e-4 * plain.abs().max()):
                return tried
    return {}


@contextmanager
def folded(found: dict[tuple[str, str], Pair], watched: Collection[str]) -> Iterator[None]:
    """Run the pairs as one convolution each, but those with a module in `watched`; everything is put back after.

    Args:
        found: pairs of a convolution and its normalization.
        watched: paths of captured modules.
    """
    taken: list[tuple[Pair, Any, Any]] = []
    writing: list[Any] = []
    try:
        for (first, second), pair in found.items():
            if first in watched or second in watched or not pair.free:
                continue
            weight, bias = pair.folded()
            parameters = pair.conv._parameters
            taken.append((pair, parameters["weight"], parameters["bias"]))
            parameters["weight"], parameters["bias"] = weight, bias
            pair.norm.__dict__["forward"] = _same
            if pair.alone:
                writing.append(pair.act)
                pair.act.inplace = True
        yield
    finally:
        for act in writing:
            act.inplace = False
        for pair, weight, bias in taken:
            pair.conv._parameters["weight"], pair.conv._parameters["bias"] = weight, bias
            pair.norm.__dict__.pop("forward", None)


def _same(x: Any) -> Any:
    return x
