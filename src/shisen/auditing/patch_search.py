"""Search for common patches: what many images of a class have at one position, and images of other classes do not.

Seeds. Windows of the fine detail (image minus its local mean) are compared between images at the same position; two
images that carry the same thing correlate there, others do not. The surprise of an image and a window is

    s = k · log((k/n) / ((o + 1)/(m + 1)))

for k among n images of the class and o among m others that correlate with it.

Groups. The images that have what the group has in common are found by a matched filter, see `matched_filter`.

Overlay. Over the group, an overlay x = α·t + (1 − α)·b lowers the standard deviation of each pixel to (1 − α) times
the one it has elsewhere; so α = 1 − sd(group)/sd(others), and t follows from the means. The patch is where α is high,
connected with the window. Around it lies a rim of one pixel that the thing covers in part: its opacity there is
kept, its color is that of the pixels next to it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from .._core.image_ops import box_mean
from .._core.stats import evenly_spaced, log_enrichment
from .compositing import SOLID, with_rim
from .matched_filter import NOISE, apart, detail, gathered, likeness, matched

Floats = npt.NDArray[np.float32]
Window = tuple[int, int, int, int]
"""Top, left, height and width."""

LARGEST, OTHERS = 150, 300  # images compared, of the class and of the others
SHAPES = ((16, 16), (28, 28), (9, 28), (28, 9))  # height and width of the windows
ALIKE = (0.4, 0.6, 0.8)  # correlations above which two windows show the same
AROUND = 4  # pixels around a window or a patch that are looked at too: its edge is part of its look
LEAST_PIXELS = 12
ENOUGH = 12  # images in which more of a patch is looked for
TRIED = 8  # groups, for each patch wanted


@dataclass(frozen=True)
class Background:
    """How the images of other classes vary: `(h, w)` standard deviation and `(h, w, 3)` mean of each pixel."""

    deviation: Floats
    mean: Floats

    @classmethod
    def of(cls, images: Floats) -> Background:
        """Return that of images `(n, h, w, 3)`."""
        return cls(images.std(0).mean(-1) + 4.0, images.mean(0))


@dataclass(frozen=True)
class Patch:
    """A common patch of a class.

    Attributes:
        template: `(K, K, 3)` in levels of 255.
        alpha: `(K, K)` opacity in [0, 1], below `SOLID` on the rim, 0 outside of the patch.
        members: rows of the canvases that carry it, in any class, likeliest first.
        inside: how many members are of the class.
        score: how far the members stand apart, in standard deviations.
    """

    template: Floats
    alpha: Floats
    members: tuple[int, ...]
    inside: int
    score: float = 0.0

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """Where the patch is."""
        return np.asarray(self.alpha >= SOLID)


def common_patches(
    canvases: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64], label: int, most: int = 4
) -> list[Patch]:
    """Return the most surprising common patches of a class, best first.

    Args:
        canvases: `(n, K, K, 3)`, all images at one size.
        labels: class numbers.
        label: the class.
        most: how many.
    """
    inside = evenly_spaced(np.flatnonzero(labels == label), LARGEST)
    outside = evenly_spaced(np.flatnonzero(labels != label), OTHERS)
    if len(inside) < 4 or len(outside) < 4:
        return []
    fine = detail(canvases[np.concatenate([inside, outside])])
    background = Background.of(canvases[outside].astype(np.float32))
    found: list[Patch] = []
    for score, window, group in _groups(fine, len(inside), TRIED * most)[: 3 * most]:
        patch = _grown(canvases, labels == label, inside[list(group)], window, background)
        if patch is not None and not any(_same(patch, other) for other in found):
            found.append(replace(patch, score=score))
            if len(found) == most:
                break
    return found


def _groups(fine: Floats, n: int, tried: int) -> list[tuple[float, Window, tuple[int, ...]]]:
    """Return `(strength, window, members)` of groups that have something in common, those furthest apart first."""
    own = np.arange(len(fine)) < n
    found: list[tuple[float, Window, tuple[int, ...]]] = []
    seen: list[tuple[Window, set[int]]] = []
    for _, _, window, group in sorted(_seeds(fine, n), key=lambda seed: (-seed[0], seed[1:])):
        if any(_meet(window, w) and _alike(set(group), g) for w, g in seen):
            continue
        common = likeness(_cut(fine, window), own)
        start = np.zeros(len(fine), bool)
        start[list(group)] = True
        members, strength = gathered(common, own, start)
        gathered_set = set(np.flatnonzero(members).tolist())
        seen += [(window, set(group)), (window, gathered_set)]
        if len(gathered_set) >= 3:
            found.append((strength, window, tuple(sorted(gathered_set))))
        if len(seen) >= 2 * tried:
            break
    return sorted(found, key=lambda one: (-one[0], one[1:]))


def _cut(fine: Floats, window: Window) -> Floats:
    y, x, high, wide = window
    part = fine[:, max(0, y - AROUND) : y + high + AROUND, max(0, x - AROUND) : x + wide + AROUND]
    return np.ascontiguousarray(part).reshape(len(fine), -1)


def _meet(a: Window, b: Window) -> bool:
    high = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    wide = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    return high > 0 and wide > 0 and high * wide > 0.3 * min(a[2] * a[3], b[2] * b[3])


def _alike(a: set[int], b: set[int]) -> bool:
    return len(a & b) > 0.5 * len(a | b)


def _seeds(fine: Floats, n: int) -> list[tuple[float, int, Window, tuple[int, ...]]]:
    """Return `(surprise, image, window, group)` for the best image of every window."""
    found = []
    m = len(fine) - n
    for high, wide in SHAPES:
        rows, columns = (_positions(fine.shape[1], high), _positions(fine.shape[2], wide))
        for y in rows:
            for x in columns:
                window = fine[:, y : y + high, x : x + wide].reshape(len(fine), -1)
                norm = np.linalg.norm(window, axis=1)
                # windows with next to no detail have nothing in common: two levels of noise are added to the norm
                unit = window / (norm + 2.0 * np.sqrt(window.shape[1]))[:, None]
                correlation = unit[:n] @ unit.T
                for least in ALIKE:
                    alike = correlation > least
                    k, o = alike[:, :n].sum(1), alike[:, n:].sum(1)
                    s = np.where(k >= 3, k * np.log(np.maximum((k / n) / ((o + 1) / (m + 1)), 1.0)), 0.0)
                    i = int(np.argmax(s))
                    if s[i] > 0:
                        group = tuple(int(j) for j in np.flatnonzero(alike[i, :n]))
                        found.append((float(s[i]), i, (y, x, high, wide), group))
    return found


def _positions(length: int, side: int) -> list[int]:
    return sorted({*range(0, length - side + 1, max(1, side // 2)), length - side})


def _grown(
    canvases: npt.NDArray[np.uint8],
    own: npt.NDArray[np.bool_],
    members: npt.NDArray[np.int64],
    window: Window,
    background: Background,
) -> Patch | None:
    """Return the patch that a group of images has around a window: opacity, template, and all affected images."""
    for _ in range(2):
        if len(members) < 3:
            return None
        made = _overlay(canvases, np.flatnonzero(own), members, window, background)
        if made is None:
            return None
        template, alpha = made
        carried, scores = _affected(canvases, own, members, template, alpha, background)
        members = np.flatnonzero(carried & own)
    count, n, m = len(members), int(own.sum()), int((~own).sum())
    if count < 3 or count / n <= 1.5 * (int(carried.sum()) - count) / m:
        return None
    ranked = np.argsort(-scores, kind="stable")
    return Patch(template, alpha, tuple(int(i) for i in ranked if carried[i]), count)


def _overlay(
    canvases: npt.NDArray[np.uint8],
    own: npt.NDArray[np.int64],
    members: npt.NDArray[np.int64],
    where: Window,
    background: Background,
    *,
    whole: bool = False,
) -> tuple[Floats, Floats] | None:
    """Return `(template, alpha)` of what the members have in common, connected with the window; None if too little.

    With `whole`, small pieces do not count: for a window that is the whole image.
    """
    from scipy import ndimage, stats

    (y, x, high, wide), natural, usual = where, background.deviation, background.mean
    window = np.zeros(natural.shape, bool)
    window[y : y + high, x : x + wide] = True
    group = canvases[evenly_spaced(members, LARGEST)].astype(np.float32)
    small = np.sqrt(len(group) / (len(group) - 1))
    # the fewer images, the lower a standard deviation that arises by chance
    chance = 1.0 - float(np.sqrt(stats.chi2.ppf(0.01, len(group) - 1) / (len(group) - 1)))
    least = max(SOLID, chance)
    deviation = natural
    rest = np.setdiff1d(own, members)
    if len(rest) >= 8:  # what all images of the class have in common is no patch of the group
        own_deviation = canvases[evenly_spaced(rest, LARGEST)].astype(np.float32).std(0).mean(-1) + 4.0
        deviation = np.minimum(natural, own_deviation)
    raw = np.clip(1.0 - small * group.std(0).mean(-1) / deviation, 0.0, 1.0)
    solid = (raw >= least) & (box_mean((raw >= least)[None].astype(np.float32), 3)[0] >= 2.9 / 9)
    pieces, _ = ndimage.label(ndimage.binary_dilation(solid, np.ones((3, 3))), np.ones((3, 3)))
    sizes = np.bincount(pieces[solid], minlength=pieces.max() + 1)
    keep = np.unique(pieces[window & solid])
    keep = keep[sizes[keep] >= (LEAST_PIXELS if whole else 1)]
    alpha = np.where(solid & np.isin(pieces, keep[keep > 0]), raw, 0.0).astype(np.float32)
    if (alpha > 0).sum() < LEAST_PIXELS:
        return None
    # what is much more transparent than the rest is natural likeness next to the patch
    alpha[alpha < 0.6 * float(np.quantile(alpha[window & (alpha > 0)], 0.9))] = 0.0
    if (alpha > 0).sum() < LEAST_PIXELS:
        return None
    alpha = with_rim(alpha, raw, chance)
    a = np.maximum(alpha, SOLID)[..., None]
    template = np.clip((group.mean(0) - (1 - a) * usual) / a, 0, 255).astype(np.float32)
    return template, alpha


def _affected(
    canvases: npt.NDArray[np.uint8],
    own: npt.NDArray[np.bool_],
    members: npt.NDArray[np.int64],
    template: Floats,
    alpha: Floats,
    background: Background,
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """Return which images, of any class, have the patch, by its colors or by its fine detail, and how clearly.

    By color: how much likelier an image is with the patch on it, Σ (x − μ)²/2σ² − (x − e)²/2s² + log σ/s with
    e = α·t + (1 − α)·μ and s² = ((1 − α)σ)² + noise². Opaque things are distinguished better that way, thin or varying
    ones by their detail; the way that goes with the class more clearly counts.
    """
    from scipy import ndimage

    natural, usual = background.deviation, background.mean
    where = alpha >= SOLID
    a, sd, mean = alpha[where][:, None], natural[where][:, None], usual[where]
    expected, left = a * template[where] + (1 - a) * mean, np.sqrt(np.square((1 - a) * sd) + NOISE**2)
    values = canvases[:, where].astype(np.float32)
    likelier = np.square((values - mean) / sd) - np.square((values - expected) / left) + 2 * np.log(sd / left)
    color = likelier.mean((1, 2), dtype=np.float64)
    by_color = color > 0
    wide = ndimage.binary_dilation(where, np.ones((3, 3)), iterations=2)
    ys, xs = np.nonzero(wide)
    rows = slice(max(0, ys.min() - AROUND), ys.max() + 1 + AROUND)
    columns = slice(max(0, xs.min() - AROUND), xs.max() + 1 + AROUND)
    fine = detail(canvases[:, rows, columns])[:, wide[rows, columns]].reshape(len(canvases), -1)
    group = np.zeros(len(canvases), bool)
    group[members] = True
    look = matched(likeness(fine, own), group)
    by_detail, _ = apart(look, own)
    evidence = [log_enrichment(np.array([(c & own).sum()]), int(own.sum()), np.array([c.sum()]), len(own))[0]
            for c in (by_color, by_detail)]  # fmt: skip
    return (by_color, color) if evidence[0] < evidence[1] else (by_detail, look)


def completed(canvases: npt.NDArray[np.uint8], own: npt.NDArray[np.bool_], patch: Patch) -> Patch:
    """Return a patch with all that the images that have it have in common, such as the other three corners of a mask.

    Args:
        canvases: `(n, K, K, 3)`.
        own: which are of the class.
        patch: as found around a window.

    Returns:
        The same patch where there are too few images to tell, or where nothing is added.
    """
    members = np.asarray([i for i in patch.members if own[i]])
    others = np.setdiff1d(np.flatnonzero(~own), patch.members)
    if len(members) < ENOUGH or len(others) < ENOUGH:
        return patch
    background = Background.of(canvases[evenly_spaced(others, OTHERS)].astype(np.float32))
    window = (0, 0, *canvases.shape[1:3])
    made = _overlay(canvases, np.flatnonzero(own), members, window, background, whole=True)
    if made is None or (made[1] >= SOLID)[patch.mask].mean() < 0.7:
        return patch
    return replace(patch, template=made[0], alpha=made[1])


def whole_patches(canvases: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64], label: int) -> list[Patch]:
    """Return the common patches of a class, each with all its pieces, and each once.

    Args:
        canvases: `(n, K, K, 3)`, all images at one size.
        labels: class numbers.
        label: the class.
    """
    found: list[Patch] = []
    for patch in common_patches(canvases, labels, label):
        whole = completed(canvases, labels == label, patch)
        if not any(_same(whole, other) for other in found):
            found.append(whole)
    return found


def at_own_size(
    canvases: npt.NDArray[np.uint8], mask: npt.NDArray[np.bool_], *, members: int, rest: int
) -> tuple[Floats, Floats] | None:
    """Return template and opacity of a patch that keeps its position, taken from finer images; None if it is not seen.

    Args:
        canvases: `(n, h, w, 3)`: images of the class that carry it, others of the class, images of other classes.
        mask: `(K, K)`, where the patch was found on small copies.
        members: how many images carry it.
        rest: how many other images of the class there are.

    Returns:
        Template `(h, w, 3)` in levels of 255, and opacity `(h, w)` in [0, 1].
    """
    from PIL import Image
    from scipy import ndimage

    high, wide = canvases.shape[1:3]
    ys, xs = np.nonzero(mask)
    scale = np.array([high, wide]) / mask.shape
    top, left = (np.array([ys.min(), xs.min()]) * scale).astype(int)
    below, right = np.ceil((np.array([ys.max(), xs.max()]) + 1) * scale).astype(int)
    pieces = ndimage.label(mask, np.ones((3, 3)))[1]
    others = canvases[members + rest :].astype(np.float32)
    window = (int(top), int(left), int(below - top), int(right - left))
    made = _overlay(
        canvases, np.arange(members + rest), np.arange(members), window, Background.of(others), whole=pieces > 1
    )
    if made is None:
        return None
    edge = np.ceil(2 * scale).astype(int)
    box = np.zeros((high, wide), np.uint8)
    box[max(0, top - edge[0]) : below + edge[0], max(0, left - edge[1]) : right + edge[1]] = 1
    near = box > 0
    if pieces > 1:
        around = ndimage.binary_dilation(mask, np.ones((3, 3)), iterations=2)
        near &= np.asarray(Image.fromarray(around.astype(np.uint8)).resize((wide, high))) > 0
    return made[0], np.where(near, made[1], 0.0).astype(np.float32)


def _same(a: Patch, b: Patch) -> bool:
    together = len(set(a.members) & set(b.members)) / len(set(a.members) | set(b.members))
    overlap = (a.mask & b.mask).sum() / min(a.mask.sum(), b.mask.sum())
    return bool(together > 0.6 and overlap > 0.3)
