"""Whether an image's answer is the same alone and beside another one; networks that reshape by a fixed batch fail."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch

from ...errors import ShisenError, ShisenWarning

TOLERANCE = 1e-3
"""How far logits may differ, relative to the largest; a network of half precision rounds its own to 30 times that."""


def depends_on_batch(logits: Callable[[Any], Any], x: Any) -> bool:
    """Return whether images must go in one by one; warn where the answer is another at every call.

    Args:
        logits: runs the network.
        x: one image, `(1, *positions, c)`.
    """
    noise = torch.rand(x.shape, generator=torch.Generator().manual_seed(0)).to(x)
    try:
        alone = logits(x)
    except ShisenError:
        raise
    except Exception:  # whatever the network raises, the explanation reports
        return False
    try:
        beside = logits(torch.cat([x, noise]))
    except ShisenError:
        raise
    except Exception as problem:
        return "OutOfMemory" not in type(problem).__name__
    if beside.shape == (2, *alone.shape[1:]) and _close(beside[:1], alone):
        return False
    if _close(logits(x), alone):
        return True
    warnings.warn(
        "The network gives the same image another answer at every call, such as by dropout that is always on: maps of "
        "methods with many passes show this too. Switch it off in evaluation, or call torch.manual_seed in forward.",
        ShisenWarning,
        stacklevel=3,
    )
    return False


def _close(found: Any, alone: Any) -> bool:
    rounding = 30 * TOLERANCE if _is_half(alone) else TOLERANCE
    if not bool(alone.isfinite().all()):
        return True  # not comparable
    return bool((found - alone).abs().max() <= rounding * alone.abs().max())


def _is_half(values: Any) -> bool:
    """Tell whether values were computed in half precision."""
    return any(bool((values.to(kind).to(values.dtype) == values).all()) for kind in (torch.bfloat16, torch.float16))
