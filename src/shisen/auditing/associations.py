"""What metadata go with: with the labels, or with the model's errors within the classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from .._core.stats import benjamini_hochberg
from .metadata import Attribute
from .rank_tests import ranked
from .tables import Booleans, Ints, Tested, tabled

LEVEL = 0.05
Against = Literal["label", "error"]


@dataclass(frozen=True)
class Association:
    """One attribute that goes with the labels or, within the classes, with the model's errors.

    Attributes:
        source, name: of the attribute.
        against: "label" or "error".
        test: "chi_squared", "permutation" (of a table), "kruskal_wallis" or "stratified_ranks".
        n: images compared.
        strength: bias-corrected Cramér's V or epsilon squared, of labels; difference of error rates, or of the
            probability that an error has the larger number from ½, of errors.
        p, q: p-value, and adjusted for all tests.
        label: number of the class that stands out most; -1 for errors.
        value: the value that stands out; "" for numbers.
        inside, outside: images of the class (errors) with the value and of all others (correct images); for numbers
            the median of each.
        inside_n, outside_n: of how many images.
        separate: whether no value occurs in two classes: another name of the class, or inseparable from it.
    """

    source: str
    name: str
    against: Against
    test: str
    n: int
    strength: float
    p: float
    q: float
    label: int
    value: str
    inside: float
    inside_n: int
    outside: float
    outside_n: int
    separate: bool = False


class Skipped(NamedTuple):
    """An attribute that was not tested.

    Attributes:
        source, name: of the attribute.
        reason: "few_images" or "all_different".
    """

    source: str
    name: str
    reason: str


def associations(
    found: Sequence[Attribute], labels: Ints, wrong: Booleans
) -> tuple[tuple[Association, ...], tuple[Skipped, ...]]:
    """Return the attributes that go with the labels or with errors, the strongest first; and those not
    tested.

    Args:
        found: the attributes.
        labels: `(n,)` class numbers, −1 for images that are left out.
        wrong: `(n,)` whether the model errs.

    Returns:
        Associations at a false-discovery rate of 5 % over all tests that are not weak, and what was skipped.
    """
    tests: list[tuple[Attribute, Against, Tested]] = []
    skipped: list[Skipped] = []
    for one in found:
        given = {v for v, k in zip(one.values, labels, strict=True) if k >= 0 and v is not None}
        missing = any(v is None for v, k in zip(one.values, labels, strict=True) if k >= 0)
        if len(given) + (missing and not one.numeric) < 2:
            continue  # constant
        whole, errors = (ranked if one.numeric else tabled)(one, labels, wrong)
        different = not one.numeric and len(given) > 0.5 * sum(v is not None for v in one.values)
        if whole is None:
            skipped.append(Skipped(one.source, one.name, "all_different" if different else "few_images"))
        pairs: tuple[tuple[Against, Tested | None], ...] = (("label", whole), ("error", errors))
        tests += [(one, against, test) for against, test in pairs if test is not None]
    q: Sequence[float] = benjamini_hochberg([t.p for _, _, t in tests]).tolist() if tests else []
    kept = [
        Association(
            a.source, a.name, against, t.test, t.n, t.strength, t.p, adjusted, t.label, t.value,
            t.inside[0], t.inside[1], t.outside[0], t.outside[1], t.separate,
        )
        for (a, against, t), adjusted in zip(tests, q, strict=True)
        if adjusted <= LEVEL and abs(t.strength) >= t.least
    ]  # fmt: skip
    kept.sort(key=lambda a: (a.against == "label", a.separate, -abs(a.strength), a.source, a.name))
    return tuple(kept), tuple(skipped)
