"""Does the map depend on the weights of the network, and on the image? If not, it explains neither.

The label randomization test of Adebayo et al. trains the network anew on permuted labels and checks whether maps
change; it needs the training data and is done with two runs of training and `agreement`, not here.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .agreement import ssim
from .infidelity import rank_correlation
from .metrics import metric
from .requests import MapRequest, Outcome, Requests
from .sample import Sample, normalized

ADEBAYO = "Adebayo et al.: Sanity Checks for Saliency Maps, 2018"
HEDSTROM = "Hedström, Weber, Lapuschkin, Höhne: Sanity Checks Revisited, 2023"
STAGES = (0.1, 0.4, 1.0)


@metric(family="sanity", unit="rank correlation", higher_is_better=False, paper=ADEBAYO, needs="maps")
def weight_randomization(sample: Sample) -> Requests:
    """Similarity of the map to those of weight-randomized models: near 0 if the map depends on the weights.

    value = mean over stages of ρ(|v|, |v of the model randomized so far|), ρ Spearman's rank correlation

    Protocol: cascading, from the output to the input: a tenth, four tenths, all of the layers. All stages have equal
    weight: a map that does not change with the last layers does not explain the output. In a layer
    each tensor of weights is permuted, so magnitudes are as trained; running statistics stay. A copy of the network is
    shuffled, never the network itself. Magnitudes |v| are compared, since a sign may flip by chance.

    Returns:
        a correlation, −1 to 1, with the stages as the curve and the structural similarity as a part.

    Reference:
        Adebayo et al. 2018. There weights are drawn anew; permuted ones keep the scale of the activations.
    """
    own = np.abs(sample.heat)
    curve = []
    similarity = 0.0
    for fraction in STAGES:
        again = (yield MapRequest(sample.image[None], f"shuffled {fraction}", randomized=fraction))[0]
        other = np.abs(sample.heat_of(again))
        curve.append(rank_correlation(own, other))
        similarity = ssim(normalized(own), normalized(other))
    return Outcome(float(np.mean(curve)), tuple(curve), {"ssim": similarity})


@metric(family="sanity", unit="fraction", higher_is_better=True, paper=HEDSTROM, needs="maps")
def efficient_mprt(sample: Sample) -> Requests:
    """How much more complex the map of a fully weight-randomized model is: efficient model parameter randomization.

    value = (H(v of the randomized model) − H(v)) / H(v), H the entropy of a histogram of 100 equal bins

    Protocol: all layers randomized at once, as in the last stage of `weight_randomization`; maps enlarged to the
    network's input.

    Returns:
        a fraction ≥ −1: above 0 if the map of the trained network is the simpler one; NaN for a constant map.

    Reference:
        Hedström et al. 2023.
    """
    again = (yield MapRequest(sample.image[None], f"shuffled {STAGES[-1]}", randomized=STAGES[-1]))[0]
    own, other = (_histogram_entropy(v) for v in (sample.heat, sample.heat_of(again)))
    return Outcome((other - own) / own if own > 0.0 else float("nan"), parts={"entropy": own, "randomized": other})


def _histogram_entropy(values: npt.NDArray[np.float32]) -> float:
    counts = np.histogram(values, bins=100)[0] if np.ptp(values) > 0 else np.asarray([values.size])
    fractions = counts[counts > 0] / counts.sum()
    return float(-(fractions * np.log(fractions)).sum())


@metric(family="sanity", unit="rank correlation", higher_is_better=False, paper=HEDSTROM, needs="maps")
def smooth_mprt(sample: Sample, *, n_samples: int = 10, noise_std: float = 0.1) -> Requests:
    """Similarity of the map to those of weight-randomized models, with noise averaged out of all of them first.

    value = mean over stages of ρ(|v̄|, |v̄ of the model randomized so far|), v̄ the mean map of noisy copies of the image

    Protocol: as `weight_randomization`. Noisy maps differ more than what they show, and would pass the test by that.

    Options:
        n_samples: number of noisy copies.
        noise_std: standard deviation of the noise, as a fraction of the image's range; drawn once an image.

    Returns:
        a correlation, −1 to 1, with the stages as the curve.

    Reference:
        Hedström et al. 2023; there the similarity is structural, and layers are randomized one by one.
    """
    deviation = noise_std * float(np.ptp(sample.image))
    noise = sample.rng(f"smooth {n_samples}").normal(0.0, deviation, (n_samples, *sample.image.shape))
    copies = np.asarray(sample.image + noise, dtype=np.float32)
    means = []
    for fraction in (0.0, *STAGES):
        maps = yield MapRequest(copies, f"noisy {n_samples} {noise_std} {fraction}", randomized=fraction)
        means.append(np.abs(np.mean([sample.heat_of(one) for one in maps], axis=0)))
    curve = [rank_correlation(means[0], other) for other in means[1:]]
    return Outcome(float(np.mean(curve)), tuple(curve))


@metric(
    family="sanity",
    unit="rank correlation",
    higher_is_better=False,
    paper="after Adebayo et al. 2018 and Nie, Zhang, Patel 2018",
    needs="maps",
)
def input_independence(sample: Sample) -> Requests:
    """Similarity of the map to that of an image without content: near 1 if the map ignores what is shown.

    value = ρ(|v(x)|, |v(x with its pixels shuffled)|), ρ Spearman's rank correlation

    Protocol: the same class is explained in the image and in the same pixels in random order, which has the
    same colors and shows nothing.

    Returns:
        a correlation, −1 to 1.

    Reference:
        Own; in the spirit of Adebayo et al. 2018.
    """
    h, w = sample.size
    mixed = sample.image.reshape(h * w, -1)[sample.rng("shuffle").permutation(h * w)].reshape(sample.image.shape)
    again = (yield MapRequest(mixed[None], "shuffled pixels"))[0]
    return Outcome(rank_correlation(np.abs(sample.heat), np.abs(sample.heat_of(again))))
