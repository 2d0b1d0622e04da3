"""What remains of an audit: its findings, its images, and how each finding is put on images."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .._core.progress import Progress
from ..auditing.artefacts.base import Candidate, Images, Intervention
from ..auditing.finding_files import FILE, read_findings
from ..auditing.findings import Finding
from ..auditing.record import Audit
from ..auditing.run import scan_folder, work_key
from ..auditing.scanned import Scan
from ..auditing.testing import affected, images_of
from ..errors import InputError, explain_error
from ..training.data import read_dataset

if TYPE_CHECKING:
    from ..models.model import Model


@dataclass(frozen=True)
class Target:
    """A finding that the model uses.

    Attributes:
        number: in the audit, from 1.
        finding: the finding.
        how: puts it on images; None where that is only possible inside the network.
    """

    number: int
    finding: Finding
    how: Intervention | None

    @property
    def label(self) -> int:
        """Number of its class."""
        return self.finding.candidate.label


@dataclass(frozen=True)
class Opened:
    """An audit, ready for interventions.

    Attributes:
        folder: of the audit.
        key: of model and images.
        scan: what is kept of every image.
        images: what interventions are made on.
        targets: the findings that the model uses and that are not likely what a class is by nature.
        digests: SHA-256 of the image files, by row.
    """

    folder: Path
    key: str
    scan: Scan
    images: Images
    targets: tuple[Target, ...]
    digests: tuple[str, ...]

    def rows_for(self, candidate: Candidate, without: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the rows of images of other classes that have nothing that the model uses.

        Args:
            candidate: what they are given.
            without: rows that had a part in the repair.
        """
        labels = self.images.labels
        free = np.flatnonzero((labels != candidate.label) & (labels >= 0))
        held = affected([t.finding.candidate for t in self.targets], candidate.label, labels)
        return np.setdiff1d(free, [*candidate.members, *held, *without])


def opened(model: Model, audit: Audit | str | Path, progress: Progress) -> Opened:
    """Open an audit of a model.

    Args:
        model: the audited network.
        audit: the audit, or the folder of its report.
        progress: called as `progress(done, total, words)`.

    Returns:
        The audit, with the findings that the model uses.

    Raises:
        InputError: for a folder without an audit, an audit of another model or of images that have changed, and an
            audit in which nothing was shown to be used but what a class is by nature.
    """
    folder = Path(audit.report).parent if isinstance(audit, Audit) else Path(audit).expanduser()
    try:
        record = json.loads((folder / "findings.json").read_text("utf-8"))
    except (OSError, ValueError) as problem:
        advice = "Run `shisen audit FOLDER --model RUN --out AUDIT` first."
        raise InputError(
            explain_error("There must be an audit to repair from.", f"{str(folder)!r}", advice)
        ) from problem
    kept = read_findings(folder / FILE)
    numbers = [i for i, one in enumerate(record["findings"]) if one["state"] == "used" and not one["nature"]]
    if not numbers:
        raise InputError(
            explain_error(
                "A repair needs a finding that the model uses.",
                f"{len(kept)} findings, none of them used by {model.name} without being what a class is by nature",
                "There is nothing to repair: keep the model as it is.",
            )
        )
    data = read_dataset(record["folder"], record["table"])
    if work_key(model, data, record["method"]) != record["key"]:
        raise InputError(
            explain_error(
                "The audit must be of this model, and its images as they were.",
                f"an audit of {record['model']['name']!r} with other weights or images than {model.name!r}",
                "Audit this model first.",
            )
        )
    scan = scan_folder(model, data, folder, progress, record["method"])
    images = images_of(model, scan)
    targets = tuple(_target(i, kept[i], images) for i in numbers)
    digests = tuple(scan.rows.read(["sha256"])["sha256"])
    return Opened(folder, record["key"], scan, images, targets, digests)


def _target(index: int, finding: Finding | None, images: Images) -> Target:
    if finding is None or finding.effect is None:
        advice = "Leave it out with finding=…."
        raise InputError(explain_error(f"Finding {index + 1} must be of a kind that can be kept.", "none", advice))
    ways = finding.candidate.artefact.intervention(finding.candidate, images).ways
    way = ways[min(finding.effect.way, len(ways) - 1)]
    inside = finding.effect.inside or way.apply is None  # copies on the pixels are no faithful ones then
    return Target(index + 1, finding, None if inside else replace(way, otherwise=None))
