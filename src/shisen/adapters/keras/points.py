"""What a Keras model consists of: every operation of one forward, and how to watch it without changing the model."""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from ...errors import ModelError
from ..points import Call, Layout, find_call, is_map, token_layout

PLACELESS = (
    "Pool",
    "Dropout",
    "Flatten",
    "Identity",
    "Permute",
    "UpSampling",
    "Padding",
    "Cropping",
    "Resizing",
    "Rescaling",
)

ARRANGING = ("EinsumDense", "Einsum", "Matmul", "Permute", "Reshape", "Softmax", "Swapaxes", "Transpose")

PATCH_LOCK = threading.RLock()
"""Held while a live model or a framework's function is borrowed, so that two threads never restore out of order."""


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
    """Put another value under an attribute of this one object or module, and restore it, whatever happens."""
    own = vars(owner)
    had, before = name in own, own.get(name)
    # past Keras's and torch's own bookkeeping of attributes, which must not see a borrowed value
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
def watched(inside: Mapping[str, Any], see: Callable[[str, Any], Any]) -> Iterator[None]:
    """Send the output of these operations through `see(path, output)`, for calls made by this thread.

    The method `call` is overridden on the instance. That works at any nesting, in eager and in compiled
    execution, where building another graph of the same layers does not.
    """
    here = threading.get_ident()

    def around(path: str, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            output = original(*args, **kwargs)
            return see(path, output) if threading.get_ident() == here else output

        return call

    with PATCH_LOCK, ExitStack() as stack:
        for path, part in inside.items():
            stack.enter_context(patched_attribute(part, "call", around(path, part.call)))
        yield


def first_tensor(output: Any) -> Any:
    """Return the first tensor in an operation's output, or None."""
    import keras

    return next((t for t in keras.tree.flatten(output) if keras.ops.is_tensor(t)), None)


def with_first(output: Any, tensor: Any) -> Any:
    """Return an operation's output with its first tensor exchanged."""
    import keras

    if keras.ops.is_tensor(output):
        return tensor
    flat = keras.tree.flatten(output)
    place = next(i for i, t in enumerate(flat) if keras.ops.is_tensor(t))
    return keras.tree.pack_sequence_as(output, [*flat[:place], tensor, *flat[place + 1 :]])


def at_least_single(tensor: Any) -> Any:
    """Return a tensor as float32; float64 stays, so that a network of that type is not rounded on its way."""
    import keras

    double = keras.backend.standardize_dtype(tensor.dtype) == "float64"
    return tensor if double else keras.ops.cast(tensor, "float32")


def channels_last(layout: Layout, raw: Any) -> Any:
    """Return a value channels last: `(n, h, w, c)`, tokens as a grid, anything else as it is."""
    from keras import ops

    if layout.kind == "nchw":
        return ops.transpose(raw, (0, 2, 3, 1))
    if layout.kind == "tokens":
        h, w = layout.grid
        return ops.reshape(raw[:, layout.prefix : layout.prefix + h * w], (-1, h, w, raw.shape[-1]))
    return raw


def channels_back(layout: Layout, value: Any, original: Any) -> Any:
    """Return a value in the model's own axes and type; tokens without a place keep their value."""
    from keras import ops

    value = ops.cast(value, original.dtype)
    if layout.kind == "nchw":
        return ops.transpose(value, (0, 3, 1, 2))
    if layout.kind == "tokens":
        end = layout.prefix + layout.grid[0] * layout.grid[1]
        tokens = ops.reshape(value, (-1, end - layout.prefix, value.shape[-1]))
        none = ops.zeros_like(tokens[:, :1, :1])  # repeats the other tokens of one image for many values
        parts = [original[:, : layout.prefix], tokens, original[:, end:]]
        return ops.concatenate([p + none if p.shape[1] else p + none[:, :0] for p in parts], axis=1)
    return value


def is_channels_first(inside: Mapping[str, Any]) -> bool:
    """Tell whether the model's layers take `(n, c, h, w)`."""
    import keras

    for part in inside.values():
        found = getattr(part, "data_format", None)
        if found in ("channels_first", "channels_last"):
            return bool(found == "channels_first")
    return bool(keras.config.image_data_format() == "channels_first")


class Recorder:
    """Write down every operation of a forward, in the order in which they end; hand its method `see` to `watched`."""

    def __init__(self, inside: Mapping[str, Any], channels_first: bool, size: tuple[int, int]) -> None:
        self.calls: list[Call] = []
        self._inside = inside
        self._first = channels_first
        self._size = size
        self._maps: list[tuple[int, int]] = []
        self._counts: dict[str, int] = {}
        self._keep: list[Any] = []  # holds every output, so that no identity is given out twice

    def see(self, path: str, output: Any) -> Any:
        """Note one call; hands the output on as it is."""
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
        self.calls.append(Call(path, path, self._counts[path], _kind(part), raw, layout, own, id(tensor)))
        return output

    def _layout(self, raw: tuple[int, ...], path: str) -> Layout:
        if len(raw) == 4:
            layout = Layout("nchw" if self._first else "nhwc")
            h, w, _ = layout.shape(raw)
            if self._heads(path) and not is_map((h, w), self._maps, self._size):
                return Layout("plain")
            self._maps.append((h, w))
            return layout
        if len(raw) == 3 and raw[1] > 1:
            return token_layout(raw[1], self._maps, self._size)
        return Layout("plain")

    def _heads(self, path: str) -> bool:
        """Tell whether four axes may be tokens and heads: inside attention, and behind what arranges axes anew."""
        parts = path.split("/")
        around = (self._inside.get("/".join(parts[:i])) for i in range(1, len(parts) + 1))
        if any("attention" in type(part).__name__.lower() for part in around if part is not None):
            return True
        return type(self._inside[path]).__name__ in ARRANGING


def _kind(part: Any) -> str:
    kind = type(part).__name__
    return "ReLU6" if kind == "ReLU" and getattr(part, "max_value", None) == 6 else kind


@dataclass(frozen=True)
class Chosen:
    """The point that methods use unless told otherwise, and why; `call` is None if nothing keeps places apart."""

    call: Call | None
    reason: str


def default_call(calls: Sequence[Call], output: int) -> Chosen:
    """Choose the last map before pooling, innermost name first."""
    chosen: Call | None = None
    named = {output}
    for call in calls:
        if call.tensor in named:  # a nested model hands on the tensor of its last layer: the layer's own name says more
            continue
        named.add(call.tensor)
        shape = call.layout.shape(call.shape)
        spatial = call.layout.kind != "plain" and len(shape) == 3 and shape[0] * shape[1] > 1 and shape[2] > 1
        if spatial and not any(word in call.kind for word in PLACELESS):
            chosen = call
    if chosen is None:
        return Chosen(None, "no layer of this network keeps places apart")
    h, w, c = chosen.layout.shape(chosen.shape)
    return Chosen(chosen, f"last feature map before pooling: {h} × {w} places, {c} channels")


def find_point(calls: Sequence[Call], inside: Mapping[str, Any], path: str) -> Call:
    """Return the call of this name; a bare name means the layer's last call, and torch's dots are understood.

    Raises:
        ModelError: for a layer of the model that cannot be captured.
        UnknownName: for any other name, with the nearest ones.
    """
    if path in inside and not any(path in (c.path, c.module) for c in calls):
        raise ModelError(
            f"The layer {path!r} ({type(inside[path]).__name__}) must run and return a tensor to be captured. "
            f"Received: a forward in which it did not. Layers that can be captured: "
            f"{', '.join(c.path for c in calls[-8:])}; see model.layers for all."
        )
    same = [c.path for c in calls if _plain(path) in (_plain(c.path), _plain(c.module))]
    exact = any(path in (c.path, c.module) for c in calls)
    return find_call(calls, path if exact or not same else same[-1])


def _plain(path: str) -> str:
    return path.replace(".", "_").replace("/", "_")
