"""Writing that is another in every image, such as dates: its strokes, taken from each image that carries it.

What all members of a patch fraction of a date are a few digits and dashes; put on other images, these are no date. But
all of them are written in one ink t. With b the local median of an image, which thin strokes do not move, a pixel
x = α·t + (1 − α)·b gives the opacity

    α = (x − b)·(t − b) / |t − b|²

where x lies near the line from b to t. Strokes count as writing if they are on what the members share, if members
differ in them, and if other images have no such ink there.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
APART = 40.0  # levels between ink and background below which strokes cannot be told
NEAR = 40.0  # levels by which a pixel may lie off the line from background to ink
LEAST = 6  # pixels, at least, on which nearly all members have ink
COVERED = 0.3  # fraction of these, at least, that lie on the patch
VARIED = 0.25  # how far, at least, members differ from their mean, as a fraction of their ink
REACH = 12  # heights of a line that writing may go on beyond what members share
RARER = 0.5  # ink of other images in the same place, at most, as a fraction of that of members


def written(
    canvases: npt.NDArray[np.uint8], members: int, template: Floats, alpha: Floats
) -> list[tuple[Floats, Floats]] | None:
    """Return template and opacity of the strokes of the legible members, None if the patch is no varying writing.

    Args:
        canvases: `(n, h, w, 3)`: images that carry the patch, then others.
        members: how many carry it.
        template, alpha: what they share, `(h, w, 3)` and `(h, w)`.
    """
    from scipy import ndimage

    shared = alpha >= 0.5 * float(alpha.max())
    if shared.sum() < LEAST:
        return None
    ys, xs = np.nonzero(shared)
    high, wide = int(np.ptp(ys)) + 1, int(np.ptp(xs)) + 1
    if high > 0.25 * len(alpha):  # no line of writing
        return None
    line = max(3, min(high, wide))
    rows = slice(max(0, ys.min() - line // 2), ys.max() + line // 2 + 1)
    columns = slice(max(0, xs.min() - REACH * line), xs.max() + REACH * line + 1)
    parts = canvases[:, rows, columns].astype(np.float32)
    core = shared[rows, columns]
    # colors of the strokes' middles: where members agree most, and differ most from what is around
    strong = alpha[rows, columns] >= 0.9 * float(alpha.max())
    ink = np.median(template[rows, columns][strong & core], axis=0)
    opacity = np.stack([_opacity(part, ink, line) for part in parts])
    if len(opacity) < members + 4:
        return None
    opacity[:, :, ~_columns(opacity[:members], opacity[members:], core, line)] = 0.0
    own, others = opacity[:members], opacity[members:]
    legible = own.sum((1, 2)) >= 0.5 * np.median(own.sum((1, 2)))  # not white on white
    if legible.sum() < 3 or not own[legible].any():
        return None
    own = own[legible]
    total, mean = own.sum((1, 2)), own.mean(0)
    common = mean >= 0.7 * float(mean.max())
    if common.sum() < LEAST:
        return None
    inside = float((common & ndimage.binary_dilation(core, np.ones((3, 3)))).sum() / common.sum())
    varied = float(np.median(np.abs(own - mean).sum((1, 2)) / total))
    rarer = float(np.median(others.sum((1, 2))) / np.median(total))
    if inside < COVERED or varied < VARIED or rarer > RARER:
        return None
    color = np.broadcast_to(ink.astype(np.float32), template.shape)
    found = []
    for strokes in own:
        whole = np.zeros(alpha.shape, np.float32)
        whole[rows, columns] = strokes
        found.append((color, whole))
    return found


def _columns(own: Floats, others: Floats, core: npt.NDArray[np.bool_], line: int) -> npt.NDArray[np.bool_]:
    """Return which columns the line of writing goes over, `(w,)`: more ink than elsewhere, without wide gaps."""
    from scipy import ndimage

    inked = own.mean((0, 1)) > 2 * others.mean((0, 1)) + 0.02
    joined = ndimage.binary_closing(np.pad(inked | core.any(0), line), iterations=max(1, line // 2))[line:-line]
    pieces, _ = ndimage.label(joined)
    kept = np.unique(pieces[core.any(0)])
    return np.asarray(np.isin(pieces, kept[kept > 0]))


def _opacity(part: Floats, ink: npt.NDArray[np.floating], line: int) -> Floats:
    """Return how much of each pixel is ink, `(h, w)` in [0, 1]; 0 where that cannot be told."""
    from scipy import ndimage

    ground = ndimage.median_filter(part, size=(2 * (line // 2) + 3, 2 * (line // 2) + 3, 1), mode="nearest")
    way = ink - ground
    length = np.square(way).sum(-1)
    fraction = np.clip(((part - ground) * way).sum(-1) / np.maximum(length, 1.0), 0.0, 1.0)
    off = np.sqrt(np.square(part - ground - fraction[..., None] * way).sum(-1))
    fraction[(length < APART**2) | (off > NEAR)] = 0.0
    fraction[fraction < 0.15] = 0.0  # grain
    return np.asarray(fraction, dtype=np.float32)
