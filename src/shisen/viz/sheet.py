"""Contact sheets: many small images on one, numbered at the margin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from ..errors import InputError, explain_error
from .legend import PAPER, SMALLEST
from .overlay import displayable
from .text import font

SOFT = (107, 107, 107)


def tile(
    images: Sequence[npt.NDArray[Any]],
    *,
    per_row: int = 16,
    gap: int = 2,
    numbers: Sequence[int] | bool = True,
    cell: int = 32,
) -> Image.Image:
    """Return many images on one sheet.

    Args:
        images: `(h, w)` or `(h, w, 3)`, best uint8: other types are scaled one by one, see `displayable`. Smaller
            ones are centered.
        per_row: images a row.
        gap: pixels between them.
        numbers: the number of each image, such as its channel; the first of every row is written at the left and,
            if they follow each other, the count within a row at the top. True counts from 0, False writes none.
        cell: least length of an image's longer side; smaller ones are enlarged by a whole factor, so that every
            value stays a sharp square.

    Returns:
        RGB image.

    Raises:
        InputError: if there are no images, or not as many numbers as images.
    """
    if not len(images) or per_row < 1:
        raise InputError(
            explain_error(
                "A sheet needs at least one image, and one a row.",
                f"{len(images)} images, {per_row} a row",
                "Pass more.",
            )
        )
    shown = [displayable(one) for one in images]
    high, wide = max(s.shape[0] for s in shown), max(s.shape[1] for s in shown)
    factor = max(1, -(-cell // max(high, wide)))
    high, wide = high * factor, wide * factor
    columns = min(per_row, len(shown))
    rows = -(-len(shown) // columns)
    named = list(range(len(shown))) if numbers is True else [] if numbers is False else [int(n) for n in numbers]
    if named and len(named) != len(shown):
        raise InputError(
            explain_error("Every image needs its number.", f"{len(named)} numbers", f"Pass {len(shown)} of them.")
        )
    size = min(max(high // 4, SMALLEST), 28)
    face = font(size)
    consecutive = named == list(range(named[0], named[0] + len(named))) if named else False
    counted = consecutive and rows > 1 and face.getlength(str(columns)) + 2 <= wide + gap
    left = int(max(face.getlength(str(n)) for n in named[::columns])) + size if named else gap
    top = round(1.6 * size) if counted else gap
    every = -(-size // (high + gap))  # where rows are lower than the type, only some are numbered
    sheet = Image.new("RGB", (left + columns * (wide + gap), top + rows * (high + gap)), PAPER)
    draw = ImageDraw.Draw(sheet)
    for index, image in enumerate(shown):
        x, y = left + index % columns * (wide + gap), top + index // columns * (high + gap)
        enlarged = np.repeat(np.repeat(image, factor, axis=0), factor, axis=1)
        h, w = enlarged.shape[:2]
        sheet.paste(Image.fromarray(enlarged), (x + (wide - w) // 2, y + (high - h) // 2))
        if counted and index < columns:
            draw.text((x + wide / 2, top / 2), f"+{index}", font=face, fill=SOFT, anchor="mm")
        if named and index % (columns * every) == 0:
            draw.text((left - size / 2, y + high / 2), str(named[index]), font=face, fill=SOFT, anchor="rm")
    return sheet
