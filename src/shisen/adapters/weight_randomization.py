"""A weight-randomized model: a copy whose weights are permuted from the answer upward; the original never changes."""

from __future__ import annotations

import numpy as np

from ..errors import InputError, ModelError, explain_error
from ..types import Classifier
from .capabilities import HasWeights
from .wrappers import Batched, Wrapper, capability


def randomized(model: Classifier, up_to: float = 1.0, seed: int = 0) -> Classifier:
    """Return a copy of a network whose topmost layers have their weights permuted.

    Args:
        model: any torch or Keras classifier, wrapped or not; a `Model` gives a `Model`.
        up_to: fraction of the layers with weights, counted from the answer, 0 to 1.
        seed: of the permutations.

    Returns:
        The same kind of classifier around the copy.

    Raises:
        InputError: if `up_to` is no fraction.
        ModelError: for a framework whose networks cannot be copied.
    """
    if not 0.0 <= up_to <= 1.0:
        raise InputError(explain_error("up_to is a fraction of the layers, 0 to 1.", up_to, "Use 1 for all layers."))
    network = capability(model, HasWeights)
    if network is None:
        raise ModelError(
            explain_error("Only torch and Keras networks can be randomized.", model.framework, "Load such a model.")
        )
    copied = network.randomized(up_to, np.random.default_rng(seed))
    found: Classifier = model.rebuilt(copied) if isinstance(model, Wrapper) else Batched(copied, model.batch_size)
    return found
