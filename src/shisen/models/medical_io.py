"""NIfTI through nibabel and DICOM through pydicom, with where the voxels lie."""

from __future__ import annotations

import gzip
import hashlib
import io
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .._core.orientation import turned_affine, turns
from ..errors import ImageError, ShisenWarning, briefly, explain_error, requiring
from ..types import Space

Values = npt.NDArray[Any]
Check = Callable[[tuple[int, ...], str], None]
MOST_SLICES = 5000
UNEVEN = 0.05
"""Difference between the gaps of slices, as a fraction of the usual one, from which a warning says so."""


def is_nifti(data: bytes, name: str) -> bool:
    """Return whether a file is NIfTI, compressed or not.

    Args:
        data: the file's bytes.
        name: of the file.
    """
    if data[:2] == b"\x1f\x8b" and not name.lower().endswith((".nii.gz", ".nii")):
        return False
    try:
        head = gzip.GzipFile(fileobj=io.BytesIO(data)).read(352) if data[:2] == b"\x1f\x8b" else data[:352]
    except (OSError, EOFError):
        return name.lower().endswith(".nii.gz")
    return head[344:347] in (b"n+1", b"ni1") or head[4:7] in (b"n+2", b"ni2")


def nifti_in(data: bytes, name: str, check: Check) -> tuple[Values, Space]:
    """Return the voxels of a NIfTI file in the order in which they are stored, `(x, y, z)` or `(x, y, z, c)`.

    Args:
        data: the file's bytes.
        name: for messages.
        check: called with the shape before the voxels are read.

    Raises:
        ImageError: for a damaged file.
        MissingDependency: without nibabel.
    """
    with requiring("nibabel", "volumes", f"The NIfTI file {name!r}"):
        import nibabel
    stream: Any = io.BytesIO(data)
    stream = gzip.GzipFile(fileobj=stream) if data[:2] == b"\x1f\x8b" else stream
    try:
        second = _peeked(stream)[4:6] == b"n+"
        image = (nibabel.Nifti2Image if second else nibabel.Nifti1Image).from_stream(stream)
        shape = tuple(int(side) for side in image.shape)
        check(shape, name)
        values = np.asarray(image.dataobj)
        affine = np.asarray(image.affine, np.float64)
    except ImageError:
        raise
    except Exception as error:  # nibabel, zlib and NumPy have errors of their own for damaged files
        raise _damaged("NIfTI", name, error) from error
    while values.ndim > 3 and 1 in values.shape[3:]:
        values = np.squeeze(values, axis=3 + values.shape[3:].index(1))
    values = values if values.dtype.kind in "biu" else values.astype(np.float32)
    return values, Space(affine)


def _peeked(stream: Any) -> bytes:
    head = stream.read(8)
    stream.seek(0)
    return bytes(head)


def is_dicom(data: bytes) -> bool:
    """Return whether a file is DICOM: its preamble is followed by a mark."""
    return data[128:132] == b"DICM"


def dicom_in(data: bytes, name: str, check: Check) -> tuple[Values, Space]:
    """Return the pixels of one DICOM file in units of its rescaling, such as HU: `(frames, rows, columns)`.

    Args:
        data: the file's bytes.
        name: for messages.
        check: called with the shape before the pixels are decoded.

    Returns:
        `(rows, columns)` of a single frame, with a last axis where there are colors.

    Raises:
        ImageError: for a damaged file, or one without pixels.
        MissingDependency: without pydicom.
    """
    values, dataset = _decoded(data, name, check)
    rate = float(getattr(dataset, "CineRate", 0) or getattr(dataset, "RecommendedDisplayFrameRate", 0) or 0)
    if getattr(dataset, "PhotometricInterpretation", "") == "MONOCHROME1":
        warnings.warn(
            f"{name}: low values are bright in this DICOM file (MONOCHROME1); they go in as they are stored.",
            ShisenWarning,
            stacklevel=2,
        )
    return values, Space(None, rate)


def _decoded(data: bytes, name: str, check: Check) -> tuple[Values, Any]:
    with requiring("pydicom", "volumes", f"The DICOM file {name!r}"):
        import pydicom
        from pydicom.pixels.processing import apply_modality_lut
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks about odd metadata
            dataset = pydicom.dcmread(io.BytesIO(data))
            sides = ("NumberOfFrames", "Rows", "Columns", "SamplesPerPixel")
            check(tuple(int(getattr(dataset, side, None) or 1) for side in sides), name)
            raw = dataset.pixel_array
            values = np.asarray(apply_modality_lut(raw, dataset))
    except ImageError:
        raise
    except Exception as error:  # pydicom, its decoders and NumPy have errors of their own
        raise _damaged("DICOM", name, error) from error
    return values if values.dtype.kind in "biu" else values.astype(np.float32), dataset


def dicom_folder(files: Sequence[Path], name: str, check: Check) -> tuple[Values, Space, str]:
    """Return the slices of one series in the order in which they lie, `(slices, rows, columns)`, and a digest.

    Args:
        files: the DICOM files of a folder.
        name: of the folder, for messages.
        check: called with the shape before all slices are decoded.

    Raises:
        ImageError: for slices of several series or sizes.
    """
    if len(files) > MOST_SLICES:
        raise ImageError(explain_error(f"A series must have at most {MOST_SLICES} slices.", len(files), "Split it."))
    digest, slices = hashlib.sha256(), []
    for file in files:
        data = file.read_bytes()
        digest.update(data)
        values, dataset = _decoded(data, file.name, check)
        slices.append((values, dataset))
        check((len(files), *values.shape), name)
    if len(slices) == 1:
        return slices[0][0], Space(_affine(slices)), digest.hexdigest()
    series = {str(getattr(d, "SeriesInstanceUID", "")) for _, d in slices}
    shapes = {v.shape for v, _ in slices}
    if len(series) > 1 or len(shapes) > 1:
        received = f"{name!r} with {len(series)} series and slices of shape {', '.join(map(str, sorted(shapes)))}"
        expected = "A folder must hold the slices of one DICOM series, all of one size."
        raise ImageError(explain_error(expected, received, "Put each series into a folder of its own."))
    slices.sort(key=lambda one: _height(one[1]))
    _warn_of_gaps([_height(d) for _, d in slices], name)
    return np.stack([v for v, _ in slices]), Space(_affine(slices)), digest.hexdigest()


def _directions(dataset: Any) -> npt.NDArray[np.float64] | None:
    """Return the directions of a row, of a column and across the slices, each `(3,)`; None if they are not known."""
    known = getattr(dataset, "ImageOrientationPatient", None)
    if known is None or len(known) != 6:
        return None
    row, column = np.asarray(known[:3], np.float64), np.asarray(known[3:], np.float64)
    return np.stack([row, column, np.cross(row, column)])


def _height(dataset: Any) -> float:
    """Return where a slice lies across the slices, in millimeters; its number where the position is not known."""
    directions, position = _directions(dataset), getattr(dataset, "ImagePositionPatient", None)
    if directions is not None and position is not None:
        return float(directions[2] @ np.asarray(position, np.float64))
    return float(getattr(dataset, "InstanceNumber", None) or 0)


def _warn_of_gaps(heights: Sequence[float], name: str) -> None:
    gaps = np.diff(heights)
    usual = float(np.median(gaps))
    if np.abs(gaps - usual).max(initial=0.0) > UNEVEN * abs(usual):
        warnings.warn(
            f"{name}: the slices are {gaps.min():.3g} to {gaps.max():.3g} apart; some may be missing or given "
            "twice. They are stacked as if they were evenly spaced.",
            ShisenWarning,
            stacklevel=3,
        )


def _affine(slices: Sequence[tuple[Values, Any]]) -> npt.NDArray[np.float64] | None:
    """Return the affine of `(slices, rows, columns)` in RAS+ millimeters; DICOM counts to the left and to the back."""
    first = slices[0][1]
    directions, position = _directions(first), getattr(first, "ImagePositionPatient", None)
    spacing = getattr(first, "PixelSpacing", None)
    if directions is None or position is None or spacing is None:
        return None
    step = directions[2] * float(getattr(first, "SliceThickness", None) or 1.0)
    if len(slices) > 1:
        last = np.asarray(slices[-1][1].ImagePositionPatient, np.float64)
        step = (last - np.asarray(position, np.float64)) / (len(slices) - 1)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = (
        step,
        directions[1] * float(spacing[0]),
        directions[0] * float(spacing[1]),
    )
    affine[:3, 3] = np.asarray(position, np.float64)
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine


def oriented(values: Values, space: Space | None, orientation: str, name: str) -> tuple[Values, Space]:
    """Return a volume with its axes in another order and direction, and the affine that goes with it.

    Args:
        values: `(d, h, w, c)`.
        space: where it lies.
        orientation: three letters, one of each pair L R, P A, I S: the direction of each axis.
        name: of the file, for messages.

    Raises:
        ImageError: for a volume whose position is not known, or other letters.
    """
    affine = None if space is None else space.affine
    try:
        order, flips = turns(np.eye(4) if affine is None else affine, orientation.upper())
    except ValueError:
        affine = None
    if space is None or affine is None:
        received = f"{orientation!r} for {name!r}" + (
            "" if space and space.affine is not None else ", position unknown"
        )
        expected = "`orientation` must name the direction of each of three axes, of a volume whose position is known."
        raise ImageError(explain_error(expected, received, "Write 'RAS', 'LPS' or 'SAR', or leave it out."))
    values = np.transpose(values, (*order, 3))
    values = np.flip(values, axis=tuple(axis for axis, flip in enumerate(flips) if flip))
    return np.ascontiguousarray(values), Space(turned_affine(affine, values.shape, order, flips), space.rate)


def _damaged(kind: str, name: str, error: Exception) -> ImageError:
    reason = briefly(error)
    advice = (
        "It may be cut off, or compressed in a way that needs a further package: open it in a viewer and save it anew."
    )
    return ImageError(explain_error(f"A {kind} file must be readable to its end.", f"{name!r} ({reason})", advice))
