"""How the probability changes when the image is masked by its own map: average drop and related metrics."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .metrics import metric
from .requests import MapRequest, Outcome, Requests, ScoreRequest
from .sample import Sample, normalized

CHATTOPADHAY = "Chattopadhay et al.: Grad-CAM++, 2018"
POPPI = "Poppi et al.: Revisiting the Evaluation of Class Activation Mapping, 2021"

ROUNDING = 1e-5  # an unmasked image in another batch must not count as an increase


def _probability(sample: Sample, keep: npt.NDArray[Any], words: str, baseline: str | float) -> Any:
    """Request the probability of the class for the image under a mask `(h, w)`."""
    return sample.probabilities((yield ScoreRequest(sample.blended(keep[None], baseline), f"{words} {baseline}")))[0]


def _masked_probability(sample: Sample, baseline: str | float) -> Any:
    """Request the probability of the class for the image masked by its map."""
    return (yield from _probability(sample, sample.mask, "through the map", baseline))


def _fraction(drop: float, of: float) -> float:
    return drop / of if of > 0.0 else 0.0


@metric(family="masking", unit="%", higher_is_better=False, paper=CHATTOPADHAY)
def average_drop(sample: Sample, *, baseline: str | float = "network_zero") -> Requests:
    """Fraction of the probability that is lost when the image is masked by its map.

    value = 100 · max(0, p(x) − p(m ⊙ x)) / p(x)

    Protocol: m is the positive part of the map, enlarged to the input and min–max scaled to [0, 1]; m ⊙ x mixes the
    image, in the proportion m, with the baseline, by default what the network sees as zero. A map of ones loses
    nothing: use it together with `complexity`, or use `adcc`.

    Returns:
        per cent, 0 to 100.

    Reference:
        Chattopadhay et al. 2018.
    """
    p, q = sample.probability, (yield from _masked_probability(sample, baseline))
    return Outcome(100.0 * _fraction(max(0.0, p - q), p))


@metric(family="masking", unit="%", higher_is_better=True, paper=CHATTOPADHAY)
def increase(sample: Sample, *, baseline: str | float = "network_zero") -> Requests:
    """Whether the probability rises when the image is masked by its map.

    value = 100 if p(m ⊙ x) − p(x) > 10⁻⁵ else 0; the mean over images is the "increase in confidence"

    Protocol: as `average_drop`.

    Returns:
        per cent: 0 or 100 for one image.

    Reference:
        Chattopadhay et al. 2018.
    """
    return Outcome(100.0 * float((yield from _masked_probability(sample, baseline)) - sample.probability > ROUNDING))


@metric(family="masking", unit="%", higher_is_better=True, paper="Zhang et al.: Opti-CAM, 2023")
def average_gain(sample: Sample, *, baseline: str | float = "network_zero") -> Requests:
    """Fraction of the probability missing to 1 that is gained when the image is masked by its map.

    value = 100 · max(0, p(m ⊙ x) − p(x)) / (1 − p(x))

    Protocol: as `average_drop`, of which it is the counterpart.

    Returns:
        per cent, 0 to 100.

    Reference:
        Zhang et al. 2023.
    """
    p, q = sample.probability, (yield from _masked_probability(sample, baseline))
    return Outcome(100.0 * _fraction(max(0.0, q - p), 1.0 - p))


@metric(
    family="masking",
    unit="%",
    higher_is_better=True,
    paper="Jung, Oh: Towards Better Explanations of Class Activation Mapping, 2021",
)
def drop_in_deletion(sample: Sample, *, baseline: str | float = "network_zero") -> Requests:
    """Fraction of the probability that is lost when the image is masked by the complement of its map.

    value = 100 · max(0, p(x) − p((1 − m) ⊙ x)) / p(x)

    Protocol: m as in `average_drop`, with its complement as the mask.

    Returns:
        per cent, 0 to 100.

    Reference:
        Jung, Oh 2021.
    """
    rest = yield from _probability(sample, 1.0 - sample.mask, "without the map", baseline)
    return Outcome(100.0 * _fraction(max(0.0, sample.probability - rest), sample.probability))


def correlation(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
    """Return Pearson's correlation; 1 for two equal constants, 0 where only one has no contrast.

    Args:
        a: values of any shape.
        b: values of the same shape as `a`.
    """
    x = np.asarray(a, dtype=np.float64).ravel()
    y = np.asarray(b, dtype=np.float64).ravel()
    x, y = x - x.mean(), y - y.mean()
    norms = float(np.sqrt((x @ x) * (y @ y)))
    if norms > 1e-12 * x.size:
        return float(np.clip(x @ y / norms, -1.0, 1.0))
    return float((x @ x) <= 1e-12 * x.size and (y @ y) <= 1e-12 * x.size)


def _coherency(sample: Sample, baseline: str | float) -> Any:
    through = sample.blended(sample.mask[None], baseline)
    again = (yield MapRequest(through, f"through the map {baseline}"))[0]
    return (1.0 + correlation(sample.mask, normalized(sample.heat_of(again)))) / 2.0


@metric(family="masking", unit="%", higher_is_better=True, paper=POPPI, needs="maps")
def coherency(sample: Sample, *, baseline: str | float = "network_zero") -> Requests:
    """Similarity of the map to the map of the image masked by it.

    value = 100 · (1 + ρ(m(x), m(m ⊙ x))) / 2, ρ Pearson's correlation over all pixels

    Protocol: the second map explains the same class with the same method, layer and options.

    Returns:
        per cent, 0 to 100; 50 for unrelated maps.

    Reference:
        Poppi et al. 2021.
    """
    return Outcome(100.0 * (yield from _coherency(sample, baseline)))


@metric(family="masking", unit="%", higher_is_better=False, paper=POPPI, needs="map")
def complexity(sample: Sample) -> Outcome:
    """Fraction of the image that the map keeps.

    value = 100 · mean over pixels of m

    Protocol: m as in `average_drop`.

    Returns:
        per cent, 0 to 100.

    Reference:
        Poppi et al. 2021: the L1 norm, here over the number of pixels as in the authors' code.
    """
    return Outcome(100.0 * float(sample.mask.mean(dtype=np.float64)))


def harmonic(*fractions: float) -> float:
    """Return the harmonic mean of fractions in [0, 1]; 0 if one of them is 0."""
    return 0.0 if min(fractions) <= 0.0 else len(fractions) / sum(1.0 / s for s in fractions)


@metric(family="masking", unit="%", higher_is_better=True, paper=POPPI, needs="maps")
def adcc(sample: Sample, *, baseline: str | float = "network_zero") -> Requests:
    """Harmonic mean of coherency, lack of complexity and kept probability, which no trivial map maximizes together.

    value = 100 · 3 / (1/coherency + 1/(1 − complexity) + 1/(1 − drop)), all as fractions

    Protocol: taken for every image, then averaged. (The harmonic mean of the averaged terms is never lower, and
    usually higher.)

    Returns:
        per cent, 0 to 100, and the three terms.

    Reference:
        Poppi et al. 2021.
    """
    p, q = sample.probability, (yield from _masked_probability(sample, baseline))
    drop = _fraction(max(0.0, p - q), p)
    similarity = yield from _coherency(sample, baseline)
    cover = float(sample.mask.mean(dtype=np.float64))
    terms = (similarity, 1.0 - cover, 1.0 - drop)
    parts = {"coherency": 100.0 * similarity, "complexity": 100.0 * cover, "average_drop": 100.0 * drop}
    return Outcome(100.0 * harmonic(*terms), parts=parts)
