"""Attention probabilities of every head of a Keras model, also where the framework computes attention in one operation.

Whatever layer or operation a person uses, attention ends in the framework's softmax or in its fused attention. For
one call the first is watched and the second is computed by its formula; the operations that are running show where.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...types import Attention
from ..attention import attention_names, block_around, no_block, token_grid
from ..points import Call
from .engines import GradientRequest
from .points import PATCH_LOCK, at_least_single, first_tensor, patched_attribute, watched, with_first
from .rewire import framework_of, patched_functions

if TYPE_CHECKING:
    from .adapter import KerasClassifier

PASSING = ("Softmax", "Activation")


@dataclass(frozen=True)
class AttentionSite:
    """Where one attention happens, and its probabilities for one image.

    Attributes:
        module: the operation it happens in.
        windows: into which an image is cut.
        shape: `(windows · heads, queries, keys)`.
    """

    module: str
    windows: int
    shape: tuple[int, int, int]


@contextmanager
def located(inside: Mapping[str, Any]) -> Iterator[list[tuple[str, str]]]:
    """Yield the operations that are running in this thread, outermost first: path and name of the class."""
    here, running = threading.get_ident(), list[tuple[str, str]]()

    def around(path: str, part: Any) -> Callable[..., Any]:
        original, kind = part.call, type(part).__name__

        @functools.wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() != here:
                return original(*args, **kwargs)
            running.append((path, kind))
            try:
                return original(*args, **kwargs)
            finally:
                running.pop()

        return call

    with PATCH_LOCK, ExitStack() as stack:
        for path, part in inside.items():
            stack.enter_context(patched_attribute(part, "call", around(path, part)))
        yield running


class Attentions:
    """Sees every attention of a forward.

    Args:
        keep: `keep(number, module, probabilities)` is handed each one, `(n · windows, heads, queries, keys)`, or
            `(n · heads, queries, keys)`, and returns what to go on with.
    """

    def __init__(self, keep: Callable[[int, str, Any], Any]) -> None:
        self._keep = keep
        self._running: list[tuple[str, str]] = []
        self._count = 0
        self._fused = False

    @contextmanager
    def active(self, backend: str, inside: Mapping[str, Any]) -> Iterator[None]:
        """Watch the framework's functions during a forward.

        Args:
            backend: name of the Keras backend.
            inside: layers by their path.
        """
        fused = {"torch": ("scaled_dot_product_attention", 1), "jax": ("dot_product_attention", 2)}.get(backend)
        changes: dict[str, Callable[[Any], Any]] = {"softmax": self._softmax}
        if fused is not None:
            changes[fused[0]] = functools.partial(self._by_formula, fused[1])
        with located(inside) as self._running, patched_functions(framework_of(backend), changes):
            yield

    def _where(self) -> tuple[str, bool]:
        """Return the operation that an attention belongs to, and whether it calls itself attention."""
        named = [path for path, kind in self._running if "attention" in kind.lower()]
        if named:
            return named[-1], True
        others = [path for path, kind in self._running if kind not in PASSING]
        return (others[-1] if others else ""), False

    def _softmax(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def softmax(x: Any, *args: Any, **kwargs: Any) -> Any:
            result = original(x, *args, **kwargs)
            axis = next((kwargs[k] for k in ("axis", "dim") if k in kwargs), args[0] if args else -1)
            rank = len(result.shape)
            module, named = self._where()
            named = named or self._fused
            square = rank == 4 and result.shape[-1] == result.shape[-2]
            if axis not in (-1, rank - 1) or not (square or (named and rank in (3, 4))) or result.shape[-1] == 1:
                return result
            self._count += 1
            return self._keep(self._count, module, result)

        return softmax

    def _by_formula(self, heads_axis: int, original: Callable[..., Any]) -> Callable[..., Any]:
        """softmax(Q Kᵀ · scale + bias, masked) V; heads before or after the tokens."""
        from keras import ops

        q, k, scores = ("bnth", "bnsh", "bnts") if heads_axis == 1 else ("btnh", "bsnh", "bnts")

        def attention(query: Any, key: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
            named = dict(zip(("attn_mask",) if heads_axis == 1 else ("bias", "mask"), args, strict=False)) | kwargs
            if any(
                named.get(name) is not None
                for name in ("query_seq_lengths", "key_value_seq_lengths", "local_window_size")
            ):
                return original(query, key, value, *args, **kwargs)
            groups = query.shape[heads_axis] // key.shape[heads_axis]
            if groups > 1:
                key, value = (ops.repeat(part, groups, axis=heads_axis) for part in (key, value))
            scale = named.get("scale")
            found = ops.einsum(f"{q},{k}->{scores}", query, key)
            found = found * (scale if scale is not None else query.shape[-1] ** -0.5)
            for name in ("bias", "mask", "attn_mask"):
                given = named.get(name)
                if given is None:
                    continue
                if "bool" in str(given.dtype):
                    found = ops.where(given, found, ops.full_like(found, -1e30))
                else:
                    found = found + given
            if named.get("is_causal"):
                earlier = ops.tril(ops.ones(found.shape[-2:], dtype="bool"))
                found = ops.where(earlier, found, ops.full_like(found, -1e30))
            self._fused = True
            try:
                fractions = ops.softmax(found, axis=-1)
            finally:
                self._fused = False
            return ops.einsum(f"{scores},{k}->{q}", ops.cast(fractions, value.dtype), value)

        return attention


def attention_sites(model: KerasClassifier, x: Any) -> tuple[AttentionSite, ...]:
    """Return every attention of a forward of images of this size, in forward order.

    Args:
        model: the network.
        x: the network's input, in its own layout.
    """
    found: list[AttentionSite] = []

    def keep(_: int, module: str, result: Any) -> Any:
        *lead, queries, keys = (int(s) for s in result.shape)
        windows, heads = lead if len(lead) == 2 else (1, lead[0])
        found.append(AttentionSite(module, windows, (windows * heads, queries, keys)))
        return result

    traced = model.trace(x)

    def run(x: Any) -> Any:
        with Attentions(keep).active(model.backend, model.inside):
            return model.captured(x, traced, ("logits",))["logits"]

    model.engine.sample(run, x[:1])
    return tuple(found)


def attentions(
    model: KerasClassifier, images: Any, objective: Any = None, *, per_block: bool = False, pooled: bool = False
) -> tuple[Attention, ...]:
    """Return the attention of every head of every layer, and the gradient of a score by it.

    Args:
        model: the adapter.
        images, objective, per_block, pooled: see `HasAttention`.

    Returns:
        One `Attention` a layer, in forward order; none where the network has no attention.

    Raises:
        ModelError: with `per_block`, where a block's tokens cannot be determined.
    """
    x = model.to_tensor(images)
    calls = model.trace(x).calls
    found = attention_sites(model, x)
    points = tuple(f"attention#{i}" for i in range(1, len(found) + 1))
    if not found:
        return ()
    gradients: dict[str, Any] = {}
    if objective is None:
        run = functools.partial(_run, model, found)
        values = dict(zip(points, model.engine.forward(("attentions",), run, x), strict=True))
    else:
        shapes = {p: site.shape for p, site in zip(points, found, strict=True)}
        blocks = blocks_of([site.module for site in found], calls) if per_block else []
        alone = per_block and model.runs_downstream_only(x, blocks[-1].path)
        differentiable = functools.partial(_answer, model, found, blocks, alone=alone, pooled=pooled)
        request = GradientRequest(("attentions", per_block, alone, pooled), differentiable, shapes)
        values, (gradients,) = model.engine.gradients(request, x, [objective])
    result = model.to_array
    names = attention_names([site.module for site in found])
    return tuple(
        _record(name, result(values[p]), result(gradients[p]) if gradients else None, calls, site.windows)
        for name, p, site in zip(names, points, found, strict=True)
    )


def _keeper(found: Sequence[AttentionSite], mark_leaf: Callable[[str, Any], Any]) -> Callable[[int, str, Any], Any]:
    """Return a `keep` that hands `mark_leaf` each attention as `(n, windows · heads, queries, keys)`."""
    from keras import ops

    def keep(number: int, _: str, result: Any) -> Any:
        shape = tuple(result.shape)
        value = ops.reshape(at_least_single(result), (-1, *found[number - 1].shape))
        value = mark_leaf(f"attention#{number}", value)
        return ops.cast(ops.reshape(value, (-1, *shape[1:])), result.dtype)

    return keep


def _run(model: KerasClassifier, found: Sequence[AttentionSite], x: Any) -> tuple[Any, ...]:
    seen: dict[str, Any] = {}

    def mark_leaf(point: str, value: Any) -> Any:
        seen[point] = value
        return value

    with Attentions(_keeper(found, mark_leaf)).active(model.backend, model.inside):
        model.captured(x, model.trace(x), ("logits",))
    return tuple(seen.values())


def _answer(
    model: KerasClassifier,
    found: Sequence[AttentionSite],
    blocks: Sequence[Call],
    x: Any,
    mark_leaf: Any,
    *,
    alone: bool,
    pooled: bool,
) -> Any:
    """Return the logits; with blocks, `(blocks · n, classes)`: read from the tokens after every block.

    `alone`: one image's row serves all that is run downstream; `pooled`: tokens are read as their mean.
    """
    from keras import ops

    traced, tokens = model.trace(x), dict[str, Any]()

    def cut(path: str, output: Any) -> Any:
        tokens[path] = first_tensor(output)
        return with_first(output, ops.stop_gradient(tokens[path]))  # what the next blocks make of it does not count

    with (
        watched({b.module: model.inside[b.module] for b in blocks}, cut),
        Attentions(_keeper(found, mark_leaf)).active(model.backend, model.inside),
    ):
        logits = model.captured(x, traced, ("logits",))["logits"]
    if not blocks:
        return logits
    read = [tokens[b.module] for b in blocks]
    if pooled:
        read = [ops.zeros_like(t) + ops.mean(t, axis=1, keepdims=True) if len(t.shape) == 3 else t for t in read]
    stacked = ops.concatenate(read, axis=0)
    inputs = x[:1] if alone else ops.tile(x, (len(blocks), *(1 for _ in x.shape[1:])))
    last = blocks[-1].module
    with watched({last: model.inside[last]}, lambda _, output: with_first(output, stacked)):
        return model.captured(inputs, traced, ("logits",))["logits"]


def blocks_of(modules: Sequence[str], calls: Sequence[Call]) -> list[Call]:
    """Return for every attention the call whose tokens are its block's answer.

    The outermost layer around it that holds no other attention and returns tokens; in a model without such layers,
    the last addition of tokens in front of the next attention.

    Args:
        modules: paths of modules.
        calls: calls of the traced forward pass, in order.

    Raises:
        ModelError: where there is none, or the layers' tokens do not lie on one grid.
    """
    found: list[Call] = []
    tokens = [c for c in calls if c.layout.kind == "tokens"]
    at = [next((i for i, c in enumerate(calls) if c.module == m), None) for m in modules]
    for k, own in enumerate(modules):
        call = block_around(own, modules, [c for c in tokens if c.module != own], "/")
        start = at[k]
        if call is None and start is not None and modules.count(own) == 1:
            following = at[k + 1] if k + 1 < len(at) else len(calls)
            some = [c for c in calls[start:following] if c.kind == "Add" and c.layout.kind == "tokens"]
            call = some[-1] if some else None
        if call is None or (found and call.shape != found[0].shape):
            raise no_block(own)
        found.append(call)
    return found


def _record(name: str, values: Any, gradient: Any, calls: Sequence[Call], windows: int) -> Attention:
    """Return one layer's attention; the last tokens of that number determine the grid of its keys."""
    layout = token_grid(calls, values.shape[-1]) if windows == 1 else None
    grid, prefix = (layout.grid, layout.prefix) if layout is not None else ((0, 0), 0)
    return Attention(name, values, gradient, grid, prefix, windows)
