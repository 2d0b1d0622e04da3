"""How concentrated a map is. Neither good nor bad by itself: a map may be sharp and wrong."""

from __future__ import annotations

import numpy as np

from .metrics import metric
from .requests import Outcome
from .sample import Sample


@metric(
    family="shape",
    unit="Gini index",
    higher_is_better=None,
    paper="Chalasani et al.: Concise Explanations of Neural Networks using Adversarial Training, 2020",
    needs="map",
)
def sparseness(sample: Sample) -> Outcome:
    """Gini index of the map's magnitudes: 0 if all pixels are equal, near 1 if a single one has everything.

    value = Σ_i (2i − n − 1) · a_i / (n · Σ a), a = sorted |v|, i = 1 … n

    Protocol: the map enlarged to the network's input, so that maps of any resolution are treated equally.

    Returns:
        an index in [0, 1); 0 for a zero map.

    Reference:
        Chalasani et al. 2020; Hurley, Rickard 2009.
    """
    magnitudes = np.sort(np.abs(sample.heat.ravel().astype(np.float64)))
    total = float(magnitudes.sum())
    if total == 0.0:
        return Outcome(0.0)
    n = magnitudes.size
    weights = 2.0 * np.arange(1, n + 1) - n - 1.0
    return Outcome(float(weights @ magnitudes) / (n * total))


@metric(
    family="shape",
    unit="fraction of the largest entropy",
    higher_is_better=None,
    paper="Bhatt, Weller, Moura: Evaluating and Aggregating Feature-based Model Explanations, 2020",
    needs="map",
)
def entropy(sample: Sample) -> Outcome:
    """Entropy of the map's magnitudes as fractions: 1 if all pixels are equal, 0 if a single one has everything.

    value = −Σ_i s_i ln s_i / ln n, s_i = |v_i| / Σ |v|

    Protocol: as `sparseness`.

    Returns:
        a fraction in [0, 1]; 1 for a zero map.

    Reference:
        Bhatt, Weller, Moura 2020, divided by ln n.
    """
    magnitudes = np.abs(sample.heat.ravel().astype(np.float64))
    total = float(magnitudes.sum())
    if total == 0.0 or magnitudes.size == 1:
        return Outcome(1.0)
    fractions = magnitudes[magnitudes > 0.0] / total
    return Outcome(max(0.0, float(-(fractions * np.log(fractions)).sum() / np.log(magnitudes.size))))
