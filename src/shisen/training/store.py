"""Activations of single images, kept between runs: what one run has sent through the frozen body, no other must."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .._core.io import write_file


class Store:
    """Rows of 16-bit floats by name, in a file that only grows; for one run at a time.

    A row counts once its name is written, which happens after the row: a stopped run loses its last batch at most.

    Args:
        path: the file; the names lie beside it.
        shape: of one row.
    """

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.index, self.shape = path, path.with_suffix(".names"), shape
        self.bytes = 2 * math.prod(shape)
        path.touch()
        self.index.touch()
        names = self.index.read_text().split("\n")[:-1]  # what follows the last line end was cut off
        names = names[: path.stat().st_size // self.bytes]
        with path.open("r+b") as rows:
            rows.truncate(len(names) * self.bytes)
        write_file(self.index, "".join(f"{name}\n" for name in names))
        self.rows = {name: i for i, name in enumerate(names)}

    def __contains__(self, name: str) -> bool:
        return name in self.rows

    def write(self, names: Sequence[str], values: npt.NDArray[np.float16]) -> None:
        """Append rows.

        Args:
            names: names of the images.
            values: `(n, ...)` activations.
        """
        with self.path.open("ab") as rows:
            rows.write(np.ascontiguousarray(values, dtype=np.float16).tobytes())
        with self.index.open("a") as index:
            index.write("".join(f"{name}\n" for name in names))
        for name in names:
            self.rows[name] = len(self.rows)

    def take(self, names: Sequence[str]) -> npt.NDArray[np.float16]:
        """Return rows."""
        rows = np.memmap(self.path, np.float16, "r", shape=(len(self.rows), *self.shape))
        return np.asarray(rows[[self.rows[name] for name in names]])
