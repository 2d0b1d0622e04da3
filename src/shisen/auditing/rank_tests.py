"""Tests of attributes whose values are numbers, by ranks: between the classes, and by error within them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from .metadata import Attribute
from .tables import LEAST_CLASS, LEAST_ERRORS, Booleans, Floats, Ints, Tested

WEAK, POINTS = 0.04, 0.1
"""Least epsilon squared of ranks, and least difference of the probability that an error has the larger number from ½,
of an association that is listed."""


def ranked(one: Attribute, labels: Ints, wrong: Booleans) -> tuple[Tested | None, Tested | None]:
    """Return the tests of an attribute: by ranks against the labels, and within the classes against errors.

    Args:
        one: the attribute, a value or none for each of n images.
        labels: (n,) class numbers, -1 for images that are left out.
        wrong: (n,) whether the prediction is an error.
    """
    values = np.asarray([v if isinstance(v, float) else np.nan for v in one.values])
    own = np.where(np.isfinite(values), labels, -1)
    return _label_ranks(values, own), _error_ranks(values, own, wrong)


def _label_ranks(values: Floats, labels: Ints) -> Tested | None:
    from scipy.stats import kruskal, rankdata

    classes, sizes = np.unique(labels[labels >= 0], return_counts=True)
    classes = classes[sizes >= LEAST_CLASS]
    own = np.isin(labels, classes)
    if len(classes) < 2 or len(np.unique(values[own])) < 2:
        return None
    groups = [values[labels == k] for k in classes]
    result = kruskal(*groups)
    n = int(own.sum())
    ranks = rankdata(values[own])
    label = int(max(classes, key=lambda k: abs(ranks[labels[own] == k].mean() - ranks.mean())))
    inside, outside = values[own & (labels == label)], values[own & (labels != label)]
    ends = sorted((g.min(), g.max()) for g in groups)
    return Tested(
        "kruskal_wallis",
        n,
        max(0.0, float(result.statistic - len(classes) + 1) / (n - len(classes))) if n > len(classes) else 0.0,
        float(result.pvalue),
        label,
        "",
        (float(np.median(inside)), len(inside)),
        (float(np.median(outside)), len(outside)),
        WEAK,
        all(a[1] < b[0] for a, b in pairwise(ends)),
    )


def _error_ranks(values: Floats, labels: Ints, wrong: Booleans) -> Tested | None:
    """Return whether errors have larger or smaller numbers than correct images of the same class.

    Reference: van Elteren 1960, on the combination of independent two-sample tests of Wilcoxon.
    """
    from scipy.stats import norm, rankdata

    known = labels >= 0
    if min(int(wrong[known].sum()), int((~wrong[known]).sum())) < LEAST_ERRORS:
        return None
    total = variance = pairs = above = 0.0
    for k in np.unique(labels[known]):
        own = np.flatnonzero(labels == k)
        n, m = len(own), int(wrong[own].sum())
        if not 0 < m < n:
            continue
        ranks = rankdata(values[own])
        excess = float(ranks[wrong[own]].sum() - m * (n + 1) / 2)
        total += excess / (n + 1)
        variance += m * (n - m) / (n - 1) * float(ranks.var()) / (n + 1) ** 2
        pairs, above = pairs + m * (n - m), above + excess
    if variance <= 0:
        return None
    p = float(2 * norm.sf(abs(total) / np.sqrt(variance)))
    inside, outside = values[known & wrong], values[known & ~wrong]
    return Tested(
        "stratified_ranks",
        int(known.sum()),
        above / pairs,
        p,
        -1,
        "",
        (float(np.median(inside)), len(inside)),
        (float(np.median(outside)), len(outside)),
        POINTS,
    )
