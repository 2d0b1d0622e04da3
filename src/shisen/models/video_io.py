"""Video as (frames, h, w, 3): animated images and folders of frames through Pillow, other files through PyAV."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..errors import ImageError, briefly, explain_error, requiring
from ..types import Space
from .image_io import open_image
from .sources import EXTENSIONS

Pixels = npt.NDArray[np.uint8]
Check = Callable[[tuple[int, ...], str], None]
SUFFIXES = (".mp4", ".m4v", ".avi", ".mov", ".mkv", ".webm", ".mpg", ".mpeg")


def evenly(count: int, wanted: int) -> npt.NDArray[np.intp]:
    """Return the numbers of `wanted` evenly spaced frames of `count`: the middles of as many equal parts; 0 for all.

    Args:
        count: frames there are.
        wanted: frames to take; of fewer frames some are taken twice.
    """
    return np.arange(count) if not wanted else ((np.arange(wanted) + 0.5) * count / wanted).astype(np.intp)


def is_video(data: bytes, name: str) -> bool:
    """Return whether a file is a video, not an animated image.

    Args:
        data: the file's bytes.
        name: of the file.
    """
    return name.lower().endswith(SUFFIXES) or (data[4:8] == b"ftyp" and data[8:11] in (b"iso", b"mp4", b"M4V", b"qt "))


def video_in(data: bytes, name: str, frames: int, check: Check) -> tuple[Pixels, Space]:
    """Return frames of a video file.

    Args:
        data: the file's bytes.
        name: for messages.
        frames: evenly spaced frames to take; 0 for all.
        check: called with the shape before frames are kept.

    Raises:
        ImageError: for a damaged file.
        MissingDependency: without PyAV.
    """
    with requiring("av", "volumes", f"The video {name!r}"):
        import av
    try:
        with av.open(io.BytesIO(data), "r") as container:
            stream = container.streams.video[0]
            rate = float(stream.average_rate or 0)
            high, wide = stream.height, stream.width
            count = sum(1 for _ in container.decode(stream))
        with av.open(io.BytesIO(data), "r") as container:
            wanted = evenly(count, frames)
            check((len(wanted), high, wide, 3), name)
            kept = {int(i) for i in wanted}
            found = {i: f.to_ndarray(format="rgb24") for i, f in enumerate(container.decode(video=0)) if i in kept}
    except ImageError:
        raise
    except Exception as error:  # FFmpeg has a family of errors of its own
        reason = briefly(error)
        advice = "Save it again, or as a folder of frames."
        raise ImageError(
            explain_error("A video must be readable to its end.", f"{name!r} ({reason})", advice)
        ) from error
    seconds = count / rate if rate else 0.0
    return np.stack([found[int(i)] for i in wanted]), Space(rate=len(wanted) / seconds if seconds else 0.0)


def stills_in(data: bytes, name: str, frames: int, check: Check) -> tuple[Pixels, Space]:
    """Return frames of an animated image: GIF, APNG, WebP, or the pages of a TIFF.

    Args:
        data: the file's bytes.
        name: for messages.
        frames: evenly spaced frames to take; 0 for all.
        check: called with the shape before frames are decoded.

    Raises:
        ImageError: for a single or a damaged image.
    """
    try:
        with Image.open(io.BytesIO(data), formats=("GIF", "PNG", "WEBP", "TIFF")) as image:
            count = int(getattr(image, "n_frames", 1))
            wanted = evenly(count, frames)
            check((len(wanted), image.height, image.width, 3), name)
            duration = float(image.info.get("duration", 0) or 0)
            if count > 1:
                found: dict[int, Any] = {}
                for i in sorted({int(i) for i in wanted}):
                    image.seek(i)
                    found[i] = np.asarray(image.convert("RGB"))
                rate = 1000.0 / duration * len(wanted) / count if duration else 0.0
                return np.stack([found[int(i)] for i in wanted]), Space(rate=rate)
    except ImageError:
        raise
    except Exception as error:  # Pillow's readers raise whatever they come upon
        raise _no_volume(name, briefly(error)) from error
    raise _no_volume(name, "a single image")


def _no_volume(name: str, received: str) -> ImageError:
    expected = (
        "The network takes a volume or video: NIfTI, DICOM, .npy, .npz, an animation, a video, or a folder of frames."
    )
    return ImageError(explain_error(expected, f"{name!r} ({received})", "Give such a file, or an array (d, h, w)."))


def frames_folder(
    files: Sequence[Path], name: str, frames: int, check: Check
) -> tuple[Pixels, Space | None, str] | None:
    """Return the images of a folder as the frames of a video, and a digest; None where there are no images.

    Args:
        files: in order.
        name: of the folder, for messages.
        frames: evenly spaced frames to take; 0 for all.
        check: called with the shape before all frames are decoded.

    Raises:
        ImageError: for frames of different sizes.
    """
    stills = [p for p in files if p.suffix.lower() in EXTENSIONS and p.suffix.lower() not in (".npy", ".npz")]
    if not stills:
        return None
    digest, found = hashlib.sha256(), []
    for i in evenly(len(stills), frames):
        image = open_image(stills[int(i)])
        check((frames or len(stills), *image.pixels.shape), name)
        digest.update(image.sha256.encode())
        found.append(image.pixels)
        if image.pixels.shape != found[0].shape:
            expected = "The frames of a video must have one size."
            received = f"{image.source!r} with {image.size} after {found[0].shape[:2]}"
            raise ImageError(explain_error(expected, received, "Put other images into another folder."))
    return np.stack(found), None, digest.hexdigest()
