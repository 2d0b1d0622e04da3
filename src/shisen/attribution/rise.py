"""RISE: random masks and the score of what they leave visible."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from array_api_compat import array_namespace

from .._core.baselines import Eraser, network_zero
from ..errors import InputError, explain_error
from ..registry import method
from ..targets import like, to_numpy
from ..types import Array, Classifier, Maps, Objective
from .convergence import HALF, agreement, checked_stop, due, half_of
from .objective import on_device, resolved_for
from .path_and_noise import portions
from .perturbation import seen_through
from .rise_masks import Balanced, Grids
from .rise_regression import Regression

VARIANTS = ("centered", "paper")
MASKS = {"paper": Grids, "balanced": Balanced}
ESTIMATES = ("mean", "regression")
FIRST = 128  # masks before the first look at the halves


@method(
    family="perturbation",
    unit="{score}",
    passes="n_samples + 1",
    linear=True,
    needs="activations",
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
    masks: str = "paper",
    estimate: str = "mean",
    stop: float | None = None,
    variant: str = "centered",
    seed: int = 0,
    baseline: str | float = "black",
) -> Maps:
    """RISE: the mean score of the image seen through random masks that leave a place visible.

    values = Σ_i (y_i − ȳ) · M_i / (n_samples · p), y_i the score of b + (x − b) · M_i, b the baseline

    Masks are random grids of `cells` × `cells` zeros and ones, enlarged bilinearly by one cell more than the
    image and cut at a random shift. They are made one portion at a time on the network's device and are the
    same for all images. With masks="balanced", estimate="regression" half as many give about the same map.

    Args:
        model: the network.
        images: `(n, h, w, c)`, pixels in [0, 1].
        objective: the objective; "the top class" is the one of the unaltered image.
        n_samples: number of masks; with `stop`, the most there may be.
        cells: cells of the grid along each side.
        p: probability that a cell is visible.
        masks: "paper" draws cells and shifts independently; "balanced" shows every cell in a fraction p of the masks,
            spreads the shifts evenly and, with p = 0.5, evaluates each mask and its complement
            (n_samples must then be even).
        estimate: "mean" as above; "regression" solves for the map with the same expectation, Cov(y, M) / p, allowing
            for which masks came: nearer to the map of many masks, and pulled towards zero where they tell little.
        stop: None, or the correlation at which to stop, such as 0.95: that to be expected between this map and
            another of as many masks, from those of two halves of the masks (Spearman–Brown: 2 r / (1 + r)). It
            is looked at every 32 masks from the 128th on, for each image on its own.
        variant: "centered" as above; "paper" does not subtract the mean score ȳ, which adds the same large value
            nearly everywhere: the paper draws between the smallest and largest value, where it drops out.
        seed: of the grids and shifts.
        baseline: what a masked pixel becomes: a pixel value, "black", "gray", "mean", "network_zero", "blur" or
            "inpaint"; black multiplies the image by the mask, as the paper does.

    Returns:
        `(n, h, w)`, signed, in units of the score: how much more the network scores when the place is visible.
        Notes, one entry an image: `uncertainty` is the mean standard error of the map (as if masks were independent,
        for the mean); with `stop`, `n_samples` is the number of masks evaluated and `agreement` the correlation
        reached, which is below `stop` if n_samples came first. Halves of balanced masks are less balanced than the
        whole, so that the mean over them agrees better than that.

    Reference:
        Petsiuk, Das, Saenko 2018, with probabilities as scores: ask for score="probability" to do the same.
    """
    for name, value, known in (
        ("variant", variant, VARIANTS),
        ("masks", masks, MASKS),
        ("estimate", estimate, ESTIMATES),
    ):
        if value not in known:
            raise InputError(explain_error(f"{name} must be one of {', '.join(known)}.", repr(value), "Use the first."))
    if not (0 < p < 1 and cells >= 1 and n_samples >= 2):
        raise InputError(
            explain_error(
                "Need 0 < p < 1, cells ≥ 1 and n_samples ≥ 2.",
                f"p {p}, cells {cells}, n_samples {n_samples}",
                "Try p=0.5, cells=7.",
            )
        )
    if estimate == "regression" and variant != "centered":
        raise InputError(
            explain_error(
                "A regression takes the mean score out.", f"variant={variant!r}", "Leave variant out, or use the mean."
            )
        )
    checked_stop(stop)
    logits = model.activations(images)
    objective = resolved_for(objective, logits)
    images = on_device(model, images)
    # scores are taken around that of the whole image, so that sums keep their digits
    around = objective.value(logits)
    plan = MASKS[masks](tuple(images.shape[1:3]), cells, p, n_samples, seed)

    def ask(rows: slice, own: Any) -> tuple[Solver, dict[str, Any]]:
        solvers: list[Solver] = [
            Mean(plan, variant, around[rows]) if estimate == "mean" else Regression(plan) for _ in range(2)
        ]
        part = images[rows, ...]
        eraser = Eraser(part, baseline, network_zero(model, part.shape[-1]))
        runs = list(portions(model, part, n_samples, pairs=plan.pairs, within=HALF if stop else 0))
        scored = ((run, keep, y - around[rows]) for run, keep, y in _scored(model, eraser, plan, own, runs))
        return _gathered(scored, solvers, n_samples, stop)

    if stop is None and estimate == "mean":
        whole, _ = ask(slice(0, images.shape[0]), objective)
        values, uncertainty = whole.solved()
        return Maps(values, {"uncertainty": uncertainty})
    # each image stops, or is solved for, on its own
    found = [ask(slice(i, i + 1), objective.take(np.asarray([i]))) for i in range(images.shape[0])]
    solved = [solver.solved() for solver, _ in found]
    values = array_namespace(images).concat([like(to_numpy(values), images) for values, _ in solved], axis=0)
    notes = {name: [note[name] for _, note in found] for name in found[0][1]}
    return Maps(values, {"uncertainty": [float(u[0]) for _, u in solved], **notes})


class Solver(Protocol):
    """What gathers scores under masks, and makes the map of them."""

    def add(self, run: range, keep: Array, change: Array) -> None:
        """Take in masks `(r, h, w)` with these numbers and the scores under them, `(r, m)`."""

    def merged(self, other: Any) -> Any:
        """Return what holds all that both hold."""

    def solved(self) -> tuple[Array, Array]:
        """Return the maps `(m, h, w)` and their standard errors `(m,)`."""


class Mean:
    """Σ_i (y_i − ȳ) · M_i / (n p), from sums.

    Args:
        plan: the masks.
        variant: as in `rise`.
        around: what was taken off the scores, `(m,)`.
    """

    def __init__(self, plan: Grids, variant: str, around: Array) -> None:
        self.plan, self.variant, self.around = plan, variant, around
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
        both = Mean(self.plan, self.variant, self.around)
        both.count = self.count + other.count
        both.sums = tuple(a + b for a, b in zip(self.sums, other.sums, strict=True))
        return both

    def solved(self) -> tuple[Array, Array]:
        n, p = self.count, self.plan.p
        xp = array_namespace(self.around)
        weighted, masses, total, squares = self.sums
        mean = total / n
        offset = mean if self.variant == "centered" else -self.around
        values = (weighted - offset[:, None] * masses) / (n * p)
        spread = xp.sqrt(xp.maximum(squares / n - mean**2, xp.zeros_like(mean)))
        return xp.reshape(values, (-1, *self.plan.size)), spread * float(np.sqrt((1 - p) / (p * n)))


Scored = tuple[range, Array, Array]
"""Numbers of masks, the masks `(r, h, w)`, and the scores of the m images under them, `(r, m)`."""


def _scored(model: Classifier, eraser: Eraser, plan: Grids, objective: Any, runs: list[range]) -> Iterator[Scored]:
    """Yield masks, run by run, with the scores under them."""
    masks = (plan.masks(run, eraser.images) for run in runs)
    for run, (keep, scores) in zip(runs, seen_through(model, eraser, masks, objective), strict=True):
        yield run, keep, scores


def _gathered(
    scored: Iterator[Scored], solvers: list[Solver], n_samples: int, stop: float | None
) -> tuple[Solver, dict[str, Any]]:
    """Return what has all scores, or those until two halves agree, and the notes about it."""
    if stop is None:
        for run, keep, change in scored:
            solvers[0].add(run, keep, change)
        return solvers[0], {}
    reached = 0.0
    for run, keep, change in scored:
        solvers[half_of(run)].add(run, keep, change)
        if due(run, n_samples, FIRST):
            reached = agreement(*(to_numpy(solver.solved()[0]) for solver in solvers))
            if reached >= stop:
                break
    both = solvers[0].merged(solvers[1])
    return both, {"n_samples": run.stop, "agreement": reached}
