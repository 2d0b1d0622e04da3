"""Similarity of two maps: by rank, and by local structure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .._core.image_ops import blur
from .infidelity import rank_correlation


def ssim(a: npt.NDArray[Any], b: npt.NDArray[Any], span: float = 1.0) -> float:
    """Return the structural similarity of two maps `(h, w)`.

    mean of (2 μ_a μ_b + c₁)(2 σ_ab + c₂) / ((μ_a² + μ_b² + c₁)(σ_a² + σ_b² + c₂)), c₁ = (0.01 span)², c₂ = (0.03 span)²

    Args:
        a: values within a range of width `span`, such as [0, 1].
        b: of the same shape.
        span: width of the range.

    Returns:
        −1 to 1; 1 for equal maps.

    Reference:
        Wang et al. 2004: Gaussian windows with a standard deviation of 1.5 pixels, cut off at 5; windows at the
        edge are renormalized instead of padded.
    """

    def local(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.asarray(blur(values[None], 1.5, 5)[0])

    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    mx, my = local(x), local(y)
    vx, vy, both = local(x * x) - mx**2, local(y * y) - my**2, local(x * y) - mx * my
    c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
    return float(np.mean((2 * mx * my + c1) * (2 * both + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))))


def agreement(maps: Mapping[str, Sequence[npt.NDArray[Any]]]) -> dict[tuple[str, str], tuple[float, float]]:
    """Return the similarity of the maps of every two methods, averaged over the images.

    Args:
        maps: method → one `(h, w)` map an image, in [0, 1], all of one shape an image.

    Returns:
        Two names → (Spearman's rank correlation, structural similarity).
    """
    names = list(maps)
    found = {}
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            pairs = list(zip(maps[one], maps[other], strict=True))
            if pairs:
                ranks = float(np.mean([rank_correlation(a, b) for a, b in pairs]))
                found[one, other] = (ranks, float(np.mean([ssim(a, b) for a, b in pairs])))
    return found
