"""The folder of a run: weights, figures and a record, written last, by which `shisen.load` knows it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._core.io import write_file
from ..viz.files import to_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..models.model import Model
    from .run import Run
    from .settings import Trainer

FORMAT = 1


def write_run(run: Run, model: Model, trainer: Trainer, facts: Mapping[str, Any]) -> None:
    """Write weights, figures and, last, the record that makes the folder a run.

    Args:
        run: what the training gave.
        model: the backbone, with the preprocessing of the run.
        trainer: holds the weights.
        facts: further entries of the record.
    """
    from .. import __version__
    from .plots import confusion_figure, history_figure

    folder = Path(run.folder)
    trainer.save(folder)
    history_figure(run.history, folder / "history.png")
    if run.confusion:
        shown = {"labels": run.labels, "accuracy": run.accuracy, "counts": run.confusion}
        write_file(folder / "confusion.json", to_json(shown))
        confusion_figure(run.confusion, run.labels, folder / "confusion.png")
    record = {
        "format": FORMAT,
        "shisen": __version__,
        **facts,
        "labels": run.labels,
        "preprocess": model.preprocess,
        "history": run.history,
        "accuracy": run.accuracy,
        "sha256": {trainer.weights: hashlib.sha256((folder / trainer.weights).read_bytes()).hexdigest()},
    }
    write_file(folder / "shisen.json", to_json(record))
