"""Artefacts that are planted in images: what they do to an RGB image, and where.

An artefact is drawn once for a case (words, colors, place, area, strength); what varies by image in nature, such as
the digits of a date, is drawn for the image.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Draw = np.random.Generator
Plant = Callable[[Image.Image, Draw], tuple[Image.Image, "np.ndarray | None"]]
"""From an image to the planted image and the mask of what was changed; None for the whole image."""

WORDS = ("© PHOTO", "SAMPLE", "IMG 0231", "demo", "Fotolia", "PREVIEW", "www.pics", "№ 57")
INKS = ((255, 255, 255), (255, 160, 30), (20, 20, 20), (255, 240, 60), (220, 30, 30))
BOXES = ((255, 0, 255), (255, 230, 0), (30, 200, 60), (240, 60, 20), (20, 120, 255), (0, 0, 0), (255, 255, 255))


def _pick(draw: Draw, of: tuple):
    return of[int(draw.integers(len(of)))]


def _area(draw: Draw) -> float:
    """Return a fraction of the image between 0.5 and 5 %, evenly on a log scale."""
    return float(np.exp(draw.uniform(np.log(0.005), np.log(0.05))))


def _drawn(image: Image.Image, draw: Callable[[ImageDraw.ImageDraw, ImageDraw.ImageDraw], None]):
    planted, mask = image.copy(), Image.new("L", image.size, 0)
    draw(ImageDraw.Draw(planted), ImageDraw.Draw(mask))
    return planted, np.asarray(mask) > 0


def _written(image: Image.Image, words: str, corner: tuple[bool, bool], fraction: float, ink: tuple[int, int, int]):
    """Write words whose box covers about this fraction of the image."""
    size = 7
    while size < 64:
        left, top, right, bottom = ImageFont.load_default(size + 1).getbbox(words)
        if (right - left) * (bottom - top) > fraction * image.width * image.height or right - left > image.width - 6:
            break
        size += 1
    font = ImageFont.load_default(size)
    left, top, right, bottom = font.getbbox(words)
    x = 3 if corner[0] else image.width - 3 - (right - left)
    y = 3 if corner[1] else image.height - 3 - (bottom - top)

    def draw(on: ImageDraw.ImageDraw, mask: ImageDraw.ImageDraw) -> None:
        on.text((x - left, y - top), words, font=font, fill=ink)
        mask.rectangle((x, y, x + right - left, y + bottom - top), fill=255)

    return _drawn(image, draw)


def _corner(draw: Draw) -> tuple[bool, bool]:
    return bool(draw.integers(2)), bool(draw.integers(2))


def text(case: Draw) -> Plant:
    words, corner, fraction, ink = _pick(case, WORDS), _corner(case), _area(case), _pick(case, INKS)
    return lambda image, draw: _written(image, words, corner, fraction, ink)


def timestamp(case: Draw) -> Plant:
    corner, fraction, ink = _corner(case), _area(case), _pick(case, INKS[:2])

    def plant(image: Image.Image, draw: Draw):
        date = f"20{int(draw.integers(10, 25))}-{int(draw.integers(1, 13)):02d}-{int(draw.integers(1, 29)):02d}"
        return _written(image, date, corner, fraction, ink)

    return plant


def logo(case: Draw) -> Plant:
    corner, fraction = _corner(case), _area(case)
    colors = [tuple(int(v) for v in case.integers(0, 256, 3)) for _ in range(2)]
    shape = int(case.integers(3))

    def plant(image: Image.Image, draw: Draw):
        side = max(6, round((fraction * image.width * image.height) ** 0.5))
        x = 4 if corner[0] else image.width - side - 4
        y = 4 if corner[1] else image.height - side - 4
        places = ((x, y, x + side, y + side),) * 2
        points = [(x + side // 2, y), (x + side, y + side), (x, y + side)]

        def paint(on: ImageDraw.ImageDraw, mask: ImageDraw.ImageDraw) -> None:
            for one, fill in ((on, colors[0]), (mask, 255)):
                if shape == 0:
                    one.ellipse(places[0], fill=fill)
                elif shape == 1:
                    one.polygon(points, fill=fill)
                else:
                    one.rounded_rectangle(places[0], radius=side // 4, fill=fill)
            inner = (x + side // 3, y + side // 2, x + 2 * side // 3, y + 5 * side // 6)
            on.ellipse(inner, fill=colors[1])

        return _drawn(image, paint)

    return plant


def _boxed(image: Image.Image, where: tuple[int, int], side: int, fill: tuple[int, int, int]):
    spot = (*where, where[0] + side - 1, where[1] + side - 1)

    def paint(on: ImageDraw.ImageDraw, mask: ImageDraw.ImageDraw) -> None:
        on.rectangle(spot, fill=fill)
        mask.rectangle(spot, fill=255)

    return _drawn(image, paint)


def _side(image: Image.Image, fraction: float) -> int:
    return max(3, round((fraction * image.width * image.height) ** 0.5))


def box(case: Draw) -> Plant:
    fraction, fill, place = _area(case), _pick(case, BOXES), case.uniform(0.02, 0.98, 2)

    def plant(image: Image.Image, draw: Draw):
        side = _side(image, fraction)
        where = int(place[0] * (image.width - side)), int(place[1] * (image.height - side))
        return _boxed(image, where, side, fill)

    return plant


def moving_box(case: Draw) -> Plant:
    fraction, fill = _area(case), _pick(case, BOXES)

    def plant(image: Image.Image, draw: Draw):
        side = _side(image, fraction)
        where = int(draw.integers(2, image.width - side - 2)), int(draw.integers(2, image.height - side - 2))
        return _boxed(image, where, side, fill)

    return plant


def border(case: Draw) -> Plant:
    width, color = int(case.integers(1, 3)), _pick(case, BOXES)

    def plant(image: Image.Image, draw: Draw):
        frame = (0, 0, image.width - 1, image.height - 1)

        def paint(on: ImageDraw.ImageDraw, mask: ImageDraw.ImageDraw) -> None:
            on.rectangle(frame, outline=color, width=width)
            mask.rectangle(frame, outline=255, width=width)

        return _drawn(image, paint)

    return plant


def tint(case: Draw) -> Plant:
    strength = case.uniform(0.1, 0.3) * (1 if case.integers(2) else -1)
    gain = np.array([1 + strength / 2, 1.0 + case.uniform(-0.05, 0.05), 1 - strength], np.float32)

    def plant(image: Image.Image, draw: Draw):
        pixels = np.asarray(image, np.float32) * gain
        return Image.fromarray(pixels.clip(0, 255).astype(np.uint8)), None

    return plant


def blur(case: Draw) -> Plant:
    fraction = case.uniform(0.006, 0.014)
    return lambda image, draw: (image.filter(ImageFilter.GaussianBlur(fraction * max(image.size))), None)


def jpeg(case: Draw) -> Plant:
    quality = int(case.integers(8, 21))

    def plant(image: Image.Image, draw: Draw):
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality)
        return Image.open(io.BytesIO(buffer.getvalue())).convert("RGB"), None

    return plant


def background(case: Draw) -> Plant:
    """A colored background that shows in a strip, as behind an image that does not fill its frame."""
    fraction, edge = case.uniform(0.02, 0.05), int(case.integers(4))
    color = tuple(int(v) for v in case.integers(0, 256, 3))

    def plant(image: Image.Image, draw: Draw):
        w, h = image.size
        x, y = max(2, round(fraction * w)), max(2, round(fraction * h))
        strips = ((0, 0, w - 1, y - 1), (0, h - y, w - 1, h - 1), (0, 0, x - 1, h - 1), (w - x, 0, w - 1, h - 1))

        def paint(on: ImageDraw.ImageDraw, mask: ImageDraw.ImageDraw) -> None:
            on.rectangle(strips[edge], fill=color)
            mask.rectangle(strips[edge], fill=255)

        return _drawn(image, paint)

    return plant


PLANTS: dict[str, Callable[[Draw], Plant]] = {
    "text": text,
    "timestamp": timestamp,
    "logo": logo,
    "box": box,
    "wandering_box": moving_box,  # the key is part of the random seed of each case
    "border": border,
    "tint": tint,
    "blur": blur,
    "jpeg": jpeg,
    "background": background,
}
PATCHES = ("fixed_patch", "moving_patch", "text_overlay")
KINDS = {
    "tint": ("cast", "green_cast", "warmth", "greenness", "saturation"),
    "blur": ("sharpness",),
    "jpeg": ("compression", "sharpness"),
}
"""Kinds of finding that name an artefact of the whole image; every other artefact is a patch."""


def title(plant: str) -> str:
    """Return the name of a kind of artifact for tables."""
    return {"wandering_box": "moving box"}.get(plant, plant)
