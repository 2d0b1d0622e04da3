"""Recipes for generating an image that maximizes an objective."""

from __future__ import annotations

from dataclasses import dataclass

from .transforms import RandomTransform


@dataclass(frozen=True)
class Recipe:
    """How images are optimized.

    Attributes:
        kind: parametrization, see `parameters.Parameters`; "levels" for the article's 0 to 255.
        n_steps: number of steps.
        rate: size of a step.
        transform: random transform before every step, or None.
        coarse: fraction of the steps that are done first, at half size.
        final_steps: fraction of the steps that are done last, without the transform.
    """

    kind: str
    n_steps: int
    rate: float
    transform: RandomTransform | None = None
    coarse: float = 0.0
    final_steps: float = 0.0


RECIPES = {
    "modern": Recipe("fourier", 96, 0.03, RandomTransform(), 0.25),
    "strong": Recipe("fourier", 64, 0.05, RandomTransform(shift=1 / 32, border=0.0), final_steps=1 / 8),
    "article": Recipe("levels", 40, 1.0),
    "maco": Recipe("maco", 96, 0.1, RandomTransform(), 0.25),
}
