"""A kind of artefact: black bars above and below the scene, as in a film."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from shisen._core.stats import enrichment
from shisen.auditing.artefacts.base import Candidate, Evidence, Images, Intervention

BAR = 0.1  # height of a bar, as a fraction of the image
DARK = 12  # mean pixel value, of 255, below which a bar is black
LEAST = 3  # images of a class


@dataclass(frozen=True)
class Letterbox:
    """Black bars.

    Attributes:
        kind: name of the kind.
        direction: 0: bars are there or not.
    """

    kind: str = "letterbox"
    direction: int = 0
    least_effect: ClassVar[float] = 0.05
    control_words: ClassVar[str] = "control_patch"

    @classmethod
    def propose(cls, evidence: Evidence, label: int, found: Sequence[Candidate]) -> list[Candidate]:
        """Return the candidates so far, and the bars if the class has them more often than others do."""
        bars = np.array([_barred(canvas) for canvas in evidence.canvases], dtype=bool)
        members = evidence.sampled[bars]
        labels = evidence.labels[evidence.sampled]
        inside = int((labels[bars] == label).sum())
        if inside < LEAST:
            return [*found]
        p = enrichment(inside, int((labels == label).sum()), len(members), len(labels))
        return (
            [*found, Candidate(cls(), label, tuple(int(row) for row in members), inside, p)] if p <= 0.05 else [*found]
        )

    def intervention(self, candidate: Candidate, images: Images) -> Intervention:
        """Return how to paint black bars, how to paint over them, and gray bars as the control."""
        return Intervention(
            apply=lambda pixels, row: _painted(pixels, np.zeros(3, np.uint8)),
            remove=lambda pixels, row: _uncovered(pixels),
            control=lambda pixels, row: _painted(pixels, pixels.mean(axis=(0, 1)).astype(np.uint8)),
        )

    def describe(self) -> dict[str, Any]:
        """Return plain values."""
        return {"bar": BAR}

    def words(self) -> tuple[str, Mapping[str, str]]:
        """Return its name; a name that is no key of the report's words is shown as it is."""
        return "black bars above and below", {}

    def mask_in(self, row: int) -> npt.NDArray[np.bool_] | None:
        """Return None: the bars are as wide as the image."""
        return None


def _barred(pixels: npt.NDArray[np.uint8]) -> bool:
    bar = max(1, round(BAR * len(pixels)))
    edge = max(pixels[:bar].mean(), pixels[-bar:].mean())
    return bool(edge < DARK < pixels[bar:-bar].mean())


def _painted(pixels: npt.NDArray[np.uint8], color: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    bar = max(1, round(BAR * len(pixels)))
    made = pixels.copy()
    made[:bar], made[-bar:] = color, color
    return made


def _uncovered(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    bar = max(1, round(BAR * len(pixels)))
    made = pixels.copy()
    made[:bar], made[-bar:] = pixels[bar : 2 * bar][::-1], pixels[-2 * bar : -bar][::-1]
    return made
