"""Common patches: parts that many pictures of a class share at one place, and pictures of other classes do not.

Seeds. Windows of the fine detail (picture minus its local mean) are compared between pictures at the same place; two
pictures that carry the same thing correlate there, others do not. The surprise of a picture and a window is

    s = k · log((k/n) / ((o + 1)/(m + 1)))

for k among n pictures of the class and o among m others that correlate with it.

Growth. Over the group of pictures that correlate, an overlay x = α·t + (1 − α)·b lowers the spread of each pixel to
(1 − α) times the spread it has elsewhere; so α = 1 − sd(group)/sd(others), and t follows from the means. The patch is
where α is high, connected with the window; the group is then who carries it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
LARGEST, OTHERS = 150, 300  # pictures compared, of the class and of the others
DETAIL = 9  # side of the local mean that is taken off
SIDES = (16, 28)  # of the windows
ALIKE = (0.4, 0.6)  # correlations above which two windows show the same
SOLID = 0.35  # least opacity of a pixel of a patch
LEAST_PIXELS = 12


@dataclass(frozen=True)
class Patch:
    """A common patch of a class.

    Attributes:
        label: class number.
        template: `(K, K, 3)` in levels of 255.
        alpha: `(K, K)` opacity in [0, 1], 0 outside of the patch.
        members: rows of the canvases that carry it, in any class.
        inside: how many members are of the class.
        score: how surprising, in nats.
    """

    label: int
    template: Floats
    alpha: Floats
    members: tuple[int, ...]
    inside: int
    score: float

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """Where the patch is."""
        return np.asarray(self.alpha > 0)


def detail(canvases: npt.NDArray[np.uint8]) -> Floats:
    """Return what differs from the local mean in brightness and in red minus blue, `(n, K, K, 2)`.

    It is held to ±48 levels, so that no edge outweighs all others.
    """
    colours = canvases.astype(np.float32)
    values = np.stack([colours @ np.array([0.3, 0.6, 0.1], np.float32), colours[..., 0] - colours[..., 2]], -1)
    mean = np.stack([_box(values[..., c], DETAIL) for c in range(2)], -1)
    mean /= _box(np.ones((1, *values.shape[1:3]), np.float32), DETAIL)[..., None]
    return np.asarray(np.clip(values - mean, -48, 48), dtype=np.float32)


def common_patches(
    canvases: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64], label: int, most: int = 4
) -> list[Patch]:
    """Return the most surprising common patches of a class, best first.

    Args:
        canvases: `(n, K, K, 3)`, all pictures at one size.
        labels: class numbers.
        label: the class.
        most: how many.
    """
    inside = _spread(np.flatnonzero(labels == label), LARGEST)
    outside = _spread(np.flatnonzero(labels != label), OTHERS)
    if len(inside) < 4 or len(outside) < 4:
        return []
    fine = detail(canvases[np.concatenate([inside, outside])])
    seeds = sorted(_seeds(fine, len(inside)), key=lambda seed: (-seed[0], seed[1:]))
    values = canvases[outside].astype(np.float32)
    natural, usual = values.std(0).mean(-1) + 4.0, values.mean(0)
    found: list[Patch] = []
    for score, i, y, x, side, group in seeds[: 8 * most]:
        if len(found) == most:
            break
        taken = any(
            i_row in patch.members and patch.mask[y : y + side, x : x + side].any()
            for patch in found
            for i_row in (int(inside[i]),)
        )
        if taken:
            continue
        patch = _grown(canvases, labels, label, (inside[list(group)], (y, x, side), score), (natural, usual))
        if patch is not None and not any(_same(patch, other) for other in found):
            found.append(patch)
    return sorted(found, key=lambda patch: -patch.score)


def _spread(rows: npt.NDArray[np.int64], most: int) -> npt.NDArray[np.int64]:
    """Return at most so many rows, evenly from the whole."""
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).astype(int)]


def _seeds(fine: Floats, n: int) -> list[tuple[float, int, int, int, int, tuple[int, ...]]]:
    """Return `(surprise, picture, top, left, side, group)` for the best picture of every window."""
    found = []
    m = len(fine) - n
    for side in SIDES:
        last = fine.shape[1] - side
        places = sorted({*range(0, last + 1, side // 2), last})
        for y in places:
            for x in places:
                window = fine[:, y : y + side, x : x + side].reshape(len(fine), -1)
                norm = np.linalg.norm(window, axis=1)
                # windows with next to no detail have nothing to share: two levels of noise are added to the norm
                unit = window / (norm + 2.0 * np.sqrt(window.shape[1]))[:, None]
                correlation = unit[:n] @ unit.T
                for least in ALIKE:
                    alike = correlation > least
                    k, o = alike[:, :n].sum(1), alike[:, n:].sum(1)
                    s = np.where(k >= 3, k * np.log(np.maximum((k / n) / ((o + 1) / (m + 1)), 1.0)), 0.0)
                    i = int(np.argmax(s))
                    if s[i] > 0:
                        group = tuple(int(j) for j in np.flatnonzero(alike[i, :n]))
                        found.append((float(s[i]), i, y, x, side, group))
    return found


def _box(values: npt.NDArray[np.float32], width: int) -> npt.NDArray[np.float32]:
    """Return the mean over a square neighbourhood; beyond the border there is nothing."""
    half = width // 2
    total = np.cumsum(np.cumsum(np.pad(values, ((0, 0), (half + 1, half), (half + 1, half))), 1, np.float64), 2)
    a, b, c, d = (
        total[:, width:, width:],
        total[:, :-width, width:],
        total[:, width:, :-width],
        total[:, :-width, :-width],
    )
    return np.asarray((a - b - c + d) / (width * width), dtype=np.float32)


def _grown(
    canvases: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    label: int,
    seed: tuple[npt.NDArray[np.int64], tuple[int, int, int], float],
    background: tuple[Floats, Floats],
) -> Patch | None:
    """Return the patch that grows from a group of pictures and a window: opacity and members by turns."""
    from scipy import ndimage, stats

    members, (y, x, side), score = seed
    natural, usual = background
    own = np.flatnonzero(labels == label)
    window = np.zeros(natural.shape, bool)
    window[y : y + side, x : x + side] = True
    template, alpha = usual, np.zeros_like(natural)
    for _ in range(3):
        if len(members) < 3:
            return None
        group = canvases[_spread(members, LARGEST)].astype(np.float32)
        small = np.sqrt(len(group) / (len(group) - 1))
        # the fewer pictures, the lower a spread that chance alone gives
        least = max(SOLID, 1.0 - float(np.sqrt(stats.chi2.ppf(0.01, len(group) - 1) / (len(group) - 1))))
        spread = natural
        rest = np.setdiff1d(own, members)
        if len(rest) >= 8:  # what all pictures of the class have in common is no patch of the group
            own_spread = canvases[_spread(rest, LARGEST)].astype(np.float32).std(0).mean(-1) + 4.0
            spread = np.minimum(natural, own_spread)
        raw = np.clip(1.0 - small * group.std(0).mean(-1) / spread, 0.0, 1.0)
        solid = (raw >= least) & (_box((raw >= least)[None].astype(np.float32), 3)[0] >= 2.9 / 9)
        pieces, count = ndimage.label(ndimage.binary_dilation(solid, np.ones((3, 3))), np.ones((3, 3)))
        keep = np.unique(pieces[window & solid])
        alpha = np.where(solid & np.isin(pieces, keep[keep > 0]), raw, 0.0).astype(np.float32)
        if (alpha > 0).sum() < LEAST_PIXELS:
            return None
        # what is much more transparent than the rest is natural likeness next to the patch
        alpha[alpha < 0.6 * float(np.quantile(alpha[window & (alpha > 0)], 0.9))] = 0.0
        if (alpha > 0).sum() < LEAST_PIXELS:
            return None
        a = np.maximum(alpha, SOLID)[..., None]
        template = np.clip((group.mean(0) - (1 - a) * usual) / a, 0, 255).astype(np.float32)
        members = own[_carries(canvases[own], template, alpha, background)]
    carried = np.flatnonzero(_carries(canvases, template, alpha, background))
    count, n, m = len(members), len(own), len(labels) - len(own)
    if count < 3 or count / n <= 1.5 * (len(carried) - count) / m:
        return None
    return Patch(label, template, alpha, tuple(int(i) for i in carried), count, score)


def _carries(canvases: npt.NDArray[np.uint8], template: Floats, alpha: Floats, around: tuple[Floats, Floats]) -> Any:
    """Return which pictures carry the patch.

    Left over: Σ α²·(x − e)² / Σ α²·sd², with e = α·t + (1 − α)·mean and sd, mean those of other pictures. It is 1 or
    more by nature and Σ α²(1 − α)²·sd² / Σ α²·sd² where the patch is carried; the bound lies between the two.
    """
    natural, usual = around
    where = alpha > 0
    a, weight = alpha[where][:, None], np.square(alpha[where]) / np.square(alpha[where] * natural[where]).sum()
    expected = a * template[where] + (1 - a) * usual[where]
    left = np.square(canvases[:, where].astype(np.float32) - expected).mean(-1) @ weight
    carried = float((np.square((1 - alpha[where]) * natural[where]) * weight).sum())
    return left <= min(0.6, 1.6 * carried + 0.1)


def _same(a: Patch, b: Patch) -> bool:
    together = len(set(a.members) & set(b.members)) / len(set(a.members) | set(b.members))
    overlap = (a.mask & b.mask).sum() / min(a.mask.sum(), b.mask.sum())
    return bool(together > 0.6 and overlap > 0.3)


def pasted(pixels: npt.NDArray[np.uint8], template: Floats, alpha: Floats) -> npt.NDArray[np.uint8]:
    """Return a picture with the patch put on it, at the place and size it has relative to the picture.

    Args:
        pixels: `(h, w, 3)`.
        template: `(K, K, 3)`, in levels of 255.
        alpha: `(K, K)` opacity.
    """
    from PIL import Image

    height, width = pixels.shape[:2]
    size = (width, height)
    soft = np.asarray(Image.fromarray(alpha).resize(size, Image.Resampling.BILINEAR))[..., None]
    spread = _spread_out(template, alpha > 0)
    image = Image.fromarray(np.rint(np.clip(spread, 0, 255)).astype(np.uint8)).resize(size, Image.Resampling.BILINEAR)
    mixed = pixels.astype(np.float32) * (1 - soft) + np.asarray(image, np.float32) * soft
    return np.asarray(np.rint(mixed), dtype=np.uint8)


def removed(pixels: npt.NDArray[np.uint8], mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """Return a picture whose patch is filled with what surrounds it: smooth colours from the rim inwards."""
    from PIL import Image

    height, width = pixels.shape[:2]
    wide = _box(mask[None].astype(np.float32), 3)[0] > 0
    size = (width, height)
    hole = np.asarray(Image.fromarray(wide.astype(np.float32)).resize(size, Image.Resampling.BILINEAR)) > 0.05
    filled = _spread_out(pixels.astype(np.float32), ~hole)
    return np.asarray(np.rint(np.clip(filled, 0, 255)), dtype=np.uint8)


def _spread_out(values: npt.NDArray[np.float32], known: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """Fill the unknown pixels from the known ones, by means over ever larger neighbourhoods."""
    filled, have = values.copy(), known.copy()
    width = 3
    while not have.all() and width < 4 * max(known.shape):
        weight = _box(known[None].astype(np.float32), width)[0]
        mean = np.stack([_box((values[..., c] * known)[None], width)[0] for c in range(3)], -1)
        new = (weight > 1e-6) & ~have
        filled[new] = mean[new] / weight[new][:, None]
        have |= new
        width = width * 2 + 1
    return filled
