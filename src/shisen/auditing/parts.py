"""Rows on disk: Parquet parts of fixed size, each written whole, so that a stopped walk continues where it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .._core.io import write_file
from ..errors import InputError, explain_error


class Rows:
    """Parts of a table in a folder; part i holds images i·size … (i+1)·size − 1.

    Args:
        folder: where the parts lie; its name should depend on everything the rows depend on.
        size: images a part.
    """

    def __init__(self, folder: Path, size: int) -> None:
        self.folder, self.size = folder, size
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, part: int) -> Path:
        """Return the file of a part."""
        return self.folder / f"part-{part:09d}.parquet"

    def has(self, part: int) -> bool:
        """Whether a part is there, whole: it only gets its name when it is."""
        return self.path(part).is_file()

    def write(self, part: int, columns: Mapping[str, Sequence[Any]]) -> None:
        """Write a part whole or not at all.

        Args:
            part: its number.
            columns: name → one value a row.
        """
        import pyarrow as pa

        write_table(self.path(part), pa.table({k: list(v) for k, v in columns.items()}))

    def read(self, columns: Sequence[str], only: Sequence[int] | None = None) -> dict[str, list[Any]]:
        """Return columns of all rows, in order, or of some; parts are read one at a time.

        Args:
            columns: their names.
            only: numbers of the rows wanted, in any order; they are returned in ascending order. None for all.

        Returns:
            name → one value a row.

        Raises:
            InputError: if a part before the last one is missing.
        """
        import pyarrow.parquet as pq

        wanted = None if only is None else set(only)
        found: dict[str, list[Any]] = {c: [] for c in columns}
        for part in self._parts():
            first = part * self.size
            if wanted is not None and not wanted.intersection(range(first, first + self.size)):
                continue
            table = pq.read_table(self.path(part), columns=list(columns))
            keep = [i for i in range(table.num_rows) if wanted is None or first + i in wanted]
            for c in columns:
                found[c] += table.column(c).take(keep).to_pylist()
        return found

    def _parts(self) -> range:
        """Return the numbers of the parts, read off their names.

        Raises:
            InputError: if one of them is missing: the rows of all later ones would be taken for others.
        """
        there = {int(file.stem.removeprefix("part-")) for file in self.folder.glob("part-*.parquet")}
        parts = range(max(there, default=-1) + 1)
        missing = sorted(set(parts) - there)
        if missing:
            names = ", ".join(self.path(part).name for part in missing[:5])
            raise InputError(
                explain_error(
                    f"All {len(parts)} parts of a table must be there.",
                    f"{len(missing)} missing in {self.folder}: {names}",
                    "Run the same command again: it makes the missing ones.",
                )
            )
        return parts


def write_table(path: Path, table: Any) -> None:
    """Write a Parquet file whole or not at all; equal tables give equal bytes.

    Args:
        path: path of the file to write.
        table: a pyarrow table.
    """
    import pyarrow.parquet as pq

    write_file(path, lambda file: pq.write_table(table, file, compression="zstd"))
