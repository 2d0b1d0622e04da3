"""Methods that take parts of the picture away and watch the score; they need no gradient."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from array_api_compat import array_namespace

from ..errors import InputError, explain_error
from ..registry import method
from ..targets import like
from ..types import Array, Classifier, Maps, Seed
from .averaged import portions
from .fills import Eraser
from .objective import on_device, settled_on
from .resample import bilinear, one_thread, separable

VARIANTS = ("centred", "paper")


def seen_through(model: Classifier, eraser: Eraser, masks: Iterator[Array], seed: Any) -> Iterator[tuple[Array, Array]]:
    """Yield every portion of masks `(r, h, w)` with the scores `(r, n)` of all pictures under them."""
    n = eraser.images.shape[0]
    for keep in masks:
        scores = seed.value(model.activations(eraser(keep)))
        yield keep, array_namespace(scores).reshape(scores, (keep.shape[0], n))


@method(
    family="perturbation",
    unit="{score}",
    passes="windows + 1",
    linear=True,
    needs="activations",
    paper="Zeiler, Fergus: Visualizing and Understanding Convolutional Networks, 2014",
)
def occlusion(
    model: Classifier,
    images: Array,
    seed: Seed,
    *,
    window: int | None = None,
    stride: int | None = None,
    fill: str | float = "grey",
) -> Array:
    """Occlusion: how much of the score a square takes away that covers a place.

    values_p = mean over the windows that cover p of y(x) − y(x with the window filled)

    Args:
        model: the network.
        images: `(n, h, w, c)`, pixels in [0, 1].
        seed: the objective; "the top class" is the one of the unaltered picture.
        window: side of the square in pixels; by default a seventh of the shorter side.
        stride: step between squares in pixels; by default half a window. At the far edges squares are cut off.
        fill: what is put there: a level in pixel values, "zero", "grey", "mean", "blur" or "inpaint".

    Returns:
        `(n, h, w)`, signed, in units of the score: positive where covering costs score.

    Reference:
        Zeiler, Fergus 2014, who draw the remaining score; ours is what was lost.
    """
    logits = model.activations(images)
    seed = settled_on(seed, logits)
    y = seed.value(logits)
    images = on_device(model, images)
    xp = array_namespace(images)
    h, w = images.shape[1:3]
    side = max(1, min(h, w) // 7) if window is None else window
    step = max(1, side // 2) if stride is None else stride
    if not (1 <= side <= min(h, w) and 1 <= step <= side):
        raise InputError(
            explain_error(
                f"Need 1 ≤ stride ≤ window ≤ {min(h, w)}, so that windows fit and every pixel is covered.",
                f"window {side}, stride {step}",
                "Leave both out for a seventh of the side and half of that.",
            )
        )
    rows, columns = _strips(h, side, step), _strips(w, side, step)
    pairs = np.indices((len(rows), len(columns))).reshape(2, -1)

    def masks() -> Iterator[Array]:
        for run in portions(model, images, pairs.shape[1]):
            r, c = pairs[:, run.start : run.stop]
            yield like(1.0 - rows[r][:, :, None] * columns[c][:, None, :], images)

    eraser = Eraser(images, fill)
    scores = [score for _, score in seen_through(model, eraser, masks(), seed)]
    lost = y[None, :] - (scores[0] if len(scores) == 1 else xp.concat(scores, axis=0))
    grid = xp.reshape(xp.permute_dims(lost, (1, 0)), (images.shape[0], len(rows), len(columns)))
    covered = rows.sum(axis=0)[:, None] * columns.sum(axis=0)[None, :]
    return separable(grid, np.ascontiguousarray(rows.T), np.ascontiguousarray(columns.T)) / like(covered, images)


def _strips(size: int, side: int, step: int) -> npt.NDArray[np.float32]:
    """Return one row for each window position along an axis: 1 inside the window, `(positions, size)`."""
    starts = np.arange(-(-(size - side) // step) + 1) * step
    at = np.arange(size)[None, :]
    return ((at >= starts[:, None]) & (at < starts[:, None] + side)).astype(np.float32)


@method(
    family="perturbation",
    unit="{score}",
    passes="n + 1",
    linear=True,
    needs="activations",
    paper="Petsiuk, Das, Saenko: RISE, 2018",
)
def rise(
    model: Classifier,
    images: Array,
    seed: Seed,
    *,
    n: int = 1000,
    cells: int = 7,
    p: float = 0.5,
    variant: str = "centred",
    random_state: int = 0,
    fill: str | float = 0.0,
) -> Maps:
    """RISE: the mean score of the picture seen through random masks that leave a place visible.

    values = Σ_i (y_i − ȳ) · M_i / (n p), y_i the score of fill + (x − fill) · M_i

    Masks are random grids of `cells` × `cells` zeros and ones, enlarged bilinearly by one cell more than the
    picture and cut at a random shift. They are made one portion at a time on the network's device and are the
    same for all pictures.

    Args:
        model: the network.
        images: `(n, h, w, c)`, pixels in [0, 1].
        seed: the objective; "the top class" is the one of the unaltered picture.
        n: number of masks.
        cells: cells of the grid along each side.
        p: probability that a cell is visible.
        variant: "centred" as above; "paper" does not subtract the mean score ȳ, which adds the same large value
            nearly everywhere: the paper draws between the smallest and largest value, where it drops out.
        random_state: seed of the grids and shifts.
        fill: what a masked pixel becomes; 0 multiplies the picture by the mask, as the paper does.

    Returns:
        `(n, h, w)`, signed, in units of the score: how much more the network scores when the place is visible.
        The note `uncertainty` is the mean standard error of the map, one entry a picture.

    Reference:
        Petsiuk, Das, Saenko 2018, with probabilities as scores: ask for score="probability" to do the same.
    """
    if variant not in VARIANTS:
        raise InputError(
            explain_error(f"variant must be one of {', '.join(VARIANTS)}.", repr(variant), "Use the first.")
        )
    if not (0 < p < 1 and cells >= 1 and n >= 2):
        raise InputError(
            explain_error("Need 0 < p < 1, cells ≥ 1 and n ≥ 2.", f"p {p}, cells {cells}, n {n}", "Try p=0.5, cells=7.")
        )
    logits = model.activations(images)
    seed = settled_on(seed, logits)
    images = on_device(model, images)
    xp = array_namespace(images)
    plan = Grids(tuple(images.shape[1:3]), cells, p, n, random_state)
    portion = (plan.masks(run, images) for run in portions(model, images, n))
    # scores are taken around that of the whole picture, so that sums keep their digits
    around = seed.value(logits)
    weighted: Any = 0.0
    masses: Any = 0.0
    total: Any = 0.0
    squares: Any = 0.0
    for keep, score in seen_through(model, Eraser(images, fill), portion, seed):
        change = score - around[None, :]
        flat = xp.reshape(keep, (keep.shape[0], -1))
        weighted = weighted + xp.permute_dims(change, (1, 0)) @ flat
        masses = masses + xp.sum(flat, axis=0)[None, :]
        total = total + xp.sum(change, axis=0)
        squares = squares + xp.sum(change**2, axis=0)
    mean = total / n
    offset = mean if variant == "centred" else -around
    values = (weighted - offset[:, None] * masses) / (n * p)
    spread = xp.sqrt(xp.maximum(squares / n - mean**2, xp.zeros_like(mean)))
    notes = {"uncertainty": spread * float(np.sqrt((1 - p) / (p * n)))}
    return Maps(xp.reshape(values, tuple(images.shape[:3])), notes)


class Grids:
    """Random grids and shifts, and the masks they make.

    Args:
        size: `(h, w)` of the masks.
        cells: cells along each side.
        p: probability of a one.
        n: how many.
        random_state: seed of the generator.
    """

    def __init__(self, size: tuple[int, int], cells: int, p: float, n: int, random_state: int) -> None:
        rng = np.random.default_rng(random_state)
        self.grids = (rng.random((n, cells, cells)) < p).astype(np.float32)
        self.sides = tuple(-(-side // cells) for side in size)
        self.shifts = np.stack([rng.integers(0, side, n) for side in self.sides])
        self.size = size
        self.cells = cells

    def masks(self, run: range, images: Array) -> Array:
        """Return the masks with these numbers, `(r, h, w)` in [0, 1], in the pictures' kind of array."""
        left, right = (self._cut(axis, run) for axis in (0, 1))
        grids = like(self.grids[run.start : run.stop], images)
        with one_thread(grids):
            return like(left, images) @ grids @ like(np.ascontiguousarray(right.transpose(0, 2, 1)), images)

    def _cut(self, axis: int, run: range) -> npt.NDArray[np.float32]:
        """Return the enlarging matrix of each mask, `(r, side, cells)`, cut at its shift."""
        whole = bilinear(self.cells, (self.cells + 1) * self.sides[axis])
        shifts = self.shifts[axis, run.start : run.stop]
        return np.asarray(whole[shifts[:, None] + np.arange(self.size[axis])[None, :]], dtype=np.float32)
