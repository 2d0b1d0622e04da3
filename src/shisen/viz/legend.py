"""What is written on or beside a single image: a color bar with its unit, a word when there is no evidence."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from .colormap import table
from .text import font, font_for, legible, wrap

INK = (38, 38, 38)
PAPER = (255, 255, 255)
SMALLEST = 11  # pixels; smaller type cannot be read


def type_size(height: int, width: int) -> int:
    """Return the size of type that suits an image, in pixels.

    Args:
        height: height in pixels.
        width: width in pixels.
    """
    return int(min(max(min(height, width) / 24.0, SMALLEST), 96))


def badge(image: Image.Image, words: str) -> Image.Image:
    """Return the image with a few words in its lower left corner, if they fit there.

    Args:
        image: the image.
        words: the words.
    """
    size = type_size(image.height, image.width)
    face, pad = font_for(words, size), max(3, size // 2)
    left, top, right, bottom = face.getbbox(words)
    wide, high = right - left + 2 * pad, bottom - top + 2 * pad
    if wide > image.width or high > image.height:
        return image
    plate = Image.new("RGBA", (int(wide), int(high)), (0, 0, 0, 0))
    draw = ImageDraw.Draw(plate)
    draw.rounded_rectangle((0, 0, wide - 1, high - 1), radius=pad, fill=(20, 20, 20, 205))
    draw.text((pad - left, pad - top), words, font=face, fill=(255, 255, 255, 255))
    out = image.convert("RGB")
    gap = min(pad, image.width - int(wide), image.height - int(high))
    out.paste(plate, (gap, out.height - int(high) - gap), plate)
    return out


def number(value: float) -> str:
    """Return a number for the end of a scale: three digits, a true minus sign."""
    if value == 0.0:
        return "0"
    text = f"{value:.3g}"
    if "e" in text:
        digits, power = text.split("e")
        text = f"{digits}e{int(power)}"
    return text.replace("-", "−")


def color_bar(
    image: Image.Image,
    *,
    colormap: str = "jet",
    unit: str = "",
    limits: tuple[float, float] = (0.0, 1.0),
) -> Image.Image:
    """Return the image with a color bar on its right side.

    The type never gets smaller than can be read; a small image gets a higher canvas instead.

    Args:
        image: RGB, any size.
        colormap: the color map that was drawn with.
        unit: what the numbers are measured in, such as "logit".
        limits: the values at the cold and the hot end, in that unit.

    Returns:
        RGB image, wider than the one given, with the image unchanged at its left.
    """
    size = type_size(image.height, image.width)
    face = font(size)
    low, high = limits
    texts = [number(high), number((low + high) / 2.0), number(low)]
    height = max(image.height, 9 * size)
    gap, bar, tick = round(0.8 * size), round(0.9 * size), round(0.3 * size)
    unit = wrap(legible(unit), (height - size) / size, lines=3) if unit else ""
    label = _turned(unit, size) if unit else None
    numbers = max(face.getlength(t) for t in texts)
    strip = gap + bar + tick + round(0.3 * size) + int(np.ceil(numbers)) + gap
    strip += label.width + gap // 2 if label else 0
    out = Image.new("RGB", (image.width + strip, height), PAPER)
    out.paste(image, (0, (height - image.height) // 2))
    draw = ImageDraw.Draw(out)
    x, top, bottom = image.width + gap, size, height - size
    colors = table(colormap)[::-1]
    ramp = np.repeat(colors[np.linspace(0, 255, bottom - top).round().astype(int)][:, None], bar, axis=1)
    out.paste(Image.fromarray(np.ascontiguousarray(ramp)), (x, top))
    line = max(1, size // 14)
    draw.rectangle((x, top, x + bar - 1, bottom - 1), outline=INK, width=line)
    for text, y in zip(texts, (top, (top + bottom) // 2, bottom - 1), strict=True):
        draw.line((x + bar, y, x + bar + tick, y), fill=INK, width=line)
        draw.text((x + bar + tick + round(0.3 * size), y), text, font=face, fill=INK, anchor="lm")
    if label:
        out.paste(label, (out.width - label.width - gap // 2, (height - label.height) // 2))
    return out


def _turned(words: str, size: int) -> Image.Image:
    """Return words that read upwards."""
    face = font_for(words, size)
    ruler = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    left, top, right, bottom = ruler.multiline_textbbox((0, 0), words, font=face, spacing=size // 4, align="center")
    plate = Image.new("RGB", (int(right - left) + 2, int(bottom - top) + 2), PAPER)
    draw = ImageDraw.Draw(plate)
    draw.multiline_text((1 - left, 1 - top), words, font=face, fill=INK, spacing=size // 4, align="center")
    return plate.transpose(Image.Transpose.ROTATE_90)
