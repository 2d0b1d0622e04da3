"""Type: one family for every image, lines that fit, and no boxes where a font lacks a character."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from PIL import ImageFont

LATIN = "DejaVu Sans"  # comes with matplotlib, so it is always there
JAPANESE = (
    "Noto Sans CJK JP",
    "Noto Sans JP",
    "Source Han Sans JP",
    "IPAexGothic",
    "IPAGothic",
    "TakaoGothic",
    "VL Gothic",
    "Hiragino Sans",
    "Yu Gothic",
    "Meiryo",
    "MS Gothic",
    "WenQuanYi Zen Hei",
    "Droid Sans Fallback",
    "Arial Unicode MS",
)
MISSING = "□"


@lru_cache(maxsize=1)
def families() -> tuple[str, ...]:
    """Return the font families to draw with, those that are installed: Latin first, then one for Japanese."""
    from matplotlib import font_manager

    installed = {entry.name for entry in font_manager.fontManager.ttflist}
    return (LATIN, *[name for name in JAPANESE if name in installed][:1])


@lru_cache(maxsize=8)
def _path(family: str) -> str:
    from matplotlib import font_manager

    return str(font_manager.findfont(font_manager.FontProperties(family=family)))


@lru_cache(maxsize=8)
def _characters(family: str) -> frozenset[int]:
    """Return every code point that a family can draw."""
    from matplotlib import font_manager

    return frozenset(font_manager.get_font(_path(family)).get_charmap())


def covered(text: str, family: str = LATIN) -> bool:
    """Return whether a family has all characters of a text.

    Args:
        text: the text.
        family: name of the font family.
    """
    known = _characters(family)
    return all(ord(c) in known for c in text if c != "\n")


def legible(text: str) -> str:
    """Return the text with a box for every character that no installed font has, which nobody is warned about."""
    known = frozenset().union(*(_characters(name) for name in families()))
    return "".join(c if ord(c) in known or c == "\n" else MISSING for c in text.replace("\t", " "))


@lru_cache(maxsize=32)
def font(size: int, family: str = LATIN) -> ImageFont.FreeTypeFont:
    """Return the font for drawing with Pillow, `size` pixels high.

    Args:
        size: height of the characters in pixels.
        family: name of the font family.
    """
    return ImageFont.truetype(_path(family), size)


def font_for(text: str, size: int) -> ImageFont.FreeTypeFont:
    """Return the first font that has all characters of a text, or the Latin one.

    Args:
        text: the text.
        size: height of the characters in pixels.
    """
    return font(size, next((name for name in families() if covered(text, name)), LATIN))


def width(text: str) -> float:
    """Return the width of one line in units of the font size; wide East Asian characters count as one."""
    latin = "".join(c for c in text if unicodedata.east_asian_width(c) not in "WF")
    return len(text) - len(latin) + font(100).getlength(latin) / 100.0


def _pieces(text: str) -> list[str]:
    """Return where a line may break: after spaces, underscores, slashes and between wide characters."""
    pieces = [""]
    for c in text:
        wide = unicodedata.east_asian_width(c) in "WF"
        if wide and pieces[-1]:
            pieces.append("")
        pieces[-1] += c
        if wide or c in " _/-,":
            pieces.append("")
    return [p for p in pieces if p]


def wrap(text: str, room: float, lines: int = 3) -> str:
    """Return a text broken into lines.

    Args:
        text: one or several lines.
        room: width of a line in units of the font size.
        lines: how many lines there may be; what is left ends in an ellipsis.
    """
    out: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for piece in _pieces(paragraph):
            while width(piece.rstrip()) > room and len(piece) > 1:  # a word longer than a line
                cut = next((i for i in range(len(piece), 1, -1) if width(line + piece[:i]) <= room), 0)
                if cut:
                    out.append(line + piece[:cut])
                    line, piece = "", piece[cut:]
                elif line:
                    out.append(line.rstrip())
                    line = ""
                else:
                    out.append(piece[0])
                    piece = piece[1:]
            if line and width((line + piece).rstrip()) > room:
                out.append(line.rstrip())
                line = ""
            line += piece
        out.append(line.rstrip())
    if len(out) > lines:
        last = out[lines - 1]
        while last and width(last + "…") > room:
            last = last[:-1]
        out = [*out[: lines - 1], last.rstrip() + "…"]
    return "\n".join(out)
