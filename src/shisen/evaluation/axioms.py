"""Do the values of a map add up: to the score, over subsets of the image, and in the order of their groups?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .infidelity import removed_falls, subsets
from .masking_metrics import correlation
from .metrics import metric
from .requests import Outcome, Requests, ScoreRequest
from .sample import Sample, first


@metric(
    family="faithfulness",
    unit="fraction of the difference",
    higher_is_better=False,
    paper="Sundararajan, Taly, Yan: Axiomatic Attribution for Deep Networks, 2017",
)
def completeness(sample: Sample, *, baseline: str | float = "black") -> Requests:
    """How far the sum of the map is from the difference of the scores of image and baseline.

    value = |Σ v − (f(x) − f(b))| / |f(x) − f(b)|

    Protocol: f is the logit; v the raw values at native resolution, all channels. Only methods that claim completeness
    with this baseline, for the logit, are meant to be near 0; a map that is zero everywhere has 1.

    Options:
        baseline: b: a pixel value or a name, the same that the method used.

    Returns:
        a fraction ≥ 0; NaN where the two scores are equal.

    Reference:
        Sundararajan, Taly, Yan 2017, as a metric as in Quantus, which leaves the difference undivided.
    """
    base = sample.pixels(baseline)
    scores = sample.scores((yield ScoreRequest(base[None], f"baseline {baseline}", shared=True)))
    difference = float(sample.scores(sample.logits[None])[0] - scores[0])
    if difference == 0.0:
        return Outcome(float("nan"))
    total = float(np.asarray(sample.values, dtype=np.float64).sum())
    return Outcome(abs(total - difference) / abs(difference), parts={"sum": total, "difference": difference})


@metric(
    family="faithfulness",
    unit="correlation",
    higher_is_better=True,
    paper="Ancona, Ceolini, Öztireli, Gross: Towards Better Understanding of Gradient-based Attribution, 2018",
)
def sensitivity_n(
    sample: Sample,
    *,
    n_samples: int = 24,
    grid: int = 9,
    fractions: Sequence[float] = (0.1, 0.3, 0.5, 0.7, 0.9),
    baseline: str | float = "network_zero",
) -> Requests:
    """Correlation between the importance of random subsets and the fall of the score without them, at several sizes.

    value = mean over sizes n of ρ(Σ_{i∈S} v_i, f(x) − f(x without S)) over random subsets S of n cells, ρ Pearson's

    Protocol: S are cells of a `grid` × `grid` raster, drawn once an image; f is the logit.

    Options:
        n_samples: number of subsets of each size.
        grid: cells a side.
        fractions: sizes n, as fractions of the cells.

    Returns:
        a correlation, −1 to 1, with the sizes as the curve; near 0 for a random map, 0 for a constant one.

    Reference:
        Ancona et al. 2018, there over subsets of single pixels.
    """
    curve = []
    for fraction in fractions:
        masks, name = subsets(sample, n_samples, grid, fraction)
        falls = yield from removed_falls(sample, masks, name, baseline)
        predicted = np.einsum("khw,hw->k", masks, sample.heat.astype(np.float64))
        constant = np.ptp(sample.heat) <= 1e-6 * np.abs(sample.heat).max()
        curve.append(0.0 if constant else correlation(predicted, falls))
    return Outcome(float(np.mean(curve)), tuple(curve))


@metric(
    family="faithfulness",
    unit="coefficient",
    higher_is_better=True,
    paper="Wu, Kang, Tang, Hong, Yan: On the Faithfulness of Vision Transformer Explanations, 2024",
)
def saco(sample: Sample, *, n_groups: int = 10, baseline: str | float = "mean") -> Requests:
    """SaCo: whether groups of pixels with more of the map matter more, weighted by how much more they have.

    value = Σ_{i<j} ± (s_i − s_j) / Σ_{i<j} |s_i − s_j|, + where p(x) − p(x without G_i) ≥ p(x) − p(x without G_j),
    s_i = Σ_{p∈G_i} v_p, G_1 the highest pixels, then the next, in groups of equal size

    Protocol: one group at a time is replaced by the baseline; ties of the map as in `deletion`.

    Options:
        n_groups: number of groups.

    Returns:
        a coefficient, −1 to 1; 0 for a constant map.

    Reference:
        Wu et al. 2024.
    """
    size = sample.heat.size
    counts = np.asarray([round(k * size / n_groups) for k in range(1, n_groups + 1)], dtype=np.int64)
    until = first(sample.ranks, counts, sample.size)
    groups = until & ~np.concatenate([np.zeros_like(until[:1]), until[:-1]])
    images = sample.without(groups, baseline)
    p = sample.probabilities((yield ScoreRequest(images, f"groups {n_groups} {baseline}")))
    sums = np.einsum("khw,hw->k", groups, sample.heat.astype(np.float64))
    i, j = np.triu_indices(n_groups, 1)
    weight = sums[i] - sums[j]
    total = float(np.abs(weight).sum())
    if np.ptp(sample.heat) <= 1e-6 * np.abs(sample.heat).max():
        return Outcome(0.0)
    return Outcome(float(np.where(p[i] <= p[j], weight, -weight).sum()) / total)
