"""Images of drawn creatures of which every part can be taken away or exchanged, with the mask of every part.

    python -m benchmarks.truth.creatures --sheet FILE

A class is a combination of variants of seven parts (`parts.py`). Everything else is drawn at random for the image and
says nothing about the class: colors, pose, size, position, background, light, and loose parts that lie about. So the
truth about what an answer depends on can be had by drawing the same image without a part.
"""

from __future__ import annotations

import argparse
import colorsys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from .parts import ORDER, PARTS, Points, classes

FINE = 2
"""Images are drawn this many times as large and reduced, which smooths edges."""
Color = tuple[int, int, int]


@dataclass(frozen=True)
class Pose:
    """Where a creature is: center and height of the body as fractions of the side, turn in radians, flip."""

    center: tuple[float, float]
    size: float
    turn: float = 0.0
    flip: bool = False

    def place(self, points: Points, side: int) -> list[tuple[float, float]]:
        """Return points of the creature's coordinates in pixels."""
        x, y = (points * (-1 if self.flip else 1, 1)).T * self.size * side
        c, s = np.cos(self.turn), np.sin(self.turn)
        return [
            (float(a), float(b))
            for a, b in zip(c * x - s * y + self.center[0] * side, s * x + c * y + self.center[1] * side, strict=True)
        ]


@dataclass(frozen=True)
class Creature:
    """One image before it is drawn.

    Attributes:
        parts: slot → variant.
        colors: slot → color of that part.
        pose: where the creature is.
        loose: slot, variant, color and pose of parts that lie about and belong to no creature.
        background: seed of the background.
        light: gain at the left and at the right edge.
    """

    parts: Mapping[str, str]
    colors: Mapping[str, Color]
    pose: Pose
    loose: tuple[tuple[str, str, Color, Pose], ...] = ()
    background: int = 0
    light: tuple[float, float] = (1.0, 1.0)
    hidden: frozenset[str] = field(default_factory=frozenset)

    def without(self, *slots: str) -> Creature:
        """Return the same image in which these parts are not drawn."""
        return replace(self, hidden=self.hidden | set(slots))

    def exchanged(self, slot: str, variant: str) -> Creature:
        """Return the same image with another variant of a part."""
        return replace(self, parts={**self.parts, slot: variant})

    def elsewhere(self, background: int) -> Creature:
        """Return the same creature in front of another background, without loose parts."""
        return replace(self, background=background, loose=())


def _color(draw: np.random.Generator) -> Color:
    red, green, blue = colorsys.hsv_to_rgb(draw.random(), draw.uniform(0.35, 0.9), draw.uniform(0.45, 0.95))
    return round(255 * red), round(255 * green), round(255 * blue)


def sample(parts: Mapping[str, str], draw: np.random.Generator, *, loose: int = 2) -> Creature:
    """Return a creature of a class with everything else at random.

    Args:
        parts: slot → variant, a class of `parts.classes`.
        draw: generator of all choices.
        loose: how many loose parts lie about.
    """
    size = float(draw.uniform(0.24, 0.36))
    reach = 1.15 * size
    pose = Pose(
        (float(draw.uniform(reach, 1 - reach)), float(draw.uniform(reach, 1 - reach))),
        size,
        float(draw.uniform(-0.4, 0.4)),
        bool(draw.integers(2)),
    )
    scattered = []
    for _ in range(loose):
        slot = str(draw.choice([s for s in ORDER if s != "body"]))
        x, y = (float(v) for v in draw.uniform(0.05, 0.95, 2))
        spot = Pose((x, y), float(draw.uniform(0.5, 0.9)) * size, float(draw.uniform(-3, 3)), bool(draw.integers(2)))
        scattered.append((slot, str(draw.choice(list(PARTS[slot]))), _color(draw), spot))
    left, right = (float(v) for v in draw.uniform(0.75, 1.2, 2))
    return Creature(
        parts,
        {slot: _color(draw) for slot in ORDER},
        pose,
        tuple(scattered),
        int(draw.integers(2**31)),
        (left, right),
    )


def _background(seed: int, side: int) -> Image.Image:
    draw = np.random.default_rng(seed)
    base = np.array([_color(draw), _color(draw)], np.float32)
    coarse = draw.random((int(draw.integers(3, 12)),) * 2).astype(np.float32)
    cloud = Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)
    mix = np.clip(np.asarray(cloud, np.float32), 0, 1)[..., None]
    pixels = 0.35 * 255 + 0.65 * (mix * base[0] + (1 - mix) * base[1])
    pixels += draw.normal(0, draw.uniform(2, 14), (side, side, 1))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.6))


def _tones(color: Color) -> tuple[Color, Color, Color, Color]:
    red, green, blue = (round(0.6 * v) for v in color)
    return color, (red, green, blue), (25, 22, 28), (245, 244, 238)


def draw_image(creature: Creature, side: int = 112) -> tuple[npt.NDArray[np.uint8], dict[str, npt.NDArray[np.bool_]]]:
    """Draw a creature.

    Args:
        creature: what to draw.
        side: of the image, in pixels.

    Returns:
        the image `(side, side, 3)`, and slot → `(side, side)`, where that part is visible; hidden parts are left out.
    """
    large = FINE * side
    image = _background(creature.background, large)
    owner = Image.new("L", (large, large), 0)
    pen, who = ImageDraw.Draw(image), ImageDraw.Draw(owner)
    for slot, variant, color, pose in creature.loose:
        inner = np.concatenate([points for _, points in PARTS[slot][variant]]).mean(0)
        for tone, points in PARTS[slot][variant]:
            pen.polygon(pose.place(points - inner, large), fill=_tones(color)[tone])
    for number, slot in enumerate(ORDER, 1):
        if slot in creature.hidden:
            continue
        for tone, points in PARTS[slot][creature.parts[slot]]:
            spot = creature.pose.place(points, large)
            pen.polygon(spot, fill=_tones(creature.colors[slot])[tone])
            who.polygon(spot, fill=number)
    gain = np.linspace(*creature.light, large)[None, :, None]
    lit = (np.asarray(image, np.float32) * gain).clip(0, 255).astype(np.uint8)
    small = np.asarray(Image.fromarray(lit).resize((side, side), Image.Resampling.BOX))
    owned = np.asarray(owner)[::FINE, ::FINE]
    return small, {slot: owned == i for i, slot in enumerate(ORDER, 1) if slot not in creature.hidden}


def _sheet(file: Path, side: int = 160) -> None:
    some, draw = classes(), np.random.default_rng(0)
    columns = [lambda c: c, lambda c: c.without("wings"), lambda c: c.without("body"), lambda c: c.elsewhere(7)]
    sheet = Image.new("RGB", (side * len(columns) * 2, side * 10))
    for i, parts in enumerate(some[:20]):
        creature = sample(parts, draw)
        for j, change in enumerate(columns):
            tile = Image.fromarray(draw_image(change(creature), side)[0])
            sheet.paste(tile, ((j + len(columns) * (i % 2)) * side, i // 2 * side))
    sheet.save(file)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sheet", type=Path, required=True, help="draw twenty classes, with and without parts")
    _sheet(parser.parse_args().sheet)
