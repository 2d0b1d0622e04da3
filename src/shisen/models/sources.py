"""Where images come from: files, folders, patterns and URLs."""

from __future__ import annotations

import difflib
import glob
import os
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..errors import ImageError, ModelError, explain_error

EXTENSIONS = frozenset(
    {".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff"}
    | {".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".ico", ".jp2", ".j2k", ".avif", ".heic", ".heif"}
    | {".npy", ".npz"}
)
MAX_BYTES = 512_000_000
TIMEOUT = 20.0
"""Seconds without a response after which a download is given up."""


def find_images(sources: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> list[str]:
    """Return image files from files, folders and patterns, in order and each once.

    Folders are searched through, sorted by name; only files with an image's extension count, and hidden ones do not.
    A file, folder or pattern that yields nothing stays in the list, so that opening it says what is wrong.

    Args:
        sources: paths, folders, patterns such as `photos/*.jpg`, URLs; one or several.
    """
    if isinstance(sources, (str, os.PathLike)):
        sources = [sources]
    found: dict[str, str] = {}
    for source in sources:
        name = os.fspath(source)
        for path in list(_expanded(name)) or [name]:
            found.setdefault(path if is_url(path) else os.path.abspath(path), path)
    return list(found.values())


def _expanded(name: str) -> Iterator[str]:
    if is_url(name) or "\0" in name:
        yield name
    elif os.path.isdir(name):
        yield from _inside(name)
    elif os.path.exists(name) or not glob.has_magic(name):
        yield name
    else:
        literal = not glob.has_magic(os.path.splitext(name)[1]) and os.path.splitext(name)[1] != ""
        for match in sorted(glob.glob(os.path.expanduser(name), recursive=True)):
            if os.path.isdir(match):
                yield from _inside(match)
            elif literal or os.path.splitext(match)[1].lower() in EXTENSIONS:
                yield match


def _inside(folder: str) -> Iterator[str]:
    """Yield the images below a folder, depth first, sorted by name; links to folders are followed once."""
    seen: set[str] = set()
    for where, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(where)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for file in sorted(files):
            if not file.startswith(".") and os.path.splitext(file)[1].lower() in EXTENSIONS:
                yield os.path.join(where, file)


def is_url(name: str) -> bool:
    """Tell whether a name is an http(s) URL."""
    return name.lower().startswith(("http://", "https://"))


def file_bytes(path: Path) -> bytes:
    """Return the content of a file, or raise a `ImageError` that says what is there instead."""
    try:
        path = path.expanduser()
        if path.is_dir():
            expected, advice = (
                "An image must be a file.",
                "Give the files in it; shisen.explain takes folders as well.",
            )
            inside = next(_inside(str(path)), None)
            if inside is None:
                advice = f"There is no image in it or below; extensions known: {' '.join(sorted(EXTENSIONS))}."
            raise ImageError(explain_error(expected, f"the folder {str(path)!r}", advice))
        if not path.exists():
            raise ImageError(explain_error("An image must be a file that exists.", repr(str(path)), neighbors(path)))
        if not path.is_file():
            advice = "Give an ordinary file."
            raise ImageError(explain_error("An image must be a file.", f"the device {str(path)!r}", advice))
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise _too_many(str(path), size)
        return path.read_bytes()
    except (OSError, ValueError, RuntimeError) as error:
        if isinstance(error, ImageError):
            raise
        advice = "The path or its permissions do not allow reading."
        raise ImageError(
            explain_error("An image must be a file that can be read.", f"{str(path)!r} ({error})", advice)
        ) from error


def neighbors(path: Path) -> str:
    """Return advice from the names next to a file that is missing."""
    if glob.has_magic(str(path)):
        return f"No image matches this pattern in {os.getcwd()!r}."
    if not path.parent.is_dir():
        return f"There is no folder {str(path.parent)!r} either."
    names = [entry.name for entry in sorted(path.parent.iterdir())[:5000]]
    lowered = {n.lower(): n for n in names}
    near = [lowered[n] for n in difflib.get_close_matches(path.name.lower(), list(lowered), n=3, cutoff=0.5)]
    same_stem = [n for n in names if Path(n).stem.lower() == path.stem.lower() and n not in near]
    near = (same_stem + near)[:3]
    if near:
        return "Did you mean " + " or ".join(repr(str(path.with_name(n))) for n in near) + "?"
    return f"The folder {str(path.parent.absolute())!r} has {len(names)} entries, none of a similar name."


def missing_file(kind: str, path: str | os.PathLike[str]) -> ModelError:
    """Return the error for a file of a model that is not there, with what is there instead.

    Args:
        kind: what was looked for, such as "model file".
        path: where.
    """
    file = Path(path).expanduser()
    advice = "A folder is there; name a file in it." if file.is_dir() else neighbors(file)
    return ModelError(explain_error(f"The {kind} must exist.", repr(str(path)), advice))


def fetched(url: str) -> bytes:
    """Return the content of a URL, at most `MAX_BYTES` bytes."""
    request = urllib.request.Request(url, headers={"User-Agent": "shisen"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
            data: bytes = response.read(MAX_BYTES + 1)
    except (OSError, ValueError, urllib.error.URLError, EOFError) as error:
        raise _not_fetched(url, error) from error
    except Exception as error:  # http.client has a family of its own
        raise _not_fetched(url, error) from error
    if len(data) > MAX_BYTES:
        raise _too_many(url, len(data))
    return data


def _not_fetched(url: str, error: Exception) -> ImageError:
    return ImageError(
        explain_error(
            "A URL must lead to an image.",
            f"{url!r} ({error})",
            "Open it in a browser, save the image and give the file.",
        )
    )


def _too_many(name: str, size: int) -> ImageError:
    return ImageError(
        explain_error(
            f"An image file must have at most {MAX_BYTES:,} bytes.", f"{name!r}, {size:,}", "Save it smaller."
        )
    )
