"""Candidates are proposed from what the scan kept, and each is tested by intervention."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .._core.i18n import N_
from .._core.io import write_file
from .._core.progress import Progress, silent
from .artefacts.base import Candidate, Evidence, Images
from .budget import Budget, estimate_tests
from .candidates import candidates
from .embedding import embedding
from .findings import Finding, Trial, associated, findings
from .interventions import TESTED, Effect, answers, intervene
from .middle import Middle
from .scanned import Scan, canvases_of, pooled_of, probabilities_of, sample
from .shifts import Shift

if TYPE_CHECKING:
    from ..models.model import Model

LEAST_IMAGES = 10
"""Least number of images of a class about which anything can be concluded."""

ENOUGH = 40
"""Least number of images of other classes on which what is used is measured without another class's."""


def proposed(scan: Scan, images: Images) -> list[Candidate]:
    """Return what goes with a class in these images, whatever the model makes of it.

    Args:
        scan: the scan of the folder.
        images: the images, and the model.
    """
    sampled = sample(scan.usable)
    evidence = Evidence(
        labels=scan.usable,
        canvases=canvases_of(scan, sampled),
        sampled=sampled,
        properties=scan.properties,
        read=images.read,
        embed=embedding(),
        middle=images.middle,
    )
    return candidates(evidence)


def images_of(model: Model, scan: Scan) -> Images:
    """Return what interventions are made on.

    Args:
        model: the network.
        scan: the scan of the folder.
    """
    sampled = sample(scan.usable)
    some = sampled[np.linspace(0, len(sampled) - 1, min(64, len(sampled))).astype(int)]
    return Images(
        model=model,
        paths=scan.paths,
        labels=scan.usable,
        probabilities=probabilities_of(model, scan.logits),
        controls=canvases_of(scan, some),
        control_rows=some,
        pooled=lambda rows: pooled_of(scan, rows),
        middle=Middle.of(model, scan.paths),
    )


def tested(
    scan: Scan, images: Images, proposals: Sequence[Candidate], progress: Progress, budget: Budget
) -> list[Finding]:
    """Intervene on each candidate that goes with its class, and judge them together; effects are kept as they come in.

    Where several classes have something the model uses, each holds its own images back from turning to another
    class. So what is used is measured again on images that have no other class's, where enough are left.

    Args:
        scan: what is kept of every image.
        images: the images, and the audited network.
        proposals: the candidates.
        progress: called as `progress(done, total, words)`.
        budget: after which only what was measured before is used.

    Returns:
        The findings, the most serious first.
    """
    tests = [Trial(c, None, "not_reached") for c in proposals]
    with_class = associated(proposals)
    chosen = [i for i in budget.ordered(proposals) if with_class[i]]
    if progress is not silent and chosen:
        estimate_tests(progress, _seconds(images), len(chosen), min(TESTED, int((images.labels >= 0).sum())))
    for number, i in enumerate(chosen):
        tests[i] = _test(proposals[i], images, scan.rows.folder, budget)
        progress(number + 1, len(chosen), N_("Intervening"))
    used = [f.candidate for f in findings(tests) if f.used]
    for number, (candidate, _, _) in enumerate(tests):
        held = affected(used, candidate.label, scan.usable)
        if any(candidate is c for c in used) and len(held):
            labels = scan.usable.copy()
            labels[held] = -1
            alone = _test(candidate, replace(images, labels=labels), scan.rows.folder, budget)
            tests[number] = tests[number] if alone.effect is None else alone
    return findings(tests)


def affected(used: Sequence[Candidate], label: int, labels: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the rows of images of other classes than `label` that have what the model uses for their own class.

    The most serious come first in `used`; what would leave fewer than `ENOUGH` images without is passed over, such
    as a color that nearly all images of a class have by nature.

    Args:
        used: candidates that the model uses.
        label: index of the class.
        labels: `(n,)` class of every image.
    """
    free = (labels >= 0) & (labels != label)
    for c in used:
        without = free.copy()
        without[[i for i in c.members if labels[i] == c.label]] = False
        free = without if c.label != label and without.sum() >= ENOUGH else free
    return np.flatnonzero((labels >= 0) & (labels != label) & ~free)


def _seconds(images: Images) -> float:
    """Return how long an image takes, from one batch."""
    rows = np.flatnonzero(images.labels >= 0)[:32].tolist()
    start = time.perf_counter()
    answers(images, rows, None)
    return (time.perf_counter() - start) / max(len(rows), 1)


def _test(candidate: Candidate, images: Images, kept: Path, budget: Budget) -> Trial:
    """Return what interventions on a candidate did, from disk where it was measured before."""
    digest = hashlib.sha256(json.dumps(candidate.describe()).encode())
    digest.update(np.flatnonzero(images.labels < 0).tobytes())
    file = kept / "effects" / f"{digest.hexdigest()[:16]}.json"
    if not file.is_file():
        if budget.spent:
            return Trial(candidate, None, "not_reached")
        effect = intervene(candidate, images)
        record = {"obstacle": effect} if isinstance(effect, str) else asdict(effect)
        write_file(file, json.dumps(record))
    found = json.loads(file.read_text())
    if "obstacle" in found:
        return Trial(candidate, None, found["obstacle"])
    found |= {"examples": tuple(found["examples"]), "shifts": tuple(Shift(*s) for s in found["shifts"])}
    return Trial(candidate, Effect(**found))
