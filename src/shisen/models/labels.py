"""The names of a network's classes, and how a person's words find them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import overload

import numpy as np

from ..errors import N_, InputError, Message, UnknownName, explain_error, unknown


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
    def _indices(self) -> tuple[dict[str, list[int]], ...]:
        """Class indices by exact label, by label, by WordNet id and by synonym, in the order of the search."""
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

        Searched in this order: an index, the label to the letter, the label without regard to case, underscores and
        hyphens, the WordNet id, a synonym.

        Args:
            query: index (a number, or its digits), label, synonym or WordNet id.

        Raises:
            UnknownName: no class has this name, or several have it; the message lists them.
        """
        if isinstance(query, (int, np.integer)) and not isinstance(query, bool):
            return self._checked(int(query))
        if not isinstance(query, str):
            raise InputError(
                explain_error(
                    N_("A class is named by index, label or WordNet id."),
                    repr(query),
                    N_("Give a number or a text, such as 386 or 'African elephant'."),
                )
            )
        text, plain = query.strip(), simplified(query)
        exact, *others = self._indices
        for table, key in ((exact, text), *((table, plain) for table in others)):
            found = table.get(key, [])
            if len(found) == 1:
                return found[0]
            if found:
                candidates = "; ".join(self.describe(i) for i in found)
                raise UnknownName(
                    explain_error(
                        N_("A class must be named so that it is the only one."),
                        Message(
                            "{query}, which is the name of {n} classes: {candidates}",
                            query=repr(query),
                            n=len(found),
                            candidates=candidates,
                        ),
                        N_("Name it by index or by WordNet id."),
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
                    Message("A class index must lie between 0 and {last}.", last=len(self.names) - 1),
                    index,
                    N_("`shisen predict` shows the indices of the likely classes."),
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
