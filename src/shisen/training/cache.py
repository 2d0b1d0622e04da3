"""The frozen body's activations of the images of a run, in a file."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .._core.io import write_file


class Cache:
    """The body's activations of many images in a file of 16-bit floats, made once, continued after a stop.

    Args:
        path: the file; its progress is kept beside it.
        count: number of rows.
        shape: of one row.
    """

    def __init__(self, path: Path, count: int, shape: tuple[int, ...]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.mark = path, path.with_suffix(".done")
        fresh = not (path.is_file() and path.stat().st_size == 2 * count * math.prod(shape))
        if fresh:
            self.mark.unlink(missing_ok=True)
        self.rows = np.memmap(path, np.float16, "w+" if fresh else "r+", shape=(count, *shape))
        self.done = int(self.mark.read_text()) if self.mark.is_file() else 0

    def write(self, values: npt.NDArray[np.float16]) -> int:
        """Append rows and note that they are there; return how many are."""
        self.rows[self.done : self.done + len(values)] = values
        self.rows.flush()
        self.done += len(values)
        write_file(self.mark, str(self.done))
        return self.done

    def take(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Return rows."""
        return np.asarray(self.rows[rows], dtype=np.float32)
