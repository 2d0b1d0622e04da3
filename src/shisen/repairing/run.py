"""Repair what an audit has shown: choose a treatment, write the repaired model, and prove what it does."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .._core.i18n import translator
from .._core.progress import Progress, silent
from .._core.stats import fraction
from ..auditing.record import Audit
from ..auditing.run import targets_of
from ..errors import InputError, explain_error
from ..training.data import read_dataset
from .copies import Copies
from .counterbalance import RETAKE, check_copy, write_counterbalanced, write_retake
from .data import Parts, divided
from .measuring import Judge
from .opening import Opened, Target, opened
from .proof import Measured, calibration_error, proven
from .record import Cure, Pair, Repair
from .report import write_report
from .result import FORMAT, check_free, repaired, run_record, write_result
from .treating import Treated, Treatments

if TYPE_CHECKING:
    from ..models.model import Model


def repair(
    model: Model,
    audit: Audit | str | Path,
    data: str | Path,
    out: str | Path = "shisen-out/repair",
    *,
    finding: int | Sequence[int] | None = None,
    labels: str | Path | None = None,
    counterbalanced: str | Path | None = None,
    tune: bool = True,
    dry_run: bool = False,
    lang: str = "en",
    seed: int = 0,
    progress: Progress = silent,
) -> Repair:
    """Repair shortcuts that an audit has shown to be used, and prove by the same interventions what became of them.

    The artefacts are put on images of all classes, and treatments of the model are tried on these, the cheapest
    first: what the artefacts do is taken out of the input of the last linear layer; that layer is fitted again; the
    last blocks are tuned. What is taken is decided on held-out images, and proven on audited images that had no part
    in it.

    Args:
        model: the audited model, from `load` or `wrap`: torch or Keras, ending in a linear layer.
        audit: the result of `audit`, or the folder of its report.
        data: images like those that the model was trained on, with one folder a class, or a CSV file.
        out: folder for the repaired model. A repair that was stopped continues there.
        finding: number of a finding in the audit, from 1, or several; None for all that the model uses.
        labels: a CSV file with the columns path and label, for the data.
        counterbalanced: folder for a copy of the data in which the artefacts are as frequent in all classes as in
            their own, to train another model on; None for no copy.
        tune: whether the last blocks may be tuned; only for models that `finetune` has written.
        dry_run: return what would be done, and write nothing.
        lang: "en" or "ja", the language of the report.
        seed: of every random choice.
        progress: called as `progress(done, total, words)`.

    Returns:
        A `Repair`; where the model came from a run folder, `shisen.load(out)` gives the repaired model.

    Raises:
        InputError: where the audit has no finding that the model uses, is of another model, or has no such finding as
            was named; for too few images; for folders that hold something else.
        ModelError: for a model without a last linear layer.
    """
    translator(lang)
    model.check_rank("repair()")
    source = opened(model, audit, progress)
    wanted = _wanted(source.targets, finding)
    images = read_dataset(data, labels)
    parts = divided(images, targets_of(model, images), set(source.digests))
    run = run_record(model)
    history = {
        "parent": {"name": model.name, "source": model.source, "sha256": None if run is None else run["sha256"]},
        "audit": source.key,
        "findings": [target.number for target in wanted],
        "data": {"source": str(data), "learn": len(parts.learn), "choose": len(parts.choose), "digest": parts.digest},
        "settings": {"seed": seed, "tune": bool(tune and run)},
    }
    key = hashlib.sha256(json.dumps([FORMAT, history]).encode()).hexdigest()[:16]
    target = Path(out)
    check_free(target, key)
    if counterbalanced is not None:
        check_copy(Path(counterbalanced))
    if dry_run:
        cures = tuple(Cure(t.number, model.labels[t.label], True, "not_cured", reason="planned") for t in wanted)
        return Repair(str(target), "", "none", cures, (), None, None, (np.nan, np.nan), history, dry=True)
    work = target / "work" / key
    treatable = [t for t in wanted if t.how is not None]
    treatments = Treatments(model, parts, treatable, run if tune else None, work, seed=seed, progress=progress)
    job = _Job(model, source, parts, wanted, treatments)
    treated = treatments.best()
    result = job.proof(treated, {**history, "treatment": treated.name}, target)
    write_retake(target / RETAKE, source, wanted)
    if counterbalanced is not None:
        write_counterbalanced(model, parts.items, parts.labels, treatable, Path(counterbalanced), progress=progress)
    write_report(result, source, (model, repaired(model, treated.copies.head, treated.layer)), lang)
    write_result(result, key, treated.copies.head, treated.layer, run)
    shutil.rmtree(work.parent)
    return result


def _wanted(targets: Sequence[Target], finding: int | Sequence[int] | None) -> list[Target]:
    """Return the findings that are to be treated.

    Args:
        targets: findings that the model uses.
        finding: their numbers; None for all.

    Raises:
        InputError: for a number that is none of theirs, and where none of them can be put on images.
    """
    known = {t.number: t for t in targets}
    numbers = list(known) if finding is None else [finding] if isinstance(finding, int) else list(finding)
    strange = [n for n in numbers if n not in known]
    received = ", ".join(map(str, strange or numbers))
    if strange or not numbers:
        advice = f"The model uses these: {', '.join(map(str, known))}."
        raise InputError(explain_error("A finding must be one that the model uses.", received, advice))
    if all(known[n].how is None for n in numbers):
        advice = "What the model sees apart as a group is not repaired: look at the images of the finding."
        raise InputError(explain_error("A finding must be something that can be put on images.", received, advice))
    return [known[n] for n in numbers]


@dataclass(frozen=True)
class _Job:
    """What the proof needs to know."""

    model: Model
    source: Opened
    parts: Parts
    wanted: Sequence[Target]
    treatments: Treatments

    def judge(self, treated: Treated) -> Judge:
        """Return both models on the audited images."""
        source, work, progress = self.source, self.treatments.work, self.treatments.progress
        before = self.treatments.original.head
        after = treated.copies.head
        used = np.flatnonzero([d in self.parts.digests for d in source.digests])
        paths = tuple(source.images.paths)
        first = Copies(self.model, before, paths, work / "audited", progress)
        second = (
            first if after is before else Copies(treated.copies.model, after, paths, work / "tuned-audited", progress)
        )
        return Judge(source, (first, before.layer), (second, treated.layer), used)

    def proof(self, treated: Treated, history: dict[str, Any], folder: Path) -> Repair:
        """Return what the treatment does to every finding that the model used, treated or not."""
        judge, labels = self.judge(treated), self.model.labels
        found: list[Measured] = []
        unmeasured: list[Cure] = []
        for t in self.source.targets:
            one = judge.measured(t, labels[t.label], t in self.wanted)
            if one is not None:
                found.append(one)
            elif t in self.wanted:
                reason = "no_way" if t.how is None else "few_images"
                unmeasured.append(Cure(t.number, labels[t.label], True, "not_cured", reason=reason))
        cures = sorted([*proven(found), *unmeasured], key=lambda cure: cure.finding)
        true = self.source.images.labels
        rows = np.setdiff1d(np.flatnonzero(true >= 0), judge.used)
        members = {i for t in self.source.targets for i in t.finding.candidate.members}
        clean = ~np.isin(rows, list(members))
        answers = judge.answers(rows)
        before, after = (said == true[rows] for said in answers.said())
        return Repair(
            folder=str(folder),
            report=str(folder / "index.html"),
            treatment=treated.name,
            cures=tuple(cures),
            trials=treated.trials,
            accuracy=Pair(fraction(before), fraction(after)),
            clean=Pair(fraction(before[clean]), fraction(after[clean])),
            calibration=(calibration_error(answers.before, true[rows]), calibration_error(answers.after, true[rows])),
            history=history,
        )


__all__ = ["Repair", "repair"]
