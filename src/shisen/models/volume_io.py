"""Signals, volumes and video from arrays, files and folders: one reader for each format, chosen by content."""

from __future__ import annotations

import glob
import io
import os
import warnings
import wave
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .._core.orientation import letters_of
from ..errors import ImageError, ShisenWarning, explain_error
from ..targets import to_numpy
from ..types import InputImage, Space
from .array_files import array_in
from .channels import not_finite
from .image_io import digest_of, encoded
from .medical_io import dicom_folder, dicom_in, is_dicom, is_nifti, nifti_in, oriented
from .video_io import frames_folder, is_video, stills_in, video_in

Values = npt.NDArray[Any]
Found = tuple[Values, Space | None]
MAX_VALUES = 500_000_000
"""Numbers that a signal, volume or video may have; looked up in headers before anything is decoded."""
KINDS = {1: "a signal, (length,) or (length, channels)", 3: "a volume or video, (d, h, w) or (d, h, w, channels)"}
VOLUME_SUFFIXES = (".nii", ".nii.gz", ".dcm", ".npy", ".npz", ".gif", ".mp4", ".avi", ".mov", ".mkv", ".webm")
SIGNAL_SUFFIXES = (".npy", ".npz", ".csv", ".wav")


def open_volume(source: Any, rank: int, *, frames: int = 0, orientation: str = "", channels: int = 0) -> InputImage:
    """Return a signal, a volume or a video as it is stored, `(*positions, c)`.

    Args:
        source: an array, a torch tensor with its channels first, or a path, URL, bytes or open file: `.npy`, `.npz`,
            NIfTI, DICOM (a file of several frames or the folder of a series), an animated image, a video or a folder
            of its frames; of signals `.npy`, `.npz`, `.csv` with one row per sample, or `.wav`.
        rank: number of axes of positions: 1 or 3.
        frames: evenly spaced frames taken of a video; 0 for all.
        orientation: of a volume whose position is known, such as "RAS"; "" as it is stored.
        channels: how many the network takes, to tell an axis of channels that comes first; 0 if it is not known.

    Returns:
        The input, with `space` where the file tells it.

    Raises:
        ImageError: it cannot be read, or has other axes.
        MissingDependency: without the package that reads the format.
    """
    if isinstance(source, InputImage):
        return source
    values, space, name, digest = _read(source, rank, frames)
    tensor = hasattr(source, "detach")
    values = with_channel_axis(values, rank, channels, name, tensor=tensor)
    if values.dtype.kind in "fc" and not np.isfinite(values).all():
        raise not_finite(values)
    if orientation:
        values, space = oriented(values, space, orientation, name)
    elif space is not None and space.affine is not None and is_nifti_name(name) and letters_of(space.affine) != "RAS":
        warnings.warn(
            f"{name}: the axes of this volume point as {letters_of(space.affine)}, and go in as they are stored. If "
            "the network was trained on another order, pass orientation= such as 'RAS' (--orientation RAS).",
            ShisenWarning,
            stacklevel=2,
        )
    return InputImage(values, name, digest, space=space)


def is_nifti_name(name: str) -> bool:
    """Tell whether a file is NIfTI by its name."""
    return name.lower().endswith((".nii", ".nii.gz"))


def _read(source: Any, rank: int, frames: int) -> tuple[Values, Space | None, str, str]:
    """Return values, where they lie, a name and a digest."""
    if isinstance(source, (str, os.PathLike)) and Path(source).expanduser().is_dir():
        folder = Path(source).expanduser()
        values, space, digest = _folder(folder, rank, frames)
        return values, space, str(source), digest
    file = encoded(source)
    if file is None:
        values = _array(source)
        return values, None, "array", digest_of(np.ascontiguousarray(values).tobytes())
    data, name = file
    values, space = _signal(data, name) if rank == 1 else _volume(data, name, frames)
    return values, space, name, digest_of(data)


def _folder(folder: Path, rank: int, frames: int) -> tuple[Values, Space | None, str]:
    """Return what the files of a folder are together: the slices of a DICOM series, or the frames of a video."""
    files = sorted((p for p in folder.iterdir() if p.is_file() and not p.name.startswith(".")), key=natural)
    if rank == 3:
        slices = [p for p in files if is_dicom(_head(p))]
        if slices:
            return dicom_folder(slices, str(folder), checked)
        found = frames_folder(files, str(folder), frames, checked)
        if found is not None:
            return found
    raise ImageError(
        explain_error(
            f"The network takes {KINDS[rank]}; a folder is the slices of one DICOM series or the frames of a video.",
            f"{str(folder)!r} with {', '.join(p.name for p in files[:4]) or 'no files'}",
            "Name the files one by one.",
        )
    )


def _head(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(132)


def natural(path: Path) -> list[tuple[bool, int, str]]:
    """Return a key by which frame10 follows frame9."""
    import re

    parts = re.split(r"(\d+)", path.name)
    return [(not p.isdigit(), int(p) if p.isdigit() else 0, "" if p.isdigit() else p) for p in parts]


def _volume(data: bytes, name: str, frames: int) -> Found:
    readers: tuple[tuple[Callable[[bytes, str], bool], Callable[[], Found]], ...] = (
        (is_nifti, lambda: nifti_in(data, name, checked)),
        (lambda d, _: is_dicom(d), lambda: dicom_in(data, name, checked)),
        (is_video, lambda: video_in(data, name, frames, checked)),
    )
    for fits, read in readers:
        if fits(data, name):
            return read()
    stored = array_in(data, name, stacks=True, rank=3)
    if stored is not None:
        return stored, None
    return stills_in(data, name, frames, checked)


def _signal(data: bytes, name: str) -> Found:
    stored = array_in(data, name, rank=1)
    if stored is not None:
        return stored, None
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return _wav(data, name)
    if name.lower().endswith((".csv", ".tsv", ".txt")):
        return _table(data, name), None
    known = " ".join(SIGNAL_SUFFIXES)
    raise ImageError(explain_error(f"A signal must be one of {known}.", repr(name), "Save it with numpy.save."))


def _table(data: bytes, name: str) -> Values:
    text = data.decode("utf-8-sig", "replace")
    delimiter = next((d for d in ("\t", ";", ",") if d in text[:4096]), None)
    for skip in (0, 1):  # a line with the names of the columns
        try:
            found: Values = np.loadtxt(io.StringIO(text), delimiter=delimiter, skiprows=skip, ndmin=2)
            return found
        except ValueError as error:
            reason = str(error)
    expected = "A table of a signal must hold one row per sample and one column per channel, numbers only."
    raise ImageError(explain_error(expected, f"{name!r} ({reason[:120]})", "Save the array with numpy.save."))


def _wav(data: bytes, name: str) -> Found:
    """Return the samples of a PCM file, 16 or 32 bits, in [−1, 1]."""
    try:
        with wave.open(io.BytesIO(data)) as file:
            width, channels, rate = file.getsampwidth(), file.getnchannels(), file.getframerate()
            checked((file.getnframes(), channels), name)
            raw = file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        advice = "Save it as PCM with 16 bits."
        raise ImageError(explain_error("A .wav file must hold PCM samples.", f"{name!r} ({error})", advice)) from error
    if width not in (2, 4):
        raise ImageError(explain_error("A .wav file must have 16 or 32 bits.", f"{name!r}, {8 * width}", "Convert it."))
    samples = np.frombuffer(raw, f"<i{width}").astype(np.float32) / np.float32(2 ** (8 * width - 1))
    return samples.reshape(-1, channels), Space(rate=float(rate))


def find_volumes(sources: Iterable[str], rank: int) -> list[str]:
    """Return inputs from files, folders and patterns: a folder is one input, unless it holds files of whole ones.

    Args:
        sources: paths, folders, patterns such as `scans/*.nii.gz`, URLs.
        rank: 1 for signals, 3 for volumes and video.
    """
    suffixes = SIGNAL_SUFFIXES if rank == 1 else VOLUME_SUFFIXES
    found: list[str] = []
    for source in sources:
        matches = sorted(glob.glob(source)) if glob.has_magic(source) and not os.path.exists(source) else [source]
        for match in matches or [source]:
            inside = sorted(Path(match).iterdir(), key=natural) if os.path.isdir(match) else []
            whole = [str(p) for p in inside if p.name.lower().endswith(suffixes) and not p.name.startswith(".")]
            series = rank == 3 and any(is_dicom(_head(p)) for p in inside if p.is_file())
            found += whole if whole and not series else [match]
    return list(dict.fromkeys(found))


def _array(source: Any) -> Values:
    try:
        values = to_numpy(source.float() if "bfloat16" in str(getattr(source, "dtype", "")) else source)
    except Exception as error:
        raise _not_numbers(type(source).__name__) from error
    if values.dtype.kind not in "biuf":
        raise _not_numbers(f"{type(source).__name__} of {values.dtype}")
    return values


def _not_numbers(received: str) -> ImageError:
    expected = "A signal, volume or video must be a path, a URL, bytes or an array of numbers."
    return ImageError(explain_error(expected, received, "Give a file name such as 'scan.nii.gz'."))


def with_channel_axis(values: Values, rank: int, channels: int, name: str, *, tensor: bool = False) -> Values:
    """Return values with their channels in the last axis, one where there is none.

    Args:
        values: `(*positions)` or `(*positions, c)`; with an axis of one image in front or without.
        rank: number of axes of positions.
        channels: how many the network takes; 0 if it is not known.
        name: of the source, for messages.
        tensor: whether the channels come first, as in a tensor of torch.

    Raises:
        ImageError: for another number of axes, or channels in front.
    """
    if values.ndim == rank + 2 and values.shape[0] == 1:
        values = values[0]
    if values.ndim == rank:
        values = values[..., None]
    elif values.ndim == rank + 1 and tensor:
        values = np.moveaxis(values, 0, -1)
    if values.ndim != rank + 1 or 0 in values.shape:
        raise ImageError(
            explain_error(
                f"The network takes {KINDS[rank]}.",
                f"{name!r} of shape {values.shape}",
                "Give one input at a time, channels last.",
            )
        )
    first, last = values.shape[0], values.shape[-1]
    if channels and last != channels and first == channels and (rank == 1 or first < last):
        turned = "array.T" if rank == 1 else "numpy.moveaxis(array, 0, -1)"
        expected = f"The channels come last: (*positions, {channels})."
        raise ImageError(explain_error(expected, f"{name!r} of shape {values.shape}", f"Give {turned}."))
    return values


def checked(shape: tuple[int, ...], name: str) -> None:
    """Raise for more numbers than are read; called with what a header claims, before anything is decoded.

    Args:
        shape: of all values.
        name: of the source, for messages.

    Raises:
        ImageError: for more than `MAX_VALUES` numbers, or none.
    """
    count = 1
    for side in shape:
        count *= int(side)
    if not 0 < count <= MAX_VALUES or min(shape) < 1:
        raise ImageError(
            explain_error(
                f"A signal, volume or video must have between 1 and {MAX_VALUES // 1_000_000} million values.",
                f"{name!r} of shape {tuple(int(s) for s in shape)}",
                "Give a part of it, or a smaller copy.",
            )
        )
