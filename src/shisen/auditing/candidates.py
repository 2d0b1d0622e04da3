"""Candidates for shortcuts: what every kind of artefact proposes for every class."""

from __future__ import annotations

from .artefacts import kinds
from .artefacts.base import Candidate, Evidence
from .artefacts.compound import merged


def candidates(evidence: Evidence) -> list[Candidate]:
    """Return the candidates of every class, whatever a model makes of them."""
    proposed: list[Candidate] = []
    for label in sorted(set(evidence.labels[evidence.labels >= 0].tolist())):
        found: list[Candidate] = []
        for kind in kinds():
            found = kind.propose(evidence, label, found)
        proposed += merged(found, evidence.labels, label)
    return proposed
