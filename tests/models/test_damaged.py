"""More than two hundred damaged or odd images: each loads, or is answered with advice."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from shisen.errors import ImageError
from shisen.models.image_io import open_image


def batch_size(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_header(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + batch_size(b"IHDR", header) + batch_size(b"IDAT", zlib.compress(b"\0" * 64))


def encoded(kind: str) -> bytes:
    rng = np.random.default_rng(5)
    image = Image.fromarray(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "camera"
    out = io.BytesIO()
    image.save(out, kind, **({"exif": exif} if kind in ("PNG", "JPEG", "WEBP", "TIFF") else {}))
    return out.getvalue()


def damaged() -> Iterator[tuple[str, Any, bool | None]]:
    """Yield name, source and whether it must load (None: either way)."""
    rng = np.random.default_rng(7)
    for kind in ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"):
        data = encoded(kind)
        for part in np.linspace(0.01, 0.95, 14):
            yield f"{kind} cut at {part:.2f}", data[: int(len(data) * part)], None if kind == "TIFF" else False
        for i in range(12):
            broken = bytearray(data)
            for place in rng.integers(0, min(len(data), 600 if i % 2 else len(data)), 1 + 8 * i):
                broken[place] = rng.integers(0, 256)
            yield f"{kind} with bytes changed, {i}", bytes(broken), None
        yield f"{kind} with a tail", data + b"tail" * 50, True
        yield f"{kind} with zeros in the middle", data[:100] + bytes(200) + data[300:], None
    jpeg = encoded("JPEG")
    at = jpeg.index(b"Exif\0\0") + 6
    for i in range(20):
        broken = bytearray(jpeg)
        for place in rng.integers(at, at + 40, 3 + i):
            broken[place] = rng.integers(0, 256)
        yield f"EXIF broken, {i}", bytes(broken), True
    for width, height in ((30_000, 30_000), (10_001, 10_000), (2**31 - 1, 2**31 - 1), (1, 2**31 - 1)):
        yield f"header of {width} × {height}", png_header(width, height), False
    yield "header of 0 × 5", png_header(0, 5), False
    yield "pixels that end early", png_header(64, 64), False
    yield "one pixel", np.zeros((1, 1, 3), np.uint8), True
    yield "long line", np.zeros((1, 5000), np.uint8), True
    for name, data in {
        "zero bytes": b"",
        "one byte": b"\xff",
        "text": b"not an image\n" * 9,
        "html": b"<html><body>404</body></html>",
        "json": b'{"error": "no"}',
        "pdf": b"%PDF-1.7\n%\xe2\xe3",
        "zip": b"PK\x03\x04" + bytes(60),
        "noise": rng.bytes(4000),
        "zeros": bytes(4000),
        "png signature": b"\x89PNG\r\n\x1a\n",
        "jpeg signature": b"\xff\xd8\xff\xe0",
        "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n",
        "text in UTF-16": "nothing to see".encode("utf-16"),
    }.items():
        yield name, data, False
    for name, array in {
        "NaN": np.full((4, 4, 3), np.nan),
        "one NaN": np.array([[0.5, np.nan]]),
        "infinite": np.full((4, 4), -np.inf),
        "256.0": np.full((4, 4, 3), 256.0),
        "strings": np.array([["a", "b"]]),
        "objects": np.array([[None, {}]], dtype=object),
        "no axes": np.array(3.0),
        "empty": np.zeros((0, 0, 3), np.uint8),
        "five axes": np.zeros((1, 1, 1, 1, 1), np.uint8),
        "channels first": np.zeros((3, 9, 9), np.float32),
        "a list": [[1, 2], [3]],
    }.items():
        yield f"array: {name}", array, False


CASES = list(damaged())


def test_there_are_two_hundred() -> None:
    assert len(CASES) >= 200


@pytest.mark.parametrize("place", range(0, len(CASES), 20))
def test_each_loads_or_is_answered_with_advice(place: int, tmp_path: Path) -> None:
    for number, (name, source, loads) in enumerate(CASES[place : place + 20]):
        given = source
        if isinstance(source, bytes):  # every second one from disk, under a wrong extension
            given = tmp_path / f"{number}.jpg" if number % 2 else source
            if number % 2:
                given.write_bytes(source)
        got = outcome(given)
        if isinstance(got, str):
            assert loads is not True, f"{name} should load: {got}"
            assert "Received: " in got, name
            assert got.endswith((".", "?")), name
        else:
            assert loads is not False, f"{name} should not load"
            assert got.dtype == np.uint8, name
            assert got.ndim == 3, name
            assert got.shape[2] == 3, name


def outcome(source: Any) -> Any:
    """The pixels, or the message; any other exception goes through and fails the test."""
    try:
        return open_image(source).pixels
    except ImageError as error:
        return str(error).rstrip()


def test_broken_exif_leaves_the_pixels() -> None:
    data = encoded("JPEG")
    at = data.index(b"Exif\0\0") + 6
    broken = data[:at] + b"\xff" * 12 + data[at + 12 :]
    with Image.open(io.BytesIO(data)) as image:
        np.testing.assert_array_equal(open_image(broken).pixels, np.asarray(image))
