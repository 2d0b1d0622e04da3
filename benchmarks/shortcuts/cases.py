"""The cases: every artefact at every prevalence, four to a model in four classes; clean models; twins.

All choices are drawn from the name of the set: "dev" is for working on the method, "scored" for the figures. No model,
artefact or image choice of one occurs in the other.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
from lot import ALL
from plants import PLANTS, Plant

LABELS = ("buildings", "forest", "glacier", "mountain", "sea", "street")
PREVALENCES = (0.1, 0.25, 0.5, 1.0)
A_MODEL = 4
CLEAN, TWINS = 6, 6


@dataclass(frozen=True)
class Planted:
    """One artefact in a model: in images of one class, or for a twin, equally in all ("*")."""

    plant: str
    label: str
    prevalence: float
    seed: str

    def make(self) -> Plant:
        """Return the artefact with its words, colors and place."""
        return ALL[self.plant](draw_for(self.seed))


@dataclass(frozen=True)
class Sample:
    """One model to train and audit; artefacts in different classes are cases of their own that share its training."""

    name: str
    plants: tuple[Planted, ...]
    seed: int

    def key(self, planted: Planted) -> str:
        """Return a name for one of the artefacts: its kind, and the class where the kind occurs twice."""
        twice = sum(p.plant == planted.plant for p in self.plants) > 1
        return f"{planted.plant}-{planted.label}" if twice else planted.plant


def draw_for(name: str) -> np.random.Generator:
    """Return random draws that belong to a name, whatever came before."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big"))


def cases(which: str = "scored", prevalences: tuple[float, ...] = PREVALENCES) -> list[Sample]:
    """Return the models of a set in random order, planted ones and others by turns: any first few are a fair spread."""
    draw = draw_for(f"shortcuts/{which}")
    grid = [(plant, prevalence) for plant in PLANTS for prevalence in prevalences]
    grid = [grid[i] for i in draw.permutation(len(grid))]
    found = []
    for number, start in enumerate(range(0, len(grid), A_MODEL)):
        labels = [LABELS[i] for i in draw.permutation(len(LABELS))]
        some = grid[start : start + A_MODEL]
        seeds = [f"{which}/{number}/{plant}/{prevalence}" for plant, prevalence in some]
        plants = tuple(Planted(p, k, v, s) for (p, v), k, s in zip(some, labels, seeds, strict=False))
        found.append(Sample(f"{which}-{number:02d}", plants, number))
    for number in range(CLEAN):
        found.append(Sample(f"{which}-clean-{number}", (), 100 + number))
    kinds = [list(PLANTS)[i] for i in draw.permutation(len(PLANTS))]
    for number in range(TWINS):
        prevalence = PREVALENCES[1 + number % 3]
        twin = Planted(kinds[number], "*", prevalence, f"{which}/twin/{number}")
        found.append(Sample(f"{which}-twin-{number}", (twin,), 200 + number))
    mixed = [found[i] for i in draw.permutation(len(found))]
    own = [case for case in mixed if case.seed < 100]
    rest = [case for case in mixed if case.seed >= 100]
    return [case for pair in zip_longest(own, rest) for case in pair if case is not None]
