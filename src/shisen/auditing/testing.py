"""What is known of every image after the walk, and the proof of what goes with a class."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .._core.i18n import N_
from .._core.progress import Progress
from .candidates import Candidate, candidates, describe
from .confusion import Confusion, confusion
from .findings import Finding, findings
from .interventions import Effect, Folder, intervene
from .parts import Rows, write_bytes
from .scan import CANVAS

if TYPE_CHECKING:
    from ..models.model import Model

SAMPLED = 200
"""Images a class in which common patches are looked for; memory is bounded by it."""

ENOUGH = 40
"""Least number of images of other classes on which what is used is measured without another class's."""


@dataclass(frozen=True)
class Scan:
    """What is kept in memory of every image: a few numbers each.

    Attributes:
        rows: the parts on disk.
        names, paths: of the images.
        true: class numbers, −1 for none.
        good: which images could be read.
        logits: `(n, classes)`; zero where unreadable.
        properties: `(n, properties)`.
    """

    rows: Rows
    names: tuple[str, ...]
    paths: tuple[str, ...]
    true: npt.NDArray[np.int64]
    good: npt.NDArray[np.bool_]
    logits: npt.NDArray[np.float32]
    properties: npt.NDArray[np.float64]
    errors: dict[str, str]

    @property
    def usable(self) -> npt.NDArray[np.int64]:
        """Class numbers, −1 also for images that could not be read."""
        return np.where(self.good, self.true, -1)


def chances_of(model: Model, logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return probabilities of class logits, one column a class."""
    y = logits.astype(np.float64)
    if model.head == "sigmoid":
        return np.asarray(1 / (1 + np.exp(-y)))
    e = np.exp(y - y.max(-1, keepdims=True))
    return np.asarray(e / e.sum(-1, keepdims=True))


def label_of(model: Model, index: int) -> str:
    """Return the name of a class."""
    return model.labels[index] if index < len(model.labels) else f"class {index}"


def confusion_of(model: Model, walked: Scan) -> tuple[Confusion, npt.NDArray[np.int64]]:
    """Return the confusion among the classes that occur, and their numbers."""
    chance = chances_of(model, walked.logits)
    predicted = chance.argmax(1)
    true = walked.usable
    present = np.unique(np.concatenate([true[true >= 0], predicted[true >= 0]]))
    place = {int(k): i for i, k in enumerate(present)}
    own = np.asarray([place.get(int(k), -1) for k in true])
    said = np.asarray([place.get(int(k), 0) for k in predicted])
    names = [label_of(model, int(k)) for k in present]
    return confusion(names, own, said, chance.max(1)), present


def sample(true: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return rows spread evenly over every class, at most `SAMPLED` each."""
    kept = []
    for label in np.unique(true[true >= 0]):
        rows = np.flatnonzero(true == label)
        kept.append(rows[np.linspace(0, len(rows) - 1, min(len(rows), SAMPLED)).astype(int)])
    return np.sort(np.concatenate(kept))


def proposed(walked: Scan) -> list[Candidate]:
    """Return what goes with a class in these images, whatever a model makes of it."""
    sampled = sample(walked.usable)
    return candidates(_canvases(walked, sampled), sampled, walked.usable, walked.properties)


def _canvases(walked: Scan, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    raw = walked.rows.read(["canvas"], rows.tolist())["canvas"]
    return np.stack([np.frombuffer(c, np.uint8).reshape(CANVAS, CANVAS, 3) for c in raw])


def proven(model: Model, walked: Scan, suspects: Sequence[Candidate], progress: Progress) -> list[Finding]:
    """Intervene on each candidate, and judge them together; effects are kept as they come in.

    Where several classes carry something the model uses, each holds its own images back from turning to another
    class. So what is used is measured again on images that carry no other class's, where enough are left.
    """
    sampled = sample(walked.usable)
    spread = sampled[np.linspace(0, len(sampled) - 1, min(64, len(sampled))).astype(int)]
    chance = chances_of(model, walked.logits)
    folder = Folder(walked.paths, walked.usable, chance, _canvases(walked, spread), spread)
    pairs: list[tuple[Candidate, Effect | None]] = []
    for number, candidate in enumerate(suspects):
        pairs.append((candidate, _effect(model, candidate, folder, walked.rows.folder)))
        progress(number + 1, len(suspects), N_("Intervening"))
    used = [f.candidate for f in findings(pairs) if f.used]
    for number, (candidate, effect) in enumerate(pairs):
        held = affected(used, candidate.label, walked.usable)
        if any(candidate is c for c in used) and len(held):
            labels = walked.usable.copy()
            labels[held] = -1
            alone = _effect(model, candidate, replace(folder, labels=labels), walked.rows.folder)
            pairs[number] = (candidate, alone or effect)
    return findings(pairs)


def affected(used: Sequence[Candidate], label: int, labels: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the rows of images of other classes than `label` that carry what the model uses for their own class.

    The most serious come first in `used`; what would leave fewer than `ENOUGH` images without is passed over, such
    as a color that nearly all images of a class have by nature.
    """
    free = (labels >= 0) & (labels != label)
    for c in used:
        without = free.copy()
        without[[i for i in c.members if labels[i] == c.label]] = False
        free = without if c.label != label and without.sum() >= ENOUGH else free
    return np.flatnonzero((labels >= 0) & (labels != label) & ~free)


def _effect(model: Model, candidate: Candidate, folder: Folder, kept: Path) -> Effect | None:
    """Return the effect of a candidate in a folder, from disk where it was measured before."""
    digest = hashlib.sha256(json.dumps(describe(candidate)).encode())
    digest.update(np.flatnonzero(folder.labels < 0).tobytes())
    file = kept / "effects" / f"{digest.hexdigest()[:16]}.json"
    if not file.is_file():
        effect = intervene(model, candidate, folder)
        write_bytes(file, json.dumps(None if effect is None else asdict(effect)).encode())
    found = json.loads(file.read_text())
    return None if found is None else Effect(**{**found, "examples": tuple(found["examples"])})
