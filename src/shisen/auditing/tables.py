"""Tests of attributes whose values are names: tables of the values by class, and by error within the classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .metadata import Attribute

LEAST_CLASS, LEAST_VALUE, LEAST_ERRORS = 10, 5, 10
"""Least images of a class, images of a value, and errors (and correct images), about which anything can be said."""
VALUES = 20
"""Most frequent values that are compared; all others count as one."""
DRAWS, BLOCK = 1999, 200
WEAK = 0.1
"""Least bias-corrected Cramér's V of an association that is listed."""
POINTS = 0.1
"""Least difference of error rates that is listed."""
EXPECTED = 5.0
"""Least expected number of images of every cell for the chi-squared distribution; below, tables are drawn."""
OTHER = "(other)"
MISSING = "(none)"

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]


class Tested(NamedTuple):
    """A test of one attribute; its fields are those of an `Association`, and `least` is the least strength listed."""

    test: str
    n: int
    strength: float
    p: float
    label: int
    value: str
    inside: tuple[float, int]
    outside: tuple[float, int]
    least: float
    separate: bool = False


def tabled(one: Attribute, labels: Ints, wrong: Booleans) -> tuple[Tested | None, Tested | None]:
    """Return the tests of an attribute: all against the labels, and within the classes against errors.

    Args:
        one: the attribute, a value or none for each of n images.
        labels: (n,) class numbers, -1 for images that are left out.
        wrong: (n,) whether the prediction is an error.
    """
    texts = [str(v) if v is not None else MISSING for v in one.values]
    counts = Counter(t for t, k in zip(texts, labels, strict=True) if k >= 0)
    names = [t for t, n in counts.most_common() if n >= LEAST_VALUE][:VALUES]
    codes = np.asarray([names.index(t) if t in names else len(names) for t in texts])
    names.append(OTHER)
    classes = {(t, int(k)) for t, k in zip(texts, labels, strict=True) if k >= 0}
    separate = len(classes) == len(counts)
    return _label_table(codes, names, labels, separate), _error_table(codes, names, labels, wrong)


def _table(rows: Ints, columns: Ints, shape: tuple[int, int]) -> Ints:
    table = np.zeros(shape, np.int64)
    np.add.at(table, (rows, columns), 1)
    return table


def _label_table(codes: Ints, names: Sequence[str], labels: Ints, separate: bool) -> Tested | None:
    classes, sizes = np.unique(labels[labels >= 0], return_counts=True)
    classes = classes[sizes >= LEAST_CLASS]
    own = np.isin(labels, classes)
    table = _table(np.searchsorted(classes, labels[own]), codes[own], (len(classes), len(names)))
    table[:, -1] = 0 if table[:, -1].sum() < LEAST_VALUE else table[:, -1]
    used = np.flatnonzero(table.sum(0))
    table = table[:, used]
    if min(table.shape) < 2:
        return None
    n = int(table.sum())
    expected = np.outer(table.sum(1), table.sum(0)) / n
    value = float(((table - expected) ** 2 / expected).sum())
    rows, columns = table.shape
    if expected.min() >= EXPECTED:
        from scipy.stats import chi2

        test, p = "chi_squared", float(chi2.sf(value, (rows - 1) * (columns - 1)))
    else:
        above = sum(int((_squares(t, expected) >= value - 1e-9).sum()) for t in _drawn(table))
        test, p = "permutation", (1 + above) / (1 + DRAWS)
    of_row, of_column = table.sum(1)[:, None] / n, table.sum(0) / n
    residual = (table - expected) / np.sqrt(np.maximum(expected * (1 - of_row) * (1 - of_column), 1e-9))
    real = np.asarray([names[j] != OTHER for j in used.tolist()])
    i, j = (int(v) for v in np.unravel_index(np.where(real, residual, -np.inf).argmax(), table.shape))
    return Tested(
        test,
        n,
        _corrected_v(value, n, rows, columns),
        p,
        int(classes[i]),
        names[int(used[j])],
        (float(table[i, j]), int(table[i].sum())),
        (float(table[:, j].sum() - table[i, j]), n - int(table[i].sum())),
        WEAK,
        separate,
    )


def _squares(tables: Ints, expected: Floats) -> Floats:
    return np.asarray(((tables - expected) ** 2 / expected).sum((-2, -1)))


def _drawn(table: Ints) -> Iterator[Ints]:
    """Yield random tables with the same margins, a block at a time."""
    from scipy.stats import random_table

    draw = random_table(table.sum(1), table.sum(0), seed=0)
    for start in range(0, DRAWS, BLOCK):
        yield np.asarray(draw.rvs(min(BLOCK, DRAWS - start))).astype(np.int64)


def _corrected_v(value: float, n: int, rows: int, columns: int) -> float:
    """Return Cramér's V corrected for bias.

    Reference: Bergsma 2013, A bias-correction for Cramér's V and Tschuprow's T.
    """
    phi = max(0.0, value / n - (rows - 1) * (columns - 1) / (n - 1))
    r, c = (k - (k - 1) ** 2 / (n - 1) for k in (rows, columns))
    return float(np.sqrt(phi / max(min(r, c) - 1, 1e-9)))


def _error_table(codes: Ints, names: Sequence[str], labels: Ints, wrong: Booleans) -> Tested | None:
    """Return whether errors are more frequent for one value than its classes explain.

    Random tables of each class keep its errors and its values; their sum over the classes is compared with what was
    counted, value by value: Σ (O − E)²/Var.
    """
    known = labels >= 0
    if min(int(wrong[known].sum()), int((~wrong[known]).sum())) < LEAST_ERRORS:
        return None
    tables = [
        _table(wrong[own].astype(int), codes[own], (2, len(names)))
        for k in np.unique(labels[known])
        for own in (np.flatnonzero(labels == k),)
        if 0 < wrong[own].sum() < len(own)
    ]
    if not tables:
        return None
    observed = np.sum(tables, 0)
    used = np.flatnonzero(observed.sum(0) >= LEAST_VALUE)
    if len(used) < 2:
        return None
    drawn = np.zeros((DRAWS, len(names)))
    for table in tables:
        drawn += np.concatenate([t[:, 1] for t in _drawn(table)])
    mean, deviation = drawn.mean(0)[used], drawn.std(0)[used]
    if (deviation < 1e-9).all():
        return None
    score = (observed[1, used] - mean) / np.maximum(deviation, 1e-9) * (deviation > 1e-9)
    others = ((drawn[:, used] - mean) / np.maximum(deviation, 1e-9) * (deviation > 1e-9)) ** 2
    p = (1 + int((others.sum(1) >= (score**2).sum() - 1e-9).sum())) / (1 + DRAWS)
    j = int(used[np.where([names[k] != OTHER for k in used.tolist()], score, -np.inf).argmax()])
    size = int(observed[:, j].sum())
    rest = int(observed.sum()) - size
    inside, outside = float(observed[1, j]), float(observed[1].sum() - observed[1, j])
    strength = float(score[used == j][0] * deviation[used == j][0]) / max(size, 1)  # beyond what its classes explain
    return Tested("permutation", size + rest, strength, p, -1, names[j], (inside, size), (outside, rest), POINTS)
