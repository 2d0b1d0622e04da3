"""A treatment of the whole image from a library of transforms, recognized by a detector that learned it.

For each transform a logistic regression on pooled early features of the embedded network tells copies of the folder's
own images that were treated from the same images as they are. It is cross-fitted: no image is judged by a detector
that has seen it, or its class. What a class has more of than others is a candidate; putting it on is the transform
itself, as strongly as explains best, in the same features, how the images that have it differ from others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from ..._core.prefetch import prefetched
from ..._core.stats import evenly_spaced
from ..transforms import TRANSFORMS, Transform
from ..warps import Change
from .base import Candidate, Evidence, Images, Intervention
from .property import FEWEST, best_cut

LEAST, TRAINED = 60, 48  # images, of all classes, that detectors learn from
FOLDS = 6  # of classes
SIDE = 160  # longer side at which images are treated and looked at
BATCH = 64  # images that are looked at together
MISSED = 0.05  # fraction of treated copies that may lie below the least score of a member
MOST = 3  # candidates of a class
AMOUNTS = (0.4, 0.63, 1.0, 1.6, 2.5)  # of a transform
LEARNED = (0.5, 2.0)  # least and most of them that a detector learns from
FITTED = 8  # images on which an amount is found
FEW_REST, EXPLAINED = 5, 0.9  # images to compare with; fraction left unexplained below which an amount is known
NEARLY, ENOUGH = 0.8, 8  # of that amount, at least, of copies that show how its images score; how many are needed
CERTAIN = 1e-5
"""Largest p of the association of a treatment that is called used."""
MISFIT = 0.7
"""Largest fraction of what sets its images apart that it may leave unexplained."""
WHOLE, PURE = 0.8, 0.9
"""Fractions: of a class that must have it, and of those that have it that must be of the class, else."""
RARE = 1.2  # images of other classes that the detector takes for treated, at most, for each one of the class


class Scores(NamedTuple):
    """The output of a detector: `(n,)` scores of images as they are, `(m,)` of treated copies, and their amounts."""

    images: npt.NDArray[np.float64]
    copies: npt.NDArray[np.float64]
    amounts: npt.NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Treatment:
    """A transform of the library.

    Attributes:
        name: its name there.
        alike: how treated the members look to the detector: their mean percentile among treated copies, in [0, 1].
        amount: how many times as strong as in the library.
        misfit: fraction of the members' difference from others that treated copies do not explain, at most 0.9.
    """

    name: str
    alike: float = 0.5
    amount: float = 1.0
    misfit: float = 0.0
    direction: int = 0
    order: ClassVar[int] = 1
    least_effect: ClassVar[float] = 0.1
    control_words: ClassVar[str] = "control_transform"

    @property
    def kind(self) -> str:
        """Name of the kind."""
        return f"transform_{self.name}"

    @classmethod
    def propose(cls, evidence: Evidence, label: int, found: Sequence[Candidate]) -> list[Candidate]:
        """Return the candidates so far, and the treatments that the class has most often."""
        few = (evidence.labels[evidence.sampled] == label).sum() < FEWEST
        if evidence.embed is None or evidence.read is None or len(evidence.sampled) < LEAST or few:
            return list(found)
        if "transforms" not in evidence.memo:
            evidence.memo["transforms"] = detected(evidence)
        _, scores = evidence.memo["transforms"]
        cuts = (
            _cut(name, given, float(np.quantile(given.copies, MISSED)), evidence, label)
            for name, given in scores.items()
        )
        new = [c for c in cuts if c is not None]
        new.sort(key=lambda c: (c.p, c.kind))
        return [*found, *[_graded(c, evidence) for c in new if c.p <= 0.05][:MOST]]

    def describe(self) -> dict[str, Any]:
        """Return plain values."""
        return {"transform": self.name, "amount": self.amount}

    def words(self) -> tuple[str, Mapping[str, str]]:
        """Return the key of its name in words."""
        return self.kind, {}

    def mask_in(self, row: int) -> None:
        """Return None: it is of the whole image."""

    def intervention(self, candidate: Candidate, images: Images) -> Intervention:
        """Return how to treat images, and how to undo it where that can be done."""
        one = TRANSFORMS[self.name]

        def scaled(factor: float) -> Intervention:
            return Intervention(_by_row(one.at(self.amount * factor)), _by_row(one.remove), _by_row(one.control))

        return replace(scaled(1.0), scaled=None if one.grade is None else scaled)


def _by_row(change: Change | None) -> Any:
    """Return a change whose random draws belong to the image."""
    if change is None:
        return None
    return lambda pixels, row: change(pixels, np.random.default_rng([row, 7]))


def detected(evidence: Evidence) -> tuple[npt.NDArray[np.int64], dict[str, Scores]]:
    """Return the rows that were looked at, and the output of each detector for them.

    Args:
        evidence: with `read` and `embed`.
    """
    assert evidence.embed is not None
    assert evidence.read is not None
    embed, read = evidence.embed, evidence.read
    rows = evidence.sampled
    chosen = evenly_spaced(np.arange(len(rows)), TRAINED)
    looked: dict[int, npt.NDArray[np.uint8]] = {}
    features = []
    stream = prefetched(lambda i: reduced(read(i)), rows.tolist())
    for start in range(0, len(rows), BATCH):
        images = list(islice(stream, BATCH))
        looked.update({start + n: image for n, image in enumerate(images) if start + n in chosen})
        features.append(embed(images))
    whole = np.concatenate(features)
    center, scale = whole.mean(0), whole.std(0) + 1e-3
    plain = (whole - center) / scale
    evidence.memo["plain"] = plain, center, scale
    classes = np.unique(evidence.labels[rows], return_inverse=True)[1]
    # one class has nobody to learn from: halves judge each other
    folds = classes % FOLDS if classes.max() else np.arange(len(rows)) % 2
    shown = [(looked[j], int(rows[j])) for j in chosen.tolist()]
    amounts = np.asarray([_amount(row) for _, row in shown])
    found = {}
    for name, transform in TRANSFORMS.items():
        copies = embed(list(prefetched(partial(_treated, transform), shown)))
        found[name] = _cross_fitted(plain, chosen, (copies - center) / scale, folds)._replace(amounts=amounts)
    return rows, found


def explains(candidate: Candidate, treatment: Treatment) -> bool:
    """Return whether a treatment explains what sets its images apart, or need not.

    Of nearly all of a class, which hardly any images of other classes resemble, there is nothing to compare with but
    these.

    Args:
        candidate: who has it.
        treatment: what it is, or is led by.
    """
    whole = candidate.inside > WHOLE * candidate.group and candidate.inside >= PURE * len(candidate.members)
    return treatment.misfit <= MISFIT or whole


def _cut(name: str, given: Scores, least: float, evidence: Evidence, label: int) -> Candidate | None:
    """Return the images that go with a class most surely, of those with a score of at least `least`; None for none."""
    rows, scores = evidence.memo["transforms"]
    own = evidence.labels[rows] == label
    values = np.where(given.images >= least, given.images, least - 1.0)
    order = np.argsort(-values, kind="stable")
    cut = best_cut(values[order], own[order])
    if cut is None or values[order[cut.last]] < least:
        return None
    members = rows[order[: cut.last + 1]]
    inside = int((evidence.labels[members] == label).sum())
    if (len(members) - inside) > RARE * inside:
        return None
    p = min(1.0, cut.p * len(scores))
    mine = given.images[np.isin(rows, members) & own]
    alike = float(np.searchsorted(np.sort(given.copies), mine).mean()) / len(given.copies)
    artefact = Treatment(name, round(alike, 3))
    return Candidate(artefact, label, tuple(int(i) for i in members), inside, p, int(own.sum()))


def _graded(candidate: Candidate, evidence: Evidence) -> Candidate:
    """Return a treatment with the amount that explains best how its images differ from others.

    From the rest of the class, or from other classes, whichever is explained better: the rest may have the treatment
    too. Where neither is explained, the amount is that of the library. Images that score lower than copies of that
    amount do are left out.
    """
    artefact, (rows, scores) = candidate.artefact, evidence.memo["transforms"]
    assert isinstance(artefact, Treatment)
    if candidate.p > CERTAIN:
        return replace(candidate, artefact=replace(artefact, misfit=EXPLAINED))
    plain = evidence.memo["plain"][0]
    own = evidence.labels[rows] == candidate.label
    have = own & np.isin(rows, candidate.members)
    amounts = AMOUNTS if TRANSFORMS[artefact.name].grade is not None else (1.0,)
    found = [(EXPLAINED, 1.0)]
    for others in (own & ~have, ~own):
        if others.sum() >= FEW_REST:
            difference = plain[have].mean(0) - plain[others].mean(0)
            length = max(float(np.square(difference).sum()), 1e-12)
            for amount in amounts:
                left = difference - _moved(artefact.name, amount, evidence)
                found.append((float(np.square(left).sum()) / length, amount))
    misfit, amount = min(found)
    given = scores[artefact.name]
    strong = np.zeros(0) if given.amounts is None else given.copies[given.amounts >= NEARLY * amount]
    if misfit <= MISFIT and len(strong) >= ENOUGH:
        candidate = (
            _cut(artefact.name, given, float(np.quantile(strong, MISSED)), evidence, candidate.label) or candidate
        )
    again = candidate.artefact
    assert isinstance(again, Treatment)
    return replace(candidate, artefact=replace(again, amount=amount, misfit=round(misfit, 3)))


def _moved(name: str, amount: float, evidence: Evidence) -> npt.NDArray[np.floating]:
    """Return how far a transform moves the features of some images, on average."""
    assert evidence.embed is not None
    assert evidence.read is not None
    key, known, read = (name, amount), evidence.memo.setdefault("moved", {}), evidence.read
    if key not in known:
        plain, center, scale = evidence.memo["plain"]
        some = evenly_spaced(np.arange(len(evidence.sampled)), FITTED)
        change = TRANSFORMS[name].at(amount)
        treated = prefetched(
            lambda row: change(reduced(read(row)), np.random.default_rng([row, 7])), evidence.sampled[some].tolist()
        )
        known[key] = ((evidence.embed(list(treated)) - center) / scale - plain[some]).mean(0)
    return np.asarray(known[key])


def reduced(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return an image at most `SIDE` pixels on its longer side."""
    from PIL import Image

    image = Image.fromarray(pixels)
    image.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(image)


def _treated(transform: Transform, shown: tuple[npt.NDArray[np.uint8], int]) -> npt.NDArray[np.uint8]:
    """Return a copy treated by an amount of its own: a detector of one amount misses weaker ones."""
    pixels, row = shown
    return transform.at(_amount(row))(pixels, np.random.default_rng([row, 7]))


def _amount(row: int) -> float:
    return float(np.exp(np.random.default_rng([row, 8]).uniform(*np.log(LEARNED))))


def _cross_fitted(
    plain: npt.NDArray[np.floating],
    chosen: npt.NDArray[np.int64],
    copies: npt.NDArray[np.floating],
    folds: npt.NDArray[np.int64],
) -> Scores:
    """Return scores by detectors that have seen neither the image nor its class.

    Where all images of a class have been treated, a detector that takes them for untreated ones learns not to see it.

    Args:
        plain: `(n, d)` features of images as they are.
        chosen: which of them were treated.
        copies: `(m, d)` features of these after treatment.
        folds: `(n,)` which images are judged by the same detector, which has learned from the others.
    """
    from sklearn.linear_model import LogisticRegression

    judged, of_copies = np.zeros(len(plain)), np.zeros(len(chosen))
    for fold in np.unique(folds):
        learned = folds[chosen] != fold
        x = np.concatenate([plain[chosen[learned]], copies[learned]])
        detector = LogisticRegression(C=0.003, max_iter=300).fit(x, np.repeat([0, 1], learned.sum()))
        judged[folds == fold] = detector.decision_function(plain[folds == fold])
        if not learned.all():
            of_copies[~learned] = detector.decision_function(copies[~learned])
    return Scores(judged, of_copies)
