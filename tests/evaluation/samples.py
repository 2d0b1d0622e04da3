"""A network small enough to reason about, and samples around it."""

from __future__ import annotations

from typing import Any

import numpy as np

from shisen.evaluation.sample import Sample

SIDE = 8


def important() -> Any:
    """Where the toy network looks: the upper left quarter."""
    w = np.zeros((SIDE, SIDE))
    w[: SIDE // 2, : SIDE // 2] = 1.0
    return w


def logits(images: Any) -> Any:
    """Two classes; the second's logit is 8 × (mean brightness of the upper left quarter) − 4, the first's is 0."""
    x = np.asarray(images, dtype=np.float64).mean(axis=3)
    score = 8.0 * (x * important()).sum(axis=(1, 2)) / important().sum() - 4.0
    return np.stack([np.zeros_like(score), score], axis=1)


def probability(image: Any) -> float:
    score = float(logits(np.asarray(image)[None])[0, 1])
    return 1.0 / (1.0 + np.exp(-score))


def sample_image(seed: int = 0) -> Any:
    """A bright image, so that removing pixels costs probability."""
    return np.random.default_rng(seed).uniform(0.7, 1.0, (SIDE, SIDE, 3)).astype(np.float32)


def sample(values: Any, seed: int = 0, **more: Any) -> Sample:
    image = sample_image(seed)
    return Sample(
        image, np.asarray(values, dtype=np.float32), 1, logits(image[None])[0], zero=(0.0, 0.0, 0.0), seed=seed, **more
    )
