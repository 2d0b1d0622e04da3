"""Reentrant checkpoints run as plain calls in the thread that explains: `torch.autograd.grad` refuses them."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_GUARD = threading.Lock()
_INSIDE: Counter[int] = Counter()
_ORIGINAL: list[Any] = []


class _PlainCall:
    """Replaces torch's function of the same name, and hands on to it in threads that do not explain."""

    @staticmethod
    def apply(function: Any, preserve: bool, *args: Any) -> Any:
        if _INSIDE[threading.get_ident()]:
            return function(*args)
        return _ORIGINAL[0].apply(function, preserve, *args)


@contextmanager
def without_checkpoints() -> Iterator[None]:
    """Run what `torch.utils.checkpoint(…, use_reentrant=True)` is given at once, with its graph; the values are equal.

    Such a checkpoint keeps no graph in its forward pass and starts one of its own in the backward pass, which works
    with `.backward()` only and hides the layers inside.
    """
    module: Any = sys.modules.get("torch.utils.checkpoint")
    if module is None:
        yield
        return
    here = threading.get_ident()
    with _GUARD:
        if not _INSIDE:
            _ORIGINAL[:] = [module.CheckpointFunction]
            module.CheckpointFunction = _PlainCall
        _INSIDE[here] += 1
    try:
        yield
    finally:
        with _GUARD:
            _INSIDE[here] -= 1
            if not _INSIDE[here]:
                del _INSIDE[here]
            if not _INSIDE:
                module.CheckpointFunction = _ORIGINAL[0]
