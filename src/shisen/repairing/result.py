"""The folder of a repair: the repaired weights, a record with its history, and nothing of another run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._core.io import write_file
from ..errors import InputError, explain_error
from ..training.run_folder import read_record, write_changed
from ..viz.files import to_json, versions
from .head import Head, Layer
from .record import Repair

if TYPE_CHECKING:
    from ..models.model import Model

FORMAT = 1
RECORD = "repair.json"


def run_record(model: Model) -> dict[str, Any] | None:
    """Return the record of the run folder that a model came from; None for any other model."""
    return read_record(Path(model.source)) if model.source else None


def check_free(folder: Path, key: str) -> None:
    """Raise where a folder holds something else than this repair.

    Args:
        folder: of the repair.
        key: of the repair.

    Raises:
        InputError: for a run, or for another repair.
    """
    try:
        known = json.loads((folder / RECORD).read_text("utf-8"))["key"]
    except (OSError, ValueError, KeyError):
        known = ""
    if known == key or not (known or (folder / "shisen.json").exists()):
        return
    raise InputError(
        explain_error(
            "A repair writes to a folder of its own; nothing is overwritten.",
            f"{str(folder)!r}, which holds a run or another repair",
            "Give another folder with --out.",
        )
    )


def repaired(model: Model, head: Head, layer: Layer) -> Model:
    """Return a model with another last layer; the model itself stays as it is.

    Args:
        model: the model.
        head: its network, or a tuned one, cut in front of its last layer.
        layer: the layer that replaces it.
    """
    from ..models.wrapping import wrap

    net = head.replaced(layer)
    return wrap(net, preprocess=model.preprocess, labels=model.labels, name=f"{model.name} (repaired)")


def write_result(result: Repair, key: str, head: Head, layer: Layer, run: dict[str, Any] | None) -> None:
    """Write the weights, and the records last.

    Args:
        result: the repair.
        key: of the repair.
        head: the network, cut in front of its last layer.
        layer: the layer that replaces it.
        run: record of the run folder that the model came from, None for any other model.
    """
    folder = Path(result.folder)
    head.save(folder, layer)
    write_file(folder / RECORD, to_json({"format": FORMAT, "key": key, "versions": versions(), "repair": result}))
    if run is not None:
        write_changed(folder, run, head.file, repairs=[*run.get("repairs", []), result.history])
