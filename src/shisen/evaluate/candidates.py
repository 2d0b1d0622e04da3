"""Which settings are worth trying for a network: its last block ends, a finer one, and the methods for them."""

from __future__ import annotations

from .. import attribution as _fill_methods  # noqa: F401
from ..errors import ModelError
from ..registry import METHODS
from ..types import Classifier, Layer
from .settings import Setting


def block_ends(layers: tuple[Layer, ...], default: str) -> list[Layer]:
    """Return where blocks end before the default layer, the nearest first.

    A block is a point that holds other points; of several that end together the innermost counts. A network
    without blocks gives its activations instead.
    """
    places = [p.path for p in layers]
    end = places.index(default)
    inside = [p for p in layers[:end] if p.spatial and not p.path.startswith(f"{default}.")]
    found: list[Layer] = []
    previous = -2
    for place, point in enumerate(layers[:end]):
        holds = any(path.startswith((f"{point.path}.", f"{point.path}/")) for path in places)
        if not holds or point not in inside:
            continue
        if place != previous + 1:
            found.append(point)
        previous = place
    kinds = ("ConvNorm", "Conv2dNormActivation", "BatchNormAct2d")
    whole = [p for p in found if p.kind not in kinds]
    found = whole if len(whole) >= 2 else found
    if len(found) < 2:
        found = [p for p in inside if "relu" in p.kind.lower() or "activation" in p.kind.lower()]
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
    shape = next(p.shape for p in layers if p.path == default)
    near = [p.path for p in ends[:2]]
    finer = [p.path for p in ends if p.shape[0] > shape[0]][:1]
    wanted = [Setting("grad_cam")]
    wanted += [Setting(m, path) for path in near[:1] for m in ("hires_cam", "grad_cam", "layer_cam")]
    wanted += [Setting("layer_cam"), *(Setting("hires_cam", path) for path in near[1:])]
    wanted += [Setting("layer_cam", (default, path)) for path in finer]
    wanted += [Setting("hires_cam", path) for path in finer]
    if "layer_cam" in METHODS:  # came together with copies and fused layers
        copies = {"flip": True, "scales": (1.0, 1.5)}
        wanted += [Setting("hires_cam", path, augment=copies) for path in near[:1]]
        wanted += [Setting("layer_cam", augment=copies)]
    return [s for s in wanted if s.method in METHODS]
