"""The images that a page may show: those in one folder, and what a person uploads."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import N_, ImageError, Message, explain_error
from ..models.image_io import open_image
from ..models.sources import find_images
from ..types import InputImage

MAX_BYTES = 40_000_000
"""Bytes that an upload may have."""

MAX_SIDE_PIXELS = 50_000_000
"""Pixels that an image on the page may have; the library itself allows more."""

SAMPLES = ("cat", "coffee", "rocket")


class ImageStore:
    """Images by their name inside of one folder; nothing else on the disk can be named.

    Args:
        folder: searched for images once; a link that leads out of it is left out.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).expanduser()
        self.root = self.folder.resolve()
        if not self.root.is_dir():
            there = "is a file" if self.root.exists() else "does not exist"
            raise ImageError(
                explain_error("--folder must be a folder.", repr(str(folder)), f"{str(self.root)!r} {there}.")
            )
        paths = (Path(p) for p in find_images(str(self.folder)))
        self.names = [p.relative_to(self.folder).as_posix() for p in paths if self._within(p)]
        if not self.names:
            raise ImageError(
                explain_error("The folder must hold images.", repr(str(folder)), "Leave it out for sample photos.")
            )
        self._known = frozenset(self.names)

    def _within(self, path: Path) -> bool:
        return path.is_file() and path.resolve().is_relative_to(self.root)

    def path(self, name: Any) -> Path:
        """Return where an image of the folder lies.

        Raises:
            ImageError: if the name is none of the folder's, whatever else it may lead to.
        """
        path = self.folder / name if isinstance(name, str) and name in self._known else None
        if path is None or not self._within(path):  # looked at again: a link may have replaced it
            raise ImageError(
                explain_error(
                    N_("An image must be one of the folder that the page was started with."),
                    repr(str(name)[:80]),
                    N_("Choose it from the list, or upload it."),
                )
            )
        return path

    def step(self, name: Any, by: int) -> str:
        """Return the name of the next or the previous image, in a circle.

        Args:
            name: name of the component.
            by: number of images to step, negative to go back.
        """
        index = self.names.index(name) if name in self._known else -1 if by > 0 else 0
        return self.names[(index + by) % len(self.names)]

    def around(self, name: Any, count: int) -> list[str]:
        """Return up to `count` names that stand around this one, for showing.

        Args:
            name: name of the component.
            count: number of images to each side.
        """
        index = self.names.index(name) if name in self._known else 0
        start = max(0, min(index - count // 2, len(self.names) - count))
        return self.names[start : start + count]


def open_upload(path: str | Path, name: str, read: Callable[[Any], InputImage] = open_image) -> InputImage:
    """Decode an image within the page's bounds, under the name that a person knows it by.

    Args:
        path: path of the image.
        name: name of the file.
        read: decodes an open file, such as `Model.read`, which knows the channels and bands that a network takes.

    Returns:
        The image.

    Raises:
        ImageError: it is too large, is no image or is damaged.
    """
    file = Path(path)
    size = file.stat().st_size if file.is_file() else 0
    if size > MAX_BYTES:
        raise ImageError(
            explain_error(
                Message("An image on this page may have {n} MB.", n=MAX_BYTES // 1_000_000),
                f"{size / 1e6:.0f} MB",
                N_("Use the command line for larger ones."),
            )
        )
    try:
        stream = io.BytesIO(file.read_bytes())
    except OSError:
        missing = explain_error(
            N_("An image is needed."), Message("none"), N_("Upload one, or name one of the folder.")
        )
        raise ImageError(missing) from None
    stream.name = name  # what messages call it: a visitor does not know the server's path
    image = read(stream)
    if image.size[0] * image.size[1] > MAX_SIDE_PIXELS:
        raise ImageError(
            explain_error(
                Message("An image on this page may have {n} million pixels.", n=MAX_SIDE_PIXELS // 1_000_000),
                f"{image.size[1]} × {image.size[0]}",
                N_("Make it smaller, or use the command line."),
            )
        )
    return replace(image, source=name)


def write_samples(folder: Path) -> Path:
    """Write the sample photos into a folder and return it.

    Raises:
        ImageError: scikit-image, which brings them, is not installed.
    """
    try:
        from skimage import data
    except ImportError:
        raise ImageError(
            explain_error(
                "The page needs images to start with.",
                "no folder, and scikit-image with its sample photos is not installed",
                "Give --folder, or: pip install 'shisen[web]'",
            )
        ) from None
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    for name in SAMPLES:
        Image.fromarray(getattr(data, name)()).save(folder / f"{name}.png")
    return folder
