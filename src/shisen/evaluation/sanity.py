"""Does the map depend on the weights of the network, and on the image? If not, it explains neither.

The label randomization test of Adebayo et al. trains the network anew on permuted labels and checks whether maps
change; it needs the training data and is done with two runs of training and `agreement`, not here.
"""

from __future__ import annotations

import numpy as np

from .agreement import ssim
from .infidelity import rank_correlation
from .metrics import metric
from .sample import MapRequest, Outcome, Requests, Sample, normalized

ADEBAYO = "Adebayo et al.: Sanity Checks for Saliency Maps, 2018"
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
