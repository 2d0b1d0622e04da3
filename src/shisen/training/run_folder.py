"""The folder of a run: weights, figures and a record, written last, by which `shisen.load` knows it."""

from __future__ import annotations

import hashlib
import json
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


def read_record(folder: Path) -> dict[str, Any] | None:
    """Return the record of a run folder; None for a folder without one."""
    try:
        record: dict[str, Any] = json.loads((folder / "shisen.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return record


def write_changed(folder: Path, record: Mapping[str, Any], weights: str, **facts: Any) -> None:
    """Write the record that makes other weights for the network of a run a run folder.

    Args:
        folder: the new folder, which holds the weights.
        record: of the run.
        weights: name of the file of weights.
        facts: entries of the record that are new or differ.
    """
    digest = hashlib.sha256((folder / weights).read_bytes()).hexdigest()
    write_file(folder / "shisen.json", to_json({**record, **facts, "sha256": {weights: digest}}))
