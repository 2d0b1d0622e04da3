"""The treatments of one repair, computed as they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .._core.progress import Progress
from ..auditing.artefacts.base import Alter
from ..training.run_folder import write_changed
from .choosing import Exam, Option, chosen, linear_options, rated
from .copies import PLAIN, Change, Copies
from .data import Parts
from .head import Layer, head_of
from .linear import Lesson
from .opening import Target
from .record import Trial
from .variants import drawn

if TYPE_CHECKING:
    from ..models.model import Model

MIRRORED = Change("mirrored", lambda pixels, row: np.ascontiguousarray(pixels[:, ::-1]))
EXAM = 99  # names the forms that the images that choose are given
VIEWS = 2  # copies of every image to learn from, each in forms of its own
FAR = 1_000_000  # added to rows, so that no image is taken for one of those that have an artefact
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Treated:
    """A model after a treatment.

    Attributes:
        copies: features of the data by the model itself, or by a tuned one.
        layer: the last linear layer that is given these.
        trials: what was tried.
    """

    copies: Copies
    layer: Layer
    trials: tuple[Trial, ...]

    @property
    def name(self) -> str:
        """Name of the treatment."""
        return next(t.treatment for t in self.trials if t.chosen)


@dataclass
class Treatments:
    """What a repair tries.

    Attributes:
        model: the audited model.
        parts: the images.
        targets: findings that are treated, each of which can be put on images.
        run: the record of the model's run folder; None for a model whose blocks cannot be tuned.
        work: folder for what a stopped repair continues from.
        seed: of every random choice.
        progress: called as `progress(done, total, words)`.
        tuned: features of the data by the model with tuned blocks, once there is one.
    """

    model: Model
    parts: Parts
    targets: Sequence[Target]
    run: dict[str, Any] | None
    work: Path
    seed: int
    progress: Progress
    tuned: Copies | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """Files of the data, by row."""
        return tuple(item.path for item in self.parts.items)

    @cached_property
    def original(self) -> Copies:
        """Features of the data by the model as it is."""
        return self.copies(self.model, "data")

    def copies(self, model: Model, name: str) -> Copies:
        """Return features of the data by a model.

        Args:
            model: the model.
            name: of the folder they are kept in.
        """
        sample = np.stack([model.prepare(model.read(self.paths[int(self.parts.learn[0])]))[0]] * 2)
        return Copies(model, head_of(model, sample), self.paths, self.work / name, self.progress)

    def best(self) -> Treated:
        """Return the treatment that is taken; one that changes nothing where none did better."""
        copies = self.original
        first, exam = copies.head.layer, self._exam(copies)
        groups = [lambda: list(linear_options(first, self._lesson(copies), exam))]
        if self.run is not None:
            groups.append(self._tuning)
        option, trials = chosen(rated("none", "", first, exam), groups)
        used = self.tuned if option.trial.treatment == "tuning" and self.tuned is not None else copies
        return Treated(used, option.layer, tuple(trials))

    def _changes(self, views: Sequence[int]) -> list[Change]:
        """Return what puts each artefact on, in forms drawn for each image; one for each view."""
        return [
            Change(
                f"{t.number}/drawn/{self.seed}/{view}", drawn(t.how.apply, 100 * self.seed + view), t.how.reduce, FAR
            )
            for t in self.targets
            for view in views
            if t.how is not None and t.how.apply is not None
        ]

    def _lesson(self, copies: Copies) -> Lesson:
        rows, labels = self.parts.learn, self.parts.labels[self.parts.learn]
        removed = []
        for t in self.targets:
            own = rows[labels == t.label]
            if t.how is not None and t.how.remove is not None and len(own):
                change = Change(f"{t.number}/removed", t.how.remove, t.how.reduce, FAR)
                removed.append((t.label, copies.features(own, change)))
        features = tuple(copies.features(rows, change) for change in self._changes(range(VIEWS)))
        return Lesson(copies.features(rows, PLAIN), labels, features, tuple(removed))

    def _exam(self, copies: Copies) -> Exam:
        rows = self.parts.choose
        forms = []
        for t in self.targets:
            if t.how is None or t.how.apply is None:
                continue
            same = Change(f"{t.number}/same", t.how.apply, t.how.reduce, FAR)
            other = Change(f"{t.number}/drawn/exam", drawn(t.how.apply, EXAM), t.how.reduce, FAR)
            forms.append((t.label, (copies.features(rows, same), copies.features(rows, other))))
        return Exam(copies.features(rows, PLAIN), self.parts.labels[rows], tuple(forms))

    def _tuning(self) -> list[Option]:
        """Return the model with tuned blocks, and what the linear treatments add to it."""
        from ..models.loading import load
        from .tuning import Views, tuned

        assert self.run is not None
        learn, choose, labels = self.parts.learn, self.parts.choose, self.parts.labels
        changes = (PLAIN, MIRRORED, *self._changes(range(VIEWS)), *self._removals())
        views = (
            Views("learn", self.paths, learn, labels[learn], changes),
            Views("choose", self.paths, choose, labels[choose], (PLAIN, *self._changes([EXAM]))),
        )
        folder = self.work / "tuned"
        if not (folder / "shisen.json").is_file():
            weights = Path(self.model.source) / next(iter(self.run["sha256"]))
            trainer = tuned(self.model, self.run, weights, views, self.work, seed=self.seed, progress=self.progress)
            trainer.save(folder)
            write_changed(folder, self.run, trainer.weights)
        self.tuned = self.copies(load(str(folder)), "tuned-data")
        exam, layer = self._exam(self.tuned), self.tuned.head.layer
        more = linear_options(layer, self._lesson(self.tuned), exam)
        return [rated("tuning", "", layer, exam), *(_upon("tuning", option) for option in more)]

    def _removals(self) -> list[Change]:
        """Return what takes each artefact off images of its class, and leaves others as they are."""
        labels = self.parts.labels

        def taken_off(remove: Alter, label: int) -> Alter:
            return lambda pixels, row: remove(pixels, row) if labels[row - FAR] == label else pixels

        return [
            Change(f"{t.number}/removal", taken_off(t.how.remove, t.label), t.how.reduce, FAR)
            for t in self.targets
            if t.how is not None and t.how.remove is not None
        ]


def _upon(treatment: str, option: Option) -> Option:
    """Return a treatment of the last layer as one that follows another treatment."""
    trial = replace(option.trial, treatment=treatment, setting=f"{option.trial.treatment} {option.trial.setting}")
    return option._replace(trial=trial)
