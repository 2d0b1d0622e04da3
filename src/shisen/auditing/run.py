"""The audit of a folder, from the first image to the report; stopped at any moment, the next run continues."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .._core.i18n import N_
from .._core.progress import Progress, silent
from ..errors import InputError, ShisenError, ShisenWarning, explain_error, of_kind, require, unknown
from ..training.data import Dataset, read_dataset
from .candidates import Candidate, describe
from .confusion import Confusion
from .findings import Finding
from .parts import Rows, write_bytes, write_table
from .properties import PROPERTIES
from .scan import CANVAS, PART, key_of, walk
from .testing import Scan, chances_of, confusion_of, label_of, proposed, proven
from .versus import Compared, compared
from .words import LANGUAGES

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
        other: the model compared with, or None.
        cards: of each finding what a person looks at: headline, severity, sentences, images before and after.
    """

    findings: tuple[Finding, ...]
    confusion: Confusion
    report: str
    unreadable: dict[str, str]
    names: tuple[str, ...]
    labels: tuple[str, ...]
    other: Compared | None = None
    cards: tuple[Mapping[str, Any], ...] = ()

    def worst(self) -> str:
        """Return the highest severity among the findings: "high", "medium", "low" or "none"."""
        return next((s for s in ("high", "medium", "low") if any(f.severity == s for f in self.findings)), "none")


def audit(
    model: Model,
    folder: str | Path,
    out: str | Path,
    *,
    labels: str | Path | None = None,
    versus: Model | None = None,
    method: str = "",
    lang: str = "en",
    progress: Progress = silent,
) -> Audit:
    """Audit a classifier on a folder of labeled images: mistakes, what it used, shortcuts proven by intervention.

    A finding is something that goes with a class: a patch that looks the same at one place, or a global property. It
    is called used by the model only if putting it on images of other classes changes what the model says.

    Args:
        model: from `load` or `wrap`.
        folder: a folder with one folder a class, a CSV file (path, label), or any folder together with `labels`.
        out: folder for the report. An audit that was stopped continues there.
        labels: a CSV file with the columns path and label.
        versus: another model for the same images; its answers, also to the same suspects, are put beside.
        method: a registered name for the maps, or "auto" for the one recommended for the model if there is a
            recommendation; by default gradient times activation, from the pass that predicts.
        lang: "en" or "ja", the language of the report.
        progress: called as `progress(done, total, words)`.

    Returns:
        An `Audit`; it has written `index.html`, `findings.json` and `images.parquet`.

    Raises:
        InputError: for a folder without labeled images, or whose classes the model does not know.
    """
    if lang not in LANGUAGES:
        raise unknown("language", lang, LANGUAGES)
    for package in ("pyarrow", "scipy", "sklearn", "jinja2"):
        try:
            __import__(package)
        except ImportError as problem:
            raise require({"sklearn": "scikit-learn"}.get(package, package), "audit", "audit()") from problem
    data = read_dataset(folder, labels)
    target = Path(out)
    chosen = _method(model, method)
    walked = _walked(model, data, target, (progress, chosen))
    progress(0, 1, N_("Looking for what goes with a class"))
    suspects = proposed(walked)
    progress(1, 1, N_("Looking for what goes with a class"))
    found = proven(model, walked, suspects, progress)
    matrix, _ = confusion_of(model, walked)
    other = None
    if versus is not None:
        second = _walked(versus, data, target, (progress, _method(versus, method)))
        known = _for_other(suspects, model, versus)
        numbers = {other.label: one.label for one, other in known}
        theirs = [
            replace(f, candidate=replace(f.candidate, label=numbers[f.candidate.label]))
            for f in proven(versus, second, [other for _, other in known], progress)
        ]
        other = compared(versus.name, (model, versus), (walked, second), theirs)
    from .report import write_report

    names = tuple(label_of(model, k) for k in range(walked.logits.shape[1]))
    result = Audit(tuple(found), matrix, str(target / "index.html"), walked.errors, walked.names, names, other)
    record = {**_record(result, model, str(folder), walked), "method": chosen}
    write_bytes(target / "findings.json", json.dumps(record, ensure_ascii=False, indent=1).encode())
    _write_images(target / "images.parquet", model, walked, found)
    cards = write_report(result, (model, versus), walked, (record, len(suspects)), (target / "index.html", lang))
    return replace(result, cards=cards)


def _targets(model: Model, data: Dataset) -> npt.NDArray[np.int64]:
    places: dict[str, int] = {}
    missing = []
    for label in data.labels:
        try:
            places[label] = model.find(label)
        except ShisenError:
            missing.append(label)
            places[label] = -1
    if len(missing) == len(data.labels):
        text = explain_error(
            "The classes of the folder must be classes of the model.",
            ", ".join(missing[:5]),
            "Name the folders after the model's labels, or give a CSV file of labels.",
        )
        raise of_kind(InputError(text), "classes")
    if missing:
        warnings.warn(
            f"The model knows no class {', '.join(map(repr, missing))}: these images are looked at, not scored.",
            ShisenWarning,
            stacklevel=3,
        )
    return np.asarray([places[item.label] for item in data.items], dtype=np.int64)


def _method(model: Model, method: str) -> str:
    """Return the name of a registered method, or "" for gradient times activation."""
    if method == "auto":
        from ..evaluation.recommend import saved

        setting = saved(model)
        return "" if setting is None else setting.method
    if method:
        from .. import attribution as _fill_registry  # noqa: F401
        from .. import registry

        return registry.get(method).name
    return ""


def _for_other(suspects: list[Candidate], model: Model, versus: Model) -> list[tuple[Candidate, Candidate]]:
    """Return each suspect beside itself with the other model's class number; classes it does not know are left out."""
    found: list[tuple[Candidate, Candidate]] = []
    for one in suspects:
        try:
            found.append((one, replace(one, label=versus.find(label_of(model, one.label)))))
        except ShisenError:
            continue
    return found


def _walked(model: Model, data: Dataset, out: Path, how: tuple[Progress, str]) -> Scan:
    from .. import __version__

    progress, method = how
    key = key_of(model, data.items, f"{__version__}/{CANVAS}/{PART}/{method}/{','.join(PROPERTIES)}")
    rows = Rows(out / "work" / key, PART)
    true = _targets(model, data)
    walk(model, data.items, true, rows, progress, method=method)
    read = rows.read(["logits", "properties", "error"])
    good = np.asarray([not e for e in read["error"]])
    if not good.any():
        raise InputError(explain_error("There must be images that can be read.", "none", "Check the files."))
    width = max(len(row) for row in read["logits"])
    logits = np.asarray([row or [0.0] * width for row in read["logits"]], dtype=np.float32)
    properties = np.asarray([row or [0.0] * len(PROPERTIES) for row in read["properties"]], dtype=np.float64)
    names, paths = tuple(i.name for i in data.items), tuple(i.path for i in data.items)
    errors = {n: e for n, e in zip(names, read["error"], strict=True) if e}
    return Scan(rows, names, paths, true, good, logits, properties, errors)


def _record(result: Audit, model: Model, folder: str, walked: Scan) -> dict[str, Any]:
    """Return everything a program or an auditor may want to know; no times, so that equal audits are equal files."""
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
        "key": walked.rows.folder.name,
        "images": len(walked.names),
        "unreadable": walked.errors,
        "accuracy": {"hits": result.confusion.accuracy.hits, "n": result.confusion.accuracy.n},
        "confusion": asdict(result.confusion),
        "severity": result.worst(),
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
        "versions": versions,
    }


def _plain(found: Sequence[Finding], labels: Sequence[str], names: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {
            **describe(f.candidate),
            "members": [names[i] for i in f.candidate.members],
            "class": labels[f.candidate.label],
            "in_data": f.in_data,
            "used": f.used,
            "q_data": f.q_data,
            "q_used": f.q_used,
            "severity": f.severity,
            "effect": None if f.effect is None else asdict(f.effect),
        }
        for f in found
    ]


def _write_images(path: Path, model: Model, walked: Scan, found: list[Finding]) -> None:
    import pyarrow as pa

    chance = chances_of(model, walked.logits)
    predicted = chance.argmax(1)
    columns: dict[str, Any] = {
        "name": list(walked.names),
        "error": [walked.errors.get(n, "") for n in walked.names],
        "label": [label_of(model, int(k)) if k >= 0 else "" for k in walked.true],
        "predicted": [
            label_of(model, int(k)) if g else "" for k, g in zip(predicted, walked.good, strict=True)
        ],
        "probability": [float(v) for v in chance.max(1)],
    }  # fmt: skip
    for i, name in enumerate(PROPERTIES):
        columns[name] = walked.properties[:, i].tolist()
    members = [set(f.candidate.members) for f in found]
    columns["findings"] = [[i for i, m in enumerate(members) if row in m] for row in range(len(walked.names))]
    write_table(path, pa.table(columns))


__all__ = ["Audit", "audit"]
