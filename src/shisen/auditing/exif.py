"""EXIF data of image files: untrusted bytes, of which only a few bounded values are kept."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from PIL import Image

LONGEST, LARGEST_EXIF = 60, 1 << 20  # characters of a text; bytes of an EXIF block
TEXTS = {"make": 0x010F, "model": 0x0110, "software": 0x0131, "orientation": 0x0112}
SUB_TEXTS = {"lens": 0xA434, "flash": 0x9209}
SUB_NUMBERS = {"exposure_time": 0x829A, "f_number": 0x829D, "iso": 0x8827, "focal_length": 0x920A}
DATES = (0x9003, 0x9004)
SUB_IFD, GPS_IFD, DATE = 0x8769, 0x8825, 0x0132
FORMS = ("%Y:%m:%d %H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d", "%Y/%m/%d")


def exif_of(image: Image.Image) -> dict[str, str | float]:
    """Return the EXIF data of an opened image; what is broken, odd or too large is left out."""
    raw = image.info.get("exif")
    found: dict[str, str | float] = {"present": "no"}
    if image.format == "TIFF":
        exif = image.getexif()
    elif isinstance(raw, bytes) and 0 < len(raw) <= LARGEST_EXIF:
        exif = Image.Exif()
        exif.load(raw)
    else:
        return found
    main, sub, position = dict(exif), _ifd(exif, SUB_IFD), _ifd(exif, GPS_IFD)
    found["present"] = "yes" if {*TEXTS.values(), DATE} & {*main} or sub else "no"
    for names, table in ((TEXTS, main), (SUB_TEXTS, sub)):
        for name, tag in names.items():
            if tag in table and (text := clean(table[tag])):
                found[name] = text
    for name, tag in SUB_NUMBERS.items():
        if (value := number_of(sub.get(tag))) is not None:
            found[name] = value
    when = next((t for t in (_time(clean(table.get(tag))) for table, tag in _dates(main, sub)) if t), None)
    if when is not None:
        found["date"] = float(when.toordinal())
        found["hour"] = when.hour + when.minute / 60
    if position:
        found["position"] = "yes"
    return found


def _dates(main: Mapping[int, Any], sub: Mapping[int, Any]) -> Iterable[tuple[Mapping[int, Any], int]]:
    return (*((sub, tag) for tag in DATES), (main, DATE))


def _ifd(exif: Image.Exif, tag: int) -> dict[int, Any]:
    try:
        return dict(exif.get_ifd(tag))
    except Exception:  # see above
        return {}


def clean(value: Any) -> str:
    """Return a value of a header as a short text of printable characters, "" for none."""
    if value is None:
        return ""
    text = value[:256].decode("utf-8", "replace") if isinstance(value, bytes) else str(value)[:256]
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:LONGEST]


def number_of(value: Any) -> float | None:
    try:
        number = float(value[0] if isinstance(value, tuple) else value)
    except (TypeError, ValueError, ZeroDivisionError, IndexError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _time(text: str) -> datetime | None:
    for form in FORMS:
        try:
            found = datetime.strptime(text, form)
        except ValueError:
            continue
        return found if 1900 <= found.year <= 2200 else None
    return None


def day_of(text: str) -> float | None:
    found = _time(text)
    return None if found is None else float(found.toordinal())
