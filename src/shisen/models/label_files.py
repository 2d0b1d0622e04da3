"""Labels from files: one per line, tables, JSON, or written out with commas."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..errors import InputError, explain_error
from .labels import Labels, imagenet, simplified


def labels_of(given: Labels | Iterable[str] | str | Path) -> Labels:
    """Return labels from a record, a list of names, "imagenet", a file, or "cat,dog"."""
    if isinstance(given, Labels):
        return given
    if isinstance(given, str) and simplified(given) in ("imagenet", "imagenet 1k"):
        return imagenet()
    if isinstance(given, (str, Path)):
        return read_labels(given)
    return Labels(tuple(given))


def read_labels(source: str | Path) -> Labels:
    """Return the labels of a file, or those written out as "cat,dog".

    A `.txt` file has one label per line. A `.csv` or `.tsv` file has a column of labels, and may have columns of
    indices and WordNet ids; a first line may name them. A `.json` file holds a list of labels or of
    `[id, label]`, or an object from index to either, or from label to index.

    Raises:
        InputError: there is no such file, or its labels do not cover 0 … n − 1.
    """
    path = Path(source)
    try:
        is_file = path.is_file()
    except (OSError, ValueError):  # a long list written out is no legal file name
        is_file = False
    if not is_file:
        names = [part.strip() for part in str(source).split(",")]
        if isinstance(source, str) and len(names) > 1 and all(names):
            return Labels(tuple(names))
        raise InputError(
            explain_error(
                "Labels come from a file, or from names with commas between them.",
                f"{str(source)!r}, which is neither",
                f"The folder looked in was {str(path.parent.absolute())!r}; labels can also be written out: 'cat,dog'.",
            )
        )
    try:
        text = path.read_text("utf-8-sig")
        if path.suffix.lower() == ".json":
            return _from_json(json.loads(text))
        if path.suffix.lower() in (".csv", ".tsv"):
            return _from_table(text, "\t" if path.suffix.lower() == ".tsv" else ",")
    except (UnicodeDecodeError, json.JSONDecodeError, csv.Error) as error:
        raise InputError(
            explain_error(f"{path.name!r} must be text in UTF-8 of the kind its name says.", error, "Save it again.")
        ) from error
    except InputError as error:
        raise InputError(f"{path.name!r}: {error}") from error
    return _nonempty([line.strip() for line in text.splitlines() if line.strip()], path.name)


def _nonempty(names: list[str], where: str) -> Labels:
    if not names:
        raise InputError(
            explain_error("There must be at least one label.", f"none in {where!r}", "Write one label per line.")
        )
    return Labels(tuple(names))


def _from_json(data: Any) -> Labels:
    if isinstance(data, dict):
        if data and all(isinstance(v, int) for v in data.values()):
            data = {v: k for k, v in data.items()}
        return _numbered_rows([(str(k), v) for k, v in data.items()])
    if isinstance(data, list):
        return _numbered_rows([(str(i), v) for i, v in enumerate(data)])
    raise InputError(
        explain_error("It must hold a list or an object of labels.", type(data).__name__, 'Write ["cat", "dog"].')
    )


def _from_table(text: str, delimiter: str) -> Labels:
    rows = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text), delimiter=delimiter) if row]
    if not rows:
        return _nonempty([], "the table")
    titles = [simplified(cell) for cell in rows[0]]

    def column(*known: str) -> int | None:
        return next((titles.index(t) for t in known if t in titles), None)

    index, identity = column("index", "class index", "id", "class id"), column("wordnet id", "wnid", "synset")
    name = column("label", "name", "class", "class name")
    if name is not None:
        rows = rows[1:]
    else:  # no titles: the last column is the label, a column of numbers the index, one of n01234567 the id
        name = len(rows[0]) - 1
        cells = range(len(rows[0]) - 1)
        index = next((c for c in cells if all(row[c].isdigit() for row in rows)), None)
        identity = next((c for c in cells if all(re.fullmatch(r"n\d{8}", row[c]) for row in rows)), None)
    if any(len(row) != len(titles) for row in rows):
        raise InputError(
            explain_error(
                f"Every line must have {len(titles)} columns.", "a line with others", "Quote commas in names."
            )
        )
    entries = {
        (row[index] if index is not None else str(i)): (
            [row[identity], row[name]] if identity is not None else row[name]
        )
        for i, row in enumerate(rows)
    }
    return _numbered_rows(list(entries.items()))


def _numbered_rows(rows: list[tuple[str, Any]]) -> Labels:
    """Return labels from pairs of index and name, or index and `[WordNet id, name]`."""
    entries: dict[int, tuple[str | None, str]] = {}
    for key, value in rows:
        pair = (value[0], value[1]) if isinstance(value, list) and len(value) == 2 else (None, value)
        if not key.isdigit() or not isinstance(pair[1], str):
            raise InputError(
                explain_error(
                    "Each entry must be an index with a label, or with a WordNet id and a label.",
                    f"{key!r}: {value!r}",
                    'Write {"0": "cat", "1": "dog"}.',
                )
            )
        entries[int(key)] = pair
    if sorted(entries) != list(range(len(entries))) or not entries:
        raise InputError(
            explain_error(
                "The indices must be 0, 1, 2 … without a gap.",
                f"{len(entries)} of them" + (f", up to {max(entries)}" if entries else ""),
                "Name every class of the network, in the order of its logits.",
            )
        )
    ordered = [entries[i] for i in range(len(entries))]
    ids = tuple(identity for identity, _ in ordered if identity is not None)
    return Labels(tuple(name for _, name in ordered), ids if len(ids) == len(ordered) else None)
