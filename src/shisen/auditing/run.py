"""The audit of a folder, from the first image to the report; stopped at any moment, the next run continues."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .._core.i18n import N_, translator
from .._core.io import write_file
from .._core.progress import Progress, silent
from ..errors import InputError, ShisenError, ShisenWarning, explain_error, require
from ..training.data import Dataset, read_dataset
from .artefacts.base import Candidate
from .budget import Budget
from .context import context_of, read_training
from .finding_files import FILE, write_findings
from .groups import check_names
from .metadata import attributes
from .parts import Rows
from .properties import PROPERTIES
from .record import Audit, record_of, write_images
from .scan import PART, key_of, scan_images
from .scanned import CANVAS, Scan, confusion_of, label_of
from .testing import LEAST_IMAGES, images_of, proposed, tested
from .versus import Compared, compared

if TYPE_CHECKING:
    from ..models.model import Model


def audit(
    model: Model,
    folder: str | Path,
    out: str | Path,
    *,
    labels: str | Path | None = None,
    versus: Model | None = None,
    method: str = "",
    groups: Sequence[str] = (),
    train: str | Path | None = None,
    budget: float | None = None,
    lang: str = "en",
    progress: Progress = silent,
) -> Audit:
    """Audit a classifier on a folder of labeled images: mistakes, what it used, shortcuts tested by intervention.

    A finding is something that goes with a class: a patch that looks the same at one position, or a global property. It
    is called used by the model only if putting it on images of other classes changes its predictions.

    Args:
        model: from `load` or `wrap`.
        folder: a folder with one folder a class, a CSV file (path, label), or any folder together with `labels`.
        out: folder for the report. An audit that was stopped continues there.
        labels: a CSV file with the columns path and label.
        versus: another model for the same images; its answers, also to the same candidates, are put beside.
        method: a registered name for the maps, or "auto" for the one recommended for the model if there is a
            recommendation; by default gradient times activation, from the pass that predicts.
        groups: columns of the CSV file of labels, or other metadata such as "exif_model", whose values are groups:
            accuracy of each, and whether the model's features tell them apart.
        train: the images that the model was trained on, as a folder with one folder a class or a CSV file; audited
            images that occur there are listed.
        budget: seconds after which no further candidate is tested, the most promising ones first; the same audit
            called again continues with the rest. None for no limit, and a result that does not depend on time.
        lang: "en" or "ja", the language of the report.
        progress: called as `progress(done, total, words)`.

    Returns:
        An `Audit`; it has written `index.html`, `findings.json` and `images.parquet`.

    Raises:
        InputError: for a folder without labeled images, or whose classes the model does not know; for groups or a
            budget that there cannot be.
    """
    limit = Budget(budget)
    _checked(model, lang)
    data, trained_on = read_dataset(folder, labels), read_training(train)
    check_names(groups, known := attributes(data.items))
    target, chosen = Path(out), _method(model, method)
    scan = scan_folder(model, data, target, progress, chosen)
    progress(0, 1, N_("Looking for what goes with a class"))
    images = images_of(model, scan)
    proposals = proposed(scan, images)
    progress(1, 1, N_("Looking for what goes with a class"))
    found = tested(scan, images, proposals, progress, limit)
    other = None
    if versus is not None:
        other_scan = scan_folder(versus, data, target, progress, _method(versus, method))
        other = _beside(model, versus, scan, other_scan, proposals, progress, limit)
    from .report import write_report

    result = Audit(
        findings=tuple(found),
        confusion=confusion_of(model, scan),
        report=str(target / "index.html"),
        unreadable=scan.errors,
        names=scan.names,
        labels=tuple(label_of(model, k) for k in range(scan.logits.shape[1])),
        too_few=_too_few(model, scan),
        other=other,
        context=context_of(model, scan, known, progress, groups=groups, train=trained_on),
    )
    more = {"method": chosen, "budget": budget, "table": None if labels is None else str(labels)}
    record = {**record_of(result, model, str(folder), scan), **more}
    write_findings(target / FILE, found)
    write_file(target / "findings.json", json.dumps(record, ensure_ascii=False, indent=1))
    write_images(target / "images.parquet", model, scan, found)
    cards = write_report(
        result, images, scan, record=record, considered=len(proposals), path=target / "index.html", lang=lang
    )
    return replace(result, cards=cards)


def _checked(model: Model, lang: str) -> None:
    """Raise what stops an audit before any work is done."""
    translator(lang)  # an unknown language is refused before hours of work
    model.check_rank("audit()")
    if model.channels not in (None, 1, 3, 4):
        raise InputError(
            explain_error(
                "An audit alters color or gray images and runs the model again.",
                f"a network of {model.channels} channels",
                "Use shisen.evaluate and shisen.explain, which take any number of channels.",
            )
        )
    for package in ("pyarrow", "scipy", "sklearn", "jinja2"):
        try:
            __import__(package)
        except ImportError as problem:
            raise require({"sklearn": "scikit-learn"}.get(package, package), "audit", "audit()") from problem


def _too_few(model: Model, scan: Scan) -> tuple[str, ...]:
    """Return the classes with too few images for any conclusion about them."""
    found, counts = np.unique(scan.usable[scan.usable >= 0], return_counts=True)
    return tuple(label_of(model, int(k)) for k, n in zip(found, counts, strict=True) if n < LEAST_IMAGES)


def _beside(
    model: Model,
    versus: Model,
    scan: Scan,
    other_scan: Scan,
    proposals: list[Candidate],
    progress: Progress,
    limit: Budget,
) -> Compared:
    """Return what another model makes of the same candidates, with the class numbers of the first."""
    known = _for_other(proposals, model, versus)
    numbers = {other.label: one.label for one, other in known}
    findings = [
        replace(f, candidate=replace(f.candidate, label=numbers[f.candidate.label]))
        for f in tested(other_scan, images_of(versus, other_scan), [other for _, other in known], progress, limit)
    ]
    return compared((model, versus), (scan, other_scan), findings)


def targets_of(model: Model, data: Dataset) -> npt.NDArray[np.int64]:
    """Return the model's class number of every image; −1, with a warning, for a class that it does not know.

    Args:
        model: the network.
        data: the labeled images.

    Raises:
        InputError: where it knows none of the classes.
    """
    numbers: dict[str, int] = {}
    missing = []
    for label in data.labels:
        try:
            numbers[label] = model.find(label)
        except ShisenError:
            missing.append(label)
            numbers[label] = -1
    if len(missing) == len(data.labels):
        raise InputError(
            explain_error(
                N_("The classes of the folder must be classes of the model."),
                ", ".join(missing[:5]),
                N_("Name the folders after the model's labels, or give a CSV file of labels."),
            )
        )
    if missing:
        warnings.warn(
            f"The model knows no class {', '.join(map(repr, missing))}: these images are looked at, not scored.",
            ShisenWarning,
            stacklevel=3,
        )
    return np.asarray([numbers[item.label] for item in data.items], dtype=np.int64)


def _method(model: Model, method: str) -> str:
    """Return the name of a registered method, or "" for gradient times activation."""
    if method == "auto":
        from ..evaluation.recommend import saved

        setting = saved(model)
        return "" if setting is None else setting.method
    if method:
        from .. import registry

        return registry.get(method).name
    return ""


def _for_other(proposals: list[Candidate], model: Model, versus: Model) -> list[tuple[Candidate, Candidate]]:
    """Return each candidate beside itself with the other model's class number, without classes it does not know."""
    found: list[tuple[Candidate, Candidate]] = []
    for one in proposals:
        try:
            found.append((one, replace(one, label=versus.find(label_of(model, one.label)))))
        except ShisenError:
            continue
    return found


def work_key(model: Model, data: Dataset, method: str) -> str:
    """Return the name of the work on images with a model; it changes when either does.

    Args:
        model: the network.
        data: the labeled images.
        method: a registered name for the maps, "" for gradient times activation.
    """
    from .. import __version__

    return key_of(model, data.items, f"{__version__}/{CANVAS}/{PART}/{method}/{','.join(PROPERTIES)}")


def scan_folder(model: Model, data: Dataset, out: Path, progress: Progress, method: str) -> Scan:
    """Scan what is missing, and return what is kept of every image.

    Args:
        model: the network.
        data: the labeled images.
        out: folder of the audit.
        progress: called as `progress(done, total, words)`.
        method: a registered name for the maps, "" for gradient times activation.

    Returns:
        The scan; from disk where it was made before.

    Raises:
        InputError: where no image can be read, or where the model knows none of the classes.
    """
    rows = Rows(out / "work" / work_key(model, data, method), PART)
    true = targets_of(model, data)
    scan_images(model, data.items, true, rows, progress, method=method)
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


__all__ = ["Audit", "audit", "scan_folder", "targets_of", "work_key"]
