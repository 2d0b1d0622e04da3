"""A private copy of a torch module on the same weights, so that nothing done to it shows outside.

Hooks, evaluation mode, frozen parameters and folded weights belong to the copy: a thread that trains or runs the
user's module meanwhile is not disturbed. Where no such copy can be made, the module itself is put in evaluation mode;
its parameters are not frozen, so another thread only notices if the module was in training mode.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from types import MethodType
from typing import Any

import torch

from .closures import copied
from .evaluation_mode import evaluation_mode, every_module

_COUNT = itertools.count()
PLAIN = (bool, int, float, str, type(None))
COMPILED = ("_compiled_call_impl",)
"""What torch.compile leaves on a module; the copy runs without."""
HOOKS = (
    "_forward_hooks", "_forward_pre_hooks", "_forward_hooks_with_kwargs", "_forward_pre_hooks_with_kwargs",
    "_forward_hooks_always_called",
)  # fmt: skip


class Isolation:
    """Runs a module without changing it.

    Args:
        net: the user's module.
        lock: held while it runs; the same for all wrappers of the module.

    Attributes:
        module: what is run: a private copy, or the module itself.
    """

    def __init__(self, net: Any, lock: Any) -> None:
        self.net, self.lock = net, lock
        self.module: Any = net
        self._copy: _Copy | None = None
        self._depth = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Hold the module ready to run in evaluation mode without gradients of its parameters."""
        with self.lock:
            if not self._depth:
                with torch.inference_mode(False):
                    self._refresh()
            self._depth += 1
            try:
                if self._copy is None:
                    with evaluation_mode(self.net):
                        yield
                else:
                    with torch.inference_mode(False), torch.enable_grad():
                        yield
            finally:
                self._depth -= 1

    def _refresh(self) -> None:
        if self._copy is None or not self._copy.follows():
            self._copy = _Copy.of(self.net)
            self.module = self.net if self._copy is None else self._copy.module


class _Copy:
    """A copy whose parameters are views of the original's; buffers, which a forward may write to, follow them."""

    def __init__(self, net: Any, module: Any) -> None:
        self.net, self.module = net, module
        self.originals = every_module(net)
        self.copies = every_module(module)
        self._map = {id(o): c for o, c in zip(self.originals, self.copies, strict=True)}
        self._tensors = [_tensors(o) for o in self.originals]
        self._plain = [_plain(o) for o in self.originals]
        self._versions: dict[int, tuple[int, int]] = {}
        self._hooks: list[tuple[int, ...]] = [()] * len(self.originals)
        for one in self.copies:
            one.training = False
            _run_eagerly(one)

    @classmethod
    def of(cls, net: Any) -> _Copy | None:
        """Return a copy, or None where a copy would not be the same network."""
        originals = every_module(net)
        if any(isinstance(m, torch.jit.ScriptModule) for m in originals):
            return None
        memo: dict[int, Any] = {}
        for module in originals:
            tensors = [t for t in (*vars(module).values(), *_owned(module)) if isinstance(t, torch.Tensor)]
            memo |= {id(t): t.detach() for t in tensors}
            memo |= {id(t): t.detach().clone() for t in module._buffers.values() if t is not None}
        try:
            made = cls(net, copied(net, originals, memo))
        except Exception:  # whatever an attribute raises that cannot be copied
            return None
        same = all(
            type(o) is type(c)
            and [p.data_ptr() for p in o.parameters(recurse=False)]
            == [p.data_ptr() for p in c.parameters(recurse=False)]
            for o, c in zip(made.originals, made.copies, strict=True)
        )
        return made if same and made.follows() else None

    def follows(self) -> bool:
        """Take over flags and hooks of the original; return whether the copy still is the same network."""
        modules = every_module(self.net)
        if len(modules) != len(self.originals):
            return False
        for i, (now, original, made) in enumerate(zip(modules, self.originals, self.copies, strict=True)):
            if now is not original or not _unchanged(original, self._tensors[i]):
                return False
            self._take_buffers(original, made)
            own = vars(original)
            for name, value in self._plain[i].items():
                if own.get(name) is not value:
                    self._plain[i][name] = made.__dict__[name] = own.get(name)
            keys = (*original._forward_hooks, *original._forward_pre_hooks)
            if keys != self._hooks[i] or (not keys and (made._forward_hooks or made._forward_pre_hooks)):
                self._take_hooks(original, made)
                self._hooks[i] = keys
        return True

    def _take_buffers(self, original: Any, made: Any) -> None:
        for name, source in original._buffers.items():
            target = made._buffers.get(name)
            if source is None or target is None or target is source:
                continue
            if self._versions.get(id(target)) != _versions(source, target):
                with torch.no_grad():
                    target.copy_(source)
                self._versions[id(target)] = _versions(source, target)

    def _take_hooks(self, original: Any, made: Any) -> None:
        for name in HOOKS:
            hooks = vars(original).get(name)
            if hooks is not None:
                made.__dict__[name] = type(hooks)((key, self._own(hook)) for key, hook in hooks.items())

    def _own(self, hook: Any) -> Any:
        """Return a hook that is a method of a module in the network as that of the copy."""
        owner = getattr(hook, "__self__", None) if isinstance(hook, MethodType) else None
        return MethodType(hook.__func__, self._map[id(owner)]) if id(owner) in self._map else hook


def _versions(source: Any, target: Any) -> tuple[int, int]:
    """Return how often both have been written to; never the same for tensors that do not count it."""
    return (-1, -next(_COUNT)) if source.is_inference() else (source._version, target._version)


def _owned(module: Any) -> list[Any]:
    return [t for t in (*module._parameters.values(), *module._buffers.values()) if t is not None]


def _tensors(module: Any) -> list[tuple[dict[str, Any], str, Any, int]]:
    """Return every parameter and buffer of one module with its address."""
    groups = (module._parameters, module._buffers)
    return [(g, name, t, 0 if t is None else t.data_ptr()) for g in groups for name, t in g.items()]


def _unchanged(module: Any, known: list[tuple[dict[str, Any], str, Any, int]]) -> bool:
    if len(known) != len(module._parameters) + len(module._buffers):
        return False
    return all(
        group.get(name) is tensor and (tensor is None or tensor.data_ptr() == address)
        for group, name, tensor, address in known
    )


def _plain(module: Any) -> dict[str, Any]:
    return {k: v for k, v in vars(module).items() if isinstance(v, PLAIN) and k not in ("training", *COMPILED)}


def _run_eagerly(module: Any) -> None:
    """Undo torch.compile in a module of the copy: hooks do not act, or are compiled too, inside compiled code."""
    vars(module)["_compiled_call_impl"] = None
    original = module._modules.get("_orig_mod")
    if original is not None and hasattr(module, "dynamo_ctx"):
        vars(module)["forward"] = original.__call__
