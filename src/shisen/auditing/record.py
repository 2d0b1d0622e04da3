"""The result of an audit, and its files for programs: findings.json and images.parquet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .confusion import Confusion
from .context import NOTHING, DataContext, plain_context
from .findings import Finding
from .parts import write_table
from .properties import PROPERTIES
from .scanned import Scan, label_of, probabilities_of
from .versus import Compared

if TYPE_CHECKING:
    from ..models.model import Model


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    Attributes:
        findings: the most serious first.
        confusion: predictions against labels.
        report: path of the report, one HTML file.
        unreadable: files that could not be read, with the reason.
        names: names of the images, by row.
        labels: the model's classes, by number.
        too_few: classes with too few images for any conclusion about them.
        other: the model compared with, or None.
        context: metadata that go with labels or errors, groups, and images that occur twice.
        cards: of each finding what a person looks at: headline, severity, sentences, images before and after.
    """

    findings: tuple[Finding, ...]
    confusion: Confusion
    report: str
    unreadable: dict[str, str]
    names: tuple[str, ...]
    labels: tuple[str, ...]
    too_few: tuple[str, ...] = ()
    other: Compared | None = None
    context: DataContext = NOTHING
    cards: tuple[Mapping[str, Any], ...] = ()

    @property
    def not_reached(self) -> int:
        """How many findings were not tested within the budget."""
        return sum(f.reason == "not_reached" for f in self.findings)

    def worst(self) -> str:
        """Return the highest severity among the findings: "high", "medium", "low" or "none"."""
        return next((s for s in ("high", "medium", "low") if any(f.severity == s for f in self.findings)), "none")


def record_of(result: Audit, model: Model, folder: str, scan: Scan) -> dict[str, Any]:
    """Return everything a program or an auditor may want to know; no times, so that equal audits are equal files.

    Args:
        result: the audit.
        model: the network.
        folder: path of the audited folder.
        scan: the scan of the folder.
    """
    import platform
    from importlib.metadata import PackageNotFoundError, version

    versions = {"python": platform.python_version()}
    for package in ("shisen", "numpy", "scipy", "scikit-learn", "pyarrow", "pillow", model.framework):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "format": 1,
        "model": {
            "name": model.name,
            "framework": model.framework,
            "source": model.source,
            "precision": model.precision,
        },
        "folder": folder,
        "key": scan.rows.folder.name,
        "images": len(scan.names),
        "unreadable": scan.errors,
        "accuracy": {"hits": result.confusion.accuracy.hits, "n": result.confusion.accuracy.n},
        "confusion": asdict(result.confusion),
        "severity": result.worst(),
        "too_few": list(result.too_few),
        "not_reached": result.not_reached,
        "findings": _plain(result.findings, result.labels, result.names),
        "other": None
        if result.other is None
        else {
            "name": result.other.name,
            "accuracy": {"hits": result.other.confusion.accuracy.hits, "n": result.other.confusion.accuracy.n},
            "only_first": [result.names[i] for i in result.other.only_first],
            "only_other": [result.names[i] for i in result.other.only_other],
            "p": result.other.p,
            "findings": _plain(result.other.findings, result.labels, result.names),
        },
        **(
            {}
            if result.context is None
            else plain_context(result.context, result.findings, result.labels, result.names)
        ),
        "versions": versions,
    }


def _plain(found: Sequence[Finding], labels: Sequence[str], names: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {
            **f.candidate.describe(),
            "members": [names[i] for i in f.candidate.members],
            "class": labels[f.candidate.label],
            "in_data": f.in_data,
            "state": f.state,
            "reason": f.reason,
            "nature": f.nature,
            "q_data": f.q_data,
            "q_used": f.q_used,
            "severity": f.severity,
            "effect": None if f.effect is None else asdict(f.effect),
        }
        for f in found
    ]


def write_images(path: Path, model: Model, scan: Scan, found: Sequence[Finding]) -> None:
    """Write one row per image: labels, prediction, properties and the findings that it belongs to.

    Args:
        path: path of the Parquet file.
        model: the network.
        scan: the scan of the folder.
        found: the findings, which are numbered in this order.
    """
    import pyarrow as pa

    probabilities = probabilities_of(model, scan.logits)
    predicted = probabilities.argmax(1)
    columns: dict[str, Any] = {
        "name": list(scan.names),
        "error": [scan.errors.get(n, "") for n in scan.names],
        "label": [label_of(model, int(k)) if k >= 0 else "" for k in scan.true],
        "predicted": [
            label_of(model, int(k)) if g else "" for k, g in zip(predicted, scan.good, strict=True)
        ],
        "probability": [float(v) for v in probabilities.max(1)],
    }  # fmt: skip
    for i, name in enumerate(PROPERTIES):
        columns[name] = scan.properties[:, i].tolist()
    members = [set(f.candidate.members) for f in found]
    columns["findings"] = [[i for i, m in enumerate(members) if row in m] for row in range(len(scan.names))]
    write_table(path, pa.table(columns))
