"""Convolutions with the batch normalisation behind them folded in, for the time of one forward.

    norm(conv(x)) = (γ/σ · W) * x + (β + γ/σ · (b − μ)),  σ = √(variance + ε)

In evaluation mode both are the same function; a normalisation less is a pass over memory less. Done only to
networks that shisen has loaded itself, and only to pairs that nobody looks between.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import torch

from .torch_points import Call

Seen = tuple[Any, int, int, Any, Any]
"""A tensor, its version, its address, its numbers and some of them as they were."""


class Pair:
    """One convolution and its normalisation, and what the two make together.

    Args:
        conv: the convolution.
        norm: the batch normalisation right behind it.
    """

    def __init__(self, conv: Any, norm: Any) -> None:
        self.conv, self.norm = conv, norm
        self._seen: list[Seen] = []
        self._folded: tuple[Any, Any] = (None, None)

    def folded(self) -> tuple[Any, Any]:
        """Return weight and bias of both together, made anew when a weight has changed."""
        conv, norm = self.conv, self.norm
        now = (conv.weight, conv.bias, norm.weight, norm.bias, norm.running_mean, norm.running_var)
        if not self._seen or any(changed(t, then) for t, then in zip(now, self._seen, strict=True)):
            with torch.no_grad():
                scale = torch.rsqrt(norm.running_var + norm.eps)
                scale = scale if norm.weight is None else scale * norm.weight
                shift = -norm.running_mean if conv.bias is None else conv.bias - norm.running_mean
                bias = shift * scale if norm.bias is None else shift * scale + norm.bias
                self._folded = (conv.weight * scale[:, None, None, None], bias)
            self._seen = [seen(t) for t in now]
        return self._folded

    @property
    def free(self) -> bool:
        """Whether nobody looks between the two, nor behind the second."""
        return not (
            self.conv.training
            or self.norm.training
            or self.conv._forward_hooks
            or self.conv._forward_pre_hooks
            or self.norm._forward_hooks
            or self.norm._forward_pre_hooks
        )


def seen(tensor: Any) -> Seen:
    """Return what is needed to notice later that a tensor has changed."""
    if tensor is None:
        return None, 0, 0, None, None
    if tensor.device.type != "cpu":
        return tensor, tensor._version, tensor.data_ptr(), None, None
    numbers = tensor.detach().numpy().ravel(order="K")  # a view: what is written through .data shows here too
    return tensor, tensor._version, tensor.data_ptr(), numbers, sample(numbers)


def changed(tensor: Any, then: Seen) -> bool:
    """Tell whether a tensor is another one, or has been moved or written to, since `seen`."""
    known, version, address, numbers, values = then
    if tensor is not known:
        return True
    if tensor is None:
        return False
    if tensor._version != version or tensor.data_ptr() != address:
        return True
    return numbers is not None and sample(numbers) != values


def sample(numbers: Any) -> tuple[float, ...]:
    """Return the first, a middle and the last number of an array: writing through .data raises no version."""
    return tuple(numbers.item(i) for i in (0, numbers.size // 3, numbers.size - 1))


def pairs(net: Any, calls: Sequence[Call]) -> dict[tuple[str, str], Pair]:
    """Return every convolution followed at once by a batch normalisation, each called once, by their paths."""
    counts: dict[str, int] = {}
    for call in calls:
        counts[call.module] = counts.get(call.module, 0) + 1
    found = {}
    for first, second in pairwise(calls):
        if counts[first.module] > 1 or counts[second.module] > 1 or first.shape != second.shape:
            continue
        conv, norm = net.get_submodule(first.module), net.get_submodule(second.module)
        if (
            isinstance(conv, torch.nn.Conv2d)
            and type(norm) is torch.nn.BatchNorm2d
            and norm.running_mean is not None
            and conv.weight.dtype == torch.float32
        ):
            found[first.module, second.module] = Pair(conv, norm)
    return found


@contextmanager
def folded(found: dict[tuple[str, str], Pair], watched: Collection[str]) -> Iterator[None]:
    """Run the pairs as one convolution each, but those with a module in `watched`; everything is put back after."""
    taken: list[tuple[Pair, Any, Any]] = []
    try:
        for (first, second), pair in found.items():
            if first in watched or second in watched or not pair.free:
                continue
            weight, bias = pair.folded()
            parameters = pair.conv._parameters
            taken.append((pair, parameters["weight"], parameters["bias"]))
            parameters["weight"], parameters["bias"] = weight, bias
            pair.norm.__dict__["forward"] = _same
        yield
    finally:
        for pair, weight, bias in taken:
            pair.conv._parameters["weight"], pair.conv._parameters["bias"] = weight, bias
            pair.norm.__dict__.pop("forward", None)


def _same(x: Any) -> Any:
    return x
