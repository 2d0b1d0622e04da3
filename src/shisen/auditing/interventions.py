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
from .fidelity import FAITHFUL, fidelity, returned, visible_difference
from .findings import Trial, judged
from .scanned import map_layer
from .shifts import Shift, shifts

SCREENED, ENOUGH, TESTED, UNDONE = 64, 144, 240, 40
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

    def joined(self, more: Answers) -> Answers:
        """Return these and those for more images."""
        probabilities = np.concatenate([self.probabilities, more.probabilities])
        return Answers(probabilities, np.concatenate([self.pooled, more.pooled]))


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

    Screening on a few images first, half of them the likeliest to turn; then on more of them as long as the state that
    follows is not the same at both ends of the effect's interval. A control is measured where it can decide.

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
    """Return what one way of putting an artefact on does: on as many images as its state takes to be decided."""
    k = candidate.label
    free = np.setdiff1d(np.flatnonzero((images.labels != k) & (images.labels >= 0)), candidate.members)
    if len(free) < 8:
        return "few_images"
    order = np.random.default_rng([seed, k, len(candidate.members)]).permutation(free)[:TESTED]
    taken = _taken_off(candidate, images, how)
    rows = _screened(order[:ENOUGH], images.probabilities, k)
    after = _put_on(images, how, rows.tolist())
    for most in (ENOUGH, TESTED):
        effect = _effect(candidate, images, how, (rows, after), taken, seed=seed)
        if len(rows) == len(order) or not _undecided(candidate, effect, how, screened=most == ENOUGH):
            break
        rest = np.setdiff1d(order[:most], rows)
        rows, after = np.concatenate([rows, rest]), after.joined(_put_on(images, how, rest.tolist()))
    else:
        effect = _effect(candidate, images, how, (rows, after), taken, seed=seed)
    plain = images.probabilities[rows]
    witness = None
    if how.apply is not None and how.inside is not None:
        witness = float((how.inside(rows.tolist()).argmax(1) == k).mean() - effect.before)
    effect = replace(effect, witness=witness)
    counts = judged(Trial(candidate, effect), 0.0)[0] == "used"
    if not counts and not any(s.lowers for s in effect.shifts):  # whatever a control did
        return effect
    control = _controlled(images, how, rows.tolist())
    against = plain if control is None else control
    gain = after.probabilities[:, k] - np.maximum(plain[:, k], against[:, k])
    return replace(
        effect,
        control=float((against.argmax(1) == k).mean()),
        controlled=control is not None,
        p=sign_flip(gain, two_sided=False, seed=seed) if counts else 1.0,
        shifts=shifts(images.labels[rows], plain, after.probabilities, control),
    )


def _effect(
    candidate: Candidate,
    images: Images,
    how: Intervention,
    given: tuple[npt.NDArray[np.int64], Answers],
    taken: TakenOff,
    *,
    seed: int,
) -> Effect:
    """Return what an artefact does to the images that were given it, without a control.

    Args:
        candidate: the artefact, its class and the images that have it.
        images: all images, and the model.
        how: how it is put on.
        given: rows of the images that were given it, and the output of the network then.
        taken: what taking it off does.
        seed: of the interval.
    """
    k, (rows, after) = candidate.label, given
    plain = images.probabilities[rows]
    turned = (after.probabilities.argmax(1) == k).astype(float) - (plain.argmax(1) == k)
    interval = bootstrap(turned, n_resamples=2000, seed=seed)
    gained = np.argsort(-(after.probabilities[:, k] - plain[:, k]), kind="stable")
    others = [i for i in candidate.members if images.labels[i] not in (k, -1)]
    before = float((plain.argmax(1) == k).mean())
    copied: float | None = 1.0  # put on inside the network: it is the difference itself
    if how.apply is not None:
        copied = fidelity(candidate, images, images.pooled(rows.tolist()), after.pooled)
    return Effect(
        tested=len(rows),
        before=before,
        after=float((after.probabilities.argmax(1) == k).mean()),
        control=before,
        controlled=False,
        effect=interval.value,
        low=interval.low,
        high=interval.high,
        p=1.0,
        kept=taken.kept,
        undone=taken.undone,
        undone_tested=taken.tested,
        examples=tuple(int(rows[i]) for i in gained[:3]),
        strength=how.strength,
        upper=upper_limit(int((turned > 0).sum()), len(turned)),
        fidelity=taken.returned if copied is None else copied,
        shifts=shifts(images.labels[rows], plain, after.probabilities, None),
        inside=how.apply is None,
        elsewhere=len(others),
        elsewhere_turned=int((images.probabilities[others].argmax(1) == k).sum()),
    )


def _undecided(candidate: Candidate, effect: Effect, how: Intervention, *, screened: bool) -> bool:
    """Return whether more images may change the state: it is not the same at both ends of the effect's interval.

    Or whether they may show that other classes are lowered.

    Args:
        candidate: the candidate.
        effect: what was measured so far.
        how: how it is put on.
        screened: whether half of the images were chosen as those nearest to turning: then the effect on others may be
            as low as 0.
    """
    ends = (0.0 if screened else effect.low, max(effect.high, effect.upper))
    at = [replace(effect, effect=e, low=e, upper=e, after=effect.before + e) for e in ends]
    low, high = (judged(Trial(candidate, one), 0.0)[0] for one in at)
    if _least(candidate, how) >= STRICT and high != "used":
        return False
    return low != high or any(s.may_lower or (screened and s.lowers) for s in effect.shifts)


class TakenOff(NamedTuple):
    """What taking an artefact off does.

    Attributes:
        kept: fraction of its images predicted as the class, as they are.
        undone: the same after it was taken off.
        tested: images that was measured on; 0 where it cannot be taken off.
        returned: how far they come back when it is put on again; None where that is not needed or not known.
    """

    kept: float = 0.0
    undone: float = 0.0
    tested: int = 0
    returned: float | None = None


def _taken_off(candidate: Candidate, images: Images, how: Intervention) -> TakenOff:
    """Return what taking an artefact off its images does.

    Where (nearly) all of the class have it, there is nothing to compare the original with but these images after it
    was taken off, and put on again.
    """
    k, apply, remove = candidate.label, how.apply, how.remove
    rows = [i for i in candidate.members if images.labels[i] == k][:UNDONE]
    if remove is None or not rows:
        return TakenOff()
    without, again = answers(images, rows, remove, reduce=how.reduce), None
    alone = 2 * len(rows) >= candidate.group and visible_difference(candidate, images) is None
    if apply is not None and alone:
        back = answers(images, rows, lambda p, row: apply(remove(p, row), row), reduce=how.reduce)
        again = returned(images.pooled(rows), without.pooled, back.pooled)
    kept, undone = (float((p.argmax(1) == k).mean()) for p in (images.probabilities[rows], without.probabilities))
    return TakenOff(kept, undone, len(rows), again)


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
