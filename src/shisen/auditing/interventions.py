"""Put an artefact on images of other classes, take it off those that have it, and see what the model predicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._core.prefetch import prefetched
from .._core.stats import bootstrap, evenly_spaced, sign_flip, upper_limit
from ..targets import class_logits, probabilities, to_numpy
from ..types import InputImage
from .artefacts.base import Alter, Candidate, Images, Intervention
from .artefacts.transform import Treatment
from .fidelity import FAITHFUL, fidelity, returned
from .scanned import map_layer
from .shifts import Shift, shifts

SCREENED, TESTED, UNDONE = 64, 240, 40
STRICT = 0.2  # least effect of kinds that the class's nature moves too: they are not measured finely far below it
NEAR, RANGE, BETTER = (0.75, 1.33), (0.3, 4.0), 0.1
"""Fidelity that is near enough to 1; how many times as much may be put on; least gain of fidelity that counts."""
TUNED, TRIES = 24, 3  # images on which the amount is found, and how often
FINEST = 448  # longer side of an image that is altered, at least, where it may be reduced


@dataclass(frozen=True)
class Effect:
    """What interventions on a candidate did.

    Attributes:
        tested: images of other classes that were given the artefact.
        before, after, control: fraction of them predicted as the class: as they are, with the artefact, with a matched
            control (the same region filled from another image; for a property, the opposite change).
        controlled: whether there is such a control, and an effect to be controlled; without one it is the image as it
            is.
        effect: after − before.
        low, high: 95 % interval of the effect.
        p: one-sided permutation p-value of (after − larger of before and control), in probability; 1 for an effect
            too small to count.
        kept: fraction of the members of the class predicted as the class, as they are.
        undone: the same after the artefact was taken off.
        undone_tested: how many members that was measured on.
        examples: rows whose prediction turned, first those that turned most.
        strength: how strongly a property was put on, as `Property.alter` takes it.
        upper: one-sided 95 % limit of the fraction of images whose prediction turns, by Clopper and Pearson.
        fidelity: how far the copy moves the network's features the way the original does, 1 for as far; None where
            that cannot be determined.
        witness: the effect of the same difference put on inside the network, or None.
        shifts: other classes that lose images, which those are predicted as.
        way: which of the intervention's `ways` this was measured with.
        amount: how many times as much of it was put on as first tried, so that copies look like the original.
        inside: whether it was put on inside the network, not on the pixels.
        elsewhere: images of other classes that have it by themselves.
        elsewhere_turned: how many of these are predicted as the class.
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
    upper: float = 1.0
    fidelity: float | None = None
    witness: float | None = None
    shifts: tuple[Shift, ...] = ()
    way: int = 0
    amount: float = 1.0
    inside: bool = False
    elsewhere: int = 0
    elsewhere_turned: int = 0


class Answers(NamedTuple):
    """The output of a network for images: class probabilities `(n, classes)`, and mean activations `(n, c)`."""

    probabilities: npt.NDArray[np.float64]
    pooled: npt.NDArray[np.float32]


def answers(images: Images, rows: Sequence[int], alter: Alter | None, *, reduce: bool = False) -> Answers:
    """Return the output of the network for altered images.

    Args:
        images: where they are read from, and the model.
        rows: which.
        alter: what is done to them; None for nothing.
        reduce: alter what is far larger than the network's input at twice that size: a patch on a photo of twelve
            million pixels takes half a second otherwise. Properties of the finest detail need images as they are.

    Returns:
        Probabilities in [0, 1], and what the network sees.
    """
    model, layer = images.model, map_layer(images.model)
    most = max(FINEST, 2 * max(model.preprocess.sides)) if reduce and model.preprocess else None

    def ready(row: int) -> npt.NDArray[np.float32]:
        if alter is None:
            return model.prepare(model.read(images.paths[row]))[0]
        return model.prepare(InputImage(alter(images.read(row, most), row), images.paths[row]))[0]

    found: list[Answers] = []
    batch: list[Any] = []

    def flush() -> None:
        if batch:
            points = ["logits"] if layer is None else ["logits", layer]
            values = [to_numpy(v) for v in model.activations(np.stack(batch), points)]
            logits = to_numpy(class_logits(values[0], model.head))
            pooled = logits if layer is None else values[1].mean((1, 2))
            found.append(Answers(to_numpy(probabilities(values[0], model.head)), pooled))
            batch.clear()

    for image in prefetched(ready, rows, depth=64):
        if batch and (batch[0].shape != image.shape or len(batch) == 32):
            flush()
        batch.append(image)
    flush()
    return Answers(
        np.concatenate([f.probabilities for f in found]).astype(np.float64),
        np.concatenate([f.pooled for f in found]).astype(np.float32),
    )


def intervene(candidate: Candidate, images: Images, *, seed: int = 0) -> Effect | str:
    """Measure what an artefact does to predictions.

    Screening on a few images first, half of them the likeliest to turn: where nothing moves there, the rest is
    spared.

    Args:
        candidate: the artefact, its class and the images that have it.
        images: all images, and the model.
        seed: of the choice of images and of the permutations.

    Returns:
        What was measured; or why nothing could be: "no_way" to put it on, or "few_images" of other classes.
    """
    how = candidate.artefact.intervention(candidate, images)
    if not how.possible:
        return "no_way"
    effect = _tuned(candidate, images, how, _measured(candidate, images, how, seed), seed)
    much = 2 * candidate.artefact.least_effect  # a copy that does this much is enough of one
    for number, way in enumerate(how.ways[1:], 1):
        if isinstance(effect, str) or (effect.fidelity or 0.0) >= FAITHFUL or effect.effect >= much:
            break
        other = _tuned(candidate, images, way, _measured(candidate, images, way, seed), seed)
        if not isinstance(other, str) and _unlike(other) < _unlike(effect):
            effect = replace(other, way=number)
    within = how.within
    if isinstance(effect, str) or within is None or not _failed(effect, candidate.artefact.least_effect):
        return effect
    deep = _measured(candidate, images, within, seed)
    return effect if isinstance(deep, str) or deep.effect < within.least_inside else deep


def _tuned(candidate: Candidate, images: Images, how: Intervention, effect: Effect | str, seed: int) -> Effect | str:
    """Return the effect of so much of an artefact that copies move the features as far as the original, if any do.

    Of copies that are too strong, only an effect is measured again. Of those that are too weak, one that is large
    enough is not, unless it is a treatment: more of a transplant brings along more of what the class is.
    """
    if isinstance(effect, str) or effect.fidelity is None or how.scaled is None or how.apply is None:
        return effect
    first = effect.fidelity
    enough = effect.effect >= 2 * candidate.artefact.least_effect and candidate.artefact.order != Treatment.order
    done = enough if first < 1 else effect.effect < candidate.artefact.least_effect
    if done or NEAR[0] <= first <= NEAR[1]:
        return effect
    free = np.setdiff1d(np.flatnonzero((images.labels != candidate.label) & (images.labels >= 0)), candidate.members)
    rows = evenly_spaced(free, TUNED)
    before, factor, best = images.pooled(rows.tolist()), 1.0, (abs(first - 1), 1.0)
    seen = first
    for _ in range(TRIES):
        factor = float(np.clip(factor * np.clip(1 / max(seen, 0.1), 0.4, 2.5), *RANGE))
        after = answers(images, rows.tolist(), how.scaled(factor).apply, reduce=how.reduce).pooled
        seen = fidelity(candidate, images, before, after) or 0.0
        best = min(best, (abs(seen - 1), factor))
        if NEAR[0] <= seen <= NEAR[1]:
            break
    if best[0] > abs(first - 1) - BETTER:
        return effect
    again = _measured(candidate, images, how.scaled(best[1]), seed)
    return effect if isinstance(again, str) else replace(again, amount=best[1])


def _failed(effect: Effect, least: float) -> bool:
    """Return whether a copy on the pixels shows nothing and is known to be a poor one."""
    return effect.fidelity is not None and effect.fidelity < FAITHFUL and effect.effect < least


def _least(candidate: Candidate, how: Intervention) -> float:
    """Return the least effect that counts of this way of putting an artefact on."""
    return candidate.artefact.least_effect if how.apply is not None else how.least_inside


def _unlike(effect: Effect) -> float:
    """Return how far a copy is from the original, whichever way."""
    return np.inf if effect.fidelity is None else abs(effect.fidelity - 1.0)


def _measured(candidate: Candidate, images: Images, how: Intervention, seed: int) -> Effect | str:
    """Return what one way of putting an artefact on does."""
    k = candidate.label
    free = np.setdiff1d(np.flatnonzero((images.labels != k) & (images.labels >= 0)), candidate.members)
    if len(free) < 8:
        return "few_images"
    order = np.random.default_rng([seed, k, len(candidate.members)]).permutation(free)
    rows, after = _applied(candidate, images, how, order)
    others = [i for i in candidate.members if images.labels[i] not in (k, -1)]
    plain = images.probabilities[rows]
    turned = (after.probabilities.argmax(1) == k).astype(float) - (plain.argmax(1) == k)
    interval = bootstrap(turned, n_resamples=2000, seed=seed)
    least = _least(candidate, how)
    much = interval.low > 0 and interval.value >= least  # else there is nothing to control
    control = _controlled(images, how, rows.tolist()) if much else None
    gain = after.probabilities[:, k] - np.maximum(plain[:, k], 0.0 if control is None else control[:, k])
    gained = np.argsort(-(after.probabilities[:, k] - plain[:, k]), kind="stable")
    own = [i for i in candidate.members if images.labels[i] == k][:UNDONE]
    without = None if how.remove is None or not own else answers(images, own, how.remove, reduce=how.reduce)
    kept, undone, measured = _undone(candidate, images, own, without)
    witness = None
    if how.apply is not None and how.inside is not None:
        witness = float((how.inside(rows.tolist()).argmax(1) == k).mean() - (plain.argmax(1) == k).mean())
    return Effect(
        tested=len(rows),
        before=float((plain.argmax(1) == k).mean()),
        after=float((after.probabilities.argmax(1) == k).mean()),
        control=float(((plain if control is None else control).argmax(1) == k).mean()),
        controlled=control is not None,
        effect=interval.value,
        low=interval.low,
        high=interval.high,
        p=sign_flip(gain, two_sided=False, seed=seed) if much else 1.0,
        kept=kept,
        undone=undone,
        undone_tested=measured,
        examples=tuple(int(rows[i]) for i in gained[:3]),
        strength=how.strength,
        upper=upper_limit(int((turned > 0).sum()), len(turned)),
        fidelity=_faithful(candidate, images, how, (rows, after), (own, without)),
        witness=witness,
        shifts=_shifts(images, how, rows, after, control),
        inside=how.apply is None,
        elsewhere=len(others),
        elsewhere_turned=int((images.probabilities[others].argmax(1) == k).sum()),
    )


def _shifts(
    images: Images,
    how: Intervention,
    rows: npt.NDArray[np.int64],
    after: Answers,
    control: npt.NDArray[np.float64] | None,
) -> tuple[Shift, ...]:
    """Return which other classes lose images; beside the control where any does."""
    labels, plain = images.labels[rows], images.probabilities[rows]
    found = shifts(labels, plain, after.probabilities, control)
    if control is None and any(s.lowers for s in found):
        found = shifts(labels, plain, after.probabilities, _controlled(images, how, rows.tolist()))
    return found


def _faithful(
    candidate: Candidate,
    images: Images,
    how: Intervention,
    given: tuple[npt.NDArray[np.int64], Answers],
    taken: tuple[Sequence[int], Answers | None],
) -> float | None:
    """Return how far copies move the features the way the original does; None where that cannot be determined.

    Where (nearly) all of the class have it, there is nothing to compare the original with but these images after it
    was taken off, and put on again.

    Args:
        candidate: who has it.
        images: all images, and the model.
        how: how it is put on.
        given: rows of images that were given it, and the output of the network then.
        taken: rows of images it was taken off from, and the output of the network then; None where it cannot be.
    """
    rows, after = given[0].tolist(), given[1]
    own, without = taken
    if how.apply is None:
        return 1.0  # put on inside the network: it is the difference itself
    compared = fidelity(candidate, images, images.pooled(rows), after.pooled)
    if compared is not None or how.remove is None or without is None or 2 * len(own) < candidate.group:
        return compared
    apply, remove = how.apply, how.remove
    original = images.pooled(own)
    again = answers(images, own, lambda p, row: apply(remove(p, row), row), reduce=how.reduce).pooled
    return returned(original, without.pooled, again)


def _put_on(images: Images, how: Intervention, rows: Sequence[int]) -> Answers:
    """Return the output of the network for images with the artefact: on the pixels, or else inside the network."""
    if how.apply is not None:
        return answers(images, rows, how.apply, reduce=how.reduce)
    assert how.inside is not None
    return Answers(how.inside(rows), np.zeros((len(rows), 0), np.float32))


def _controlled(images: Images, how: Intervention, rows: Sequence[int]) -> npt.NDArray[np.float64] | None:
    """Return the probabilities of images with the matched control; None where there is none."""
    if how.apply is None:
        return None if how.inside_control is None else how.inside_control(rows)
    return None if how.control is None else answers(images, rows, how.control, reduce=how.reduce).probabilities


def _applied(
    candidate: Candidate, images: Images, how: Intervention, free: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], Answers]:
    """Return the rows that were given the artefact, of `free` in random order, and the output of the network then."""
    k, order = candidate.label, free[:TESTED]
    rows = _screened(order, images.probabilities, k)
    after = _put_on(images, how, rows.tolist())
    before = images.probabilities[rows]
    lifted = float((after.probabilities[:, k] - before[:, k]).mean())
    turned = float((after.probabilities.argmax(1) == k).mean() - (before.argmax(1) == k).mean())
    least = _least(candidate, how)
    hopeless = least >= STRICT and turned < least / 2  # though half of these images are the likeliest to turn
    if len(order) > len(rows) and (turned > 0 or lifted > 0.02) and not hopeless:
        rest = np.setdiff1d(order, rows)
        more = _put_on(images, how, rest.tolist())
        both = Answers(
            np.concatenate([after.probabilities, more.probabilities]), np.concatenate([after.pooled, more.pooled])
        )
        return np.concatenate([rows, rest]), both
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


def _undone(
    candidate: Candidate, images: Images, rows: Sequence[int], without: Answers | None
) -> tuple[float, float, int]:
    """Return the fraction of members predicted as the class, with the artefact and without, and their number."""
    k = candidate.label
    if without is None:
        return 0.0, 0.0, 0
    kept = float((images.probabilities[list(rows)].argmax(1) == k).mean())
    return kept, float((without.probabilities.argmax(1) == k).mean()), len(rows)
