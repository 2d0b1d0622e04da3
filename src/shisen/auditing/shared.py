"""Findings that are one thing in several classes, and classes that a thing pushes images away from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .artefacts.base import Candidate
from .artefacts.compound import pieces
from .artefacts.fixed_patch import FixedPatch
from .findings import TREATMENT, Finding
from .shifts import Shift

ALIKE = 0.5
"""Least overlap, intersection over union, of the images or of the regions of two findings that are one thing."""
LOOK = 25.0
"""Largest mean difference, in levels of 255, of two patches that look the same."""
RISE = 0.15
"""Least rise of the part predicted as the class when a thing is taken off, for it to push away from the class."""


def shared(findings: Sequence[Finding]) -> tuple[tuple[int, ...], ...]:
    """Return groups of findings of different classes that are the same thing; numbers, the most serious first.

    The same: (nearly) the same images have it; or its leading piece is the same transform or the same change of a
    property; or its leading piece is a patch in the same region that looks the same. Only findings of the same state
    are put together.

    Args:
        findings: the findings of the audit.
    """
    groups: list[list[int]] = []
    for i, finding in enumerate(findings):
        if finding.nature and not finding.used:
            continue
        for group in groups:
            first = findings[group[0]].candidate
            own = {findings[j].candidate.label for j in group}
            alike = findings[group[0]].state == finding.state and finding.candidate.label not in own
            if alike and _same(first, finding.candidate):
                group.append(i)
                break
        else:
            groups.append([i])
    return tuple(tuple(g) for g in groups if len(g) > 1)


def _same(a: Candidate, b: Candidate) -> bool:
    mine, other = set(a.members), set(b.members)
    if len(mine & other) >= ALIKE * len(mine | other):
        return True
    one, two = pieces(a.artefact)[0], pieces(b.artefact)[0]
    if isinstance(one, FixedPatch) and isinstance(two, FixedPatch):
        return _same_patch(one, two)
    return (one.kind, one.direction) == (two.kind, two.direction) and (one.order == TREATMENT or one.direction != 0)


def _same_patch(one: FixedPatch, two: FixedPatch) -> bool:
    """Return whether two patches lie in the same region and look the same there."""
    if one.mask.shape != two.mask.shape:
        return False
    both = one.mask & two.mask
    if both.sum() < ALIKE * (one.mask | two.mask).sum():
        return False
    return bool(np.abs(one.template[both] - two.template[both]).mean() < LOOK)


def lowered(finding: Finding) -> list[Shift]:
    """Return the other classes whose images it turns away, mostly not to its own class; most lost first."""
    if finding.effect is None:
        return []
    return [s for s in finding.effect.shifts if s.lowers and s.gains != finding.candidate.label]


def lowers_own(finding: Finding) -> bool:
    """Whether images of its own class are predicted as the class more often when it is taken off."""
    from scipy.stats import fisher_exact

    e = finding.effect
    if e is None or e.undone_tested < 10 or e.undone - e.kept < RISE:
        return False
    n = e.undone_tested
    with_it, without = round(e.kept * n), round(e.undone * n)
    return bool(fisher_exact([[without, n - without], [with_it, n - with_it]], alternative="greater").pvalue <= 0.01)
