"""The cure of the data: a copy in which every artefact is as frequent in all classes as in its own."""

from __future__ import annotations

import csv
import hashlib
import io
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from .._core.i18n import N_
from .._core.io import write_file
from .._core.progress import Progress
from ..auditing.artefacts.base import Alter
from ..errors import InputError, explain_error
from ..training.data import Item
from .opening import Opened, Target

if TYPE_CHECKING:
    from ..models.model import Model

RETAKE, MARK = "retake.csv", ".counterbalanced"
FAR = 2_000_000  # added to rows, so that no image is taken for one of those that have an artefact


def write_retake(path: Path, source: Opened, targets: Sequence[Target]) -> None:
    """Write a table of the audited images that have an artefact in its class: these are to be taken again without it.

    Args:
        path: the CSV file.
        source: the audit.
        targets: the findings.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["finding", "path"])
    for t in targets:
        own = [i for i in t.finding.candidate.members if source.images.labels[i] == t.label]
        table.writerows([t.number, source.scan.names[i]] for i in own)
    write_file(path, text.getvalue())


def check_copy(out: Path) -> None:
    """Raise where a folder holds something else than such a copy.

    Raises:
        InputError: for such a folder.
    """
    if out.exists() and any(out.iterdir()) and not (out / MARK).is_file():
        advice = "Give a folder that is empty or does not exist."
        raise InputError(explain_error("The copy needs a folder of its own.", repr(str(out)), advice))


def write_counterbalanced(
    model: Model,
    items: Sequence[Item],
    labels: npt.NDArray[np.int64],
    targets: Sequence[Target],
    out: Path,
    *,
    progress: Progress,
) -> int:
    """Write a copy of labeled images in which each artefact is in every class as often as in its own.

    Images of other classes are given an artefact by the hash of their name; the others are copied as they are. A copy
    that was stopped continues.

    Args:
        model: reads the images.
        items: the images.
        labels: `(n,)` class numbers, −1 for none.
        targets: the findings.
        out: the new folder, with one folder a class.
        progress: called as `progress(done, total, words)`.

    Returns:
        How many images were given an artefact.
    """
    check_copy(out)
    write_file(out / MARK, "".join(f"{t.number}\n" for t in targets))
    given = 0
    for row, item in enumerate(items):
        put_on = [
            t.how.apply
            for t in targets
            if t.how is not None and t.how.apply is not None and _drawn(t, item.name, int(labels[row]))
        ]
        given += bool(put_on)
        name = Path(item.label, hashlib.sha256(item.name.encode()).hexdigest()[:8] + "-" + Path(item.name).name)
        if put_on:
            _write_altered(model, item, put_on, row, out / name.with_suffix(".png"))
        elif not (out / name).is_file():
            write_file(out / name, partial(shutil.copyfile, item.path))
        progress(row + 1, len(items), N_("Copying images"))
    return given


def _drawn(target: Target, name: str, label: int) -> bool:
    """Return whether an image is given an artefact: of other classes as many as have it in its own."""
    c = target.finding.candidate
    value = int(hashlib.sha256(f"{target.number}/{name}".encode()).hexdigest()[:8], 16) / 16**8
    return label not in (-1, target.label) and value < c.inside / max(c.group, 1)


def _write_altered(model: Model, item: Item, alters: Sequence[Alter], row: int, file: Path) -> None:
    if file.is_file():
        return
    pixels = model.read(item.path).pixels
    for alter in alters:
        pixels = alter(pixels, row + FAR)
    write_file(file, lambda to: Image.fromarray(pixels).save(to))
