"""Which methods really depend on this model's weights: the sanity check as one verdict a method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._core.image_ops import blur
from .._core.progress import Progress, silent
from .._core.stats import Interval, bootstrap
from ..models.model import Model
from ..registry import METHODS, suiting
from .attribution_cache import input_shape
from .runner import evaluate

SIMILAR = 0.5
"""A mean rank correlation from which on a map counts as independent of the weights."""

WORDS = {
    True: "depends on the weights",
    False: "does not depend on the weights",
    None: "unclear: more images are needed",
}

SLOW = ("score_cam", "ablation_cam", "recipro_cam", "rise", "occlusion", "lime", "kernel_shap")


@dataclass(frozen=True)
class Verdict:
    """Similarity of one method's maps to those of a weight-randomized model.

    Attributes:
        method: name.
        similarity: rank correlation of the magnitudes |v|, mean over the stages and the images.
        ssim: structural similarity after the last stage.
        passed: whether the upper end of the interval lies below `SIMILAR`; None if the interval contains it.
    """

    method: str
    similarity: Interval
    ssim: float
    passed: bool | None

    @property
    def words(self) -> str:
        """The verdict in words."""
        return WORDS[self.passed]


def check_sanity(
    model: Model,
    images: Any = None,
    methods: Sequence[str] | None = None,
    *,
    n_images: int | None = 8,
    seed: int = 0,
    progress: Progress = silent,
) -> list[Verdict]:
    """MapRequest images with the model and with copies whose weights are shuffled, and compare the maps.

    Args:
        model: from `load` or `wrap`; it is never changed.
        images: as in `evaluate`; smooth random patterns if None.
        methods: names; every method of one pass if None.
        n_images: number of images.
        seed: random seed.
        progress: called as `progress(done, total, words)` after every group of images.

    Returns:
        One verdict a method; the edge detector, which does not use the network, is checked too and must fail.
    """
    if methods is None:
        methods = [m for m in suiting(model) if METHODS[m].passes == "1" and METHODS[m].class_specific]
    sources = patterns(model, n_images or 8, seed) if images is None else images
    scores = evaluate(
        model,
        sources,
        methods,
        ["weight_randomization"],
        n_images=n_images,
        seed=seed,
        control_maps=("edges",),
        progress=progress,
    )
    found = []
    for name in scores.methods:
        rows = list(scores.of(name, "weight_randomization").values())
        similarity = bootstrap(np.asarray([r.value for r in rows]))
        found.append(Verdict(name, similarity, float(np.mean([r.parts["ssim"] for r in rows])), verdict(similarity)))
    return found


def verdict(similarity: Interval) -> bool | None:
    """Return whether the check is passed; None where the interval leaves it open."""
    high = similarity.value if np.isnan(similarity.high) else similarity.high
    low = similarity.value if np.isnan(similarity.low) else similarity.low
    if high < SIMILAR:
        return True
    return False if low >= SIMILAR else None


def patterns(model: Model, n_images: int, seed: int) -> list[Any]:
    """Return smooth random images of the model's input size, uint8 where it has a preprocess.

    Args:
        model: the network.
        n_images: number of images.
        seed: random seed.
    """
    rng, made = np.random.default_rng(seed), []
    h, w, c = input_shape(model)
    for _ in range(n_images):
        smooth = blur(rng.random((1, h, w, c)), max(h, w) / 28.0, max(1, max(h, w) // 10))[0].astype(np.float32)
        stretched = (smooth - smooth.min()) / (smooth.max() - smooth.min())
        made.append(np.rint(stretched * 255).astype(np.uint8) if model.preprocess is not None else stretched)
    return made
