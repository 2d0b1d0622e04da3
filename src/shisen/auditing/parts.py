"""Rows on disk: Parquet parts of fixed size, each written whole, so that a stopped walk continues where it was."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


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
        return self.folder / f"part-{part:06d}.parquet"

    def has(self, part: int) -> bool:
        """Whether a part is there, whole: it only gets its name when it is."""
        return self.path(part).is_file()

    def write(self, part: int, columns: Mapping[str, Sequence[Any]]) -> None:
        """Write a part whole or not at all."""
        import pyarrow as pa

        write_table(self.path(part), pa.table({k: list(v) for k, v in columns.items()}))

    def read(self, columns: Sequence[str], only: Sequence[int] | None = None) -> dict[str, list[Any]]:
        """Return columns of all rows, in order, or of the rows `only`; parts are read one at a time."""
        import pyarrow.parquet as pq

        wanted = None if only is None else set(only)
        found: dict[str, list[Any]] = {c: [] for c in columns}
        for number, file in enumerate(sorted(self.folder.glob("part-*.parquet"))):
            places = range(number * self.size, (number + 1) * self.size)
            if wanted is not None and not wanted.intersection(places):
                continue
            table = pq.read_table(file, columns=list(columns))
            keep = [i for i in range(table.num_rows) if wanted is None or number * self.size + i in wanted]
            for c in columns:
                found[c] += table.column(c).take(keep).to_pylist()
        return found


def write_table(path: Path, table: Any) -> None:
    """Write a Parquet file whole or not at all; equal tables give equal bytes."""
    import pyarrow.parquet as pq

    partial = path.with_name(f".{path.name}.partial")
    pq.write_table(table, partial, compression="zstd")
    os.replace(partial, path)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(content)
    os.replace(partial, path)
