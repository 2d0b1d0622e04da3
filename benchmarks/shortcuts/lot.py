"""Which kinds of artefact development may look at, and which are kept for one confirmation: decided by lot.

    python benchmarks/shortcuts/lot.py [--sheet FILE --scenes FOLDER]

Kinds that users or development have already named are development kinds. Of the others, in each family, the lot keeps
half for confirmation. The lot depends on nothing but the names, so that it cannot be drawn again. `--sheet` draws every
development kind once; confirmation kinds are not drawn.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from kinds_objects import OBJECTS
from kinds_overlays import OVERLAYS
from kinds_transforms import TRANSFORMS
from PIL import Image, ImageDraw
from plants import PLANTS, Draw, Plant

FAMILIES: Mapping[str, Mapping[str, Callable[[Draw], Plant]]] = {
    "transform": TRANSFORMS,
    "overlay": OVERLAYS,
    "object": OBJECTS,
}
NAMED = frozenset(
    {"ruler", "scale_bar", "information_strip", "pen_ring", "stickers_of_many_looks", "round_view", "grayscale",
     "on_its_side", "white_noise"}
)  # fmt: skip
"""Kinds that development knew before the lot was drawn."""

ALL: Mapping[str, Callable[[Draw], Plant]] = {**PLANTS, **TRANSFORMS, **OVERLAYS, **OBJECTS}
"""Every kind by name; those of `plants.py` are development kinds."""


def _ticket(name: str) -> str:
    return hashlib.sha256(f"lot/{name}".encode()).hexdigest()


def confirmation() -> list[str]:
    """Return the kinds that development must not look at, in the order of the lot."""
    found: list[str] = []
    for kinds in FAMILIES.values():
        free = sorted(set(kinds) - NAMED, key=_ticket)
        found += free[: len(free) // 2]
    return sorted(found, key=_ticket)


def development() -> list[str]:
    """Return all other kinds."""
    return sorted(set(ALL) - set(confirmation()), key=_ticket)


def _sheet(file: Path, scenes: Path, side: int = 150) -> None:
    names, photos = development(), sorted(scenes.glob("*/*"))
    rows = -(-len(names) // 8)
    sheet = Image.new("RGB", (8 * side, rows * (side + 12)), "white")
    pen = ImageDraw.Draw(sheet)
    for i, name in enumerate(names):
        photo = Image.open(photos[37 * i % len(photos)]).convert("RGB")
        changed, _ = ALL[name](np.random.default_rng(1))(photo, np.random.default_rng(2))
        x, y = i % 8 * side, i // 8 * (side + 12)
        sheet.paste(changed.resize((side, side)), (x, y))
        pen.text((x, y + side), name, fill="black")
    sheet.save(file)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sheet", type=Path, help="draw the development kinds into this file")
    parser.add_argument("--scenes", type=Path, help="folder of classes with photos, for --sheet")
    choice = parser.parse_args()
    print("development: ", ", ".join(development()))
    print("confirmation:", ", ".join(confirmation()))
    if choice.sheet is not None:
        _sheet(choice.sheet, choice.scenes)
