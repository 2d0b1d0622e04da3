"""Files of volumes and video: an animated GIF, and the map as NIfTI where the volume lies."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import Any

import numpy as np

from .._core.io import write_file
from .._core.writers import writer
from ..errors import InputError, explain_error, requiring
from .drawing import Explained, heat_of
from .files import to_json
from .scale import on_image, reduce_channels
from .volume import animated


@writer("Explanation", ".gif")
def write_animation(seen: Explained, path: Path, *, color_bar: bool = False, **drawing: Any) -> Path:
    """Write the slices of a volume or the frames of a video one after the other, and a JSON file beside them.

    Args:
        color_bar: not drawn in an animation.
        **drawing: style, colormap and alpha, as in `drawing.draw`.
    """
    _check_rank(seen, ".gif", "Use .png.")
    frames, milliseconds = animated(seen.image, heat_of(seen, drawing["colormap"]), **drawing)
    first, *others = (frame.quantize(128) for frame in frames)
    buffer = io.BytesIO()
    first.save(buffer, "GIF", save_all=True, append_images=others, duration=max(20, round(milliseconds)), loop=0)
    return _written(seen, path, buffer.getvalue(), drawing)


@writer("Explanation", ".nii.gz", ".nii")
def write_nifti(seen: Explained, path: Path, **drawing: Any) -> Path:
    """Write the raw values at the volume's own size, with its affine, so that they lie over it in any viewer.

    Args:
        **drawing: ignored but for the record.

    Raises:
        InputError: for an image or a signal.
        MissingDependency: without nibabel.
    """
    _check_rank(seen, ".nii.gz", "Use .png or .npy.")
    with requiring("nibabel", "volumes", "Writing NIfTI"):
        import nibabel
    drawing.pop("color_bar", None)
    attribution = seen.attribution
    placed = on_image(reduce_channels(attribution.values, attribution.shows, attribution.rank), seen.frame)
    space = seen.image.space
    affine = np.eye(4) if space is None or space.affine is None else space.affine
    volume: Any = nibabel.Nifti1Image
    data = volume(placed, affine).to_bytes()
    return _written(seen, path, gzip.compress(data, mtime=0) if path.name.lower().endswith(".gz") else data, drawing)


def _check_rank(seen: Explained, suffix: str, advice: str) -> None:
    if len(seen.frame.image) != 3:
        received = f"one with {len(seen.frame.image)} axes of positions"
        raise InputError(explain_error(f"A map in a {suffix} file must be one of a volume or video.", received, advice))


def _written(seen: Explained, path: Path, content: bytes, drawing: dict[str, Any]) -> Path:
    write_file(path, content)
    stem = path.name.lower().removesuffix(".gz")
    record = path.with_name(path.name[: len(stem)]).with_suffix(".json")
    write_file(record, to_json(seen.manifest(drawing)))
    return path
