"""Put the suspected thing on images of other classes, take it off those that have it, and see what the model says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from .._core.prefetch import prefetched
from ..targets import probabilities, to_numpy
from ..types import InputImage
from .candidates import Candidate
from .compositing import blended, extended, filled, removed
from .patches import Floats, at_own_size
from .properties import PROPERTIES
from .statistics import bootstrap_mean, sign_flip
from .text_overlay import written

if TYPE_CHECKING:
    from ..models.model import Model

Pixels8 = npt.NDArray[np.uint8]
Alter = Callable[[Pixels8, int], Pixels8]

SCREENED, TESTED, UNDONE = 32, 240, 40
CALIBRATED = 12  # images on which the strength of a property is found
FINEST, LOOKED = 448, 30  # longer side, and images of each kind, from which a patch is taken for pasting
LEAST_REST = 0.1  # of the members: fewer other images of the class say nothing about what is usual in it


@dataclass(frozen=True)
class Effect:
    """What interventions on a candidate did.

    Attributes:
        tested: images of other classes that were given it.
        before, after, control: fraction of them predicted as the class: as they are, with the thing, with a matched
            control (the same place filled from another image; for a property, the opposite change).
        effect: after − before.
        low, high: 95 % interval of the effect.
        p: one-sided permutation p-value of (after − larger of before and control), in probability.
        kept: fraction of the members of the class predicted as the class, as they are.
        undone: the same after the thing was taken off.
        undone_tested: how many members that was measured on.
        examples: rows whose prediction turned, first those that turned most.
        strength: how strongly a property was put on, as `Property.alter` takes it.
    """

    tested: int
    before: float
    after: float
    control: float
    effect: float
    low: float
    high: float
    p: float
    kept: float
    undone: float
    undone_tested: int
    examples: tuple[int, ...]
    strength: float = 0.0


def strengths(model: Model, candidate: Candidate, folder: Folder) -> tuple[float, float]:
    """Return how strongly a property must be put on, and taken off, to be as it is in the group.

    On: the strength that takes images without it to the median of the members. Images of the same class are
    compared where there are enough, so that what is usual for the class is not taken for the property. Off: the
    strength that takes the members back.
    """
    kind = PROPERTIES[candidate.kind]
    if kind.alter is None:
        return 0.0, 0.0
    members = np.asarray(candidate.members, np.int64)
    own = members[folder.labels[members] == candidate.label]
    free = np.setdiff1d(np.flatnonzero(folder.labels >= 0), members)
    same = free[folder.labels[free] == candidate.label]
    reference = same if len(same) >= max(8, LEAST_REST * len(own)) else free[folder.labels[free] != candidate.label]
    if not len(reference) or not len(own):
        return 0.0, 0.0
    without = [model.read(folder.paths[i]).pixels for i in _some(reference)]
    carrying = [model.read(folder.paths[i]).pixels for i in _some(own)]
    usual = float(np.median([kind.measure(p) for p in without]))
    return kind.strength(without, candidate.target), kind.strength(carrying, usual)


def _some(rows: npt.NDArray[np.int64], most: int = CALIBRATED) -> list[int]:
    return [int(i) for i in rows[np.linspace(0, len(rows) - 1, min(len(rows), most)).astype(int)]]


Overlay = Callable[[int], tuple[Floats, Floats]]
"""From a row to the template and opacity that are put on it."""


def overlay(model: Model, candidate: Candidate, paths: Sequence[str], labels: npt.NDArray[np.int64]) -> Overlay | None:
    """Return what of a patch is put on an image; None for a property.

    The small copies in which patches are found blur thin strokes, so a patch that keeps its place is taken from the
    images themselves, at their usual size. Of writing that varies, such as dates, each image is given that of one
    member.
    """
    patch = candidate.patch
    if patch is None:
        return None
    own = labels == candidate.label
    members = [i for i in candidate.members if own[i]][:LOOKED]
    rest = _some(np.setdiff1d(np.flatnonzero(own), candidate.members), LOOKED)
    others = _some(np.setdiff1d(np.flatnonzero((labels >= 0) & ~own), candidate.members), LOOKED)
    if patch.offsets or len(members) < 3 or len(others) < 8:
        return patch.at
    read = [Image.fromarray(model.read(paths[i]).pixels) for i in (*members, *rest, *others)]
    size = np.median([image.size for image in read[: len(members)]], axis=0)
    wide, high = (int(v) for v in np.maximum(1, np.rint(size * min(1.0, FINEST / size.max()))))
    canvases = np.stack([np.asarray(image.resize((wide, high), Image.Resampling.BOX)) for image in read])
    finer = at_own_size(canvases, (len(members), len(rest)), patch)
    if finer is None:
        return patch.at
    without = canvases[len(members) + len(rest) :]
    strokes = written(np.concatenate([canvases[: len(members)], without]), len(members), *finer)
    if strokes is None:
        return lambda row: finer
    return lambda row: strokes[(7 * row + 3) % len(strokes)]


def alteration(candidate: Candidate, strength: float, overlaid: Overlay | None = None) -> Alter | None:
    """Return what gives an image the candidate's thing, or None where that cannot be done."""
    if candidate.patch is not None:
        return _pasting(overlaid or candidate.patch.at)
    alter = PROPERTIES[candidate.kind].alter
    if alter is None or not strength:
        return None
    return lambda pixels, row: alter(pixels, strength)


def _pasting(put: Overlay) -> Alter:
    """Return what pastes; a template is made ready once for each place it is put at."""
    known: dict[bytes, Floats] = {}

    def paste(pixels: Pixels8, row: int) -> Pixels8:
        template, alpha = put(row)
        place = alpha.tobytes()
        if place not in known:
            known[place] = extended(template, alpha)
        return blended(pixels, known[place], alpha)

    return paste


def undoing(candidate: Candidate, strength: float) -> Alter | None:
    """Return what takes the candidate's thing off an image, or None."""
    patch = candidate.patch
    if patch is not None:
        return lambda pixels, row: removed(pixels, patch.mask_in(row))
    return alteration(candidate, strength)


def _control(candidate: Candidate, folder: Folder, strength: float, overlaid: Overlay | None) -> Alter | None:
    """Return the matched control, None for the images as they are.

    For a patch the same place, filled from an image that does not carry the thing; for a property the opposite change.
    """
    if overlaid is None:
        return alteration(candidate, strength) if PROPERTIES[candidate.kind].opposite else None
    fill = folder.controls[~np.isin(folder.control_rows, candidate.members)]
    if not len(fill):
        return None
    still = None if candidate.patch is None or candidate.patch.offsets else filled(overlaid(0)[1])

    def control(pixels: Pixels8, row: int) -> Pixels8:
        alpha = filled(overlaid(row)[1]) if still is None else still
        other = Image.fromarray(fill[(7 * row + 3) % len(fill)]).resize(alpha.shape[::-1], Image.Resampling.BILINEAR)
        return blended(pixels, np.asarray(other, np.float32), alpha)

    return control


def _reduced(pixels: Pixels8, most: int) -> Pixels8:
    """Return an image with at most so many pixels on its longer side."""
    high, wide = pixels.shape[:2]
    fraction = most / max(high, wide)
    if fraction >= 1:
        return pixels
    size = max(1, round(wide * fraction)), max(1, round(high * fraction))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))


def class_probabilities(
    model: Model, paths: Sequence[str], rows: Sequence[int], alter: Alter | None, *, reduce: bool = False
) -> npt.NDArray[np.float64]:
    """Return the probabilities `(n, classes)` of altered images.

    With `reduce`, what is far larger than the network sees it is altered at twice that size: a patch on a photo of
    twelve million pixels takes half a second otherwise. Properties of the finest detail need images as they are.
    """
    most = max(FINEST, 2 * max(model.preprocess.sides)) if reduce and model.preprocess else None

    def ready(row: int) -> npt.NDArray[np.float32]:
        image = model.read(paths[row])
        if alter is not None:
            pixels = image.pixels if most is None else _reduced(image.pixels, most)
            image = InputImage(alter(pixels, row), image.source)
        return model.prepare(image)[0]

    found: list[Any] = []
    batch: list[Any] = []
    for image in prefetched(ready, rows, depth=64):
        if batch and (batch[0].shape != image.shape or len(batch) == 32):
            found.append(to_numpy(probabilities(model.activations(np.stack(batch)), model.head)))
            batch = []
        batch.append(image)
    if batch:
        found.append(to_numpy(probabilities(model.activations(np.stack(batch)), model.head)))
    return np.concatenate(found).astype(np.float64)


@dataclass(frozen=True)
class Folder:
    """What interventions need to know about the images.

    Attributes:
        paths: files.
        labels: class numbers.
        chances: `(n, classes)` probabilities of the images as they are.
        controls: `(m, K, K, 3)` small copies of images to fill control patches from.
        control_rows: their rows.
    """

    paths: Sequence[str]
    labels: npt.NDArray[np.int64]
    class_probabilities: npt.NDArray[np.float64]
    controls: npt.NDArray[np.uint8]
    control_rows: npt.NDArray[np.int64]


def intervene(model: Model, candidate: Candidate, folder: Folder, seed: int = 0) -> Effect | None:
    """Measure what the candidate's thing does to predictions; None where it cannot be put on or taken off.

    Screening on a few images first, half of them the likeliest to turn: where nothing moves there, the rest is
    spared.
    """
    put_on, take_off = (0.0, 0.0) if candidate.patch is not None else strengths(model, candidate, folder)
    overlaid = overlay(model, candidate, folder.paths, folder.labels)
    alter = alteration(candidate, put_on, overlaid)
    if alter is None:
        return None
    k = candidate.label
    carried = set(candidate.members)
    free = np.asarray(
        [i for i in np.flatnonzero((folder.labels != k) & (folder.labels >= 0)) if int(i) not in carried],
        dtype=np.int64,
    )
    if len(free) < 8:
        return None
    draw = np.random.default_rng([seed, k, len(candidate.members)])
    order = draw.permutation(free)[:TESTED]
    rows = _screened(order, folder.class_probabilities, k)
    reduce = candidate.patch is not None
    after = class_probabilities(model, folder.paths, rows.tolist(), alter, reduce=reduce)
    moved = after.argmax(1) == k
    before = folder.class_probabilities[rows].argmax(1) == k
    lifted = float((after[:, k] - folder.class_probabilities[rows, k]).mean())
    if len(order) > len(rows) and (moved.sum() > before.sum() or lifted > 0.02):
        rest = np.setdiff1d(order, rows)
        after = np.concatenate([after, class_probabilities(model, folder.paths, rest.tolist(), alter, reduce=reduce)])
        rows = np.concatenate([rows, rest])
    plain = folder.class_probabilities[rows]
    other = _control(candidate, folder, take_off, overlaid)
    control = plain if other is None else class_probabilities(model, folder.paths, rows.tolist(), other, reduce=reduce)
    turned = (after.argmax(1) == k).astype(float) - (plain.argmax(1) == k)
    low, high = bootstrap_mean(turned, seed)
    gain = after[:, k] - np.maximum(plain[:, k], control[:, k])
    gained = np.argsort(-(after[:, k] - plain[:, k]), kind="stable")
    kept, undone, measured = _undone(model, candidate, folder, undoing(candidate, take_off))
    return Effect(
        len(rows),
        float((plain.argmax(1) == k).mean()),
        float((after.argmax(1) == k).mean()),
        float((control.argmax(1) == k).mean()),
        float(turned.mean()),
        low,
        high,
        sign_flip(gain, seed),
        kept,
        undone,
        measured,
        tuple(int(rows[i]) for i in gained[:3]),
        put_on,
    )


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


def _undone(model: Model, candidate: Candidate, folder: Folder, alter: Alter | None) -> tuple[float, float, int]:
    """Return the fraction of members predicted as the class, with the thing and without, and their number."""
    k = candidate.label
    rows = [i for i in candidate.members if folder.labels[i] == k][:UNDONE]
    if alter is None or not rows:
        return 0.0, 0.0, 0
    after = class_probabilities(model, folder.paths, rows, alter, reduce=candidate.patch is not None)
    return (
        float((folder.class_probabilities[rows].argmax(1) == k).mean()),
        float((after.argmax(1) == k).mean()),
        len(rows),
    )
