"""From numbers to colors, through matplotlib's color maps."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ..errors import unknown

Bytes = npt.NDArray[np.uint8]

DIVERGING = {"piyg", "prgn", "brbg", "puor", "rdgy", "rdbu", "rdylbu", "rdylgn", "spectral", "coolwarm", "bwr"} | {
    "seismic",
    "berlin",
    "managua",
    "vanimo",
}

JET = (  # the level of red, green and blue at points between cold and hot
    ((0.0, 0.0), (0.35, 0.0), (0.66, 1.0), (0.89, 1.0), (1.0, 0.5)),
    ((0.0, 0.0), (0.125, 0.0), (0.375, 1.0), (0.64, 1.0), (0.91, 0.0), (1.0, 0.0)),
    ((0.0, 0.5), (0.11, 1.0), (0.34, 1.0), (0.65, 0.0), (1.0, 0.0)),
)


@lru_cache(maxsize=32)
def table(name: str) -> Bytes:
    """Return the 256 colors of a color map, `(256, 3)` uint8, the coldest first.

    Raises:
        UnknownName: if matplotlib knows no such map; the message carries the nearest names.
    """
    if name == "jet":
        return _jet()
    import matplotlib

    if name not in matplotlib.colormaps:
        known = sorted(n for n in matplotlib.colormaps if not n.endswith("_r"))
        raise unknown("color map", name, known, "Every name may end in '_r' to be reversed.")
    colors = np.asarray(matplotlib.colormaps[name](np.linspace(0.0, 1.0, 256)))[:, :3]
    out = np.rint(colors * 255.0).astype(np.uint8)
    out.setflags(write=False)
    return out


def _jet() -> Bytes:
    """Return the default map without matplotlib, whose import takes longer than a forward; lines between points."""
    at = 255.0 * np.linspace(0.0, 1.0, 256)
    levels = []
    for points in JET:
        x, y = np.asarray(points).T * np.asarray([[255.0], [1.0]])
        right = np.clip(np.searchsorted(x, at), 1, len(x) - 1)  # the order of operations is matplotlib's, to the bit
        fraction = (at - x[right - 1]) / (x[right] - x[right - 1])
        levels.append(fraction * (y[right] - y[right - 1]) + y[right - 1])
    out = np.stack(levels, axis=1)
    out = np.rint(out * 255.0).astype(np.uint8)
    out.setflags(write=False)
    return out


def is_diverging(name: str) -> bool:
    """Return whether a color map has a neutral middle, which belongs to zero."""
    return name.lower().removesuffix("_r") in DIVERGING


def index(scaled: npt.NDArray[np.floating]) -> Bytes:
    """Return the index in the color table, round(255 · v) with v clipped to [0, 1]; NaN goes to 0.

    Rounding and clipping are monotone and happen before the conversion to eight bits, so a larger value never
    gets a smaller index and nothing wraps round.
    """
    level = np.fmax(np.asarray(scaled, dtype=np.float32), np.float32(0.0))  # fmax takes the number beside NaN
    np.minimum(level, np.float32(1.0), out=level)
    level *= np.float32(255.0)
    return np.asarray(np.rint(level, out=level), dtype=np.uint8)


def color(scaled: npt.NDArray[np.floating], name: str = "jet") -> Bytes:
    """Return the colors of values in [0, 1].

    Args:
        scaled: `(H, W)`; values outside of [0, 1] get the colors of the ends, NaN that of 0.
        name: a matplotlib color map.

    Returns:
        `(H, W, 3)` uint8.

    Raises:
        UnknownName: if there is no such color map.
    """
    return np.take(table(name), index(scaled), axis=0)


def centered(heat: npt.NDArray[np.floating], name: str) -> npt.NDArray[np.floating]:
    """Return heat as [0, 1] for a color map: (1 + v) / 2 for a diverging one, whose middle is zero.

    Args:
        heat: `(h, w)` in [−1, 1], or [0, 1] for a map without negative values.
        name: name of the colormap.
    """
    return (np.asarray(heat, dtype=np.float32) + np.float32(1.0)) * np.float32(0.5) if is_diverging(name) else heat
