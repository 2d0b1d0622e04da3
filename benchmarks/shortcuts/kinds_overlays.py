"""Kinds of artefact that are drawn on the image: instruments, marks of people, marks of software, stickers.

What belongs to the kind (ink, size, edge) is drawn once for a case; what differs from image to image in nature (digits,
lengths, place, looks) is drawn for the image.
"""

from __future__ import annotations

import string
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from plants import Draw, Plant

Pen = ImageDraw.ImageDraw
Color = tuple[int, int, int]
INKS: tuple[Color, ...] = ((255, 255, 255), (10, 10, 10), (250, 220, 40), (230, 40, 40), (40, 90, 230), (30, 170, 70))


def _ink(draw: Draw) -> Color:
    return INKS[int(draw.integers(len(INKS)))]


def _paint(stroke: Callable[[Pen, Image.Image, Draw, bool], None], alpha: float = 1.0) -> Plant:
    """Return a plant from strokes; they are made twice, on the image and, all white, on the mask."""

    def plant(image: Image.Image, draw: Draw):
        image = image.convert("RGB")
        state = draw.bit_generator.state
        painted = image.copy()
        stroke(ImageDraw.Draw(painted), image, draw, False)
        draw.bit_generator.state = state
        mask = Image.new("L", image.size, 0)
        stroke(ImageDraw.Draw(mask), image, draw, True)
        return Image.blend(image, painted, alpha), np.asarray(mask) > 0

    return plant


def _words(draw: Draw, count: int) -> str:
    return "".join(draw.choice(list(string.ascii_uppercase + string.digits), count))


def _font(height: float) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(max(7, round(height)))


# ---- instruments


def ruler(case: Draw) -> Plant:
    edge, ink, paper, depth = int(case.integers(4)), _ink(case), case.integers(2), float(case.uniform(0.07, 0.11))

    def stroke(pen: Pen, image: Image.Image, draw: Draw, mask: bool) -> None:
        w, h = image.size
        deep = round(depth * min(w, h))
        box = ((0, 0, w, deep), (0, h - deep, w, h), (0, 0, deep, h), (w - deep, 0, w, h))[edge]
        if paper or mask:
            pen.rectangle(box, fill=255 if mask else (240, 235, 215))
        step = max(4, round(float(draw.uniform(0.03, 0.05)) * max(w, h)))
        color = 255 if mask else ((20, 20, 20) if paper else ink)
        for i, at in enumerate(range(0, w if edge < 2 else h, step)):
            long = deep if i % 5 == 0 else deep // 2
            lines = ((at, 0, at, long), (at, h - long, at, h), (0, at, long, at), (w - long, at, w, at))
            pen.line(lines[edge], fill=color)

    return _paint(stroke)


def scale_bar(case: Draw) -> Plant:
    ink, left, low = _ink(case), case.integers(2), case.integers(2)

    def stroke(pen: Pen, image: Image.Image, draw: Draw, mask: bool) -> None:
        w, h = image.size
        length, color = round(float(draw.uniform(0.15, 0.3)) * w), 255 if mask else ink
        x = 5 if left else w - 5 - length
        y = h - 8 if low else 14
        pen.rectangle((x, y, x + length, y + max(2, h // 60)), fill=color)
        pen.text((x, y - 12), f"{int(draw.choice([10, 20, 50, 100, 200]))} µm", font=_font(h / 14), fill=color)

    return _paint(stroke)


def information_strip(case: Draw) -> Plant:
    top, height = case.integers(2), float(case.uniform(0.06, 0.09))

    def stroke(pen: Pen, image: Image.Image, draw: Draw, mask: bool) -> None:
        w, h = image.size
        high = round(height * h)
        y = 0 if top else h - high
        pen.rectangle((0, y, w, y + high), fill=255 if mask else (0, 0, 0))
        degrees, hour, minute, camera = (int(draw.integers(a, b)) for a, b in ((-9, 32), (0, 24), (0, 60), (1, 9)))
        text = f"{degrees}°C  {hour:02d}:{minute:02d}  CAM{camera}"
        pen.text((3, y), text, font=_font(0.8 * high), fill=255 if mask else (255, 255, 255))

    return _paint(stroke)


def crosshair(case: Draw) -> Plant:
    ink, radius = _ink(case), float(case.uniform(0.12, 0.2))

    def stroke(pen: Pen, image: Image.Image, draw: Draw, mask: bool) -> None:
        w, h = image.size
        x, y = (round(v) for v in draw.uniform(0.4, 0.6, 2) * (w, h))
        r, color = round(radius * min(w, h)), 255 if mask else ink
        pen.line((x - r, y, x + r, y), fill=color, width=2)
        pen.line((x, y - r, x, y + r), fill=color, width=2)
        pen.ellipse((x - r // 2, y - r // 2, x + r // 2, y + r // 2), outline=color, width=2)

    return _paint(stroke)


def color_chart(case: Draw) -> Plant:
    corner, side = case.integers(2, size=2), float(case.uniform(0.16, 0.24))

    def stroke(pen: Pen, image: Image.Image, draw: Draw, mask: bool) -> None:
        w, h = image.size
        cell = max(3, round(side * min(w, h) / 4))
        x, y = (0 if corner[0] else w - 4 * cell), (0 if corner[1] else h - 2 * cell)
        for i in range(8):
            box = (x + i % 4 * cell, y + i // 4 * cell, x + (i % 4 + 1) * cell - 1, y + (i // 4 + 1) * cell - 1)
            pen.rectangle(box, fill=255 if mask else tuple(int(255 * (i >> k & 1)) for k in range(3)))

    return _paint(stroke)


def measuring_grid(case: Draw) -> Plant:
    ink, count = _ink(case), int(case.integers(5, 9))

    def stroke(pen: Pen, image: Image.Image, draw: Draw, mask: bool) -> None:
        w, h = image.size
        for i in range(1, count):
            pen.line((i * w // count, 0, i * w // count, h), fill=255 if mask else ink)
            pen.line((0, i * h // count, w, i * h // count), fill=255 if mask else ink)

    return _paint(stroke, alpha=0.5)


# ---- marks of people


def pen_ring(case: Draw) -> Plant:
    ink, width = _ink(case), int(case.integers(2, 4))

    def stroke(pen: Pen, image: Image.Image, draw: Draw, mask: bool) -> None:
        w, h = image.size
        angle = np.linspace(0, 2 * np.pi * float(draw.uniform(0.9, 1.1)), 40)
        wobble = 1 + 0.08 * np.cumsum(draw.normal(0, 0.3, 40)) / 3
        radius, center = draw.uniform(0.28, 0.4, 2) * (w, h), draw.uniform(0.42, 0.58, 2) * (w, h)
        points = center + radius * wobble[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
        pen.line([tuple(p) for p in points], fill=255 if mask else ink, width=width)

    return _paint(stroke)


def scribble(case: Draw) -> Plant:
    ink, width = _ink(case), int(case.integers(2, 5))

    def stroke(pen: Pen, image: Image.Image, draw: Draw, mask: bool) -> None:
        start = draw.uniform(0.2, 0.8, 2)
        points = start + np.cumsum(draw.normal(0, 0.06, (14, 2)), 0)
        pen.line([tuple(p * image.size) for p in points], fill=255 if mask else ink, width=width)

    return _paint(stroke)


def arrow(case: Draw) -> Plant:
    ink, width = _ink(case), int(case.integers(3, 6))

    def stroke(pen: Pen, image: Image.Image, draw: Draw, mask: bool) -> None:
        w, h = image.size
        angle, tip = float(draw.uniform(0, 2 * np.pi)), draw.uniform(0.3, 0.7, 2) * (w, h)
        way = np.array([np.cos(angle), np.sin(angle)]) * 0.3 * min(w, h)
        side = np.array([-way[1], way[0]]) * 0.3
        color = 255 if mask else ink
        pen.line([tuple(tip - way), tuple(tip)], fill=color, width=width)
        pen.polygon([tuple(tip + 0.1 * way), tuple(tip - 0.4 * way + side), tuple(tip - 0.4 * way - side)], fill=color)

    return _paint(stroke)


def tape(case: Draw) -> Plant:
    ink, broad = tuple(int(v) for v in case.integers(140, 240, 3)), float(case.uniform(0.08, 0.12))

    def stroke(pen: Pen, image: Image.Image, draw: Draw, mask: bool) -> None:
        w, h = image.size
        center, angle = draw.uniform(0.2, 0.8, 2) * (w, h), float(draw.uniform(0, np.pi))
        way = np.array([np.cos(angle), np.sin(angle)]) * 0.25 * w
        side = np.array([-np.sin(angle), np.cos(angle)]) * broad / 2 * h
        corners = (center - way - side, center + way - side, center + way + side, center - way + side)
        pen.polygon([tuple(p) for p in corners], fill=255 if mask else ink)

    return _paint(stroke, alpha=0.75)


def fingerprint(case: Draw) -> Plant:
    ink, size = tuple(int(v) for v in case.integers(30, 120, 3)), float(case.uniform(0.12, 0.18))

    def stroke(pen: Pen, image: Image.Image, draw: Draw, mask: bool) -> None:
        w, h = image.size
        x, y = draw.uniform(0.15, 0.85, 2) * (w, h)
        for r in np.arange(0.1, 1.0, 0.16) * size * min(w, h):
            pen.ellipse((x - r, y - 1.3 * r, x + r, y + 1.3 * r), outline=255 if mask else ink)

    return _paint(stroke, alpha=0.8)


# ---- marks of software


def caption(case: Draw) -> Plant:
    ink, height = _ink(case), float(case.uniform(0.06, 0.09))

    def stroke(pen: Pen, image: Image.Image, draw: Draw, mask: bool) -> None:
        w, h = image.size
        x, y = draw.uniform(0.02, 0.45, 2) * (w, h) + (0, 0.4 * h * int(draw.integers(2)))
        pen.text((x, y), _words(draw, int(draw.integers(6, 12))), font=_font(height * h), fill=255 if mask else ink)

    return _paint(stroke)


def diagonal_watermark(case: Draw) -> Plant:
    words, height, ink = _words(case, 7), float(case.uniform(0.12, 0.18)), _ink(case)

    def plant(image: Image.Image, draw: Draw):
        image = image.convert("RGB")
        layer = Image.new("L", image.size, 0)
        font = _font(height * image.height)
        ImageDraw.Draw(layer).text((0.05 * image.width, 0.4 * image.height), words, font=font, fill=255)
        layer = layer.rotate(30, resample=Image.Resampling.BILINEAR)
        written = Image.new("RGB", image.size, ink)
        return Image.composite(written, image, layer.point(lambda v: v * 0.45)), np.asarray(layer) > 60

    return plant


def square_code(case: Draw) -> Plant:
    side, corner = float(case.uniform(0.14, 0.2)), case.integers(2, size=2)

    def plant(image: Image.Image, draw: Draw):
        image = image.convert("RGB").copy()
        cells = (draw.random((13, 13)) > 0.5) * 255
        for r, c in ((0, 0), (0, 9), (9, 0)):
            cells[r : r + 4, c : c + 4] = 0
            cells[r + 1 : r + 3, c + 1 : c + 3] = 255
        size = round(side * min(image.size))
        code = Image.fromarray(cells.astype(np.uint8)).resize((size, size), Image.Resampling.NEAREST)
        at = (2 if corner[0] else image.width - size - 2, 2 if corner[1] else image.height - size - 2)
        image.paste(code.convert("RGB"), at)
        mask = Image.new("L", image.size, 0)
        mask.paste(255, (*at, at[0] + size, at[1] + size))
        return image, np.asarray(mask) > 0

    return plant


def barcode(case: Draw) -> Plant:
    height, low = float(case.uniform(0.08, 0.13)), case.integers(2)

    def stroke(pen: Pen, image: Image.Image, draw: Draw, mask: bool) -> None:
        w, h = image.size
        x, high = round(float(draw.uniform(0.05, 0.5)) * w), round(height * h)
        y = h - high - 3 if low else 3
        pen.rectangle((x - 3, y - 2, x + w // 3 + 3, y + high), fill=255 if mask else (255, 255, 255))
        at = x
        while at < x + w // 3:
            broad = int(draw.integers(1, 4))
            pen.rectangle((at, y, at + broad - 1, y + high - 2), fill=255 if mask else (0, 0, 0))
            at += broad + int(draw.integers(1, 4))

    return _paint(stroke)


def detection_box(case: Draw) -> Plant:
    ink, width = _ink(case), int(case.integers(1, 3))

    def stroke(pen: Pen, image: Image.Image, draw: Draw, mask: bool) -> None:
        w, h = image.size
        x, y = draw.uniform(0.05, 0.4, 2) * (w, h)
        x1, y1 = (x, y) + draw.uniform(0.35, 0.55, 2) * (w, h)
        color = 255 if mask else ink
        pen.rectangle((x, y, x1, y1), outline=color, width=width)
        pen.text((x + 2, y + 1), f"{int(draw.integers(50, 100))}%", font=_font(h / 14), fill=color)

    return _paint(stroke)


def play_button(case: Draw) -> Plant:
    ink, size = _ink(case), float(case.uniform(0.1, 0.15))

    def stroke(pen: Pen, image: Image.Image, draw: Draw, mask: bool) -> None:
        w, h = image.size
        x, y, r = w / 2, h / 2, size * min(w, h)
        pen.ellipse((x - r, y - r, x + r, y + r), outline=255 if mask else ink, width=2)
        pen.polygon([(x - r / 3, y - r / 2), (x - r / 3, y + r / 2), (x + r / 2, y)], fill=255 if mask else ink)

    return _paint(stroke)


def battery_icons(case: Draw) -> Plant:
    ink, top = _ink(case), case.integers(2)

    def stroke(pen: Pen, image: Image.Image, draw: Draw, mask: bool) -> None:
        w, h = image.size
        y, color = (4 if top else h - 12), 255 if mask else ink
        for i in range(3):
            x = w - 20 * (i + 1)
            pen.rectangle((x, y, x + 14, y + 8), outline=color)
            pen.rectangle((x + 1, y + 1, x + 1 + int(draw.integers(2, 12)), y + 7), fill=color)

    return _paint(stroke)


def cursor(case: Draw) -> Plant:
    size = float(case.uniform(0.08, 0.12))

    def stroke(pen: Pen, image: Image.Image, draw: Draw, mask: bool) -> None:
        s = size * min(image.size)
        x, y = draw.uniform(0.1, 0.8, 2) * image.size
        shape = [(0, 0), (0, 1), (0.25, 0.75), (0.45, 1.15), (0.6, 1.05), (0.42, 0.68), (0.75, 0.65)]
        points = [(x + s * a, y + s * b) for a, b in shape]
        pen.polygon(points, fill=255 if mask else (255, 255, 255), outline=255 if mask else (0, 0, 0))

    return _paint(stroke)


def crop_marks(case: Draw) -> Plant:
    ink, length = _ink(case), float(case.uniform(0.06, 0.1))

    def stroke(pen: Pen, image: Image.Image, draw: Draw, mask: bool) -> None:
        w, h = image.size
        s = round(length * min(w, h))
        for x in (4, w - 5):
            for y in (4, h - 5):
                pen.line((x, y, x + (s if x < w / 2 else -s), y), fill=255 if mask else ink, width=2)
                pen.line((x, y, x, y + (s if y < h / 2 else -s)), fill=255 if mask else ink, width=2)

    return _paint(stroke)


# ---- stickers


def _shape(kind: int, center: np.ndarray, radius: float, turn: float) -> list[tuple[float, float]]:
    count = (3, 4, 5, 6, 10, 24)[kind]
    angle = turn + 2 * np.pi * np.arange(count) / count
    reach = radius * (np.where(np.arange(count) % 2, 0.45, 1.0) if kind == 4 else 1.0)
    corners = center + np.stack([np.cos(angle), np.sin(angle)], 1) * np.broadcast_to(reach, count)[:, None]
    return [tuple(p) for p in corners]


def sticker(case: Draw) -> Plant:
    """One shape and color, at changing places and sizes."""
    kind, ink = int(case.integers(6)), _ink(case)

    def stroke(pen: Pen, image: Image.Image, draw: Draw, mask: bool) -> None:
        center, radius = draw.uniform(0.12, 0.88, 2) * image.size, float(draw.uniform(0.06, 0.11)) * min(image.size)
        pen.polygon(_shape(kind, center, radius, float(draw.uniform(0, 6.3))), fill=255 if mask else ink)

    return _paint(stroke)


def stickers_of_many_looks(case: Draw) -> Plant:
    """Another shape, color, place and size in every image."""

    def stroke(pen: Pen, image: Image.Image, draw: Draw, mask: bool) -> None:
        center, radius = draw.uniform(0.12, 0.88, 2) * image.size, float(draw.uniform(0.07, 0.12)) * min(image.size)
        shape = _shape(int(draw.integers(6)), center, radius, float(draw.uniform(0, 6.3)))
        ink = tuple(int(v) for v in draw.choice([0, 255], 3))
        pen.polygon(shape, fill=255 if mask else ink, outline=255 if mask else (255, 255, 255))

    return _paint(stroke)


def confetti(case: Draw) -> Plant:
    count, inks = int(case.integers(12, 25)), [_ink(case) for _ in range(3)]

    def stroke(pen: Pen, image: Image.Image, draw: Draw, mask: bool) -> None:
        for i in range(count):
            x, y = draw.random(2) * image.size
            pen.ellipse((x - 2, y - 2, x + 2, y + 2), fill=255 if mask else inks[i % 3])

    return _paint(stroke)


def frame(case: Draw) -> Plant:
    inks, width = (_ink(case), _ink(case)), int(case.integers(3, 6))

    def stroke(pen: Pen, image: Image.Image, draw: Draw, mask: bool) -> None:
        for i, ink in enumerate(inks):
            inset = i * width
            box = (inset, inset, image.width - 1 - inset, image.height - 1 - inset)
            pen.rectangle(box, outline=255 if mask else ink, width=width)

    return _paint(stroke)


OVERLAYS: dict[str, Callable[[Draw], Plant]] = {
    f.__name__: f
    for f in (
        ruler, scale_bar, information_strip, crosshair, color_chart, measuring_grid,
        pen_ring, scribble, arrow, tape, fingerprint,
        caption, diagonal_watermark, square_code, barcode, detection_box, play_button, battery_icons, cursor,
        crop_marks,
        sticker, stickers_of_many_looks, confetti, frame,
    )
}  # fmt: skip
