"""What a network consists of: every call of one forward, a table from names to calls, and the default point."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from .._core.i18n import N_, Message
from ..errors import ModelError, ShisenError, unknown
from ..types import Layer
from .layout import Layout

NOT_SPATIAL = "no layer of this network has a spatial feature map"
FOLDED = N_(
    "the network folds tiles, views or copies of an image into the batch, {rows} for one image at {layer}, and where "
    "they lie in the image is not known"
)
PASSING = ("Pool", "Dropout", "Flatten", "Identity", "Upsample", "UpSampling", "DropPath", "Permute", "SwapAxes")
"""Kinds that only move, pool or repeat what they are given; a default layer is none of them."""


@dataclass(frozen=True)
class Call:
    """One call of one module during a forward.

    Attributes:
        path: the name by which the point is requested.
        module: path of the module.
        index: which of the module's calls it is, from 1.
        kind: class of the module.
        shape: of what came out for one image, in the module's own axes.
        layout: of these axes.
        parameters: number of weights the module holds itself.
        tensor: identity of what came out.
        bundled: whether the output holds more than this tensor, and the network may read the rest.
        resamples: whether a module without weights only changed the positions, as pooling and upsampling do.
        given: whether it returned the very tensor that it was given, as dropout does in evaluation.
    """

    path: str
    module: str
    index: int
    kind: str
    shape: tuple[int, ...]
    layout: Layout
    parameters: int
    tensor: int
    bundled: bool = False
    resamples: bool = False
    given: bool = False


@dataclass(frozen=True)
class PointTable:
    """The calls of one forward, found by name.

    Args:
        calls: in the order in which they end.
        uncaptured: kinds of the modules of which no call was recorded, by path.
    """

    calls: tuple[Call, ...]
    uncaptured: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        exact = {name: c for c in self.calls for name in (c.module, c.path)}  # a bare name means the last call
        object.__setattr__(self, "_exact", exact)
        object.__setattr__(self, "_loose", {_plain(name): c for name, c in exact.items()})

    def find(self, path: str) -> Call:
        """Return the call of this name; a bare module name means its last call, dots and slashes are alike.

        Raises:
            ModelError: for a module of which no call was recorded.
            UnknownName: for any other name, with the nearest ones.
        """
        exact: dict[str, Call] = self.__dict__["_exact"]
        found = exact.get(path)
        return found if found is not None else self._near(path)

    def _near(self, path: str) -> Call:
        loose: dict[str, Call] = self.__dict__["_loose"]
        if path in self.uncaptured:
            raise ModelError(
                f"The layer {path!r} ({self.uncaptured[path]}) must run and return a tensor to be captured. "
                f"Received: a forward in which it did not. Layers that can be captured: "
                f"{', '.join(c.path for c in self.calls[-8:])}; see model.layers for all."
            )
        if not self.calls:
            raise ModelError("This network has no layers that can be named.")
        if _plain(path) not in loose:
            raise _unknown(path, self.calls)
        return loose[_plain(path)]


def _plain(path: str) -> str:
    return path.replace(".", "_").replace("/", "_")


def _unknown(path: str, calls: Sequence[Call]) -> ShisenError:
    return unknown("layer", path, [c.path for c in calls], N_("See `shisen layers` or model.layers."))


def name_calls(calls: Sequence[Call]) -> tuple[Call, ...]:
    """Give every call a path of its own: a module called several times becomes `relu#1`, `relu#2`, …"""
    counts: dict[str, int] = {}
    for call in calls:
        counts[call.module] = max(counts.get(call.module, 0), call.index)
    return tuple(replace(c, path=c.module if counts[c.module] == 1 else f"{c.module}#{c.index}") for c in calls)


def as_layers(calls: Sequence[Call], default: Call | None, reason: str) -> tuple[Layer, ...]:
    """Return the public records of the calls.

    Args:
        calls: of the trace.
        default: the one that methods use by default.
        reason: why.
    """
    layers = []
    for c in calls:
        shape = c.layout.shape(c.shape)
        rank = len(shape) - 1 if c.layout.map else 2
        layers.append(Layer(c.path, c.kind, shape, c.parameters, c is default, reason if c is default else "", rank))
    return tuple(layers)


def default_call(candidates: Sequence[Call], calls: Sequence[Call] = ()) -> tuple[Call | None, str]:
    """Choose the point that methods use by default, the last candidate, and say why.

    Args:
        candidates: in forward order.
        calls: all calls, which tell why there is no candidate.

    Returns:
        The point, None if there is none, and the reason as a message of the catalog.
    """
    if not candidates:
        folded = next((c for c in reversed(calls) if c.layout.kind == "parts" and len(c.shape) > 3), None)
        return None, Message(FOLDED, rows=folded.layout.parts, layer=folded.path) if folded else NOT_SPATIAL
    reason = N_("last feature map before pooling: {positions} positions, {channels} channels")
    return candidates[-1], described(reason, candidates[-1])


def default_before(candidates: Sequence[Call], passed: Sequence[Call]) -> tuple[Call, str]:
    """Choose the last candidate before class maps; the class map itself where there is none.

    Args:
        candidates: that are no class maps.
        passed: the class maps after them, the last of the network first.

    Returns:
        The point, and the reason as a message of the catalog.
    """
    if not candidates:
        return passed[0], N_("the only layer with a spatial feature map, one channel per class")
    reason = N_("last feature map before the class map {layer}: {positions} positions, {channels} channels")
    return candidates[-1], described(reason, candidates[-1], layer=passed[-1].path)


def described(reason: str, call: Call, **more: str) -> Message:
    """Return the reason for a default layer, with the size of its map.

    Args:
        reason: message of the catalog with `{positions}` and `{channels}`.
        call: the default.
        more: further fields of the message.
    """
    *positions, c = call.layout.shape(call.shape)
    return Message(reason, positions=by(positions), channels=c, **more)


def by(sides: Sequence[int]) -> str:
    """Return lengths of axes as text, such as "7 × 7"."""
    return " × ".join(map(str, sides))


def default_candidates(
    calls: Sequence[Call], output: int, passing: Collection[str] = PASSING, *, innermost: bool = False
) -> tuple[Call, ...]:
    """Return the calls that could be the default point, in forward order.

    Args:
        calls: of the trace.
        output: identity of what the network returns.
        passing: words in the kinds of modules that make no new feature map.
        innermost: whether of several names of one tensor the first, that of the layer itself, is taken; otherwise the
            last, that of the outermost module which returns it.
    """
    makers: dict[int, Call] = {}
    for call in calls:
        if not call.given:
            makers.setdefault(call.tensor, call)
    moved = {t for t, call in makers.items() if call.resamples or any(word in call.kind for word in passing)}
    excluded = {output} if innermost else {output} | moved
    found = []
    for call in calls:
        shape = call.layout.shape(call.shape)
        spatial = call.layout.map and not call.bundled and math.prod(shape[:-1]) > 1 and shape[-1] > 1
        moves = call.resamples or any(word in call.kind for word in passing)
        if spatial and call.tensor not in excluded and not moves:
            found.append(call)
        if innermost:
            excluded.add(call.tensor)
    return tuple(found)


def resampled(given: Sequence[int] | None, returned: Sequence[int], weights: bool, channels: int) -> bool:
    """Return whether a module only resampled a map: no weights, the same channels, another height or width.

    Args:
        given: shape of what the module was given, in its own axes.
        returned: shape of what it returned.
        weights: whether it or one of its parts has weights.
        channels: axis of the channels.
    """
    if given is None or len(given) != len(returned) or len(given) < 3 or weights:
        return False
    return given[channels] == returned[channels] and tuple(given) != tuple(returned)


def token_candidates(calls: Sequence[Call]) -> list[Call]:
    """Return the candidates of a token network that are as wide as its last: no queries, keys or hidden layers."""
    plain = [c for c in calls if "Linear" not in c.kind]
    return [c for c in plain if c.shape[-1] == plain[-1].shape[-1]]
