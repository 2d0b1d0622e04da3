"""Arrays from files: `.npy`, `.npz` and TIFF stacks."""

from __future__ import annotations

import io
import math
import zipfile
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ImageError, Message, briefly, explain_error, require

NPY_MAGIC = b"\x93NUMPY"
TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
KEYS = ("image", "volume", "signal", "data", "x", "arr_0")
"""Names under which an `.npz` file of several arrays is expected to hold the image."""
MAX_BYTES = 4_000_000_000
"""Bytes that an array may have, as its header says; looked up before it is decompressed."""


def array_in(data: bytes, name: str, *, stacks: bool = False, rank: int = 2) -> npt.NDArray[Any] | None:
    """Return the array that a file holds, `(*positions)` or `(*positions, C)`; None for an ordinary image file.

    Args:
        data: the file's bytes.
        name: of the file, for messages.
        stacks: whether TIFF files of several pages, or of other types than 8 bits, are read with all their channels;
            otherwise only those that Pillow cannot read.
        rank: number of axes of positions: 2 of an image, `(H, W)` or `(H, W, C)`, 1 of a signal, 3 of a volume.

    Raises:
        ImageError: for a damaged file, or one that holds no image.
        MissingDependency: for a TIFF stack without tifffile.
    """
    if data.startswith(NPY_MAGIC):
        return _image(_numpy(data, name), name, rank)
    if data.startswith(b"PK\x03\x04") and name.lower().endswith(".npz"):
        return _image(_numpy(data, name), name, rank)
    if data.startswith(TIFF_MAGIC) and rank > 1:
        return _tiff(data, name, stacks, rank)
    return None


def _numpy(data: bytes, name: str) -> npt.NDArray[Any]:
    try:
        _check_headers(data, name)
        found = np.load(io.BytesIO(data), allow_pickle=False)
        if isinstance(found, np.ndarray):
            return found
        with found:
            names = list(found.files)
            key = names[0] if len(names) == 1 else next((k for k in KEYS if k in names), None)
            if key is not None:
                return np.asarray(found[key])
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        reason = briefly(error)
        advice = "Save the array itself with numpy.save; nothing is executed when a file is read."
        raise ImageError(
            explain_error("A NumPy file must hold one array of numbers.", f"{name!r} ({reason})", advice)
        ) from error
    expected = f"An .npz file of several arrays must name one of them {', '.join(KEYS)}."
    raise ImageError(explain_error(expected, f"{name!r} with {', '.join(names) or 'none'}", "Save the image alone."))


def _check_headers(data: bytes, name: str) -> None:
    """Raise if an array in a file claims more than `MAX_BYTES`."""
    if data.startswith(NPY_MAGIC):
        _check_header(io.BytesIO(data), name)
        return
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for member in archive.namelist():
            with archive.open(member) as stream:
                _check_header(stream, name)


def _check_header(stream: Any, name: str) -> None:
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, kind = read(stream)
    if math.prod(shape) * kind.itemsize > MAX_BYTES:
        expected = f"An array must have at most {MAX_BYTES:,} bytes."
        raise ImageError(explain_error(expected, f"{name!r} of shape {shape}, {kind}", "Give a part of it."))


def _tiff(data: bytes, name: str, stacks: bool, rank: int) -> npt.NDArray[Any] | None:
    """Return a TIFF that Pillow cannot read as one image, None where it can."""
    try:
        import tifffile
    except ImportError as problem:
        if not stacks:
            return None
        raise require(
            "tifffile", "bands", Message("Reading {name} with all its channels", name=repr(name))
        ) from problem
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page: Any = file.pages[0]
            series = file.series[0]
            several = len(series.shape) > 2 and page.samplesperpixel == 1
            ordinary = page.bitspersample in (1, 8) and page.samplesperpixel in (1, 3, 4)
            gray = page.samplesperpixel == 1 and not several
            if rank == 3:
                return _image(series.asarray(), name, rank) if several and page.samplesperpixel == 1 else None
            if (ordinary and not (several and stacks)) or (gray and not stacks) or (several and not stacks):
                return None
            values, axes = series.asarray(), series.axes
    except Exception:  # damaged, or of a compression that only the other reader knows
        return None
    rows, columns = axes.index("Y"), axes.index("X")
    values = np.moveaxis(values, (rows, columns), (0, 1))
    return _image(values.reshape(*values.shape[:2], -1), name)


def _image(array: npt.NDArray[Any], name: str, rank: int = 2) -> npt.NDArray[Any]:
    """Return an array with the axes of an image, or of a signal or volume."""
    if array.ndim == rank + 2 and array.shape[0] == 1:
        array = array[0]
    if array.dtype.kind not in "biuf" or array.ndim not in (rank, rank + 1) or 0 in array.shape:
        axes = {1: "one signal, (length,) or (length, C)", 2: "one image, (H, W) or (H, W, C)"}
        raise ImageError(
            explain_error(
                f"An array file must hold {axes.get(rank, 'one volume, (D, H, W) or (D, H, W, C)')}.",
                f"{name!r} with {array.dtype} of shape {array.shape}",
                "Save inputs one by one.",
            )
        )
    return array
