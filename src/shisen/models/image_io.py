"""Any image a person has → `InputImage`: upright uint8 pixels, or an error that says what to do."""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from ..errors import N_, ImageError, Message, briefly, explain_error
from ..targets import to_numpy
from ..types import InputImage
from .array_files import array_in
from .channels import in_units, not_finite, to_bytes
from .sources import fetched, file_bytes, is_url

MAX_PIXELS = 100_000_000
"""Pixels an image may have; looked up in its header before anything is decoded."""

FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM", "TGA", "ICO", "JPEG2000", "AVIF", "HEIF")
"""Formats read: images of pixels only, nothing that runs another program."""

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION = 0x0112
Convert = Callable[[Image.Image, str], npt.NDArray[Any]]


def open_image(source: Any, least: int = 0) -> InputImage:
    """Return an image as upright uint8 pixels, whatever it comes as.

    Files are rotated as their EXIF data says; transparent pixels are composited over white; of an animation the first
    frame is taken; 16 bits are scaled to 8.

    Args:
        source: path, URL, bytes, open binary file, PIL image, or array: `(H, W)`, `(H, W, 1)`,
            `(H, W, 3)` or `(H, W, 4)`, uint8 or float in [0, 1]. A torch tensor has its channels first.
        least: pixels a side that suffice; a JPEG photo is then decoded at a half, a quarter or an eighth of its size as
            long as both sides keep as many. 0 for all of them.

    Returns:
        `(H, W, 3)` uint8 pixels with the name and the SHA-256 of what they were read from.

    Raises:
        ImageError: it cannot be read, is no image, or has more than `MAX_PIXELS` pixels.
    """
    if isinstance(source, InputImage):
        return source
    if isinstance(source, Image.Image):
        name = getattr(source, "filename", "") or "image"
        pixels = _guarded(source, str(name))
        return InputImage(pixels, str(name), digest_of(pixels.tobytes()))
    file = encoded(source)
    if file is None:
        array = array_of(source)
        return InputImage(_uint8(array, hasattr(source, "detach")), "array", digest_of(array.tobytes()))
    data, name = file
    stored = array_in(data, name)
    pixels = _decoded(data, name, least) if stored is None else _uint8(stored)
    return InputImage(pixels, name, digest_of(data))


def encoded(source: Any) -> tuple[bytes, str] | None:
    """Return the bytes and the name of a path, a URL, bytes or an open file; None for anything else."""
    if isinstance(source, (str, os.PathLike)):
        name = os.fspath(source)
        name = name.decode("utf-8", "replace") if isinstance(name, bytes) else name
        return (fetched(name) if is_url(name) else file_bytes(Path(name))), name
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source), "bytes"
    if not hasattr(source, "read"):
        return None
    name = str(getattr(source, "name", "file"))
    try:
        data = source.read()
    except Exception as error:
        raise _unreadable(name, error) from error
    if not isinstance(data, bytes):
        raise ImageError(explain_error("A file must be open in binary mode.", name, "Use open(path, 'rb')."))
    return data, name


def open_array(source: Any) -> InputImage:
    """Return an array as it is, for networks without preprocessing: any size, channels, type and range.

    `(h, w)` gets one channel; a torch tensor is moved to channels last; a batch axis of length 1 in front is left out.

    Raises:
        ImageError: it is no array of two or three axes, is empty, or holds NaN or infinite values.
    """
    if isinstance(source, InputImage):
        return source
    if isinstance(source, Image.Image):
        source = np.asarray(source)
    if isinstance(source, (str, os.PathLike, bytes, bytearray, memoryview)) or hasattr(source, "read"):
        raise ImageError(
            explain_error(
                "A network without preprocessing takes arrays, (h, w, c), as they are.",
                f"{type(source).__name__}",
                "Wrap it with preprocess=shisen.Preprocess(size=…) to give it images.",
            )
        )
    array = array_of(source)
    array = array[:, :, None] if array.ndim == 2 else array
    if array.ndim != 3 or 0 in array.shape:
        raise ImageError(
            explain_error(
                "An array must be (h, w) or (h, w, c), with at least one value.",
                f"shape {array.shape}",
                "Give images one by one, or as a list; video and volumes: wrap with input_shape=(d, h, w, c).",
            )
        )
    if array.dtype.kind in "fc" and not np.isfinite(array).all():
        raise not_finite(array)
    return InputImage(array, "array", digest_of(np.ascontiguousarray(array).tobytes()))


def array_of(source: Any) -> npt.NDArray[Any]:
    """Return an array as NumPy, channels last, without a batch axis of length 1."""
    try:
        tensor = source.float() if "bfloat16" in str(getattr(source, "dtype", "")) else source
        array = to_numpy(tensor)
    except Exception as error:
        raise _no_image(type(source).__name__) from error
    if array.dtype.kind not in "biuf":
        raise _no_image(f"{type(source).__name__} of {array.dtype}")
    if array.ndim == 4 and array.shape[0] == 1:
        array = array[0]
    if array.ndim == 3 and hasattr(source, "detach"):  # torch's convention: (c, h, w)
        array = np.moveaxis(array, 0, -1)
    return array


def _uint8(array: npt.NDArray[Any], tensor: bool = False) -> npt.NDArray[np.uint8]:
    """Return `(H, W, 3)` uint8 from an array of an image."""
    shape = shown = array.shape
    if array.ndim == 3 and shape[2] not in (1, 3, 4) and shape[0] in (1, 3, 4):
        advice = "The channels come first: give array.transpose(1, 2, 0)."
    elif tensor and array.ndim == 3 and shape[1] in (1, 3, 4):
        shown = (shape[2], shape[0], shape[1])
        advice = "A tensor has its channels first: give tensor.permute(2, 0, 1), or tensor.numpy()."
    elif array.ndim == 4:
        advice = "Several images are given as a list: list(array)."
    else:
        advice = "Without `preprocess` in shisen.wrap, arrays of other channels go in as they are."
    if array.ndim not in (2, 3) or 0 in shape or (array.ndim == 3 and shape[2] not in (1, 3, 4)):
        expected = "An image as an array must be (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)."
        raise ImageError(explain_error(expected, f"shape {shown}", advice))
    _check_size(shape[1], shape[0], "array")
    if array.dtype.kind not in "fb" and array.dtype not in (np.uint8, np.uint16):
        advice = "Give array.astype('uint8') for values from 0 to 255, or floats in [0, 1]."
        raise ImageError(explain_error("An image must be of uint8, uint16, or of floats.", array.dtype, advice))
    array = to_bytes(in_units(array, "array"))
    array = array[:, :, None] if array.ndim == 2 else array
    if array.shape[2] == 4:
        return _over_white(array)
    return np.ascontiguousarray(np.broadcast_to(array, (*array.shape[:2], 3)))


def _over_white(rgba: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return color·α + 255·(1 − α), rounded."""
    alpha = rgba[:, :, 3:].astype(np.uint32)
    mixed = (rgba[:, :, :3] * alpha + 255 * (255 - alpha) + 127) // 255
    return mixed.astype(np.uint8)


def decoded_channels(source: Image.Image | bytes, name: str) -> npt.NDArray[Any]:
    """Return an image upright with all its channels: `(H, W, C)` uint8, or `(H, W)` of 16 or 32 bits.

    Args:
        source: a PIL image, or the bytes of a file.
        name: for messages.

    Raises:
        ImageError: it cannot be read.
    """
    if isinstance(source, Image.Image):
        return _guarded(source, name, convert=_all_channels)
    return _decoded(source, name, convert=_all_channels)


def _all_channels(image: Image.Image, name: str) -> npt.NDArray[Any]:
    if image.mode.startswith("I") or image.mode == "F":
        return np.asarray(image)
    if image.mode in ("1", "L"):
        return np.array(image.convert("L"))
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA" if image.mode != "La" else "LA")
        return np.array(image.convert("RGBA"))
    return np.array(image.convert("RGB"))


def _decoded(data: bytes, name: str, least: int = 0, convert: Convert | None = None) -> npt.NDArray[Any]:
    """Return the upright pixels of an encoded image."""
    if not data:
        received = Message("{name}, 0 bytes", name=repr(name))
        raise ImageError(
            explain_error(N_("An image file must not be empty."), received, N_("Download or copy it again."))
        )
    with _quiet():
        try:
            image = _opened(data)
        except Image.DecompressionBombError as error:
            raise _too_large(name, str(error)) from error
        except Exception as error:
            raise _unreadable(name, error, data) from error
        with image:
            _check_size(image.width, image.height, name)  # before it is decoded at a part of it
            if least:
                image.draft(image.mode, (least, least))
            return _guarded(image, name, data, convert)


def _opened(data: bytes) -> Image.Image:
    """Open an image of one of the formats that are read; PIL imports its readers of rare formats only if needed."""

    def opened() -> Image.Image:
        return Image.open(io.BytesIO(data), formats=[f for f in FORMATS if f in Image.OPEN])

    Image.preinit()
    with suppress(UnidentifiedImageError):
        return opened()
    Image.init()
    return opened()


def _guarded(image: Image.Image, name: str, data: bytes = b"", convert: Convert | None = None) -> npt.NDArray[Any]:
    """Return the upright pixels of a PIL image, RGB by default; whatever fails in it is an `ImageError`."""
    _check_size(image.width, image.height, name)
    try:
        with _quiet():
            image.load()
            turned = _UPRIGHT.get(_orientation(image))
            pixels = (convert or _rgb)(image, name)
        if turned is not None:
            pixels = np.asarray(Image.fromarray(pixels).transpose(turned))
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise _too_large(name, str(error)) from error
    except Exception as error:
        raise _unreadable(name, error, data) from error
    return np.ascontiguousarray(pixels)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence PIL's own size limit (ours is checked before decoding) and its remarks about odd metadata."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 where there is none or its data are broken: the pixels are still good."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:
        return 1


def _rgb(image: Image.Image, name: str) -> npt.NDArray[np.uint8]:
    """Return `(H, W, 3)` uint8 of an image of any mode."""
    if image.mode.startswith("I") or image.mode == "F":
        return _from_deep(np.asarray(image), name)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        if image.mode in ("RGBa", "La"):
            image = image.convert("RGBA" if image.mode == "RGBa" else "LA")
        return _over_white(np.asarray(image.convert("RGBA")))
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


def _from_deep(values: npt.NDArray[Any], name: str) -> npt.NDArray[np.uint8]:
    """Return gray pixels of 12, 16 or 32 bits, or of floats in [0, 1] or [0, 255], scaled to 8 bits."""
    if values.dtype.kind == "f" and np.isfinite(values).all() and 1 < values.max() <= 255 and values.min() >= 0:
        gray = np.rint(values).astype(np.uint8)
    else:
        gray = to_bytes(in_units(values, name))
    return np.repeat(gray[:, :, None], 3, axis=2)


def _check_size(width: int, height: int, name: str) -> None:
    if width * height > MAX_PIXELS:
        raise _too_large(name, f"{width} × {height}")
    if width < 1 or height < 1:
        received = f"{name!r}, {width} × {height}"
        raise ImageError(explain_error(N_("An image must have pixels."), received, N_("Save it again.")))


def digest_of(data: bytes) -> str:
    """Return the SHA-256 of some bytes."""
    return hashlib.sha256(data).hexdigest()


def _too_large(name: str, received: str) -> ImageError:
    return ImageError(
        explain_error(
            Message("An image must have at most {n} million pixels.", n=MAX_PIXELS // 1_000_000),
            f"{name!r}, {received}",
            N_("Make it smaller, or give a part of it; networks look at a few hundred pixels a side."),
        )
    )


def _no_image(received: str) -> ImageError:
    return ImageError(
        explain_error(
            N_("An image must be a path, a URL, bytes, a PIL image or an array of numbers."),
            received,
            N_("Give a file name such as 'photo.jpg'."),
        )
    )


def _unreadable(name: str, error: Exception, data: bytes = b"") -> ImageError:
    """Return the error for data that cannot be decoded, with the likeliest reason."""
    start = data[:512]
    head = start.lstrip().lower()
    if b"ftyphei" in start or b"ftypmif1" in start:
        advice = N_("It is HEIC: save it as JPEG, or install pillow-heif and register its opener.")
    elif start[4:8] == b"ftyp":
        advice = N_("It is a video, which networks of video read: save one frame as PNG or JPEG.")
    elif start[128:132] == b"DICM":
        advice = N_("It is DICOM, which networks of one channel and of volumes read: wrap with channels=1 and window=.")
    elif start[344:347] in (b"n+1", b"ni1") or name.lower().endswith((".nii", ".nii.gz")):
        advice = N_("It is NIfTI, which networks of volumes read: save one slice as .npy.")
    elif head.startswith((b"<!doctype", b"<html", b"<?xml", b"<svg", b"%pdf")):
        advice = N_("It is a document, not an image of pixels: save the image itself as PNG or JPEG.")
    elif data and all(32 <= c < 127 or c in b"\t\r\n" for c in start):
        advice = N_("It is text, not an image: check that the path is the right one.")
    elif isinstance(error, UnidentifiedImageError):
        advice = N_("Its name may be wrong or its beginning damaged: fetch it again, or save it as PNG or JPEG.")
    else:
        advice = N_("It is cut off or damaged: fetch it again, or open it in a viewer and save it anew.")
    reason = briefly(error)
    if isinstance(error, UnidentifiedImageError):
        reason = Message("no known image format")
    received = Message("{name} ({reason})", name=repr(name), reason=reason)
    return ImageError(explain_error(N_("An image must be readable to its end."), received, advice))
