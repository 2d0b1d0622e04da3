"""Two looks at properties: what a class is by nature, and the few images that were treated."""

from __future__ import annotations

import numpy as np
import pytest

from shisen.auditing.artefacts.base import Candidate
from shisen.auditing.artefacts.property import property_candidates
from shisen.auditing.properties import PROPERTIES

EACH = 50
TREATED = tuple(range(5))


def table(draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return labels and properties of six classes; the first is sharper than the others by nature."""
    labels = np.repeat(np.arange(6), EACH)
    values = draw.normal(0, 1, (len(labels), len(PROPERTIES)))
    values[labels == 0, list(PROPERTIES).index("sharpness")] += 1.0
    return labels, values


def named(found: list[Candidate], kind: str, direction: int) -> list[Candidate]:
    return [c for c in found if (c.kind, c.artefact.direction) == (kind, direction)]


@pytest.mark.parametrize(("kind", "direction"), [("sharpness", -1), ("sharpness", 1), ("cast", 1), ("compression", 1)])
def test_a_few_treated_images_are_found_beside_what_the_class_is(kind: str, direction: int) -> None:
    labels, values = table(np.random.default_rng(0))
    values[list(TREATED), list(PROPERTIES).index(kind)] = 12.0 * direction
    found = property_candidates(labels, values, 0)
    natural = named(found, "sharpness", 1)
    assert any(c.inside > 20 and c.p < 1e-4 for c in natural), "its nature"
    assert any(sorted(c.members) == list(TREATED) and c.p < 0.01 for c in named(found, kind, direction))


def test_what_images_show_may_stand_out_without_being_treated() -> None:
    labels, values = table(np.random.default_rng(1))
    values[list(TREATED[:3]), list(PROPERTIES).index("warmth")] = -12.0
    found = named(property_candidates(labels, values, 0), "warmth", -1)
    assert all(len(c.members) != 3 for c in found)


def test_nothing_stands_out_of_chance() -> None:
    spurious = 0
    for seed in range(40):
        labels, values = table(np.random.default_rng(seed))
        spurious += sum(len(c.members) <= 8 for c in property_candidates(labels, values, 1))
    assert spurious <= 4, "at 5 % a look, and the scan's own"


def test_what_treated_most_of_a_class_is_one_candidate() -> None:
    labels, values = table(np.random.default_rng(2))
    values[:EACH, list(PROPERTIES).index("cast")] = 12.0
    (only,) = named(property_candidates(labels, values, 0), "cast", 1)
    assert only.inside == EACH == len(only.members)
