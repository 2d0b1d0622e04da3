"""Images: every kind a person has comes out upright and in the right colors; everything else is advice."""

from __future__ import annotations

import io
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from shisen.errors import ImageError
from shisen.models import image_io
from shisen.models.image_io import open_array, open_image

# red, green / blue, white / black, gray: every corner and orientation can be told apart
COLORS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]], [[0, 0, 0], [128, 128, 128]]], np.uint8)


def flag(zoom: int = 8) -> npt.NDArray[np.uint8]:
    return COLORS.repeat(zoom, 0).repeat(zoom, 1)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "TGA"])
def test_lossless_formats_keep_every_value(kind: str) -> None:
    np.testing.assert_array_equal(open_image(encoded(Image.fromarray(flag()), kind)).pixels, flag())


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_turns_the_image_upright(kind: str, orientation: int) -> None:
    undo = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
            5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
            8: Image.Transpose.ROTATE_270}  # fmt: skip
    image = Image.fromarray(flag())
    stored = image.transpose(undo[orientation]) if orientation > 1 else image
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
    got = open_image(encoded(stored, kind, exif=exif, **options)).pixels
    assert got.shape == (24, 16, 3)
    np.testing.assert_allclose(got.astype(int), flag().astype(int), atol=3)


@pytest.mark.parametrize(
    ("least", "size"), [(0, (1200, 800)), (450, (1200, 800)), (400, (600, 400)), (150, (300, 200))]
)
def test_large_jpegs_are_decoded_at_a_part_of_their_size(least: int, size: tuple[int, int]) -> None:
    image = Image.fromarray(flag(400))
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(image.transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif, quality=100, subsampling=0)
    got = open_image(data, least)
    assert got.pixels.shape == (*size, 3)
    assert got.sha256 == open_image(data).sha256
    middles = got.pixels[size[0] // 6 :: size[0] // 3, size[1] // 4 :: size[1] // 2]
    np.testing.assert_allclose(middles.astype(int), COLORS.astype(int), atol=3)
    assert open_image(encoded(image), least).pixels.shape == (1200, 800, 3), "nothing is lost of other formats"


def test_palette_with_transparency_lies_over_white() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)
    got = open_image(encoded(image, transparency=0)).pixels
    np.testing.assert_array_equal(got, [[[255, 255, 255], [200, 100, 50]]])
    np.testing.assert_array_equal(open_image(encoded(image)).pixels, [[[10, 20, 30], [200, 100, 50]]])


def test_alpha_is_blended_with_white() -> None:
    rgba = np.array([[[255, 0, 0, 0], [255, 0, 0, 255], [0, 0, 0, 51]]], np.uint8)
    expected = [[[255, 255, 255], [255, 0, 0], [204, 204, 204]]]
    np.testing.assert_array_equal(open_image(encoded(Image.fromarray(rgba))).pixels, expected)
    np.testing.assert_array_equal(open_image(rgba).pixels, expected)
    np.testing.assert_array_equal(open_image(Image.fromarray(rgba)).pixels, expected)
    gray = Image.fromarray(np.array([[[0, 51], [7, 255]]], np.uint8), "LA")
    np.testing.assert_array_equal(open_image(encoded(gray)).pixels[0, :, 0], [204, 7])


def test_a_transparent_color_of_an_rgb_png() -> None:
    data = encoded(Image.fromarray(flag()), transparency=(255, 0, 0))
    assert open_image(data).pixels[0, 0].tolist() == [255, 255, 255]


def test_cmyk_has_the_right_colors() -> None:
    image = Image.fromarray(flag()).convert("CMYK")
    for data in (encoded(image, "JPEG", quality=100), encoded(image, "TIFF")):
        np.testing.assert_allclose(open_image(data).pixels.astype(int), flag().astype(int), atol=6)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_to_eight(kind: str) -> None:
    values = np.array([[0, 257, 25700, 65535]], np.uint16)
    got = open_image(encoded(Image.fromarray(values), kind)).pixels
    np.testing.assert_array_equal(got, np.repeat([[[0], [1], [100], [255]]], 3, axis=2))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 65535]], np.int32), [0, 255]),
        (np.array([[0, 255, 7]], np.int32), [0, 255, 7]),
        (np.array([[0.0, 1.0, 0.5]], np.float32), [0, 255, 128]),
        (np.array([[0.0, 255.0]], np.float32), [0, 255]),
    ],
)
def test_deep_gray_images(values: npt.NDArray[Any], expected: list[int]) -> None:
    assert open_image(Image.fromarray(values)).pixels[0, :, 1].tolist() == expected


@pytest.mark.parametrize("values", [[[-1, 4]], [[0, 70000]]])
def test_deep_gray_images_out_of_range_are_refused(values: list[list[int]]) -> None:
    with pytest.raises(ImageError, match="12 or 16 bits"):
        open_image(Image.fromarray(np.array(values, np.int32)))


def test_gray_bilevel_and_the_first_frame() -> None:
    gray = flag()[:, :, 0]
    np.testing.assert_array_equal(open_image(encoded(Image.fromarray(gray))).pixels[:, :, 2], gray)
    assert open_image(encoded(Image.new("1", (2, 2), 1))).pixels.min() == 255
    red, blue = Image.new("RGB", (4, 4), "red"), Image.new("RGB", (4, 4), "blue")
    for kind in ("GIF", "WEBP", "PNG"):
        got = open_image(encoded(red, kind, save_all=True, append_images=[blue])).pixels
        assert got[0, 0, 0] > 240
        assert got[0, 0, 2] < 10


def test_sources_agree_and_carry_name_and_digest(tmp_path: Path) -> None:
    path = tmp_path / "flag.jpg"  # a PNG under another name
    path.write_bytes(encoded(Image.fromarray(flag())))
    by_path, by_text, by_bytes = open_image(path), open_image(str(path)), open_image(path.read_bytes())
    with open(path, "rb") as file:
        by_file = open_image(file)
    with Image.open(path) as image:
        by_image = open_image(image)
    for image in (by_path, by_text, by_bytes, by_file, by_image):
        np.testing.assert_array_equal(image.pixels, flag())
    assert by_path.source == by_file.source == by_image.source == str(path)
    assert by_path.sha256 == by_bytes.sha256 == by_file.sha256
    assert len(by_path.sha256) == 64
    assert by_path.size == (24, 16)
    assert open_image(by_path) is by_path


def test_address_of_a_server_on_this_machine(tmp_path: Path) -> None:
    import functools
    import http.server
    import threading

    (tmp_path / "flag.png").write_bytes(encoded(Image.fromarray(flag())))

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: Any) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=tmp_path)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        np.testing.assert_array_equal(open_image(f"{address}/flag.png").pixels, flag())
        with pytest.raises(ImageError, match=r"404.*browser"):
            open_image(f"{address}/nothing.png")
        server.shutdown()


def test_arrays_of_bytes_floats_and_tensors() -> None:
    floats = flag().astype(np.float64) / 255
    for array in (flag(), floats, floats.astype(np.float32)):
        np.testing.assert_array_equal(open_image(array).pixels, flag())
    np.testing.assert_array_equal(open_image(floats[:, :, 0]).pixels[:, :, 1], flag()[:, :, 0])
    np.testing.assert_array_equal(open_image(flag()[:, :, :1]).pixels[:, :, 2], flag()[:, :, 0])
    torch = pytest.importorskip("torch")
    tensor = torch.tensor(floats).permute(2, 0, 1)
    np.testing.assert_array_equal(open_image(tensor).pixels, flag())
    np.testing.assert_array_equal(open_image(tensor[None].requires_grad_()).pixels, flag())
    with pytest.raises(ImageError, match=r"shape \(24, 16, 3\).*permute"):
        open_image(torch.tensor(floats))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 20, 30), np.uint8), r"transpose\(1, 2, 0\)"),
        (np.zeros((2, 20, 30, 3), np.uint8), "list"),
        (np.zeros((20, 30, 2), np.uint8), "preprocess"),
        (np.zeros((0, 30, 3), np.uint8), r"shape \(0, 30, 3\)"),
        (np.zeros(5, np.uint8), r"shape \(5,\)"),
        (np.full((4, 4, 3), 200.0), "Divide by 255"),
        (np.full((4, 4, 3), -0.5), r"\(array \+ 1\) / 2"),
        (np.full((4, 4, 3), -2.5), "undo that"),
        (np.full((4, 4, 3), np.nan), "48 of 48 values NaN"),
        (np.full((4, 4, 3), np.inf), "NaN or infinite"),
        (np.zeros((4, 4, 3), np.int64), "astype"),
        (np.zeros((4, 4, 3), np.complex64), "array of numbers"),
        (np.array(["a"]), "array of numbers"),
        (None, "NoneType"),
        (object(), "object"),
    ],
)
def test_unfit_arrays_are_answered_with_advice(array: Any, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        open_image(array)


def test_the_limit_holds_before_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(Image.new("L", (200, 100)))
    monkeypatch.setattr(image_io, "MAX_PIXELS", 19_999)
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    for source in (data, np.zeros((100, 200), np.uint8)):
        with pytest.raises(ImageError, match="200 × 100"):
            open_image(source)


def test_the_library_s_own_limit_is_neither_used_nor_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 600)
    data = encoded(Image.new("L", (30, 30)))
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        assert open_image(data).size == (30, 30)
        before = list(warnings.filters)
        open_image(data)
        assert list(warnings.filters) == before
    assert seen == []
    assert Image.MAX_IMAGE_PIXELS == 600
    with pytest.raises(ImageError, match="million pixels"):
        open_image(encoded(Image.new("L", (40, 40))))


def test_missing_files_bring_their_neighbors(tmp_path: Path) -> None:
    (tmp_path / "elephant.jpg").write_bytes(b"x")
    with pytest.raises(ImageError, match=r"Did you mean '.*elephant\.jpg'"):
        open_image(tmp_path / "elefant.jpg")
    with pytest.raises(ImageError, match=r"Did you mean '.*elephant\.jpg'"):
        open_image(tmp_path / "elephant.png")
    with pytest.raises(ImageError, match="no folder"):
        open_image(tmp_path / "none" / "a.jpg")
    with pytest.raises(ImageError, match="pattern"):
        open_image(tmp_path / "*.gif")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImageError, match=r"the folder .*no image in it"):
        open_image(tmp_path / "empty")
    with pytest.raises(ImageError, match=r"exists|can be read"):
        open_image("a\0b.jpg")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "0 bytes"),
        (b"This is my photo.", "It is text"),
        (b"<!DOCTYPE html><html></html>", "a document"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "It is text"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (bytes(100), "no known image format"),
    ],
)
def test_what_is_no_image_is_named(data: bytes, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        open_image(data)


def test_arrays_as_they_are() -> None:
    wild = np.array([[-3.0, 1e6], [0.25, 7.0]])
    np.testing.assert_array_equal(open_array(wild).pixels, wild[:, :, None])
    many = np.arange(2 * 3 * 7, dtype=np.int16).reshape(2, 3, 7)
    got = open_array(many[None]).pixels
    np.testing.assert_array_equal(got, many)
    assert got.dtype == np.int16
    torch = pytest.importorskip("torch")
    np.testing.assert_array_equal(open_array(torch.tensor(many).permute(2, 0, 1)[None]).pixels, many)
    half = torch.full((1, 2, 2), 0.5, dtype=torch.bfloat16)
    np.testing.assert_array_equal(open_array(half).pixels, np.full((2, 2, 1), 0.5))


@pytest.mark.parametrize("bad", [np.array([[np.nan]]), np.array([[np.inf]]), np.zeros((2, 4, 4, 3)), "cat.jpg", None])
def test_arrays_that_cannot_go_in(bad: Any) -> None:
    with pytest.raises(ImageError):
        open_array(bad)


def test_readers_of_rare_formats_are_imported_only_for_them(tmp_path: Path) -> None:
    for suffix in ("jpg", "ico"):
        Image.new("RGB", (16, 16), (255, 0, 0)).save(tmp_path / f"red.{suffix}")
    program = """
import sys
from shisen.models.image_io import open_image

for suffix in ("jpg", "ico"):
    assert "PIL.IcoImagePlugin" not in sys.modules
    assert open_image(sys.argv[1] + suffix).pixels[8, 8, 0] > 250
assert "PIL.IcoImagePlugin" in sys.modules
"""
    words = [sys.executable, "-c", program, str(tmp_path / "red.")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
