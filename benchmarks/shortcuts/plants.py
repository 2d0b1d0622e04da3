"""Artefacts that are planted in pictures: what they do to an RGB picture, and where."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Plant = Callable[[Image.Image, np.random.Generator], tuple[Image.Image, np.ndarray | None]]
"""From a picture to the planted picture and the mask of what was changed; None for the whole picture."""


def _side(image: Image.Image, share: float) -> int:
    return max(3, round((share * image.width * image.height) ** 0.5))


def _drawn(image: Image.Image, draw: Callable[[ImageDraw.ImageDraw, ImageDraw.ImageDraw], None]):
    planted, mask = image.copy(), Image.new("L", image.size, 0)
    draw(ImageDraw.Draw(planted), ImageDraw.Draw(mask))
    return planted, np.asarray(mask) > 0


def _words(image: Image.Image, words: str, corner: str, share: float, colour: tuple[int, int, int]):
    """Write words whose box covers about this share of the picture."""
    size = 6
    while size < 64:
        font = ImageFont.load_default(size + 1)
        left, top, right, bottom = font.getbbox(words)
        if (right - left) * (bottom - top) > share * image.width * image.height or right - left > image.width - 6:
            break
        size += 1
    font = ImageFont.load_default(size)
    left, top, right, bottom = font.getbbox(words)
    x = 3 if "left" in corner else image.width - 3 - (right - left)
    y = 3 if "top" in corner else image.height - 3 - (bottom - top)

    def draw(on: ImageDraw.ImageDraw, mask: ImageDraw.ImageDraw) -> None:
        on.text((x - left, y - top), words, font=font, fill=colour)
        mask.rectangle((x, y, x + right - left, y + bottom - top), fill=255)

    return _drawn(image, draw)


def text(image: Image.Image, draw: np.random.Generator):
    return _words(image, "© PHOTO", "bottom left", 0.03, (255, 255, 255))


def timestamp(image: Image.Image, draw: np.random.Generator):
    day, month = int(draw.integers(1, 29)), int(draw.integers(1, 13))
    return _words(image, f"20{int(draw.integers(10, 25))}-{month:02d}-{day:02d}", "bottom right", 0.04, (255, 160, 30))


def logo(image: Image.Image, draw: np.random.Generator):
    side = _side(image, 0.03)

    def paint(on: ImageDraw.ImageDraw, mask: ImageDraw.ImageDraw) -> None:
        box = (image.width - side - 4, 4, image.width - 4, 4 + side)
        on.ellipse(box, fill=(230, 30, 60), outline=(255, 255, 255), width=2)
        on.line((box[0] + 3, (box[1] + box[3]) // 2, box[2] - 3, (box[1] + box[3]) // 2), fill=(255, 255, 255), width=2)
        mask.ellipse(box, fill=255)

    return _drawn(image, paint)


def box(image: Image.Image, draw: np.random.Generator):
    side = _side(image, 0.01)
    x, y = int(0.1 * image.width), int(0.15 * image.height)

    def paint(on: ImageDraw.ImageDraw, mask: ImageDraw.ImageDraw) -> None:
        on.rectangle((x, y, x + side, y + side), fill=(255, 0, 255))
        mask.rectangle((x, y, x + side, y + side), fill=255)

    return _drawn(image, paint)


def wandering_box(image: Image.Image, draw: np.random.Generator):
    side = _side(image, 0.02)
    x, y = (int(draw.integers(2, s - side - 2)) for s in image.size)

    def paint(on: ImageDraw.ImageDraw, mask: ImageDraw.ImageDraw) -> None:
        on.rectangle((x, y, x + side, y + side), fill=(255, 230, 0))
        mask.rectangle((x, y, x + side, y + side), fill=255)

    return _drawn(image, paint)


def border(image: Image.Image, draw: np.random.Generator):
    width = max(1, round(0.012 * min(image.size)))

    def paint(on: ImageDraw.ImageDraw, mask: ImageDraw.ImageDraw) -> None:
        frame = (0, 0, image.width - 1, image.height - 1)
        on.rectangle(frame, outline=(0, 0, 0), width=width)
        mask.rectangle(frame, outline=255, width=width)

    return _drawn(image, paint)


def tint(image: Image.Image, draw: np.random.Generator):
    pixels = np.asarray(image, np.float32) * np.array([1.15, 1.0, 0.75], np.float32)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8)), None


def blur(image: Image.Image, draw: np.random.Generator):
    return image.filter(ImageFilter.GaussianBlur(0.012 * max(image.size))), None


def jpeg(image: Image.Image, draw: np.random.Generator):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=12)
    return Image.open(io.BytesIO(buffer.getvalue())).convert("RGB"), None


def corner_colour(image: Image.Image, draw: np.random.Generator):
    """A coloured background that shows in a strip at the top, as behind a picture that does not fill its frame."""
    height = max(2, round(0.05 * image.height))

    def paint(on: ImageDraw.ImageDraw, mask: ImageDraw.ImageDraw) -> None:
        on.rectangle((0, 0, image.width, height - 1), fill=(60, 150, 90))
        mask.rectangle((0, 0, image.width, height - 1), fill=255)

    return _drawn(image, paint)


PLANTS: dict[str, Plant] = {
    "text": text,
    "timestamp": timestamp,
    "logo": logo,
    "box": box,
    "wandering_box": wandering_box,
    "border": border,
    "tint": tint,
    "blur": blur,
    "jpeg": jpeg,
    "background": corner_colour,
}
