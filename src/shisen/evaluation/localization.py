"""Does the map lie on the object? For images whose object is marked by boxes or a mask."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError, explain_error
from .metrics import metric
from .requests import Outcome
from .sample import Sample


def _region(sample: Sample) -> npt.NDArray[np.bool_]:
    if sample.region is None:
        raise InputError(
            explain_error(
                "This metric compares the map with a region.", "an image without one", "Pass regions= (--regions)."
            )
        )
    return sample.region


def energy_fraction(heat: npt.NDArray[Any], region: npt.NDArray[np.bool_]) -> float:
    """Return the fraction of the map's positive part that lies in the region; a map without any counts as uniform.


    Args:
        heat: `(h, w)`.
        region: `(h, w)`, True inside the object.
    """
    positive = np.maximum(np.asarray(heat, dtype=np.float64), 0.0)
    total = float(positive.sum())
    if total <= 0.0:
        return float(region.mean())
    return float(positive[region].sum()) / total


@metric(
    family="localization",
    unit="fraction",
    higher_is_better=True,
    paper="Zhang et al.: Top-down Neural Attention by Excitation Backprop, 2018",
    needs="region",
    monotone=True,
)
def pointing_game(sample: Sample, *, tolerance: float = 15.0) -> Outcome:
    """Whether the highest point of the map lies on the object, or nearly so.

    value = fraction of the pixels with the highest value that lie within `tolerance` of the region

    Protocol: the map enlarged to the network's input; distances in input pixels for a side of 224, larger in
    proportion. With ties every highest pixel counts, so a constant map scores like a random point.

    Options:
        sample: the image, its map and its region.
        tolerance: in pixels.

    Returns:
        a fraction in [0, 1]: 0 or 1 without ties.

    Reference:
        Zhang et al. 2018; there, too, the tolerance is 15 pixels.
    """
    from scipy.ndimage import distance_transform_edt

    region = _region(sample)
    if not region.any():
        return Outcome(float("nan"))
    near = distance_transform_edt(~region) <= tolerance * max(sample.size) / 224.0
    return Outcome(float(near[sample.heat == sample.heat.max()].mean()))


@metric(
    family="localization",
    unit="fraction",
    higher_is_better=True,
    paper="Wang et al.: Score-CAM, 2020",
    needs="region",
)
def energy_pointing_game(sample: Sample) -> Outcome:
    """Fraction of the map's positive part that lies on the object.

    value = Σ_{i∈region} v⁺_i / Σ v⁺

    Protocol: the map enlarged to the network's input. A zero map counts as uniform and so scores the region's area.

    Returns:
        a fraction in [0, 1]; the region's fraction of the area for a constant map, and on average for a random one.

    Reference:
        Wang et al. 2020.
    """
    return Outcome(energy_fraction(sample.heat, _region(sample)))


ARRAS = "Arras, Osman, Samek: CLEVR-XAI: A Benchmark Dataset for the Ground Truth Evaluation of Explanations, 2022"


@metric(family="localization", unit="fraction", higher_is_better=True, paper=ARRAS, needs="region", monotone=True)
def relevance_rank_accuracy(sample: Sample) -> Outcome:
    """Fraction of the highest pixels of the map that lie on the object, as many pixels as the object has.

    value = |R_K ∩ region| / K, R_K the K highest pixels, K = |region|

    Protocol: the map enlarged to the network's input; equal pixels fall in an order drawn once for the image.

    Returns:
        a fraction in [0, 1]; on average the region's fraction of the area for a random map. NaN without a region.

    Reference:
        Arras, Osman, Samek 2022.
    """
    region = _region(sample).ravel()
    count = int(region.sum())
    return Outcome(float(region[sample.ranks[:count]].mean()) if count else float("nan"))


@metric(family="localization", unit="fraction", higher_is_better=True, paper=ARRAS, needs="region")
def relevance_mass_accuracy(sample: Sample) -> Outcome:
    """Fraction of the map's magnitude, positive and negative, that lies on the object.

    value = Σ_{i∈region} |v_i| / Σ |v_i|

    Protocol: the map enlarged to the network's input. The positive part alone is `energy_pointing_game`. A zero map
    counts as uniform.

    Returns:
        a fraction in [0, 1]; the region's fraction of the area for a constant map, and on average for a random one.

    Reference:
        Arras, Osman, Samek 2022, whose maps are pooled over color channels without a sign.
    """
    return Outcome(energy_fraction(np.abs(sample.heat), _region(sample)))
