"""Maps and scores kept on disk, so that an interrupted run continues where it stopped."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .._core.io import write_file


def digest(*parts: Any) -> str:
    """Return the SHA-256 of texts, bytes and arrays as 64 hexadecimal digits."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            total.update(str((part.shape, part.dtype.str)).encode())
            part = np.ascontiguousarray(part).tobytes()
        total.update(part if isinstance(part, bytes) else str(part).encode())
        total.update(b"\0")
    return total.hexdigest()


class MapStore:
    """Raw maps by digest, one `.npz` each; without a folder nothing is kept."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def get(self, key: str) -> npt.NDArray[Any] | None:
        """Return a map, or None if it is not there or broken."""
        if self._folder is None:
            return None
        file = self._folder / f"{key}.npz"
        if not file.is_file():
            return None
        try:
            with np.load(file, allow_pickle=False) as content:
                return np.asarray(content["values"])
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None

    def put(self, key: str, values: npt.NDArray[Any]) -> None:
        """Keep a map.

        Args:
            key: key of the entry.
            values: the map.
        """
        if self._folder is None:
            return
        import io

        buffer = io.BytesIO()
        np.savez(buffer, values=values)
        write_file(self._folder / f"{key}.npz", buffer.getvalue())


class RowStore:
    """Figures by digest, a line of JSON each, written as they come."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._rows: dict[str, dict[str, Any]] = {}
        self._whole = True
        if file is not None and file.is_file():
            text = file.read_text(encoding="utf-8")
            self._whole = text.endswith("\n") or not text
            for line in text.splitlines():
                try:
                    row = json.loads(line)
                    self._rows[row["key"]] = row
                except (ValueError, KeyError, TypeError):
                    continue  # the line that was being written when the run was stopped

    def get(self, key: str) -> dict[str, Any] | None:
        """Return a score's record, or None."""
        return self._rows.get(key)

    def put(self, key: str, row: Mapping[str, Any]) -> None:
        """Keep a score's record.

        Args:
            key: key of the entry.
            row: the record.
        """
        self._rows[key] = {"key": key, **row}
        if self._file is None:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a", encoding="utf-8") as stream:
            stream.write(("" if self._whole else "\n") + json.dumps(self._rows[key], ensure_ascii=False) + "\n")
        self._whole = True
