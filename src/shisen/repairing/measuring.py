"""What a model and its repaired form answer to the audit's images under the audit's interventions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .._core.stats import evenly_spaced
from ..auditing.artefacts.base import Alter
from ..auditing.interventions import TESTED
from .copies import PLAIN, Change, Copies
from .head import Layer
from .opening import Opened, Target
from .proof import Answers, Given, Measured
from .variants import variants_of, varied

OTHER_FORMS = 120  # images on which other forms of an artefact are measured, at most
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Judge:
    """Two models on the audited images.

    Attributes:
        source: the audit.
        before, after: features of the audited images, and the last layer.
        used: rows of audited images that had a part in the repair.
    """

    source: Opened
    before: tuple[Copies, Layer]
    after: tuple[Copies, Layer]
    used: Rows

    def answers(self, rows: Rows, change: Change = PLAIN) -> Answers:
        """Return the logits of both models.

        Args:
            rows: images.
            change: what is done to them.
        """
        first, second = (layer.logits(copies.features(rows, change)) for copies, layer in (self.before, self.after))
        return Answers(first, second)

    def measured(self, target: Target, name: str, treated: bool) -> Measured | None:
        """Return what a finding does to both models; None where there are too few images, or no way to put it on.

        Args:
            target: the finding.
            name: name of its class.
            treated: whether the repair was made for it; then other forms are measured too.
        """
        how, labels = target.how, self.source.images.labels
        rows = self.source.rows_for(target.finding.candidate, self.used)
        rows = np.random.default_rng([7, target.number]).permutation(rows)[:TESTED]
        if how is None or how.apply is None or len(rows) < 8:
            return None
        plain = self.answers(rows)

        def given(chosen: Rows, kind: str, alter: Alter) -> Given:
            change = Change(f"{target.number}/{kind}", alter, how.reduce)
            some = Answers(plain.before[chosen], plain.after[chosen])
            return Given(labels[rows[chosen]], some, self.answers(rows[chosen], change))

        every = np.arange(len(rows))
        forms = {"same": given(every, "same", how.apply)}
        for variant in variants_of(how.apply, int(rows[0])) if treated else ():
            some = evenly_spaced(every, OTHER_FORMS)
            forms[variant.name] = given(some, variant.name, varied(how.apply, variant))
        control = None if how.control is None else given(every, "control", how.control)
        own = np.flatnonzero(labels == target.label)
        without = np.setdiff1d(own, [*target.finding.candidate.members, *self.used])
        seen = self.answers(without) if len(without) >= 5 else None
        return Measured(target.number, target.label, name, treated, forms, control, seen)
