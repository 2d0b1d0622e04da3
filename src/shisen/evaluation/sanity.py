"""Does the map depend on what the network has learned, and on the image? A map that does not explains neither.

The label randomization test of Adebayo et al. trains the network anew on permuted labels and asks whether maps
change; it needs the training data and is done with two runs of training and `agreement`, not here.
"""

from __future__ import annotations

import numpy as np

from .agreement import ssim
from .infidelity import rank_correlation
from .metrics import metric
from .sample import Explain, Outcome, Sample, Steps, normalized

ADEBAYO = "Adebayo et al.: Sanity Checks for Saliency Maps, 2018"
STAGES = (0.1, 0.4, 1.0)


@metric(family="sanity", unit="rank correlation", higher_is_better=False, paper=ADEBAYO, needs="maps")
def weight_randomization(case: Sample) -> Steps:
    """Likeness of the map to those of a network whose weights are shuffled layer by layer: near 0 if they matter.

    value = mean over stages of ρ(|v|, |v of the network that forgot so much|), ρ Spearman's rank correlation

    Protocol: cascading, from the answer downwards: a tenth, four tenths, all of the layers. The early stages count
    as much as the last: a map that survives the loss of the upper layers does not explain the answer. In a layer
    each tensor of weights is permuted, so sizes are as trained; running statistics stay. A copy of the network is
    shuffled, never the network itself. Sizes |v| are compared, since a sign may turn by chance.

    Returns:
        a correlation, −1 to 1, with the stages as the curve and the structural similarity as a part.

    Reference:
        Adebayo et al. 2018. There weights are drawn anew; permuted ones keep the scale of the activations.
    """
    own = np.abs(case.heat)
    curve = []
    likeness = 0.0
    for fraction in STAGES:
        again = (yield Explain(case.image[None], f"shuffled {fraction}", randomized=fraction))[0]
        other = np.abs(case.heat_of(again))
        curve.append(rank_correlation(own, other))
        likeness = ssim(normalized(own), normalized(other))
    return Outcome(float(np.mean(curve)), tuple(curve), {"ssim": likeness})


@metric(
    family="sanity",
    unit="rank correlation",
    higher_is_better=False,
    paper="after Adebayo et al. 2018 and Nie, Zhang, Patel 2018",
    needs="maps",
)
def input_independence(case: Sample) -> Steps:
    """Likeness of the map to that of an image without content: near 1 if the map ignores what is shown.

    value = ρ(|v(x)|, |v(x with its pixels shuffled)|), ρ Spearman's rank correlation

    Protocol: the same class is explained in the image and in the same pixels in random order, which has the
    same colors and shows nothing.

    Returns:
        a correlation, −1 to 1.

    Reference:
        Own; in the spirit of Adebayo et al. 2018.
    """
    h, w = case.size
    mixed = case.image.reshape(h * w, -1)[case.rng("shuffle").permutation(h * w)].reshape(case.image.shape)
    again = (yield Explain(mixed[None], "shuffled pixels"))[0]
    return Outcome(rank_correlation(np.abs(case.heat), np.abs(case.heat_of(again))))
