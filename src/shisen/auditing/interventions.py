"""Put an artefact on images of other classes, take it off those that have it, and see what the model says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from .._core.prefetch import prefetched
from .._core.stats import bootstrap, sign_flip
from ..targets import probabilities, to_numpy
from ..types import InputImage
from .artefacts.base import Alter, Candidate, Images, Intervention, Pixels8

SCREENED, TESTED, UNDONE = 32, 240, 40
FINEST = 448  # longer side of an image that is altered, at least, where it may be reduced


@dataclass(frozen=True)
class Effect:
    """What interventions on a candidate did.

    Attributes:
        tested: images of other classes that were given the artefact.
        before, after, control: fraction of them predicted as the class: as they are, with the artefact, with a matched
            control (the same region filled from another image; for a property, the opposite change).
        controlled: whether there is such a control; without one it is the image as it is.
        effect: after − before.
        low, high: 95 % interval of the effect.
        p: one-sided permutation p-value of (after − larger of before and control), in probability.
        kept: fraction of the members of the class predicted as the class, as they are.
        undone: the same after the artefact was taken off.
        undone_tested: how many members that was measured on.
        examples: rows whose prediction turned, first those that turned most.
        strength: how strongly a property was put on, as `Property.alter` takes it.
    """

    tested: int
    before: float
    after: float
    control: float
    controlled: bool
    effect: float
    low: float
    high: float
    p: float
    kept: float
    undone: float
    undone_tested: int
    examples: tuple[int, ...]
    strength: float = 0.0


def _reduced(pixels: Pixels8, most: int) -> Pixels8:
    """Return an image with at most so many pixels on its longer side."""
    high, wide = pixels.shape[:2]
    fraction = most / max(high, wide)
    if fraction >= 1:
        return pixels
    size = max(1, round(wide * fraction)), max(1, round(high * fraction))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))


def class_probabilities(
    images: Images, rows: Sequence[int], alter: Alter | None, *, reduce: bool = False
) -> npt.NDArray[np.float64]:
    """Return the class probabilities of altered images.

    Args:
        images: where they are read from, and the model.
        rows: which.
        alter: what is done to them; None for nothing.
        reduce: alter what is far larger than the network's input at twice that size: a patch on a photo of twelve
            million pixels takes half a second otherwise. Properties of the finest detail need images as they are.

    Returns:
        `(n, classes)` in [0, 1].
    """
    model = images.model
    most = max(FINEST, 2 * max(model.preprocess.sides)) if reduce and model.preprocess else None

    def ready(row: int) -> npt.NDArray[np.float32]:
        image = model.read(images.paths[row])
        if alter is not None:
            pixels = image.pixels if most is None else _reduced(image.pixels, most)
            image = InputImage(alter(pixels, row), image.source)
        return model.prepare(image)[0]

    found: list[Any] = []
    batch: list[Any] = []

    def flush() -> None:
        if batch:
            found.append(to_numpy(probabilities(model.activations(np.stack(batch)), model.head)))
            batch.clear()

    for image in prefetched(ready, rows, depth=64):
        if batch and (batch[0].shape != image.shape or len(batch) == 32):
            flush()
        batch.append(image)
    flush()
    return np.concatenate(found).astype(np.float64)


def intervene(candidate: Candidate, images: Images, *, seed: int = 0) -> Effect | None:
    """Measure what an artefact does to predictions.

    Screening on a few images first, half of them the likeliest to turn: where nothing moves there, the rest is
    spared.

    Args:
        candidate: the artefact, its class and the images that have it.
        images: all images, and the model.
        seed: of the choice of images and of the permutations.

    Returns:
        None where it cannot be put on, or where there are too few other images.
    """
    how = candidate.artefact.intervention(candidate, images)
    if how.apply is None:
        return None
    k = candidate.label
    free = np.setdiff1d(np.flatnonzero((images.labels != k) & (images.labels >= 0)), candidate.members)
    if len(free) < 8:
        return None
    rows, after = _applied(
        candidate, images, how, np.random.default_rng([seed, k, len(candidate.members)]).permutation(free)
    )
    plain = images.probabilities[rows]
    control = (
        plain if how.control is None else class_probabilities(images, rows.tolist(), how.control, reduce=how.reduce)
    )
    turned = (after.argmax(1) == k).astype(float) - (plain.argmax(1) == k)
    interval = bootstrap(turned, n_resamples=2000, seed=seed)
    gain = after[:, k] - np.maximum(plain[:, k], control[:, k])
    gained = np.argsort(-(after[:, k] - plain[:, k]), kind="stable")
    kept, undone, measured = _undone(candidate, images, how)
    return Effect(
        tested=len(rows),
        before=float((plain.argmax(1) == k).mean()),
        after=float((after.argmax(1) == k).mean()),
        control=float((control.argmax(1) == k).mean()),
        controlled=how.control is not None,
        effect=interval.value,
        low=interval.low,
        high=interval.high,
        p=sign_flip(gain, two_sided=False, seed=seed),
        kept=kept,
        undone=undone,
        undone_tested=measured,
        examples=tuple(int(rows[i]) for i in gained[:3]),
        strength=how.strength,
    )


def _applied(
    candidate: Candidate, images: Images, how: Intervention, free: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return the rows that were given the artefact, of `free` in random order, and their probabilities with it."""
    k, order = candidate.label, free[:TESTED]
    rows = _screened(order, images.probabilities, k)
    after = class_probabilities(images, rows.tolist(), how.apply, reduce=how.reduce)
    before = images.probabilities[rows]
    lifted = float((after[:, k] - before[:, k]).mean())
    if len(order) > len(rows) and ((after.argmax(1) == k).sum() > (before.argmax(1) == k).sum() or lifted > 0.02):
        rest = np.setdiff1d(order, rows)
        more = class_probabilities(images, rest.tolist(), how.apply, reduce=how.reduce)
        return np.concatenate([rows, rest]), np.concatenate([after, more])
    return rows, after


def _screened(
    order: npt.NDArray[np.int64], before: npt.NDArray[np.float64], k: int, most: int = SCREENED
) -> npt.NDArray[np.int64]:
    """Return the rows to begin with: half of them at random, half those nearest to being taken for the class.

    What turns one image in ten may well turn none of a few random ones.
    """
    half = order[: most // 2]
    rest = order[most // 2 :]
    near = np.where(before[rest].argmax(1) == k, -1.0, before[rest, k])
    return np.concatenate([half, rest[np.argsort(-near, kind="stable")[: most - len(half)]]])


def _undone(candidate: Candidate, images: Images, how: Intervention) -> tuple[float, float, int]:
    """Return the fraction of members predicted as the class, with the artefact and without, and their number."""
    k = candidate.label
    rows = [i for i in candidate.members if images.labels[i] == k][:UNDONE]
    if how.remove is None or not rows:
        return 0.0, 0.0, 0
    after = class_probabilities(images, rows, how.remove, reduce=how.reduce)
    kept = float((images.probabilities[rows].argmax(1) == k).mean())
    return kept, float((after.argmax(1) == k).mean()), len(rows)
