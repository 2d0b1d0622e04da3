"""RISE's masks: random grids of visible cells as in the paper, or balanced ones."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from array_api_compat import array_namespace

from .._core.image_ops import bilinear, one_thread
from ..errors import InputError, explain_error
from ..targets import like
from ..types import Array

Values = npt.NDArray[np.float64]

BLOCK = 64  # masks that are balanced among themselves where there are no complements
WEYL = {
    1: (0.6180339887498949,),
    2: (0.7548776662466927, 0.5698402909980532),
    3: (0.8191725133961645, 0.6710436067037893, 0.5497004779019703),
}
"""Steps of the shifts: 1/g, …, 1/g^d for d axes, g the real root of g^(d+1) = g + 1."""
LEAST = 1e-3  # directions in which masks vary by less than this fraction of the largest variance are left out


class Grids:
    """Random grids and shifts, and the masks they make.

    Args:
        size: positions of the masks, such as `(h, w)`.
        cells: number of cells along each side.
        p: probability of a one.
        n_samples: number of masks.
        seed: random seed.

    Attributes:
        pairs: whether masks 2i and 2i + 1 are complements, M and 1 − M.
    """

    pairs = False

    def __init__(self, size: tuple[int, ...], cells: int, p: float, n_samples: int, seed: int) -> None:
        self.size, self.cells, self.p, self.n_samples = size, cells, p, n_samples
        self.counts = tuple(min(cells, side) if len(size) != 2 else cells for side in size)
        self.sides = tuple(-(-side // count) for side, count in zip(size, self.counts, strict=True))
        self.grids, self.shifts = self._drawn(np.random.default_rng(seed))

    def _drawn(self, rng: np.random.Generator) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        """Return grids `(n, cells, cells)` of zeros and ones, and shifts `(2, n)` in pixels; any rank alike."""
        grids = (rng.random((self.n_samples, *self.counts)) < self.p).astype(np.float32)
        return grids, np.stack([rng.integers(0, side, self.n_samples) for side in self.sides])

    def masks(self, run: range, images: Array) -> Array:
        """Return the masks with these numbers, `(r, *positions)` in [0, 1], as the images' kind of array.

        Args:
            run: numbers of the masks.
            images: the images that the masks are made for.
        """
        grids = like(self.grids[run.start : run.stop], images)
        if len(self.size) != 2:
            return self._enlarged(grids, [like(self._cut(axis, run), images) for axis in range(len(self.size))])
        left, right = (self._cut(axis, run) for axis in (0, 1))
        with one_thread(grids):
            return like(left, images) @ grids @ like(np.ascontiguousarray(right.transpose(0, 2, 1)), images)

    @staticmethod
    def _enlarged(grids: Array, matrices: list[Array]) -> Array:
        """Return grids `(r, *cells)` enlarged along each axis by matrices `(r, side, cells)`."""
        xp = array_namespace(grids)
        with one_thread(grids):
            for axis, matrix in enumerate(matrices):
                shape = tuple(grids.shape)
                before, after = shape[1 : axis + 1], shape[axis + 2 :]
                lines = xp.reshape(grids, (shape[0], math.prod(before), shape[axis + 1], math.prod(after)))
                grids = xp.reshape(matrix[:, None, ...] @ lines, (shape[0], *before, matrix.shape[1], *after))
        return grids

    def _cut(self, axis: int, run: range) -> npt.NDArray[np.float32]:
        """Return the enlarging matrix of each mask, `(r, side, cells)`, cut at its shift."""
        shifts = self.shifts[axis, run.start : run.stop]
        at = shifts[:, None] + np.arange(self.size[axis])[None, :]
        return np.asarray(self._whole(axis)[at], dtype=np.float32)

    def _whole(self, axis: int) -> npt.NDArray[np.float32]:
        return bilinear(self.counts[axis], (self.counts[axis] + 1) * self.sides[axis])


class Balanced(Grids):
    """Grids in which every cell is visible in a fraction p of the masks, and shifts that fill the cell evenly.

    With p = 1/2, masks come in pairs of complements, and the grids of a block are the rows of a Hadamard matrix, each
    cell a column of its own with a sign of its own: over a block no two cells are correlated (a foldover of a
    saturated two-level design). With another p, each cell is visible in as near p · 64 of 64 masks as can be, the
    remainder carried over, in an order of its own. Either way each mask alone has the distribution of the paper's
    cells one by one. Shifts follow an additive recurrence with a random start; complements have the same.

    Reference:
        Plackett, Burman 1946: The design of optimum multifactorial experiments; Box, Hunter 1961 for the foldover;
        Roberts 2018: The unreasonable effectiveness of quasirandom sequences, for the recurrence.
    """

    def __init__(self, size: tuple[int, ...], cells: int, p: float, n_samples: int, seed: int) -> None:
        self.pairs = p == 0.5
        if self.pairs and n_samples % 2:
            raise InputError(
                explain_error(
                    "Balanced masks with p=0.5 come in pairs, so n_samples must be even.",
                    n_samples,
                    f"Use n_samples={n_samples + 1}.",
                )
            )
        super().__init__(size, cells, p, n_samples, seed)

    def _drawn(self, rng: np.random.Generator) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        positions, count = math.prod(self.counts), self.n_samples // 2 if self.pairs else self.n_samples
        start = rng.random(len(self.size))
        fractions = (start[:, None] + np.asarray(WEYL[len(self.size)])[:, None] * np.arange(count)) % 1.0
        shifts = np.floor(fractions * np.asarray(self.sides)[:, None]).astype(np.int64)
        flat = _hadamard_rows(rng, positions, count) if self.pairs else _balanced_rows(rng, positions, count, self.p)
        if self.pairs:
            flat = np.stack([flat, ~flat], axis=1).reshape(self.n_samples, positions)
            shifts = np.repeat(shifts, 2, axis=1)
        return flat.reshape(self.n_samples, *self.counts).astype(np.float32), shifts


def _hadamard_rows(rng: np.random.Generator, positions: int, count: int) -> npt.NDArray[np.bool_]:
    """Return rows of Hadamard matrices `(count, positions)`, columns, signs and rows drawn for each matrix."""
    hadamard = np.ones((1, 1))
    while len(hadamard) <= positions:
        hadamard = np.block([[hadamard, hadamard], [hadamard, -hadamard]])
    order = len(hadamard)
    blocks = []
    for _ in range(-(-count // order)):
        columns = 1 + rng.permutation(order - 1)[:positions]  # the first column never changes
        signs = rng.integers(0, 2, positions) * 2 - 1
        blocks.append((hadamard[:, columns] * signs)[rng.permutation(order)] > 0)
    return np.concatenate(blocks)[:count]


def _balanced_rows(rng: np.random.Generator, positions: int, count: int, p: float) -> npt.NDArray[np.bool_]:
    """Return `(count, positions)`, true in ⌊p · count + u⌋ rows of each column, u uniform, block by block."""
    visible = np.zeros((count, positions), bool)
    offset = rng.random(positions)
    for start in range(0, count, BLOCK):
        stop = min(start + BLOCK, count)
        ones = np.floor(p * stop + offset) - np.floor(p * start + offset)
        visible[start:stop] = rng.permuted(np.arange(stop - start)[:, None] < ones[None, :], axis=0)
    return visible


class Directions:
    """The directions in which masks vary: eigenvectors of their covariance, which is known exactly.

    Cov(M_q, M_p) = p (1 − p) · K_h(q_y, p_y) · K_w(q_x, p_x), where K = mean over the shifts of L_s L_sᵀ and L_s is the
    enlarging matrix cut at shift s: cells are independent, and every row of L_s sums to one, so that shifts alone
    move nothing.

    Args:
        plan: the masks.

    Attributes:
        variances: of the masks along each direction, `(k,)`, in units of p (1 − p), largest first.
    """

    def __init__(self, plan: Grids) -> None:
        self.plan = plan
        (low, up), (low2, up2) = (_axes(plan.cells, plan.size[a], plan.sides[a]) for a in (0, 1))
        product = np.outer(low, low2)
        order = np.argsort(-product, axis=None, kind="stable")
        order = order[product.ravel()[order] > LEAST * product.max()]
        self.chosen = np.unravel_index(order, product.shape)
        self.variances: Values = product[self.chosen]
        self.axes = up, up2

    def features(self, run: range) -> Values:
        """Return masks along the directions, `(r, k)`: less their mean, each with variance one."""
        plan = self.plan
        left, right = (np.einsum("hk,rhc->rkc", self.axes[a], plan._cut(a, run), optimize=True) for a in (0, 1))
        grids = (plan.grids[run.start : run.stop] - plan.p) / np.sqrt(plan.p * (1.0 - plan.p))
        both = left @ grids @ right.transpose(0, 2, 1)
        return np.asarray(both[:, self.chosen[0], self.chosen[1]] / np.sqrt(self.variances))

    def painted(self, weights: Values) -> Values:
        """Return Cov(y, M) / p, `(h, w)`, for a score y that changes by `weights` with the features."""
        grid = np.zeros([axis.shape[1] for axis in self.axes])
        grid[self.chosen] = weights * np.sqrt(self.variances) * np.sqrt((1.0 - self.plan.p) / self.plan.p)
        return np.asarray(self.axes[0] @ grid @ self.axes[1].T)


@lru_cache(maxsize=16)
def _axes(cells: int, size: int, side: int) -> tuple[Values, Values]:
    """Return eigenvalues `(k,)` and eigenvectors `(size, k)` of K along one side, the largest first."""
    whole = bilinear(cells, (cells + 1) * side).astype(np.float64)
    covariance = sum(whole[s : s + size] @ whole[s : s + size].T for s in range(side)) / side
    values, vectors = np.linalg.eigh(covariance)
    keep = values > LEAST * values[-1]
    return values[keep][::-1], np.ascontiguousarray(vectors[:, keep][:, ::-1])
