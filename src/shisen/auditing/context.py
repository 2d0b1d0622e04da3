"""What an audit tells about the data beside the pixels of single images: metadata, groups and duplicates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .._core.progress import Progress
from ..training.data import Dataset
from .artefacts.compound import pieces
from .associations import Association, Skipped, associations
from .confusion import Fraction
from .duplicates import Duplicates, Pair, Prints, pairs_of
from .findings import Finding
from .groups import Grouping, grouped
from .likeness import GRID, descriptor
from .metadata import Attribute
from .scanned import Scan, canvases_of, pooled_of, probabilities_of
from .training_copies import TrainingFolder

if TYPE_CHECKING:
    from ..models.model import Model

TURNS = ("transform_on_its_side", "transform_quarter_left", "transform_quarter_right", "transform_upside_down")
CHANGED_AS_PIXELS = {
    ("file", "jpeg_quality"): ("compression", "transform_jpeg"),
    ("file", "bytes_per_pixel"): ("compression", "transform_jpeg"),
    ("file", "format"): ("compression", "transform_jpeg"),
    ("file", "suffix"): ("compression", "transform_jpeg"),
    ("file", "color_mode"): ("saturation", "transform_grayscale"),
    ("file", "width"): ("resolution", "aspect"),
    ("file", "height"): ("resolution", "aspect"),
    ("file", "size"): ("resolution", "compression"),
    ("file", "aspect"): ("aspect",),
    ("exif", "orientation"): TURNS,
}
"""Attribute → kinds of artefacts that change the same in the pixels, which is what can be tested."""


@dataclass(frozen=True)
class DataContext:
    """What is known of the data beside the pixels of single images.

    Attributes:
        associations: metadata that go with the labels or with errors. None of them is shown to be used by the model:
            a file's metadata never reach it.
        skipped: metadata that could not be tested, and why.
        groups: accuracy by the groups that the caller names.
        duplicates: images that occur twice.
    """

    associations: tuple[Association, ...]
    skipped: tuple[Skipped, ...]
    groups: tuple[Grouping, ...]
    duplicates: Duplicates


NOTHING = DataContext((), (), (), Duplicates((), {}, 0, None))


def context_of(
    model: Model,
    scan: Scan,
    known: Sequence[Attribute],
    progress: Progress,
    *,
    groups: Sequence[str] = (),
    train: Dataset | None = None,
) -> DataContext:
    """Return what metadata, groups and duplicates tell.

    Args:
        model: the network.
        scan: the scan of the folder.
        known: metadata of the images.
        progress: called as `progress(done, total, words)`.
        groups: names of the columns, or of other metadata, whose values are groups.
        train: the images that the model was trained on, or None.
    """
    labels = scan.usable
    right = probabilities_of(model, scan.logits).argmax(1) == labels
    found, skipped = associations(known, labels, ~right & (labels >= 0))
    return DataContext(
        found,
        skipped,
        grouped(groups, known, labels, right, lambda rows: pooled_of(scan, rows)),
        _duplicates(scan, right, train, progress),
    )


def _duplicates(scan: Scan, right: Any, train: Dataset | None, progress: Progress) -> Duplicates:
    rows = np.flatnonzero(scan.good)
    digests = scan.rows.read(["sha256"])["sha256"]
    own = Prints(digests, _descriptors(scan, rows), lambda row: canvases_of(scan, np.asarray([row]))[0])
    pairs = pairs_of(own, None)
    there: dict[int, tuple[str, str]] = {}
    files: dict[int, str] = {}
    clean = None
    if train is not None:
        folder = TrainingFolder(train.items, scan.rows.folder.parent)
        leaked = pairs_of(own, folder.prints(progress))
        there = {p.other: (train.items[p.other].name, train.items[p.other].label) for p in leaked}
        files = {p.other: train.items[p.other].path for p in leaked}
        rest = np.setdiff1d(np.flatnonzero(scan.usable >= 0), [p.first for p in leaked])
        clean = Fraction(int(right[rest].sum()), len(rest))
        pairs = [*leaked, *pairs]

    def order(pair: Pair) -> tuple[bool, bool, int, int]:
        return (not pair.leaked, pair.leaked or scan.true[pair.first] == scan.true[pair.other], pair.first, pair.other)

    return Duplicates(tuple(sorted(pairs, key=order)), there, 0 if train is None else len(train), clean, files)


def _descriptors(scan: Scan, rows: Any) -> Any:
    found = np.zeros((len(scan.names), GRID * GRID), np.float32)
    for block in np.array_split(rows, max(1, len(rows) // 500)):
        found[block] = [descriptor(c) for c in canvases_of(scan, block)]
    return found


def related(association: Association, findings: Sequence[Finding]) -> int | None:
    """Return the number of the finding that tests in the pixels what an attribute of the file goes with.

    Args:
        association: the attribute; of labels.
        findings: the findings of the audit.
    """
    kinds = CHANGED_AS_PIXELS.get((association.source, association.name), ())
    for i, finding in enumerate(findings):
        same = association.against == "error" or finding.candidate.label == association.label
        if same and any(one.kind in kinds for one in pieces(finding.candidate.artefact)):
            return i
    return None


def plain_context(
    context: DataContext, findings: Sequence[Finding], labels: Sequence[str], names: Sequence[str]
) -> dict[str, Any]:
    """Return the record for findings.json.

    Args:
        context: what was found.
        findings: the findings of the audit.
        labels: names of the classes.
        names: names of the images.
    """
    listed = []
    for a in context.associations:
        record = {k: v for k, v in asdict(a).items() if k != "label"}
        record["class"] = labels[a.label] if a.label >= 0 else None
        listed.append({**record, "state": "not_tested", "finding": related(a, findings)})
    d = context.duplicates
    return {
        "metadata": {"associations": listed, "not_tested": [s._asdict() for s in context.skipped]},
        "groups": [asdict(g) for g in context.groups],
        "duplicates": {
            "trained_on": d.trained_on,
            "accuracy_without_leaked": None if d.clean is None else asdict(d.clean),
            "pairs": [
                {
                    "first": names[p.first],
                    "other": d.train[p.other][0] if p.leaked else names[p.other],
                    "other_in": "train" if p.leaked else "audited",
                    "how": p.how,
                    "likeness": p.likeness,
                }
                for p in d.pairs
            ],
        },
    }


def read_training(source: str | Path | None) -> Dataset | None:
    """Return the labeled images of the training folder, None without one.

    Args:
        source: a folder with one folder a class, or a CSV file.
    """
    from ..training.data import read_dataset

    return None if source is None else read_dataset(source)
