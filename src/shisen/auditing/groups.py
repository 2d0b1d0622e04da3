"""Groups that the user names, such as sites: accuracy of each, and whether the model's features tell them apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import InputError, explain_error
from .confusion import Fraction
from .metadata import Attribute
from .probe import Probe, probe
from .tables import LEAST_CLASS, MISSING

Ints = npt.NDArray[np.int64]
SHOWN = 20
"""Largest groups that are listed; all others count as one."""
REST = "(other)"


@dataclass(frozen=True)
class Group:
    """The images of one group.

    Attributes:
        name: value of the column.
        accuracy: correct predictions of its images.
        expected: accuracy that its classes have in all images; a group of difficult classes has a low one.
    """

    name: str
    accuracy: Fraction
    expected: float


@dataclass(frozen=True)
class Grouping:
    """One column whose values are groups.

    Attributes:
        column: its name.
        groups: the largest first.
        worst: name of the group with the lowest accuracy among those with at least ten images; "" without two.
        probe: None where no class has enough images in two groups.
    """

    column: str
    groups: tuple[Group, ...]
    worst: str
    probe: Probe | None


def grouped(
    columns: Sequence[str],
    found: Sequence[Attribute],
    labels: Ints,
    right: npt.NDArray[np.bool_],
    pooled: Callable[[Sequence[int]], npt.NDArray[np.float32]],
) -> tuple[Grouping, ...]:
    """Return accuracy by group and what a probe tells, for each column.

    Args:
        columns: names of the columns, or of other metadata.
        found: everything that is known beside the pixels.
        labels: `(n,)` class numbers, −1 for images that are left out.
        right: `(n,)` whether the prediction is correct.
        pooled: from rows to the model's features `(n, c)`.
    """
    check_names(columns, found)
    names = _by_name(found)
    return tuple(_grouping(name, names[name], labels, right, pooled) for name in columns)


def check_names(columns: Sequence[str], found: Sequence[Attribute]) -> None:
    """Check that groups are there before any work is done.

    Args:
        columns: names of the columns, or of other metadata.
        found: everything that is known beside the pixels.

    Raises:
        InputError: for a column that there is not.
    """
    for name in columns:
        if name not in _by_name(found):
            there = [a.name for a in found if a.source == "column"]
            others = sorted(f"{a.source}_{a.name}" for a in found if a.source != "column" and not a.numeric)
            raise InputError(
                explain_error(
                    "A group must be a column of the CSV file of labels, or one of the metadata.",
                    f"{name!r}; columns: {', '.join(there) or 'none'}; metadata: {', '.join(others) or 'none'}",
                    "Give one of these names.",
                )
            )


def _by_name(found: Sequence[Attribute]) -> dict[str, Attribute]:
    """Return attributes by name: columns by their own, others as in "exif_model"."""
    return {(a.name if a.source == "column" else f"{a.source}_{a.name}"): a for a in found}


def _grouping(
    name: str,
    one: Attribute,
    labels: Ints,
    right: npt.NDArray[np.bool_],
    pooled: Callable[[Sequence[int]], npt.NDArray[np.float32]],
) -> Grouping:
    texts = np.asarray([MISSING if v is None else f"{v:g}" if isinstance(v, float) else v for v in one.values])
    known = labels >= 0
    values, counts = np.unique(texts[known], return_counts=True)
    kept = [str(v) for v in values[np.argsort(-counts, kind="stable")][:SHOWN]]
    texts = np.where(np.isin(texts, kept), texts, REST)
    if (known & (texts == REST)).any():
        kept = [k for k in kept if k != REST] + [REST]
    usual = np.zeros(len(labels))
    for k in np.unique(labels[known]):
        usual[labels == k] = right[labels == k].mean()
    groups = []
    for value in kept:
        own = known & (texts == value)
        groups.append(Group(value, Fraction(int(right[own].sum()), int(own.sum())), float(usual[own].mean())))
    large = [g for g in groups if g.accuracy.n >= LEAST_CLASS and g.name != REST]
    worst = min(large, key=lambda g: (g.accuracy.value, g.name)).name if len(large) > 1 else ""
    return Grouping(name, tuple(groups), worst, probe(texts, labels, pooled))
