"""Labeled images from a folder of classes or a CSV file, and what to know about them before training."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import InputError, explain_error
from ..models.array_files import array_in
from ..models.channels import bands_view
from ..models.sources import EXTENSIONS

PLAIN = (".jpg", ".jpeg", ".png")
"""Suffixes of files that hold nothing but an ordinary image."""

IMBALANCE = 3.0
NEAR = 2  # bits of 64 in which two perceptual hashes of the same image may differ


COLUMNS, LONGEST = 64, 200
"""Further columns of a CSV file that are kept, and characters of a value."""


@dataclass(frozen=True)
class Item:
    """One labeled image.

    Attributes:
        path: its file.
        name: its name in reports.
        label: its class.
        columns: names and values of the further columns of a CSV file, such as site or scanner; "" where there is none.
    """

    path: str
    name: str
    label: str
    columns: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Dataset:
    """Labeled images in a fixed order.

    Attributes:
        root: folder or file they came from.
        items: the images, sorted by name.
        labels: the classes, sorted.
    """

    root: str
    items: tuple[Item, ...]
    labels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.items)

    def indices(self, labels: Sequence[str]) -> npt.NDArray[np.int64]:
        """Return each image's class as its index in `labels`."""
        index = {name: i for i, name in enumerate(labels)}
        unknown = sorted({i.label for i in self.items} - set(index))
        if unknown:
            raise InputError(
                explain_error(
                    f"The classes must be among {', '.join(labels)}.", ", ".join(unknown), "Check the folder names."
                )
            )
        return np.asarray([index[item.label] for item in self.items], dtype=np.int64)


@dataclass(frozen=True)
class Fingerprint:
    """What distinguishes one image from another: digest of the file and a perceptual hash; or why it cannot be read."""

    sha256: str
    perceptual: int
    error: str = ""


@dataclass(frozen=True)
class DataReport:
    """What to know before training.

    Attributes:
        counts: images by class, for each part ("train", "val").
        samples: a few file names by class, from the first part.
        warnings: sentences for the reader.
        unreadable: names of files that cannot be decoded, with the reason.
    """

    counts: dict[str, dict[str, int]]
    samples: dict[str, tuple[str, ...]]
    warnings: tuple[str, ...]
    unreadable: dict[str, str]


def read_dataset(source: str | Path, labels: str | Path | None = None) -> Dataset:
    """Read labeled images.

    Args:
        source: a folder with one folder a class, or a CSV file with the columns path and label; with `labels`, any
            folder.
        labels: a CSV file with the columns path (relative to the folder) and label.

    Returns:
        The images sorted by name, the classes sorted.

    Raises:
        InputError: for a source without labeled images.
    """
    root = Path(source).expanduser()
    if labels is not None:
        items = _from_csv(Path(labels).expanduser(), root)
    elif root.suffix.lower() == ".csv":
        items = _from_csv(root, root.parent)
    elif root.is_dir():
        items = [
            Item(str(path), path.relative_to(root).as_posix(), folder.name)
            for folder in sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
            for path in sorted(folder.rglob("*"))
            if path.suffix.lower() in EXTENSIONS and not path.name.startswith(".")
        ]
    else:
        raise InputError(
            explain_error(
                "Labeled images come from a folder with one folder a class, or from a CSV file.",
                repr(str(source)),
                "Check the spelling, or give a folder that exists.",
            )
        )
    if not items:
        raise InputError(
            explain_error(
                "There must be images in one folder a class.",
                f"none below {str(source)!r}",
                "Put them in folders named after the classes, or give a CSV file with the columns path and label.",
            )
        )
    items.sort(key=lambda item: item.name)
    return Dataset(str(source), tuple(items), tuple(sorted({item.label for item in items})))


def _from_csv(file: Path, root: Path) -> list[Item]:
    if not file.is_file():
        raise InputError(explain_error("A CSV file of labels must exist.", repr(str(file)), "Check the spelling."))
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            table = csv.DictReader(stream)
            names = [name for name in table.fieldnames or [] if name and name.strip()]
            rows = [{name: row.get(name) or "" for name in names} for row in table]
    except (UnicodeDecodeError, csv.Error) as problem:
        advice = "Save it as CSV in UTF-8, separated by commas."
        raise InputError(explain_error("A CSV file of labels must be readable.", str(problem), advice)) from problem
    known = {name.strip().lower(): name for name in names}
    path = next((known[k] for k in ("path", "file", "filename", "image") if k in known), None)
    label = next((known[k] for k in ("label", "class", "category", "target") if k in known), None)
    if path is None or label is None:
        raise InputError(
            explain_error(
                "A CSV file of labels needs the columns path and label.",
                ", ".join(known) or "an empty file",
                "Write a first line with these two names.",
            )
        )
    short = [number for number, row in enumerate(rows, 1) if not row[path].strip() or not row[label].strip()]
    if short:
        received = f"{len(short)} rows without, the first is row {short[0]} below the names"
        advice = "Complete or delete these rows."
        raise InputError(explain_error("Each row of a CSV file needs a path and a label.", received, advice))
    more = [name for name in known.values() if name not in (path, label)][:COLUMNS]
    return [
        Item(
            str(root / row[path].strip()),
            row[path].strip(),
            row[label].strip(),
            tuple((name.strip(), row[name].strip()[:LONGEST]) for name in more),
        )
        for row in rows
    ]


def fingerprint(path: str) -> Fingerprint:
    """Return the digest of a file and the difference hash of its image: 64 signs of horizontal steps in a 9×8 gray.

    Reference: the "dHash" of N. Krawetz, 2013.
    """
    from PIL import Image

    try:
        content = Path(path).read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        stored = array_in(content, path, stacks=True) if not path.lower().endswith(PLAIN) else None
        opened = Image.open(path) if stored is None else Image.fromarray(bands_view(stored))
        with opened as image:
            image.draft("L", (64, 64))
            small = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.BOX), dtype=np.int16)
    except Exception as problem:  # a broken file can fail in any decoder
        return Fingerprint("", 0, f"{type(problem).__name__}: {problem}")
    bits = (small[:, 1:] > small[:, :-1]).reshape(-1)
    return Fingerprint(digest, int.from_bytes(np.packbits(bits).tobytes(), "big"))


def fingerprints(items: Iterable[Item]) -> list[Fingerprint]:
    """Return the fingerprints of images, in order."""
    from .._core.prefetch import prefetched

    return list(prefetched(lambda item: fingerprint(item.path), items))


def duplicates(left: Sequence[Fingerprint], right: Sequence[Fingerprint]) -> list[tuple[int, int, bool]]:
    """Return pairs of indices `(left, right, exact)` that hold the same image.

    Exact: equal files. Otherwise perceptual hashes that differ in at most two of 64 bits; flat images, whose hash
    carries no information, are compared by file only.

    Args:
        left: fingerprints of the first images.
        right: fingerprints of the other images.
    """
    by_file: dict[str, list[int]] = {}
    for j, f in enumerate(right):
        if not f.error:
            by_file.setdefault(f.sha256, []).append(j)
    found = {(i, j): True for i, f in enumerate(left) if not f.error for j in by_file.get(f.sha256, ())}
    a, b = _bits(left), _bits(right)
    telling_a = np.flatnonzero((a.sum(1) >= 8) & (a.sum(1) <= 56))
    telling_b = np.flatnonzero((b.sum(1) >= 8) & (b.sum(1) <= 56))
    for start in range(0, len(telling_a), 512):
        rows = telling_a[start : start + 512]
        ones, others = a[rows].astype(np.float32), b[telling_b].astype(np.float32)
        distance = ones.sum(1)[:, None] + others.sum(1)[None] - 2.0 * ones @ others.T
        for i, j in zip(*np.nonzero(distance <= NEAR), strict=True):
            found.setdefault((int(rows[i]), int(telling_b[j])), False)
    return [(i, j, exact) for (i, j), exact in sorted(found.items())]


def _bits(prints: Sequence[Fingerprint]) -> npt.NDArray[np.uint8]:
    packed = np.frombuffer(b"".join(f.perceptual.to_bytes(8, "big") for f in prints), dtype=np.uint8)
    return np.unpackbits(packed.reshape(len(prints), 8), axis=1)


def look(train: Dataset, val: Dataset | None = None) -> DataReport:
    """Count, sample and check labeled images before training on them.

    Warns of classes more than three times as large as others, of classes missing in a part, of files that cannot be
    read, and of images that appear in both parts or under two labels.

    Args:
        train: the training images.
        val: the validation images, None without any.

    Returns:
        Counts, samples and warnings.
    """
    parts = {"train": train} if val is None else {"train": train, "val": val}
    counts = {name: dict(sorted(Counter(i.label for i in part.items).items())) for name, part in parts.items()}
    samples = {label: tuple(i.name for i in train.items if i.label == label)[:5] for label in train.labels}
    warnings: list[str] = []
    small, large = min(counts["train"].values()), max(counts["train"].values())
    if large > IMBALANCE * small:
        rare = min(counts["train"], key=lambda k: counts["train"][k])
        warnings.append(f"The classes are uneven: the largest has {large} images, {rare!r} only {small}.")
    if len(train.labels) < 2:
        warnings.append("There is only one class: nothing can be learned.")
    if val is not None and set(val.labels) != set(train.labels):
        odd = sorted(set(val.labels) ^ set(train.labels))
        warnings.append(f"These classes are in one part only: {', '.join(odd)}.")
    prints = {name: fingerprints(part.items) for name, part in parts.items()}
    unreadable = {
        item.name: found.error
        for name, part in parts.items()
        for item, found in zip(part.items, prints[name], strict=True)
        if found.error
    }
    if unreadable:
        warnings.append(f"{len(unreadable)} files cannot be read and are left out: {_some(list(unreadable))}.")
    if val is not None:
        both = duplicates(prints["train"], prints["val"])
        if both:
            exact = sum(1 for *_, same in both if same)
            names = [val.items[j].name for _, j, _ in both]
            warnings.append(
                f"{len(set(names))} images of the test part are also in the training part "
                f"({exact} equal files, {len(both) - exact} look the same): {_some(names)}."
            )
    twice = [
        (i, j) for i, j, _ in duplicates(prints["train"], prints["train"])
        if i < j and train.items[i].label != train.items[j].label
    ]  # fmt: skip
    if twice:
        names = [f"{train.items[i].name} = {train.items[j].name}" for i, j in twice]
        warnings.append(f"{len(twice)} images carry two labels: {_some(names)}.")
    return DataReport(counts, samples, tuple(warnings), unreadable)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
