"""The names of a network's classes, and how a person's words find them."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, overload

import numpy as np

from ..errors import InputError, UnknownName, explain_error, unknown


@dataclass(frozen=True)
class Labels(Sequence[str]):
    """The classes of a network, in the order of its logits.

    Attributes:
        names: one label a class; two classes may carry the same.
        wordnet_ids: one id a class, such as "n02504458", or None.
        aliases: further names of each class; empty where there are none.
    """

    names: tuple[str, ...]
    wordnet_ids: tuple[str, ...] | None = None
    aliases: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(str(n) for n in self.names))
        for what, given in (("WordNet id", self.wordnet_ids), ("list of aliases", self.aliases or None)):
            if given is not None and len(given) != len(self.names):
                raise InputError(
                    explain_error(
                        f"There must be one {what} a class, {len(self.names)} in all.",
                        len(given),
                        "Leave them out, or complete them.",
                    )
                )

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[str, ...]: ...
    def __getitem__(self, index: int | slice) -> str | tuple[str, ...]:
        return self.names[index]

    def wordnet_id(self, index: int) -> str | None:
        """Return the WordNet id of a class, or None where the labels carry none."""
        return self.wordnet_ids[index] if self.wordnet_ids else None

    def describe(self, index: int) -> str:
        """Return a class so that nobody can mistake it: label, a synonym where it helps, index and id."""
        name = self.names[index]
        if self.names.count(name) > 1 and self.aliases and self.aliases[index]:
            name += f" ({self.aliases[index][0]})"
        identity = self.wordnet_id(index)
        return f"{name!r} = {index}" + (f" = {identity}" if identity else "")

    @cached_property
    def _places(self) -> tuple[dict[str, list[int]], ...]:
        """Class numbers by exact label, by label, by WordNet id and by synonym; first match first asked."""
        exact: dict[str, list[int]] = {}
        plain: dict[str, list[int]] = {}
        ids: dict[str, list[int]] = {}
        synonyms: dict[str, list[int]] = {}
        for i, name in enumerate(self.names):
            exact.setdefault(name, []).append(i)
            plain.setdefault(simplified(name), []).append(i)
            for other in self.aliases[i] if self.aliases else ():
                entry = synonyms.setdefault(simplified(other), [])
                if i not in entry:
                    entry.append(i)
        for i, identity in enumerate(self.wordnet_ids or ()):
            ids.setdefault(simplified(identity), []).append(i)
        return exact, plain, ids, synonyms

    def find(self, query: int | str) -> int:
        """Return the number of the class that a person means.

        Asked in this order: an index, the label to the letter, the label without regard to case, underscores and
        hyphens, the WordNet id, a synonym.

        Args:
            query: index (a number, or its digits), label, synonym or WordNet id.

        Raises:
            UnknownName: no class answers to it, or several do; the message lists them.
        """
        if isinstance(query, (int, np.integer)) and not isinstance(query, bool):
            return self._checked(int(query))
        if not isinstance(query, str):
            raise InputError(
                explain_error(
                    "A class is asked for by index, label or WordNet id.",
                    repr(query),
                    "Give a number or a text, such as 386 or 'African elephant'.",
                )
            )
        text, plain = query.strip(), simplified(query)
        exact, *others = self._places
        for table, key in ((exact, text), *((table, plain) for table in others)):
            found = table.get(key, [])
            if len(found) == 1:
                return found[0]
            if found:
                candidates = "; ".join(self.describe(i) for i in found)
                raise UnknownName(
                    explain_error(
                        "A class must be named so that it is the only one.",
                        f"{query!r}, which is the name of {len(found)} classes: {candidates}",
                        "Ask by index or by WordNet id.",
                    )
                )
        if re.fullmatch(r"[+-]?\d+", text):
            return self._checked(int(text))
        known = list(self.names) + [a for group in self.aliases for a in group] + list(self.wordnet_ids or ())
        raise unknown("class", query, known)

    def _checked(self, index: int) -> int:
        if not 0 <= index < len(self.names):
            raise UnknownName(
                explain_error(
                    f"A class index must lie between 0 and {len(self.names) - 1}.",
                    index,
                    "`shisen predict` shows the indices of the likely classes.",
                )
            )
        return index


def simplified(name: str) -> str:
    """Return a name in lower case, with single spaces for underscores, hyphens and blanks."""
    return " ".join(re.split(r"[\s_\-]+", name.casefold().strip())).strip()


@lru_cache(maxsize=1)
def imagenet() -> Labels:
    """Return the 1000 classes of ILSVRC 2012 with WordNet ids and synonyms.

    Reference: Russakovsky et al. 2015; the source of the list is named in `imagenet.tsv`.
    """
    text = Path(__file__).with_name("imagenet.tsv").read_text("utf-8")
    rows = [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
    names = [row[2].split("|") for row in rows]
    return Labels(tuple(n[0] for n in names), tuple(row[1] for row in rows), tuple(tuple(n[1:]) for n in names))


def numbered(count: int) -> Labels:
    """Return labels for a network whose classes have no names: "class 0", "class 1" and so on."""
    return Labels(tuple(f"class {i}" for i in range(count)))


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

    A `.txt` file has one label a line. A `.csv` or `.tsv` file has a column of labels, and may have columns of
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
                "Check the path, or write them out: 'cat,dog'.",
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
        raise InputError(explain_error("There must be at least one label.", f"none in {where!r}", "Check the file."))
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
