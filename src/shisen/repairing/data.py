"""The images of a repair: which are learned from, which choose among treatments, and which only prove."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .._core.prefetch import prefetched
from ..errors import InputError, explain_error
from ..training.data import Dataset, Item

CHOICE, KEPT = 75, 80
"""Of a hundred values of the hash of a file: from here on an image chooses among treatments; and an image that was
audited too is kept for the proof alone from here on."""
LEAST = 40  # images to learn from, and half as many to choose by


@dataclass(frozen=True)
class Parts:
    """How the images of a repair are divided, by the SHA-256 of their files alone.

    Attributes:
        items: the images.
        labels: `(n,)` class numbers.
        learn: rows that treatments learn from.
        choose: rows by which one is chosen.
        digests: of the files of these rows.
    """

    items: tuple[Item, ...]
    labels: npt.NDArray[np.int64]
    learn: npt.NDArray[np.int64]
    choose: npt.NDArray[np.int64]
    digests: frozenset[str]

    @property
    def digest(self) -> str:
        """One name for all of these files."""
        return hashlib.sha256("".join(sorted(self.digests)).encode()).hexdigest()[:16]


def divided(data: Dataset, labels: npt.NDArray[np.int64], audited: Collection[str]) -> Parts:
    """Divide images into those that are learned from and those that choose.

    Of equal files only the first one counts, so that no image is on both sides.

    Args:
        data: the images.
        labels: `(n,)` class numbers; images without one (−1) are left out.
        audited: digests of the files that were audited.

    Returns:
        The parts; images that were audited too and have a high hash are in neither.

    Raises:
        InputError: where there are too few.
    """
    digests = list(prefetched(_digest, [item.path for item in data.items]))
    learn: list[int] = []
    choose: list[int] = []
    seen: set[str] = set()
    for row, digest in enumerate(digests):
        if not digest or digest in seen or labels[row] < 0:
            continue
        seen.add(digest)
        value = int(digest[:8], 16) % 100
        if value >= KEPT and digest in audited:
            continue
        (learn if value < CHOICE else choose).append(row)
    if len(learn) < LEAST or len(choose) < LEAST // 2:
        received = f"{len(learn)} to learn from and {len(choose)} to choose by, of {len(data.items)}"
        advice = "Give the images that the model was trained on."
        raise InputError(
            explain_error(f"A repair needs {LEAST} images to learn from and {LEAST // 2} more.", received, advice)
        )
    used = frozenset(digests[row] for row in (*learn, *choose))
    return Parts(data.items, labels, np.asarray(learn, np.int64), np.asarray(choose, np.int64), used)


def _digest(path: str) -> str:
    """Return the SHA-256 of a file; "" where it cannot be decoded."""
    from ..training.data import fingerprint

    return fingerprint(path).sha256
