"""Tensors out of a file written by torch, as NumPy arrays: without torch, and without executing anything.

Such a file is a pickle whose tensors point to storages, either in a zip archive or, as older versions wrote it,
as one pickle after the other followed by the raw storages. The pickle may name tensors, storages and ordered
dictionaries; anything else is refused before it is looked up.
"""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from ..errors import N_, ModelError, explain_error
from .sources import missing_file

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
TYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "?",
}


@dataclass
class _Storage:
    """A run of numbers that tensors point into; filled when the file's end is read."""

    dtype: str
    count: int
    values: npt.NDArray[Any] | None = None


@dataclass(frozen=True)
class _Tensor:
    """A view of a storage."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self) -> npt.NDArray[Any]:
        """Return the numbers as an array of its own."""
        values = self.storage.values
        if 0 in self.shape:
            return np.zeros(self.shape, self.storage.dtype)
        last = self.offset + sum((s - 1) * t for s, t in zip(self.shape, self.strides, strict=True))
        if values is None or min((self.offset, last, *self.strides, *self.shape)) < 0 or last >= values.size:
            raise ValueError("a tensor that points outside of its storage")
        steps = [t * values.itemsize for t in self.strides]
        return np.lib.stride_tricks.as_strided(values[self.offset :], self.shape, steps).copy()


@dataclass
class _Reader:
    """Makes unpicklers with common storages."""

    storages: dict[str, _Storage] = field(default_factory=dict)

    def load(self, file: BinaryIO) -> Any:
        """Read one pickle of plain values, tensors and storages."""
        reader = self

        class Restricted(pickle.Unpickler):
            def find_class(self, module: str, name: str) -> Any:
                return _allowed(module, name)

            def persistent_load(self, pid: Any) -> _Storage:
                _, kind, key, _, count = pid[:5]
                return reader.storages.setdefault(str(key), _Storage(kind, int(count)))

        return Restricted(file).load()


def _rebuild(storage: _Storage, offset: int, shape: Sequence[int], strides: Sequence[int], *_: Any) -> _Tensor:
    return _Tensor(storage, int(offset), tuple(map(int, shape)), tuple(map(int, strides)))


def _rebuild_parameter(data: _Tensor, *_: Any) -> _Tensor:
    return data


def _allowed(module: str, name: str) -> Any:
    known: dict[tuple[str, str], Any] = {
        ("collections", "OrderedDict"): OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): _rebuild,
        ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    }
    if module == "torch" and name in TYPES:
        return TYPES[name]
    if (module, name) not in known:
        raise pickle.UnpicklingError(f"it requires {module}.{name}")
    return known[module, name]


def read_tensors(path: str | Path) -> dict[str, npt.NDArray[Any]]:
    """Read a state dict that `torch.save` has written, as NumPy arrays.

    Args:
        path: the file, of the zip or of the older format.

    Returns:
        Name → array.

    Raises:
        ModelError: if the file holds anything but named tensors, or is damaged.
    """
    file = Path(path)
    try:
        with file.open("rb") as stream:
            reader: Callable[[BinaryIO], Any] = _from_zip if zipfile.is_zipfile(stream) else _from_legacy
            stream.seek(0)
            found = reader(stream)
        tensors = {str(k): v.array() for k, v in found.items() if isinstance(v, _Tensor)}
        if len(tensors) != len(found):
            raise pickle.UnpicklingError("it holds more than tensors")
    except FileNotFoundError as problem:
        raise missing_file("file of weights", path) from problem
    except Exception as problem:  # a damaged pickle may raise anything
        raise ModelError(
            explain_error(
                N_("A file of weights must hold named tensors only, so that reading it executes no code."),
                f"{file.name} ({problem})",
                N_("Save net.state_dict() with torch.save."),
            )
        ) from problem
    return tensors


def _from_zip(stream: BinaryIO) -> Any:
    reader = _Reader()
    with zipfile.ZipFile(stream) as archive:
        (main,) = (n for n in archive.namelist() if n.rpartition("/")[2] == "data.pkl")
        folder = main.removesuffix("data.pkl")
        found = reader.load(BytesIO(archive.read(main)))
        for key, storage in reader.storages.items():
            storage.values = np.frombuffer(archive.read(f"{folder}data/{key}"), storage.dtype)
    return found


def _from_legacy(stream: BinaryIO) -> Any:
    reader = _Reader()
    if reader.load(stream) != LEGACY_MAGIC:
        raise pickle.UnpicklingError("it was not written by torch.save")
    reader.load(stream)  # version of the protocol
    if not reader.load(stream).get("little_endian", True):
        raise pickle.UnpicklingError("its numbers are big-endian")
    found = reader.load(stream)
    for key in reader.load(stream):
        storage = reader.storages[str(key)]
        (count,) = np.frombuffer(stream.read(8), "<i8")
        storage.values = np.frombuffer(stream.read(int(count) * np.dtype(storage.dtype).itemsize), storage.dtype)
    return found
