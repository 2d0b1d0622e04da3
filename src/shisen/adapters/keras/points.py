"""What a Keras model consists of: every operation of one forward, and how to watch it without changing the model."""

from __future__ import annotations

import functools
import math
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any

from .. import answers
from ..layout import Layout, Size, is_map, token_layout
from ..points import PASSING, Call, resampled

KERAS_PASSING = (*PASSING, "Padding", "Cropping", "Resizing", "Rescaling")

ARRANGING = ("EinsumDense", "Einsum", "Matmul", "Permute", "Reshape", "Softmax", "Swapaxes", "Transpose")

PATCH_LOCK = threading.RLock()
"""Held while a live model or a framework's function is patched, so that two threads never restore out of order."""


def operations(net: Any) -> dict[str, Any]:
    """Return every layer and operation inside a model by its path; nested models as `base/conv5`."""
    found: dict[str, Any] = {}
    seen: set[int] = {id(net)}

    def walk(owner: Any, prefix: str) -> None:
        for part in _parts(owner):
            if id(part) in seen:
                continue
            seen.add(id(part))
            path, count = f"{prefix}{part.name}", 1
            while path in found:  # subclassed models may give one name twice
                count += 1
                path = f"{prefix}{part.name}~{count}"
            found[path] = part
            walk(part, f"{path}/")

    walk(net, "")
    return found


def _parts(owner: Any) -> Sequence[Any]:
    import keras

    if isinstance(owner, keras.Sequential):
        return list(owner.layers)
    inside = getattr(owner, "operations", None)
    if isinstance(owner, keras.Model) and inside is not None:
        return [o for o in inside if not isinstance(o, keras.layers.InputLayer)]
    if isinstance(owner, keras.layers.Layer):
        return list(owner._flatten_layers(include_self=False, recursive=False))
    return ()


@contextmanager
def patched_attribute(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Set an attribute of this one object or module, and restore it, whatever happens.

    Args:
        owner: the object or module.
        name: name of the attribute.
        value: the value during the call.
    """
    own = vars(owner)
    had, before = name in own, own.get(name)
    # past Keras's and torch's own bookkeeping of attributes, which must not see the patched value
    put: Callable[..., None] = object.__setattr__
    put(owner, name, value)
    try:
        yield
    finally:
        if had:
            put(owner, name, before)
        else:
            object.__delattr__(owner, name)


@contextmanager
def watched(
    inside: Mapping[str, Any], see: Callable[[str, Any], Any], given: dict[str, Any] | None = None
) -> Iterator[None]:
    """Send the output of these operations through `see(path, output)`, for calls made by this thread.

    The method `call` is overridden on the instance. That works at any nesting, in eager and in compiled
    execution, where building another graph of the same layers does not.

    Args:
        inside: layers by their path.
        see: called with the path and the output of every operation; returns the output to go on with.
        given: takes the first tensor that every operation was given last, by path.
    """
    here = threading.get_ident()

    def around(path: str, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            output = original(*args, **kwargs)
            if threading.get_ident() != here:
                return output
            if given is not None:
                given[path] = first_tensor(args)
            return see(path, output)

        return call

    with PATCH_LOCK, ExitStack() as stack:
        for path, part in inside.items():
            stack.enter_context(patched_attribute(part, "call", around(path, part.call)))
        yield


def first_tensor(output: Any) -> Any:
    """Return the first tensor in an operation's output, or None."""
    from keras import ops

    return answers.first_tensor(output, ops.is_tensor)


def with_first(output: Any, tensor: Any) -> Any:
    """Return an operation's output with its first tensor replaced.

    Args:
        output: the output.
        tensor: the tensor.
    """
    from keras import ops

    return answers.with_first(output, tensor, ops.is_tensor)


def at_least_single(tensor: Any) -> Any:
    """Return a tensor as float32; float64 stays, so that a network of that type is not rounded on its way."""
    import keras

    double = keras.backend.standardize_dtype(tensor.dtype) == "float64"
    return tensor if double else keras.ops.cast(tensor, "float32")


def axis_functions() -> Any:
    """Return the functions that `Layout` needs, under the names of the array-API standard."""
    from keras import ops

    return SimpleNamespace(
        permute_dims=ops.transpose, reshape=ops.reshape, concat=ops.concatenate, zeros_like=ops.zeros_like
    )


def is_channels_first(inside: Mapping[str, Any]) -> bool:
    """Tell whether the model's layers take their channels first, such as `(n, c, h, w)`."""
    import keras

    for part in inside.values():
        found = getattr(part, "data_format", None)
        if found in ("channels_first", "channels_last"):
            return bool(found == "channels_first")
    return bool(keras.config.image_data_format() == "channels_first")


class Recorder:
    """Records every operation of a forward, in the order in which they end; hand `see` and `given` to `watched`."""

    def __init__(self, inside: Mapping[str, Any], channels_first: bool, size: Size) -> None:
        self.calls: list[Call] = []
        self.given: dict[str, Any] = {}
        self._inside = inside
        self._first = channels_first
        self._size = size
        self._maps: list[Size] = []
        self._counts: dict[str, int] = {}
        self._keep: list[Any] = []  # holds every output, so that no identity is given out twice

    def see(self, path: str, output: Any) -> Any:
        """Record one call; returns the output as it is.

        Args:
            path: path of the operation.
            output: the output.

        Returns:
            The output to go on with.
        """
        self._counts[path] = self._counts.get(path, 0) + 1
        tensor = first_tensor(output)
        if tensor is None or len(tensor.shape) < 2:
            return output
        self._keep.append(tensor)
        raw = tuple(int(s) for s in tensor.shape)
        same = next((c for c in reversed(self.calls) if c.tensor == id(tensor) and c.shape == raw), None)
        part = self._inside[path]
        layout = same.layout if same else self._layout(raw, path)
        own = 0
        if not any(other.startswith(f"{path}/") for other in self._inside):
            own = sum(math.prod(int(s) for s in v.shape) for v in getattr(part, "weights", ()))
        source, channels = self.given.get(path), 1 if layout.kind == "channels_first" else -1
        weights = any("seed_generator" not in v.path for v in getattr(part, "weights", ()))
        moves = resampled(None if source is None else source.shape, raw, weights, channels)
        self.calls.append(
            Call(path, path, self._counts[path], _kind(part), raw, layout, own, id(tensor), resamples=moves)
        )
        return output

    def _layout(self, raw: tuple[int, ...], path: str) -> Layout:
        rank = len(self._size)
        folded = raw[0] if rank == 3 and len(raw) == 4 and raw[0] > 1 and raw[0] in self._frames() else 0
        if len(raw) == rank + 2 or folded or (rank != 2 and _convolves(self._inside[path]) == len(raw) - 2):
            layout = Layout("channels_first" if self._first else "channels_last", frames=folded)
            cells = layout.shape(raw)[:-1]
            if self._heads(path) and not is_map(cells, self._maps, self._size):
                return Layout("plain")
            self._maps += [cells] if len(cells) == rank else []
            return layout
        if len(raw) == 3 and rank > 1 and raw[1] > 1:
            return token_layout(raw[1], self._maps, self._size)
        return Layout("plain")

    def _frames(self) -> set[int]:
        """Return how many frames or views of one input there may be along the batch."""
        return {self._size[0], *(m[0] for m in self._maps)}

    def _heads(self, path: str) -> bool:
        """Tell whether four axes may be tokens and heads: inside attention, and after what rearranges axes."""
        parts = path.split("/")
        around = (self._inside.get("/".join(parts[:i])) for i in range(1, len(parts) + 1))
        if any("attention" in type(part).__name__.lower() for part in around if part is not None):
            return True
        return type(self._inside[path]).__name__ in ARRANGING


def _convolves(part: Any) -> int | None:
    """Return the number of axes of positions that a kind of layer names, such as 2 for `Conv2D`."""
    named = re.search(r"([123])D$", type(part).__name__)
    return int(named[1]) if named else None


def _kind(part: Any) -> str:
    kind = type(part).__name__
    return "ReLU6" if kind == "ReLU" and getattr(part, "max_value", None) == 6 else kind
