"""ARCC: coherency, complexity and ROAD in one figure."""

from __future__ import annotations

import numpy as np

from .masking_metrics import coherency, harmonic
from .metrics import metric
from .requests import Outcome, Requests
from .road import road
from .sample import Sample


@metric(
    family="masking",
    unit="%",
    higher_is_better=True,
    paper="Domeniconi, Stramiglio, Lombardi, Salti: How to Evaluate and Refine your CAM, 2026",
    needs="maps",
)
def arcc(sample: Sample, *, baseline: str | float = "network_zero") -> Requests:
    """ARCC: harmonic mean of coherency, lack of complexity and ROAD; ADCC with ROAD in place of the kept probability.

    value = 100 · 3 / (1/coherency + 1/(1 − complexity) + 1/r), r = 2 · ROAD clipped to [0, 1], all as fractions

    Protocol: terms as in `coherency`, `complexity` and `road` (at 20, 40, 60 and 80 %).

    Returns:
        per cent, 0 to 100, and the three terms; 0 if one of them is.

    Reference:
        Domeniconi et al. 2026.
    """
    coherent = (yield from coherency(sample, baseline=baseline)).value / 100.0
    simple = 1.0 - float(sample.mask.mean(dtype=np.float64))
    kept = float(np.clip(2.0 * (yield from road(sample, percentiles=(20, 40, 60, 80))).value, 0.0, 1.0))
    return Outcome(
        100.0 * harmonic(coherent, simple, kept), parts={"coherency": coherent, "simplicity": simple, "road": kept}
    )
