"""Arrays from files: `.npy`, `.npz` and TIFF stacks."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ImageError, explain_error, require

NPY_MAGIC = b"\x93NUMPY"
TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
KEYS = ("image", "data", "x", "arr_0")
"""Names under which an `.npz` file of several arrays is expected to hold the image."""


def array_in(data: bytes, name: str, *, stacks: bool = False) -> npt.NDArray[Any] | None:
    """Return the array that a file holds, `(H, W)` or `(H, W, C)`; None for an ordinary image file.

    Args:
        data: the file's bytes.
        name: of the file, for messages.
        stacks: whether TIFF files of several pages, or of other types than 8 bits, are read with all their channels;
            otherwise only those that Pillow cannot read.

    Raises:
        ImageError: for a damaged file, or one that holds no image.
        MissingDependency: for a TIFF stack without tifffile.
    """
    if data.startswith(NPY_MAGIC):
        return _image(_numpy(data, name), name)
    if data.startswith(b"PK\x03\x04") and name.lower().endswith(".npz"):
        return _image(_numpy(data, name), name)
    if data.startswith(TIFF_MAGIC):
        return _tiff(data, name, stacks)
    return None


def _numpy(data: bytes, name: str) -> npt.NDArray[Any]:
    try:
        found = np.load(io.BytesIO(data), allow_pickle=False)
        if isinstance(found, np.ndarray):
            return found
        with found:
            names = list(found.files)
            key = names[0] if len(names) == 1 else next((k for k in KEYS if k in names), None)
            if key is not None:
                return np.asarray(found[key])
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())[:120]
        advice = "Save the array itself with numpy.save; nothing is executed when a file is read."
        raise ImageError(
            explain_error("A NumPy file must hold one array of numbers.", f"{name!r} ({reason})", advice)
        ) from error
    expected = f"An .npz file of several arrays must name one of them {', '.join(KEYS)}."
    raise ImageError(explain_error(expected, f"{name!r} with {', '.join(names) or 'none'}", "Save the image alone."))


def _tiff(data: bytes, name: str, stacks: bool) -> npt.NDArray[Any] | None:
    """Return a TIFF that Pillow cannot read as one image, None where it can."""
    try:
        import tifffile
    except ImportError as problem:
        if not stacks:
            return None
        raise require("tifffile", "bands", f"Reading {name!r} with all its channels") from problem
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page: Any = file.pages[0]
            series = file.series[0]
            several = len(series.shape) > 2 and page.samplesperpixel == 1
            ordinary = page.bitspersample in (1, 8) and page.samplesperpixel in (1, 3, 4)
            gray = page.samplesperpixel == 1 and not several
            if (ordinary and not (several and stacks)) or (gray and not stacks) or (several and not stacks):
                return None
            values, axes = series.asarray(), series.axes
    except Exception:  # damaged, or of a compression that only the other reader knows
        return None
    rows, columns = axes.index("Y"), axes.index("X")
    values = np.moveaxis(values, (rows, columns), (0, 1))
    return _image(values.reshape(*values.shape[:2], -1), name)


def _image(array: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    """Return an array with the axes of an image."""
    if array.ndim == 4 and array.shape[0] == 1:
        array = array[0]
    if array.dtype.kind not in "biuf" or array.ndim not in (2, 3) or 0 in array.shape:
        raise ImageError(
            explain_error(
                "An array file must hold one image, (H, W) or (H, W, C).",
                f"{name!r} with {array.dtype} of shape {array.shape}",
                "Save images one by one.",
            )
        )
    return array
