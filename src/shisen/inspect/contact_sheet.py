"""Feature maps as small images: normalized, reduced, with marks for dead and saturated channels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from ..errors import unknown
from ..viz.colormap import table
from ..viz.legend import INK, PAPER
from ..viz.text import font, legible

SCALES = ("channel", "layer", "article")
DEAD = ((58, 58, 62), (130, 130, 136))
SATURATED = ((250, 214, 40), (214, 84, 0))
Bytes = npt.NDArray[np.uint8]
Map = npt.NDArray[np.float32]


def levels(values: Map, scale: str = "channel") -> Bytes:
    """Return feature maps as gray levels.

    "channel" is 255 · (v − min) / (max − min) of each channel, "layer" the same with the extremes of the whole layer,
    so that channels can be compared, and "article" is 64 · (v − mean) / std + 128 each, cut off at 0 and 255.

    Args:
        values: `(h, w, c)`, in any unit; what is not a number counts as 0.
        scale: "channel", "layer" or "article".

    Returns:
        `(h, w, c)` uint8. A flat channel is 0, or 128 in the article's scale.

    Raises:
        UnknownName: for another scale.

    Reference: Chollet 2017, Deep Learning with Python, section 5.4, for the article's scale.
    """
    if scale not in SCALES:
        raise unknown("scale", scale, SCALES)
    v = np.nan_to_num(np.asarray(values, np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    axes = (0, 1, 2) if scale == "layer" else (0, 1)
    if scale == "article":
        deviation = v.std(axis=axes, keepdims=True)
        v = (v - v.mean(axis=axes, keepdims=True)) / np.where(deviation > 0, deviation, 1.0) * 64.0 + 128.0
        return np.asarray(np.clip(v, 0, 255), np.uint8)
    low, high = v.min(axis=axes, keepdims=True), v.max(axis=axes, keepdims=True)
    width = np.where(high > low, high - low, 1.0)
    return np.asarray(np.rint((v - low) / width * 255.0), np.uint8)


def shrunk(values: Map, side: int) -> Map:
    """Return maps no larger than `side` pixels: means over whole blocks of n × n, n = ⌈longest / side⌉.

    Args:
        values: `(h, w, c)`.
        side: in pixels.
    """
    h, w, c = values.shape
    n = -(-max(h, w) // side)
    if n < 2:
        return values
    high, wide = max(h // n, 1), max(w // n, 1)
    cut = values[: high * n, : wide * n]
    mean: Map = cut.reshape(high, cut.shape[0] // high, wide, cut.shape[1] // wide, c).mean(axis=(1, 3))
    return mean


def colored(level: Bytes, dead: npt.NDArray[np.bool_], saturated: npt.NDArray[np.bool_], colormap: str) -> list[Bytes]:
    """Return one color image per channel; a dead one is a gray cross, a saturated one a yellow stroke.

    Args:
        level: `(h, w, c)` uint8.
        dead: `(c,)`.
        saturated: `(c,)`.
        colormap: a matplotlib name.
    """
    colors = table(colormap)
    images = []
    for c in range(level.shape[2]):
        if dead[c] or saturated[c]:
            images.append(marked(level.shape[:2], bool(dead[c])))
        else:
            images.append(colors[level[:, :, c]])
    return images


def marked(size: tuple[int, ...], dead: bool) -> Bytes:
    """Return the mark of a channel: a cross for a dead, a stroke for a saturated one.

    Args:
        size: `(height, width)` in pixels.
        dead: True for a channel that is zero everywhere, False for a saturated one.
    """
    background, ink = DEAD if dead else SATURATED
    image = Image.new("RGB", (size[1], size[0]), background)
    draw = ImageDraw.Draw(image)
    right, low = size[1] - 1, size[0] - 1
    thick = max(1, min(size) // 24)
    draw.line((0, low, right, 0), fill=ink, width=thick)
    if dead:
        draw.line((0, 0, right, low), fill=ink, width=thick)
    return np.asarray(image)


def numbered(images: list[Bytes], numbers: npt.NDArray[np.int64], cell: int) -> list[Bytes]:
    """Return images of at least `cell` pixels with their numbers written into the corner.

    Args:
        images: the images.
        numbers: one number per image.
        cell: least height and width in pixels.
    """
    out = []
    for image, n in zip(images, numbers, strict=True):
        factor = max(1, -(-cell // max(image.shape[:2])))
        canvas = Image.fromarray(np.repeat(np.repeat(image, factor, axis=0), factor, axis=1))
        ImageDraw.Draw(canvas).text(
            (2, 1), str(n), font=font(11), fill=(255, 255, 255), stroke_width=2, stroke_fill=(20, 20, 20)
        )
        out.append(np.asarray(canvas))
    return out


def titled(image: Image.Image, words: str, size: int = 14) -> Image.Image:
    """Return the image below one or more lines of text; it is widened where the text is longer.

    Args:
        image: the image.
        words: the lines.
        size: size of the type in pixels.
    """
    face = font(size)
    lines = legible(words).split("\n")
    wide = max(image.width, int(max(face.getlength(line) for line in lines)) + size)
    high = round(1.5 * size)
    out = Image.new("RGB", (wide, image.height + high * len(lines) + size // 2), PAPER)
    draw = ImageDraw.Draw(out)
    for i, line in enumerate(lines):
        draw.text((size // 2, size // 3 + i * high), line, font=face, fill=INK)
    out.paste(image, (0, out.height - image.height))
    return out


def stacked(images: list[Image.Image], gap: int = 10) -> Image.Image:
    """Return images below one another.

    Args:
        images: the images.
        gap: distance in pixels.
    """
    out = Image.new(
        "RGB", (max(i.width for i in images), sum(i.height for i in images) + gap * (len(images) - 1)), PAPER
    )
    top = 0
    for image in images:
        out.paste(image, (0, top))
        top += image.height + gap
    return out
