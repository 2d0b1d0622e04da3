"""What is known of an image file beside its pixels: header, EXIF, name, folder and further columns of its label."""

from __future__ import annotations

import io
import os
import re
import warnings
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any, Literal, NamedTuple

from PIL import Image

from ..models.image_io import FORMATS
from ..training.data import Item
from .exif import LONGEST, clean, day_of, exif_of, number_of

Source = Literal["file", "exif", "column"]
Value = str | float | None

NUMBERS = 0.95
"""Fraction of the values of a column that must be numbers, or dates, for it to count as one of numbers."""
FEW_NUMBERS = 10
"""Numbers of which there are no more different ones are names, such as a scanner 1 and a scanner 2."""


class Attribute(NamedTuple):
    """One thing that is known of every image, or of some.

    Attributes:
        source: "file" (header, name), "exif", or "column" of the CSV file of labels.
        name: its name.
        values: one an image: texts, or numbers; None where it is not known.
    """

    source: Source
    name: str
    values: tuple[Value, ...]

    @property
    def numeric(self) -> bool:
        """Whether its values are numbers."""
        return any(isinstance(v, float) for v in self.values)


def attributes(items: Sequence[Item]) -> tuple[Attribute, ...]:
    """Return what is known of images beside their pixels; only headers are read, and broken ones tell nothing.

    Args:
        items: the labeled images.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Pillow remarks on odd headers
        read = [{**_of_name(item), **_of_file(item.path)} for item in items]
    found = [
        Attribute(source, name, tuple(one.get((source, name)) for one in read))
        for source, name in dict.fromkeys(key for one in read for key in one)
    ]
    names = dict.fromkeys(name for item in items for name, _ in item.columns)
    columns = [dict(item.columns) for item in items]
    return (*found, *(_column(name, [row.get(name, "") for row in columns]) for name in names))


Read = dict[tuple[Source, str], Value]


def _of_name(item: Item) -> Read:
    """Return the pattern of the file's name, its number and its folder, without the class."""
    path = PurePosixPath(item.name.replace("\\", "/"))
    words = [w for w in re.split(r"[^\w]+|_", item.label.lower()) if len(w) > 1]
    stem = path.stem.lower()
    for word in words:  # a name that holds the class says nothing new
        stem = stem.replace(word, "")
    numbers = re.findall(r"\d+", path.stem)
    folder = "/".join(part for part in path.parts[:-1] if part != item.label)
    found: Read = {
        ("file", "name"): re.sub(r"\d+", "#", re.sub(r"[_\-. ]{2,}", "_", stem))[:LONGEST] or None,
        ("file", "number"): float(numbers[-1][-15:]) if numbers else None,
        ("file", "suffix"): path.suffix,
    }
    return {**found, ("file", "folder"): folder[:LONGEST] or None} if folder else found


def _of_file(path: str) -> Read:
    """Return what the header of an image file says; nothing where it cannot be read."""
    found: Read = {}
    try:
        size = os.path.getsize(path)
        found["file", "size"] = float(size)
        Image.init()
        with Image.open(path, formats=[f for f in FORMATS if f in Image.OPEN]) as image:
            wide, high = image.size
            found["file", "format"] = str(image.format)
            found["file", "color_mode"] = image.mode
            found["file", "width"], found["file", "height"] = float(wide), float(high)
            found["file", "aspect"] = wide / high
            found["file", "bytes_per_pixel"] = size / (wide * high)
            found["file", "icc_profile"] = "yes" if image.info.get("icc_profile") else "no"
            tables = getattr(image, "quantization", None)
            if tables:
                found["file", "jpeg_quality"] = _quality(sum(tables[min(tables)]))
                found["file", "progressive"] = "yes" if image.info.get("progressive") else "no"
            found.update({("exif", name): value for name, value in exif_of(image).items()})
    except Exception:  # headers are other people's bytes: any decoder may fail in any way
        return found
    return found


@lru_cache(maxsize=1)
def _sums() -> Mapping[int, int]:
    """Return the sum of the luminance table of each quality, as the usual encoder writes it."""
    found = {}
    for quality in range(1, 101):
        file = io.BytesIO()
        Image.new("L", (8, 8)).save(file, "JPEG", quality=quality)
        written: Any = Image.open(file)
        found[quality] = sum(written.quantization[0])
    return found


def _quality(total: int) -> float:
    """Return the quality whose luminance table is nearest, in 1 to 100."""
    return float(min(_sums(), key=lambda q: (abs(_sums()[q] - total), q)))


def _column(name: str, texts: Sequence[str]) -> Attribute:
    """Return a column of the CSV file: as numbers or as days where nearly all of its values are."""
    given = [t for t in texts if t]
    for parsed in (number_of, day_of):
        numbers = {t: parsed(t) for t in set(given)}
        right = sum(numbers[t] is not None for t in given)
        if given and right >= NUMBERS * len(given) and len(numbers) > FEW_NUMBERS:
            return Attribute("column", name, tuple(numbers[t] if t else None for t in texts))
    return Attribute("column", name, tuple(clean(t) or None for t in texts))
