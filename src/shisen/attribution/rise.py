"""RISE: random masks and the score of what they leave visible."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, Protocol

import numpy as np
from array_api_compat import array_namespace

from .._core.baselines import Eraser
from ..adapters.wrappers import network_zero
from ..errors import InputError, explain_error
from ..registry import method
from ..targets import like, to_numpy
from ..types import Array, Classifier, Maps, Objective
from .convergence import HALF, agreement, check_due, checked_stop, half_of
from .objective import on_device, resolved_for
from .path_and_noise import portions
from .perturbation import scores_under
from .rise_masks import Balanced, Grids
from .rise_regression import Regression

MASKS = {"paper": Grids, "balanced": Balanced}
FIRST = 128  # masks before the halves are first compared


@method(
    family="perturbation",
    passes="n_samples + 1",
    paper="Petsiuk, Das, Saenko: RISE, 2018",
)
def rise(
    model: Classifier,
    images: Array,
    objective: Objective,
    *,
    n_samples: int = 1000,
    cells: int = 7,
    p: float = 0.5,
    masks: Literal["paper", "balanced"] = "paper",
    estimate: Literal["mean", "regression"] = "mean",
    stop: float | None = None,
    variant: Literal["centered", "paper"] = "centered",
    seed: int = 0,
    baseline: str | float = "black",
) -> Maps:
    """RISE: the mean score of the image under random masks that leave a pixel visible.

    values = Σ_i (y_i − ȳ) · M_i / (n_samples · p), y_i the score of b + (x − b) · M_i, b the baseline

    Masks are random grids of `cells` × `cells` zeros and ones, enlarged bilinearly by one cell more than the
    image and cropped at a random shift. They are made one batch at a time on the network's device and are the
    same for all images. With masks="balanced", estimate="regression" half as many give about the same map.

    Options:
        n_samples: number of masks; with `stop`, the most there may be.
        cells: cells of the grid along each side; of a shorter side of a volume, one a voxel.
        p: probability that a cell is visible.
        masks: "paper" draws cells and shifts independently; "balanced" shows every cell in a fraction p of the masks,
            spreads the shifts evenly and, with p = 0.5, evaluates each mask and its complement (n_samples
            must then be even).
        estimate: "mean" as above; "regression" solves for the map with the same expectation, Cov(y, M) / p, given the
            masks that were drawn: nearer to the map of many masks, and shrunk towards zero where these
            carry little information.
        stop: None, or the correlation at which to stop, such as 0.95: the one to be expected between this map and
            one of as many other masks, estimated from two halves of the masks (Spearman–Brown: 2 r / (1 + r)). It is
            checked every 32 masks from the 128th on, for each image separately.
        variant: "centered" as above; "paper" does not subtract the mean score ȳ, which adds the same large value
            nearly everywhere: the paper draws between the smallest and largest value, where it cancels.
        seed: random seed of the grids and shifts.
        baseline: what a masked pixel becomes: a pixel value, "black", "gray", "mean", "network_zero", "blur" or
            "inpaint"; black multiplies the image by the mask, as the paper does.

    Returns:
        `(n, h, w)`, signed, in units of the score: how much higher the score is when the pixel is visible.
        Notes, one entry an image: `uncertainty` is the mean standard error of the map (as if masks were independent,
        for the mean); with `stop`, `n_samples` is the number of masks evaluated and `agreement` the correlation
        reached, which is below `stop` if n_samples came first. Halves of balanced masks are less balanced than the
        whole, so that the mean over them agrees better than that.

    Reference:
        Petsiuk, Das, Saenko 2018, with probabilities as scores: use score="probability" to do the same.
    """
    _check(p, cells, n_samples, estimate, variant, stop, rank=len(images.shape) - 2)
    logits = model.activations(images)
    objective = resolved_for(objective, logits)
    images = on_device(model, images)
    # scores are taken relative to that of the whole image, so that sums keep their precision
    reference = objective.value(logits)
    plan = MASKS[masks](tuple(images.shape[1:-1]), cells, p, n_samples, seed)

    def estimated(rows: slice, own: Any) -> tuple[Solver, dict[str, Any]]:
        solvers: list[Solver] = [
            Mean(plan, variant, reference[rows]) if estimate == "mean" else Regression(plan) for _ in range(2)
        ]
        part = images[rows, ...]
        eraser = Eraser(part, baseline, network_zero(model, part.shape[-1]))
        runs = list(portions(model, part, n_samples, pairs=plan.pairs, within=HALF if stop else 0))
        scored = ((run, keep, y - reference[rows]) for run, keep, y in _scored(model, eraser, plan, own, runs))
        return _gathered(scored, solvers, n_samples, stop)

    if stop is None and estimate == "mean":
        whole, _ = estimated(slice(0, images.shape[0]), objective)
        values, uncertainty = whole.solved()
        return Maps(values, {"uncertainty": uncertainty})
    # each image stops, or is solved for, separately
    found = [estimated(slice(i, i + 1), objective.take(np.asarray([i]))) for i in range(images.shape[0])]
    solved = [solver.solved() for solver, _ in found]
    values = array_namespace(images).concat([like(to_numpy(values), images) for values, _ in solved], axis=0)
    notes = {name: [note[name] for _, note in found] for name in found[0][1]}
    return Maps(values, {"uncertainty": [float(u[0]) for _, u in solved], **notes})


def _check(p: float, cells: int, n_samples: int, estimate: str, variant: str, stop: float | None, *, rank: int) -> None:
    """Raise if options of `rise` are out of range or exclude each other."""
    if not (0 < p < 1 and cells >= 1 and n_samples >= 2):
        raise InputError(
            explain_error(
                "Need 0 < p < 1, cells ≥ 1 and n_samples ≥ 2.",
                f"p {p}, cells {cells}, n_samples {n_samples}",
                "Try p=0.5, cells=7.",
            )
        )
    if estimate == "regression" and rank != 2:
        raise InputError(
            explain_error(
                "The regression of RISE is for images of two dimensions.",
                f"an input with {rank} axes of positions",
                "Leave estimate out, or use masks='balanced'.",
            )
        )
    if estimate == "regression" and variant != "centered":
        raise InputError(
            explain_error(
                "A regression removes the mean score.", f"variant={variant!r}", "Leave variant out, or use the mean."
            )
        )
    checked_stop(stop)


class Solver(Protocol):
    """Collects scores under masks, and turns them into a map."""

    def add(self, run: range, keep: Array, change: Array) -> None:
        """Add masks `(r, h, w)` with these numbers and the scores under them, `(r, m)`.

        Args:
            run: numbers of the masks.
            keep: `(r, h, w)`, 1 where the image is kept.
            change: `(r, m)` scores, less a reference.
        """

    def merged(self, other: Any) -> Any:
        """Return a solver with the scores of both."""

    def solved(self) -> tuple[Array, Array]:
        """Return the maps `(m, h, w)` and their standard errors `(m,)`."""


class Mean:
    """Σ_i (y_i − ȳ) · M_i / (n p), from running sums.

    Args:
        plan: the masks.
        variant: as in `rise`.
        reference: what was subtracted from the scores, `(m,)`.
    """

    def __init__(self, plan: Grids, variant: str, reference: Array) -> None:
        self.plan, self.variant, self.reference = plan, variant, reference
        self.count = 0
        self.sums: tuple[Any, ...] = (0.0, 0.0, 0.0, 0.0)  # Σ y M, Σ M, Σ y, Σ y²

    def add(self, run: range, keep: Array, change: Array) -> None:
        xp = array_namespace(change)
        flat = xp.reshape(keep, (keep.shape[0], -1))
        new = (
            xp.permute_dims(change, (1, 0)) @ flat,
            xp.sum(flat, axis=0)[None, :],
            xp.sum(change, axis=0),
            xp.sum(change**2, axis=0),
        )
        self.count += len(run)
        self.sums = tuple(a + b for a, b in zip(self.sums, new, strict=True))

    def merged(self, other: Mean) -> Mean:
        both = Mean(self.plan, self.variant, self.reference)
        both.count = self.count + other.count
        both.sums = tuple(a + b for a, b in zip(self.sums, other.sums, strict=True))
        return both

    def solved(self) -> tuple[Array, Array]:
        n, p = self.count, self.plan.p
        xp = array_namespace(self.reference)
        weighted, masses, total, squares = self.sums
        mean = total / n
        offset = mean if self.variant == "centered" else -self.reference
        values = (weighted - offset[:, None] * masses) / (n * p)
        std = xp.sqrt(xp.maximum(squares / n - mean**2, xp.zeros_like(mean)))
        return xp.reshape(values, (-1, *self.plan.size)), std * float(np.sqrt((1 - p) / (p * n)))


Scored = tuple[range, Array, Array]
"""Numbers of masks, the masks `(r, h, w)`, and the scores of the m images under them, `(r, m)`."""


def _scored(model: Classifier, eraser: Eraser, plan: Grids, objective: Any, runs: list[range]) -> Iterator[Scored]:
    """Yield masks, run by run, with the scores under them."""
    masks = (plan.masks(run, eraser.images) for run in runs)
    for run, (keep, scores) in zip(runs, scores_under(model, eraser, masks, objective), strict=True):
        yield run, keep, scores


def _gathered(
    scored: Iterator[Scored], solvers: list[Solver], n_samples: int, stop: float | None
) -> tuple[Solver, dict[str, Any]]:
    """Return a solver with all scores, or with those until two halves agree, and the notes about it."""
    if stop is None:
        for run, keep, change in scored:
            solvers[0].add(run, keep, change)
        return solvers[0], {}
    reached = 0.0
    for run, keep, change in scored:
        solvers[half_of(run)].add(run, keep, change)
        if check_due(run, n_samples, FIRST):
            reached = agreement(*(to_numpy(solver.solved()[0]) for solver in solvers))
            if reached >= stop:
                break
    both = solvers[0].merged(solvers[1])
    return both, {"n_samples": run.stop, "agreement": reached}
