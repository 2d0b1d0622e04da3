"""Which settings are worth trying for a network: its last block ends, a finer one, and the methods for them."""

from __future__ import annotations

from typing import Any

from ..errors import ModelError
from ..registry import METHODS
from ..types import Classifier, Layer
from .settings import Setting

COPIES: dict[str, Any] = {"flip": True, "scales": (1.0, 1.5)}
RATHER: dict[str, Any] = {"flip": False, "score": "log_probability"}
"""Why this class rather than the others: the gradient of the log-probability."""

FINEST = 4
"""Layers of more than this times the side of the default layer's map are too near to the pixels to fuse."""


def stage_ends(ends: list[Layer], default: Layer) -> list[str]:
    """Return the block ends, nearest first, downstream of which resolution or channels change.

    Args:
        ends: ends of blocks, the nearest to the default layer first.
        default: the default layer.
    """
    last = [a for a, b in zip(ends, [default, *ends], strict=False) if a.shape != b.shape]
    return [p.path for p in last if p.shape[0] <= FINEST * default.shape[0]]


def block_ends(layers: tuple[Layer, ...], default: str) -> list[Layer]:
    """Return where blocks end before the default layer, the nearest first.

    A block is a point that holds at least two convolutions; of several that end together the innermost counts. A
    network without blocks gives its activations instead.

    Args:
        layers: all layers, in forward order.
        default: the default layer.
    """
    end = [p.path for p in layers].index(default)
    before = [p for p in layers[:end] if p.spatial and not p.path.startswith(f"{default}.")]
    convolutions = [p.path for p in layers if "conv" in p.kind.lower() and p.parameters]
    found: list[Layer] = []
    previous = ""
    for point in before:
        held = sum(path.startswith((f"{point.path}.", f"{point.path}/")) for path in convolutions)
        if held < 2:
            continue
        if not previous.startswith((f"{point.path}.", f"{point.path}/")):  # not the end of the block just noted
            found.append(point)
        previous = point.path
    if len(found) < 2:
        found = [p for p in before if "relu" in p.kind.lower() or "activation" in p.kind.lower()]
    return found[::-1]


def candidates(model: Classifier) -> list[Setting]:
    """Return settings to try, the default first."""
    try:
        default = model.default_layer
    except ModelError:
        names = ("gradient", "input_x_gradient", "smooth_grad", "integrated_gradients")
        return [Setting(m) for m in names if m in METHODS]
    layers = model.layers
    ends = block_ends(layers, default)
    point = next(p for p in layers if p.path == default)
    near = [p.path for p in ends[:1]]
    finer = [p.path for p in ends if p.shape[0] > point.shape[0]][:1]
    finest = [p.path for p in ends if p.shape[0] >= FINEST * point.shape[0]][:1]
    wanted = [Setting("grad_cam"), Setting("layer_cam")]
    wanted += [Setting(m, path) for path in near for m in ("grad_cam", "hires_cam")]
    fused: list[tuple[str, ...]] = [(default, path) for path in finer]
    fused += [(default, path, *finest) for path in finer if finest]
    wanted += [Setting("layer_cam", points) for points in fused[:1]]
    every = (default, *stage_ends(ends, point))
    fused += [every] if len(every) > 1 and every not in fused else []
    if not fused:
        wanted += [Setting("hires_cam", path, augment=a) for path in near for a in (RATHER, {**RATHER, **COPIES})]
    for points in fused:
        wanted += [Setting("hires_cam", points, augment=a) for a in ({}, RATHER)]
    for points in fused[-2:]:
        wanted += [Setting("hires_cam", points, augment=a) for a in (COPIES, {**RATHER, **COPIES})]
    wanted += [Setting("hires_cam", points, augment={**RATHER, **COPIES, "power": 0.85}) for points in fused[-2:]]
    wanted += [Setting("hires_cam", points, augment={**RATHER, **COPIES, "keep": 0.9}) for points in fused[-2:]]
    wanted += [Setting("hires_cam", points, augment={**RATHER, "keep": 0.9}) for points in fused[-1:]]
    return [s for s in wanted if s.method in METHODS]
