"""Images for networks that take other than 8-bit RGB: gray, RGBA, multispectral, of any depth."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..errors import ImageError, explain_error
from ..types import InputImage
from .array_files import array_in
from .channels import view, with_channels
from .image_io import array_of, decoded_channels, digest_of, encoded, open_image
from .medical_io import dicom_in, is_dicom
from .preprocess import Preprocess
from .volume_io import checked
from .volume_pixels import chosen_bands, intensities


def open_data(source: Any, preprocess: Preprocess) -> InputImage:
    """Return an image with the channels that a network takes, and a view of them for drawing.

    Args:
        source: path, URL, bytes, open binary file, PIL image or array `(H, W)` or `(H, W, C)`; a torch tensor has its
            channels first. Of files, `.npy`, `.npz`, DICOM, TIFF stacks and whatever Pillow reads.
        preprocess: what the network expects: `channels`, `bands`, `data_range`, `window`, `zscore`, `rgb`.

    Returns:
        `InputImage` with `data`, `(H, W, channels)`, and `pixels`, the view.

    Raises:
        ImageError: it cannot be read, or does not have the channels.
    """
    if isinstance(source, InputImage):
        return source
    if isinstance(source, Image.Image):
        values, name = decoded_channels(source, "image"), str(getattr(source, "filename", "") or "image")
        digest = digest_of(values.tobytes())
    else:
        file = encoded(source)
        if file is None:
            values, name = array_of(source), "array"
            digest = digest_of(np.ascontiguousarray(values).tobytes())
        else:
            data, name = file
            stored = dicom_in(data, name, checked)[0] if is_dicom(data) else array_in(data, name, stacks=True)
            values = decoded_channels(data, name) if stored is None else stored
            digest = digest_of(data)
    return _made(values, name, digest, preprocess)


def _made(values: npt.NDArray[Any], name: str, digest: str, preprocess: Preprocess) -> InputImage:
    values = values[:, :, None] if values.ndim == 2 else values
    if values.ndim != 3 or 0 in values.shape:
        raise ImageError(
            explain_error("An array must be (H, W) or (H, W, C).", f"shape {values.shape}", "Give images one by one.")
        )
    channels = preprocess.channels
    if preprocess.bands is not None:
        values = chosen_bands(values, name, preprocess)
    elif values.shape[2] > 4 and values.shape[0] == channels:
        expected = f"The channels come last: (H, W, {channels})."
        raise ImageError(explain_error(expected, f"shape {values.shape}", "Give array.transpose(1, 2, 0)."))
    if values.dtype == np.uint8 and values.shape[2] == 4 and channels in (1, 3):  # transparency lies over white
        return replace(open_image(values), source=name, sha256=digest)
    units = intensities(values, name, preprocess)
    opaque = preprocess.bands is None and preprocess.rgb is None
    if units.shape[2] == 3 and channels == 1 and units.dtype == np.uint8:
        return InputImage(np.ascontiguousarray(units), name, digest)
    units = with_channels(units, channels, name, opaque=opaque)
    if channels == 4 and units.dtype == np.uint8 and opaque and preprocess.data_range is None:
        return InputImage(open_image(units).pixels, name, digest, units)
    return InputImage(view(units, preprocess.rgb), name, digest, units)
